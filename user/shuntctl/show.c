// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/show.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "shuntctl/text_table.h"

/* The item at a path of names with dots between them, as "fastpath.local.forwarded"; NULL if it is not there. */
static const cJSON *find(const cJSON *item, const char *path)
{
	char name[64];

	while (item && *path) {
		size_t len = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		item = cJSON_GetObjectItemCaseSensitive(item, name);
		path += len + (path[len] == '.');
	}
	return item;
}

static uint64_t number(const cJSON *item, const char *path)
{
	const cJSON *n = find(item, path);

	return cJSON_IsNumber(n) && n->valuedouble > 0 ? (uint64_t)n->valuedouble : 0;
}

static const char *string(const cJSON *item, const char *path)
{
	const char *s = cJSON_GetStringValue(find(item, path));

	return s ? s : "";
}

static bool is_true(const cJSON *item, const char *path)
{
	return cJSON_IsTrue(find(item, path));
}

/* "3 d 4 h", "59 s": the two largest units that are not zero at the front. */
static void format_duration(char *out, size_t size, uint64_t seconds)
{
	if (seconds >= 86400)
		snprintf(out, size, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
	else if (seconds >= 3600)
		snprintf(out, size, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(out, size, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
	else
		snprintf(out, size, "%" PRIu64 " s", seconds);
}

/* Is it the number of one reason, in an object that may hold their total as well? */
static bool is_reason(const cJSON *item)
{
	return cJSON_IsNumber(item) && item->valuedouble > 0 && strcmp(item->string, "total") != 0;
}

/* The sum of the reasons in an object. */
static uint64_t sum(const cJSON *object)
{
	const cJSON *item;
	uint64_t total = 0;

	cJSON_ArrayForEach(item, object) total += is_reason(item) ? (uint64_t)item->valuedouble : 0;
	return total;
}

/* "clients   3 connected, 1 disconnected": a line of some numbers of an object, `name` at its head. */
static void show_line(const cJSON *answer, const char *name, const char *title)
{
	const cJSON *item;
	const char *separator = "";

	printf("%-15s", title);
	cJSON_ArrayForEach(item, find(answer, name))
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
	const cJSON *item, *object = find(answer, name);
	const char *separator = ": ";

	printf("%-15s%" PRIu64, title, sum(object));
	cJSON_ArrayForEach(item, object)
	{
		if (!is_reason(item))
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
		text_cell(&t, "%" PRIu64, number(answer, rows[i].received));
		text_cell(&t, "%" PRIu64, number(answer, rows[i].sent));
	}
	return text_table_print(&t, stdout);
}

static void show_state(const cJSON *fastpath)
{
	const char *reason = string(fastpath, "reason"), *pins = string(fastpath, "pin_path");

	printf("fast path %s", string(fastpath, "state"));
	if (*reason)
		printf(": %s", reason);
	if (*pins)
		printf(", maps in %s", pins);
	putchar('\n');
}

static int show_roads(const cJSON *fastpath)
{
	static const struct text_column columns[] = {{"road", false}, {"local", true}, {"remote", true}};
	const cJSON *local = find(fastpath, "local"), *remote = find(fastpath, "remote"), *reason;
	struct text_table t = {.columns = columns, .ncolumns = 3};

	text_cell(&t, "available");
	text_cell(&t, "%s", is_true(local, "available") ? "yes" : "no");
	text_cell(&t, "%s", is_true(remote, "available") ? "yes" : "no");
	text_cell(&t, "messages forwarded");
	text_cell(&t, "%" PRIu64, number(local, "forwarded"));
	text_cell(&t, "%" PRIu64, number(remote, "forwarded"));
	text_cell(&t, "bytes forwarded");
	text_cell(&t, "%" PRIu64, number(local, "forwarded_bytes"));
	text_cell(&t, "%" PRIu64, number(remote, "forwarded_bytes"));
	text_cell(&t, "times passed to the daemon");
	text_cell(&t, "%" PRIu64, number(local, "passed"));
	text_cell(&t, "%" PRIu64, number(remote, "passed"));
	cJSON_ArrayForEach(reason, find(local, "passed_by_reason"))
	{
		text_cell(&t, "  %s", reason->string);
		text_cell(&t, "%.0f", reason->valuedouble);
		text_cell(&t, "%" PRIu64, number(find(remote, "passed_by_reason"), reason->string));
	}
	return text_table_print(&t, stdout);
}

int show_stats(const cJSON *answer)
{
	const cJSON *fastpath = find(answer, "fastpath");
	char up[64];
	int err;

	format_duration(up, sizeof(up), number(answer, "uptime"));
	printf("shuntd %s, up %s, %" PRIu64 " workers\n\n", string(answer, "version"), up, number(answer, "workers"));
	show_line(answer, "clients", "clients");
	show_line(answer, "connections", "connections");
	show_reasons(answer, "closed", "closed");
	printf("%-15s%" PRIu64 "\n", "subscriptions", number(answer, "subscriptions"));
	printf("%-15s%" PRIu64 "\n", "shared", number(answer, "shared_subscriptions"));
	printf("%-15s%" PRIu64 "\n", "retained", number(answer, "retained"));
	printf("%-15s%" PRIu64 " messages, %" PRIu64 " bytes\n", "stored", number(answer, "messages.stored"),
	       number(answer, "messages.stored_bytes"));
	show_reasons(answer, "dropped", "dropped");
	err = show_traffic(answer);
	putchar('\n');
	show_state(fastpath);
	printf("%" PRIu64 " flows, %" PRIu64 " connections known\n", number(fastpath, "flows"),
	       number(fastpath, "slots"));
	return err | show_roads(fastpath);
}

int show_clients(const cJSON *answer)
{
	static const struct text_column columns[] = {
		{"client", false}, {"address", false}, {"MQTT", false}, {"for", false},	     {"keepalive", true},
		{"subs", true},	   {"in", true},       {"out", true},	{"of kernel", true}, {"inflight", true},
		{"queued", true},  {"dropped", true},  {"road", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};
	const cJSON *c;
	char age[64];

	cJSON_ArrayForEach(c, find(answer, "clients"))
	{
		bool connected = is_true(c, "connected");
		uint64_t in = number(c, "fastpath.messages_in"), out = number(c, "fastpath.messages_out");

		format_duration(age, sizeof(age), number(c, "connected_seconds"));
		text_cell(&t, "%s", string(c, "id"));
		text_cell(&t, "%s", connected ? string(c, "address") : "-");
		text_cell(&t, "%s", connected ? string(c, "version") : "-");
		text_cell(&t, "%s", connected ? age : "-");
		text_cell(&t, "%" PRIu64, number(c, "keep_alive"));
		text_cell(&t, "%" PRIu64, number(c, "subscriptions"));
		text_cell(&t, "%" PRIu64, number(c, "messages_in") + in);
		text_cell(&t, "%" PRIu64, number(c, "messages_out") + out);
		text_cell(&t, "%" PRIu64, in + out);
		text_cell(&t, "%" PRIu64, number(c, "inflight"));
		text_cell(&t, "%" PRIu64, number(c, "queued"));
		text_cell(&t, "%" PRIu64, sum(find(c, "dropped")));
		text_cell(&t, "%s", string(c, "fastpath.road"));
	}
	return text_table_print(&t, stdout);
}

int show_flows(const cJSON *answer)
{
	static const struct text_column columns[] = {
		{"topic", false},   {"receiver", false}, {"road", false},      {"MQTT", false},
		{"messages", true}, {"bytes", true},	 {"last used", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};
	const cJSON *f;
	char age[64];

	cJSON_ArrayForEach(f, find(answer, "flows"))
	{
		format_duration(age, sizeof(age), number(f, "idle_ms") / 1000);
		text_cell(&t, "%s", string(f, "topic"));
		text_cell(&t, "%s", string(f, "receiver"));
		text_cell(&t, "%s", string(f, "road"));
		text_cell(&t, "%s", string(f, "version"));
		text_cell(&t, "%" PRIu64, number(f, "messages"));
		text_cell(&t, "%" PRIu64, number(f, "bytes"));
		text_cell(&t, find(f, "idle_ms") ? "%s ago" : "never", age);
	}
	return text_table_print(&t, stdout);
}

int show_fastpath(const cJSON *answer)
{
	show_state(find(answer, "fastpath"));
	return 0;
}
