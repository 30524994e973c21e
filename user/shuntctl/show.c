// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/show.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "shuntctl/answer.h"
#include "shuntctl/text_table.h"

/* "clients   3 connected, 1 disconnected": a line of some numbers of an object, `name` at its head. */
static void show_line(const cJSON *answer, const char *name, const char *title)
{
	const cJSON *item;
	const char *separator = "";

	printf("%-15s", title);
	cJSON_ArrayForEach(item, answer_find(answer, name))
	{
		if (!cJSON_IsNumber(item))
			continue;
		printf("%s%.0f %s", separator, item->valuedouble, item->string);
		separator = ", ";
	}
	putchar('\n');
}

/* "dropped   3: 2 queue_full, 1 kernel": the sum of an object of reasons, and those that are not zero. */
static void show_reasons(const cJSON *answer, const char *name, const char *title)
{
	const cJSON *item, *object = answer_find(answer, name);
	const char *separator = ": ";

	printf("%-15s%" PRIu64, title, answer_sum(object));
	cJSON_ArrayForEach(item, object)
	{
		if (!answer_is_reason(item))
			continue;
		printf("%s%.0f %s", separator, item->valuedouble, item->string);
		separator = ", ";
	}
	putchar('\n');
}

static int show_traffic(const cJSON *answer)
{
	static const struct text_column columns[] = {{"", false}, {"received", true}, {"sent", true}};
	static const struct {
		const char *title, *received, *sent;
	} rows[] = {
		{"packets", "messages.received", "messages.sent"},
		{"bytes", "bytes.received", "bytes.sent"},
		{"PUBLISH", "publish.received", "publish.sent"},
		{"payload bytes", "publish.bytes_received", "publish.bytes_sent"},
	};
	struct text_table t = {.columns = columns, .ncolumns = 3};

	putchar('\n');
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_cell(&t, "%s", rows[i].title);
		text_cell(&t, "%" PRIu64, answer_number(answer, rows[i].received));
		text_cell(&t, "%" PRIu64, answer_number(answer, rows[i].sent));
	}
	return text_table_print(&t, stdout);
}

static void show_state(const cJSON *fastpath)
{
	const char *reason = answer_string(fastpath, "reason"), *pins = answer_string(fastpath, "pin_path");

	printf("fast path %s", answer_string(fastpath, "state"));
	if (*reason)
		printf(": %s", reason);
	if (*pins)
		printf(", maps in %s", pins);
	putchar('\n');
}

static int show_roads(const cJSON *fastpath)
{
	static const struct text_column columns[] = {{"road", false}, {"local", true}, {"remote", true}};
	const cJSON *local = answer_find(fastpath, "local"), *remote = answer_find(fastpath, "remote"), *reason;
	struct text_table t = {.columns = columns, .ncolumns = 3};

	text_cell(&t, "available");
	text_cell(&t, "%s", answer_true(local, "available") ? "yes" : "no");
	text_cell(&t, "%s", answer_true(remote, "available") ? "yes" : "no");
	text_cell(&t, "messages forwarded");
	text_cell(&t, "%" PRIu64, answer_number(local, "forwarded"));
	text_cell(&t, "%" PRIu64, answer_number(remote, "forwarded"));
	text_cell(&t, "bytes forwarded");
	text_cell(&t, "%" PRIu64, answer_number(local, "forwarded_bytes"));
	text_cell(&t, "%" PRIu64, answer_number(remote, "forwarded_bytes"));
	text_cell(&t, "times passed to the daemon");
	text_cell(&t, "%" PRIu64, answer_number(local, "passed"));
	text_cell(&t, "%" PRIu64, answer_number(remote, "passed"));
	cJSON_ArrayForEach(reason, answer_find(local, "passed_by_reason"))
	{
		text_cell(&t, "  %s", reason->string);
		text_cell(&t, "%.0f", reason->valuedouble);
		text_cell(&t, "%" PRIu64, answer_number(answer_find(remote, "passed_by_reason"), reason->string));
	}
	return text_table_print(&t, stdout);
}

int show_stats(const cJSON *answer)
{
	const cJSON *fastpath = answer_find(answer, "fastpath");
	char up[DURATION_MAX];
	int err;

	format_duration(up, answer_number(answer, "uptime"));
	printf("shuntd %s, up %s, %" PRIu64 " workers\n\n", answer_string(answer, "version"), up,
	       answer_number(answer, "workers"));
	printf("%-15s%s%s%s\n", "seccomp", answer_string(answer, "seccomp.state"),
	       *answer_string(answer, "seccomp.reason") ? ": " : "", answer_string(answer, "seccomp.reason"));
	printf("%-15s%" PRIu64 " bytes of %" PRIu64 "%s\n", "memory", answer_number(answer, "memory.used"),
	       answer_number(answer, "memory.limit"), answer_true(answer, "memory.short") ? ", short" : "");
	show_line(answer, "clients", "clients");
	show_line(answer, "connections", "connections");
	show_line(answer, "bans", "bans");
	show_reasons(answer, "closed", "closed");
	printf("%-15s%" PRIu64 "\n", "subscriptions", answer_number(answer, "subscriptions"));
	printf("%-15s%" PRIu64 "\n", "shared", answer_number(answer, "shared_subscriptions"));
	printf("%-15s%" PRIu64 "\n", "retained", answer_number(answer, "retained"));
	printf("%-15s%" PRIu64 " messages, %" PRIu64 " bytes\n", "stored", answer_number(answer, "messages.stored"),
	       answer_number(answer, "messages.stored_bytes"));
	show_reasons(answer, "dropped", "dropped");
	printf("%-15s%" PRIu64 " PUBLISH\n", "denied", answer_number(answer, "publish.denied"));
	printf("%-15s%" PRIu64 " PUBLISH refused, %" PRIu64 " wait for room in a session, %" PRIu64 " not retained\n",
	       "quota", answer_number(answer, "publish.refused"), answer_number(answer, "publish.waiting"),
	       answer_number(answer, "retained_refused"));
	err = show_traffic(answer);
	putchar('\n');
	show_state(fastpath);
	printf("%" PRIu64 " flows of at most %" PRIu64 ", %" PRIu64 " evicted; %" PRIu64 " connections known\n",
	       answer_number(fastpath, "flows"), answer_number(fastpath, "flows_max"),
	       answer_number(fastpath, "evicted"), answer_number(fastpath, "slots"));
	return err | show_roads(fastpath);
}

/* "2 queue_full, 1 expired", or "-". */
static void reasons_cell(struct text_table *t, const cJSON *object)
{
	char text[256] = "-";
	const cJSON *item;
	size_t at = 0;

	cJSON_ArrayForEach(item, object)
	{
		if (!answer_is_reason(item) || at >= sizeof(text))
			continue;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.0f %s", at ? ", " : "", item->valuedouble,
				       item->string);
	}
	text_cell(t, "%s", text);
}

int show_clients(const cJSON *answer)
{
	static const struct text_column columns[] = {
		{"client", false}, {"address", false}, {"MQTT", false}, {"for", false},		{"keepalive", true},
		{"subs", true},	   {"in", true},       {"out", true},	{"of kernel", true},	{"inflight", true},
		{"queued", true},  {"dropped", true},  {"road", false}, {"dropped for", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};
	const cJSON *c;
	char age[DURATION_MAX];

	cJSON_ArrayForEach(c, answer_find(answer, "clients"))
	{
		const char *space = answer_string(c, "namespace");
		bool connected = answer_true(c, "connected");
		uint64_t in = answer_number(c, "fastpath.messages_in"), out = answer_number(c, "fastpath.messages_out");

		format_duration(age, answer_number(c, "connected_seconds"));
		text_cell(&t, "%s%s%s", IN_NAMESPACE(space), answer_string(c, "id"));
		text_cell(&t, "%s", connected ? answer_string(c, "address") : "-");
		text_cell(&t, "%s", connected ? answer_string(c, "version") : "-");
		text_cell(&t, "%s", connected ? age : "-");
		text_cell(&t, "%" PRIu64, answer_number(c, "keep_alive"));
		text_cell(&t, "%" PRIu64, answer_number(c, "subscriptions"));
		text_cell(&t, "%" PRIu64, answer_number(c, "messages_in") + in);
		text_cell(&t, "%" PRIu64, answer_number(c, "messages_out") + out);
		text_cell(&t, "%" PRIu64, in + out);
		text_cell(&t, "%" PRIu64, answer_number(c, "inflight"));
		text_cell(&t, "%" PRIu64, answer_number(c, "queued"));
		text_cell(&t, "%" PRIu64, answer_sum(answer_find(c, "dropped")));
		text_cell(&t, "%s", answer_string(c, "fastpath.road"));
		reasons_cell(&t, answer_find(c, "dropped"));
	}
	return text_table_print(&t, stdout);
}

int show_fastpath(const cJSON *answer)
{
	show_state(answer_find(answer, "fastpath"));
	return 0;
}

static int show_carried(const cJSON *flow)
{
	const char *space = answer_string(flow, "namespace");
	uint64_t receivers = answer_number(flow, "receivers");
	char more[64] = "", last[DURATION_MAX + 32] = "", age[DURATION_MAX];

	if (receivers > 1)
		snprintf(more, sizeof(more), " and %" PRIu64 " more", receivers - 1);
	if (answer_find(flow, "idle_ms")) {
		format_duration(age, answer_number(flow, "idle_ms") / 1000);
		snprintf(last, sizeof(last), ", the last one %s ago", age);
	}
	return text_line(stdout, "The kernel carries it on the %s road to %s%s%s%s: %" PRIu64 " messages until now%s.",
			 answer_string(flow, "road"), IN_NAMESPACE(space), answer_string(flow, "receiver"), more,
			 answer_number(flow, "messages"), last);
}

int show_why(const cJSON *answer)
{
	const cJSON *why = answer_find(answer, "why"), *flow;
	const char *detail = answer_string(why, "detail"), *session = answer_string(why, "session");
	const char *space = *session ? answer_string(why, "namespace") : "";
	int err = 0;

	if (!answer_true(why, "carried"))
		return text_line(stdout, "The daemon carries it: %s%s%s%s%s%s%s%s.", answer_string(why, "text"),
				 *detail ? ": " : "", detail, *session ? " (" : "", IN_NAMESPACE(space), session,
				 *session ? ")" : "");
	cJSON_ArrayForEach(flow, answer_find(why, "flows")) err |= show_carried(flow);
	return err;
}
