// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "admin/answers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "admin/answer.h"
#include "admin/answer_bans.h"
#include "admin/answer_guard.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/version.h"
#include "broker/broker.h"
#include "mqtt/packet.h"

void answer_error(struct json *j, const char *text)
{
	json_open_object(j, NULL);
	json_string(j, "error", text);
	json_close_object(j);
}

void answer_no_client(struct json *j, const char *id)
{
	char text[128];

	snprintf(text, sizeof(text), "there is no client \"%.64s\"", id);
	answer_error(j, text);
}

const char *answer_text(const cJSON *request, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, name));
}

const char *answer_namespace(struct json *j, const cJSON *request)
{
	const char *space = answer_text(request, "namespace");
	char text[128];

	if (broker_namespace(space))
		return broker_namespace(space);
	snprintf(text, sizeof(text), "there is no namespace \"%.64s\"", space);
	answer_error(j, text);
	return NULL;
}

void answer_in(struct json *j, const char *space)
{
	if (*space)
		json_string(j, "namespace", space);
}

/* Of seccomp: the daemon without its privileges. */
static void sandbox_state_of(struct json *j)
{
	json_open_object(j, "seccomp");
	json_string(j, "state", sandbox_state());
	json_string(j, "reason", sandbox_reason());
	json_close_object(j);
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static void fastpath_state(struct json *j, const struct fp_status *status)
{
	json_string(j, "state", status->loaded && status->enabled ? "on" : "off");
	json_string(j, "reason", status->reason);
}

static int add_listener(const struct broker_listener *l, void *arg)
{
	struct json *j = arg;

	json_open_object(j, NULL);
	if (l->path)
		json_string(j, "path", l->path);
	else
		json_uint(j, "port", l->port);
	if (l->address)
		json_string(j, "address", l->address);
	answer_in(j, l->space);
	json_string(j, "protocol", l->websockets ? "websockets" : "mqtt");
	json_bool(j, "tls", l->tls);
	json_uint(j, "connections", l->connections);
	json_close_object(j);
	return 0;
}

static void answer_status(struct json *j, const cJSON *request)
{
	struct fp_status status;
	struct broker_stats s;

	(void)request;
	fp_status(&status);
	broker_stats(&s);
	json_open_object(j, NULL);
	json_string(j, "version", SHUNT_VERSION);
	json_uint(j, "uptime", s.uptime_ms / 1000);
	json_uint(j, "workers", s.workers);
	sandbox_state_of(j);
	json_open_object(j, "fastpath");
	fastpath_state(j, &status);
	json_close_object(j);
	json_open_array(j, "listeners");
	broker_listeners(add_listener, j);
	json_close_array(j);
	json_close_object(j);
}

/* ---- stats ------------------------------------------------------------------------------------------------------ */

static const char *road_name(enum fp_road road)
{
	static const char *const names[] = {
		[FP_ROAD_NONE] = "none",
		[FP_ROAD_LOCAL] = "local",
		[FP_ROAD_REMOTE] = "remote",
	};

	return names[road];
}

/* A number that is a sum of parts which change while they are added up. */
static uint64_t at_least_zero(int64_t n)
{
	return n < 0 ? 0 : (uint64_t)n;
}

static void road_stats(struct json *j, const char *name, bool available, const struct fp_road_stats *s)
{
	json_open_object(j, name);
	json_bool(j, "available", available);
	json_uint(j, "forwarded", s->forwarded);
	json_uint(j, "forwarded_bytes", s->forwarded_bytes);
	json_uint(j, "taken", s->taken);
	json_uint(j, "diverted", s->diverted);
	json_uint(j, "pings", s->pings);
	json_uint(j, "passed", s->passed);
	json_open_object(j, "passed_by_reason");
	json_uint(j, "fence", s->passed_fence);
	json_uint(j, "no_flow", s->passed_no_flow);
	json_uint(j, "full", s->passed_full);
	json_uint(j, "held", s->passed_held);
	json_uint(j, "busy", s->passed_busy);
	json_uint(j, "shape", s->passed_shape);
	json_uint(j, "dead", s->passed_dead);
	json_uint(j, "off", s->passed_off);
	json_close_object(j);
	json_close_object(j);
}

static void fastpath_stats(struct json *j, const struct fp_stats *s)
{
	struct fp_status status;

	fp_status(&status);
	json_open_object(j, "fastpath");
	fastpath_state(j, &status);
	json_string(j, "pin_path", status.pin_path);
	json_uint(j, "flows", s->flows);
	json_uint(j, "flows_max", s->flows_max);
	json_uint(j, "evicted", s->evicted);
	json_uint(j, "slots", s->slots);
	json_uint(j, "told", s->told);
	json_uint(j, "dropped", s->dropped);
	road_stats(j, "local", status.local, &s->local);
	road_stats(j, "remote", status.remote, &s->remote);
	json_close_object(j);
}

static void store_stats_of(struct json *j, bool on, const struct store_stats *s)
{
	json_open_object(j, "store");
	json_string(j, "state", !on ? "off" : s->failing ? "failing" : "on");
	json_string(j, "error", s->error); /* the last one */
	json_uint(j, "commits", s->commits);
	json_uint(j, "operations", s->operations);
	json_uint(j, "waiting", s->waiting);
	json_uint(j, "failures", s->failures);
	json_uint(j, "slowest_commit_us", s->slowest_us);
	json_close_object(j);
}

static void drop_stats(struct json *j, const struct broker_stats *s)
{
	uint64_t total = s->fastpath.dropped;

	json_open_object(j, "dropped");
	for (size_t i = 0; i < DROP_REASONS; i++) {
		json_uint(j, drop_names[i], s->sum.dropped[i]);
		total += s->sum.dropped[i];
	}
	json_uint(j, "kernel", s->fastpath.dropped);
	json_uint(j, "total", total);
	json_close_object(j);
}

static void client_stats(struct json *j, const struct broker_stats *s)
{
	uint64_t connected = at_least_zero(s->sum.clients_connected);

	json_open_object(j, "clients");
	json_uint(j, "connected", connected);
	json_uint(j, "disconnected", at_least_zero(s->sum.sessions - (int64_t)connected));
	json_uint(j, "total", at_least_zero(s->sum.sessions));
	json_uint(j, "maximum", s->clients_maximum);
	json_uint(j, "expired", s->sum.expired);
	json_uint(j, "not_kept", s->sum.sessions_refused);
	json_close_object(j);
	json_open_object(j, "connections");
	json_uint(j, "open", at_least_zero(s->sum.sockets));
	json_uint(j, "accepted", s->sum.connections);
	json_uint(j, "refused", s->sum.sockets_refused);
	json_uint(j, "delayed", s->sum.connections_delayed);
	json_uint(j, "banned", s->sum.connections_banned);
	json_close_object(j);
	json_open_object(j, "bans");
	json_uint(j, "active", s->bans);
	json_uint(j, "automatic", s->sum.bans_automatic);
	json_uint(j, "no_room", s->sum.bans_failed);
	json_close_object(j);
	json_open_object(j, "closed");
	for (size_t i = 0; i < CLOSE_REASONS; i++)
		json_uint(j, close_texts[i].name, s->sum.closed[i]);
	json_close_object(j);
}

static void memory_stats(struct json *j, const struct broker_stats *s)
{
	json_open_object(j, "memory");
	json_uint(j, "used", at_least_zero(s->sum.memory));
	json_uint(j, "limit", s->memory_limit);
	json_bool(j, "short", s->memory_short);
	json_close_object(j);
}

static void traffic_stats(struct json *j, const struct counters *c)
{
	json_open_object(j, "messages");
	json_uint(j, "received", c->messages_received);
	json_uint(j, "sent", c->messages_sent);
	json_uint(j, "stored", at_least_zero(c->stored_messages));
	json_uint(j, "stored_bytes", at_least_zero(c->stored_bytes));
	json_close_object(j);
	json_open_object(j, "bytes");
	json_uint(j, "received", c->bytes_received);
	json_uint(j, "sent", c->bytes_sent);
	json_close_object(j);
	json_open_object(j, "publish");
	json_uint(j, "received", c->publish_received);
	json_uint(j, "sent", c->publish_sent);
	json_uint(j, "bytes_received", c->publish_bytes_received);
	json_uint(j, "bytes_sent", c->publish_bytes_sent);
	json_uint(j, "refused", c->publish_refused);
	json_uint(j, "denied", c->publish_denied);
	json_uint(j, "waiting", at_least_zero(c->publish_waiting));
	json_uint(j, "paused", c->publish_paused);
	json_close_object(j);
	json_open_object(j, "waiting"); /* for sockets */
	json_uint(j, "publish", at_least_zero(c->out_packets));
	json_uint(j, "bytes", at_least_zero(c->out_bytes));
	json_close_object(j);
	json_open_object(j, "auth_http");
	json_uint(j, "allowed", c->hook_allowed);
	json_uint(j, "refused", c->hook_refused);
	json_uint(j, "failed", c->hook_failed);
	json_uint(j, "cached", c->hook_cached);
	json_uint(j, "busy", c->hook_busy);
	json_close_object(j);
	json_open_object(j, "mqtt_sn");
	json_uint(j, "datagrams", c->sn_datagrams);
	json_uint(j, "malformed", c->sn_malformed);
	json_uint(j, "limited", c->sn_limited);
	json_uint(j, "ignored", c->sn_ignored);
	json_uint(j, "retransmitted", c->sn_retransmitted);
	json_close_object(j);
	json_uint(j, "subscriptions", at_least_zero(c->subscriptions));
	json_uint(j, "shared_subscriptions", at_least_zero(c->shared_subscriptions));
	json_uint(j, "retained", at_least_zero(c->retained));
	json_uint(j, "retained_refused", c->retain_refused);
}

static void answer_stats(struct json *j, const cJSON *request)
{
	struct broker_stats s;

	(void)request;
	broker_stats(&s);
	json_open_object(j, NULL);
	json_string(j, "version", SHUNT_VERSION);
	json_uint(j, "uptime", s.uptime_ms / 1000);
	json_uint(j, "workers", s.workers);
	sandbox_state_of(j);
	memory_stats(j, &s);
	client_stats(j, &s);
	traffic_stats(j, &s.sum);
	drop_stats(j, &s);
	store_stats_of(j, s.persistence, &s.store);
	fastpath_stats(j, &s.fastpath);
	json_close_object(j);
}

/* ---- clients ---------------------------------------------------------------------------------------------------- */

static int add_client(const struct broker_client *c, void *arg)
{
	struct json *j = arg;

	json_open_object(j, NULL);
	json_string(j, "id", c->id);
	answer_in(j, c->space);
	if (c->username)
		json_string(j, "username", c->username);
	json_bool(j, "connected", c->connected);
	json_string(j, "address", c->address);
	json_string(j, "version", c->connected ? mqtt_version_name(c->version) : "");
	json_bool(j, "clean", c->clean);
	json_uint(j, "keep_alive", c->keep_alive);
	json_uint(j, "connected_seconds", c->connected_ms / 1000);
	if (c->transport)
		json_string(j, "transport", c->transport);
	if (c->tls)
		json_string(j, "tls", c->tls);
	json_uint(j, "subscriptions", c->subscriptions);
	json_uint(j, "inflight", c->inflight);
	json_uint(j, "queued", c->queued);
	json_uint(j, "queued_bytes", c->queued_bytes);
	json_uint(j, "output_bytes", c->output_bytes);
	json_open_object(j, "dropped");
	for (size_t i = 0; i < DROP_REASONS; i++)
		json_uint(j, drop_names[i], c->dropped[i]);
	json_close_object(j);
	json_uint(j, "messages_in", c->messages_in);
	json_uint(j, "messages_out", c->messages_out);
	json_uint(j, "bytes_in", c->bytes_in);
	json_uint(j, "bytes_out", c->bytes_out);
	json_open_object(j, "fastpath");
	json_string(j, "road", road_name(c->road));
	json_bool(j, "target", c->target);
	json_bool(j, "held", c->held);
	json_uint(j, "messages_in", c->fast.sent_messages);
	json_uint(j, "messages_out", c->fast.received_messages);
	json_uint(j, "bytes_in", c->fast.sent_bytes);
	json_uint(j, "bytes_out", c->fast.received_bytes);
	json_close_object(j);
	json_close_object(j);
	return j->failed;
}

/* Clients of a namespace; NULL: of all. */
struct wanted {
	struct json *j;
	const char *space;
};

static int add_wanted(const struct broker_client *c, void *arg)
{
	const struct wanted *w = arg;

	return w->space && strcmp(w->space, c->space) != 0 ? 0 : add_client(c, w->j);
}

static int add_only_client(const struct broker_client *c, void *arg)
{
	struct json *j = arg;

	json_open_object(j, NULL);
	json_open_array(j, "clients");
	add_client(c, j);
	json_close_array(j);
	json_close_object(j);
	return 0;
}

static void answer_client(struct json *j, const char *space, const char *id)
{
	int rc = broker_client(space, id, add_only_client, j);

	if (rc == -ENOENT)
		answer_no_client(j, id);
	else if (rc)
		j->failed = true;
}

static void answer_clients(struct json *j, const cJSON *request)
{
	const char *id = answer_text(request, "client"), *space = answer_namespace(j, request);

	if (!space)
		return;
	if (id) {
		answer_client(j, space, id);
		return;
	}
	if (!answer_text(request, "namespace"))
		space = NULL;
	json_open_object(j, NULL);
	json_open_array(j, "clients");
	if (broker_clients(add_wanted, &(struct wanted){j, space}))
		j->failed = true; /* half a list would look like a whole one */
	json_close_array(j);
	json_close_object(j);
}

/* ---- flows ------------------------------------------------------------------------------------------------------ */

static int add_flow(const struct fp_flow_info *f, void *arg)
{
	struct json *j = arg;
	uint64_t now = clock_ns();

	json_open_object(j, NULL);
	json_string(j, "topic", f->topic);
	if (f->publisher[0])
		json_string(j, "publisher", f->publisher);
	json_string(j, "receiver", f->receiver);
	json_uint(j, "receivers", f->receivers);
	json_string(j, "road", road_name(f->road));
	json_string(j, "namespace", broker_namespace_name(f->ns));
	json_string(j, "version", f->form ? "5" : "3");
	json_uint(j, "messages", f->messages);
	json_uint(j, "bytes", f->bytes);
	if (f->last_ns)
		json_uint(j, "idle_ms", now > f->last_ns ? (now - f->last_ns) / NS_PER_MS : 0);
	json_close_object(j);
	return j->failed;
}

static void answer_flows(struct json *j, const cJSON *request)
{
	(void)request;
	json_open_object(j, NULL);
	json_uint(j, "at_ms", clock_ns() / NS_PER_MS);
	json_open_array(j, "flows");
	fp_flow_each(add_flow, j);
	json_close_array(j);
	json_close_object(j);
}

/* ---- why -------------------------------------------------------------------------------------------------------- */

static void answer_why(struct json *j, const cJSON *request)
{
	const char *topic = answer_text(request, "topic"), *client = answer_text(request, "client"), *space;
	struct broker_why why;

	if (!topic) {
		answer_error(j, "the command why needs a \"topic\"");
		return;
	}
	space = answer_namespace(j, request);
	if (!space)
		return;
	if (broker_why(space, topic, client, &why)) {
		answer_error(j, "this is no topic that a client can publish to");
		return;
	}
	json_open_object(j, NULL);
	json_open_object(j, "why");
	json_string(j, "topic", topic);
	if (client)
		json_string(j, "client", client);
	answer_in(j, space);
	json_bool(j, "carried", why.nflows);
	json_string(j, "reason", why.reason);
	json_string(j, "text", why.text);
	json_string(j, "detail", why.detail);
	json_string(j, "session", why.session);
	json_open_array(j, "flows");
	for (size_t i = 0; i < why.nflows; i++)
		add_flow(&why.flows[i], j);
	json_close_array(j);
	json_close_object(j);
	json_close_object(j);
}

/* ---- fastpath --------------------------------------------------------------------------------------------------- */

static void answer_fastpath(struct json *j, const cJSON *request)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one thread at a time may switch it */
	const char *state = answer_text(request, "state");
	struct fp_status status;
	char text[256];
	int err;

	if (!state || (strcmp(state, "on") != 0 && strcmp(state, "off") != 0)) {
		answer_error(j, "the command fastpath needs a \"state\", which is \"on\" or \"off\"");
		return;
	}
	pthread_mutex_lock(&lock);
	err = fp_enable(!strcmp(state, "on"));
	pthread_mutex_unlock(&lock);
	if (err) {
		fp_status(&status);
		snprintf(text, sizeof(text), "the fast path cannot be used: %s", status.reason);
		answer_error(j, text);
		return;
	}
	log_notice("Fast path switched %s by an administrator.", state);
	fp_status(&status);
	json_open_object(j, NULL);
	json_open_object(j, "fastpath");
	fastpath_state(j, &status);
	json_close_object(j);
	json_close_object(j);
}

/* ---- bans ------------------------------------------------------------------------------------------------------- */

static void ban_answer(struct json *j, const char *refused)
{
	if (refused)
		answer_error(j, refused);
}

static void do_ban(struct json *j, const cJSON *request)
{
	ban_answer(j, answer_ban(j, request));
}

static void do_unban(struct json *j, const cJSON *request)
{
	ban_answer(j, answer_unban(j, request));
}

static void do_bans(struct json *j, const cJSON *request)
{
	(void)request;
	ban_answer(j, answer_bans(j));
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*answer)(struct json *j, const cJSON *request);
} commands[] = {
	{"status", answer_status}, {"stats", answer_stats},	  {"clients", answer_clients},
	{"flows", answer_flows},   {"why", answer_why},		  {"fastpath", answer_fastpath},
	{"topics", answer_topics}, {"retained", answer_retained}, {"subscriptions", answer_subscriptions},
	{"guard", answer_guard},   {"kick", answer_kick},	  {"publish", answer_publish},
	{"ban", do_ban},	   {"unban", do_unban},		  {"bans", do_bans},
};

static void answer_command(struct json *j, const char *name, const cJSON *request)
{
	char text[128];

	if (!name) {
		answer_error(j, "a request is a JSON object with a \"command\"");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, name)) {
			commands[i].answer(j, request);
			return;
		}
	}
	snprintf(text, sizeof(text), "there is no command \"%.64s\"", name);
	answer_error(j, text);
}

char *answer_object(const char *command, const cJSON *members, size_t *len)
{
	struct json j = {0};

	answer_command(&j, command, members);
	return json_end(&j, len);
}

char *answer_request(const char *request, size_t *len)
{
	cJSON *parsed = cJSON_ParseWithOpts(request, NULL, true);
	char *text = answer_object(answer_text(parsed, "command"), parsed, len);

	cJSON_Delete(parsed);
	return text;
}
