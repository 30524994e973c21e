// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "admin/metrics.h"

#include <stddef.h>
#include <stdint.h>

#include "base/version.h"
#include "broker/broker.h"
#include "guard/xdp.h"

struct out {
	FILE *f;
	bool openmetrics;
};

void metrics_family(FILE *f, bool openmetrics, const char *name, const char *kind, const char *help)
{
	const char *suffix = !openmetrics && *kind == 'c' ? "_total" : "";

	fprintf(f, "# HELP shunt_%s%s %s\n# TYPE shunt_%s%s %s\n", name, suffix, help, name, suffix, kind);
}

static void counter(const struct out *o, const char *name, const char *help)
{
	metrics_family(o->f, o->openmetrics, name, "counter", help);
}

static void gauge(const struct out *o, const char *name, const char *help)
{
	metrics_family(o->f, o->openmetrics, name, "gauge", help);
}

static void sample(const struct out *o, const char *name, uint64_t value)
{
	fprintf(o->f, "shunt_%s %llu\n", name, (unsigned long long)value);
}

static void labelled(const struct out *o, const char *name, const char *label, const char *text, uint64_t value)
{
	fprintf(o->f, "shunt_%s{%s=\"%s\"} %llu\n", name, label, text, (unsigned long long)value);
}

/* ---- numbers of their own ----------------------------------------------------------------------------------------- */

struct number {
	const char *name, *help;
	size_t offset; /* of a 64-bit number in struct broker_stats */
};

#define OF(member) offsetof(struct broker_stats, member)

static const struct number counters[] = {
	{"sessions_expired", "Sessions that were not resumed in time.", OF(sum.expired)},
	{"sessions_not_kept", "Sessions that end with their connection because of max_sessions.",
	 OF(sum.sessions_refused)},
	{"connections_accepted", "Connections accepted.", OF(sum.connections)},
	{"connections_refused", "Connections closed because of max_connections.", OF(sum.sockets_refused)},
	{"connections_delayed", "Times that connections had to wait because of max_connection_rate.",
	 OF(sum.connections_delayed)},
	{"packets_received", "MQTT packets received, by all roads.", OF(sum.messages_received)},
	{"packets_sent", "MQTT packets sent, by all roads.", OF(sum.messages_sent)},
	{"received_bytes", "Bytes received from clients, by all roads.", OF(sum.bytes_received)},
	{"sent_bytes", "Bytes sent to clients, by all roads.", OF(sum.bytes_sent)},
	{"publish_received_payload_bytes", "Bytes of payload in PUBLISH packets received.",
	 OF(sum.publish_bytes_received)},
	{"publish_sent_payload_bytes", "Bytes of payload in PUBLISH packets sent.", OF(sum.publish_bytes_sent)},
	{"publish_refused", "PUBLISH packets refused because a queue is full or they cannot be retained.",
	 OF(sum.publish_refused)},
	{"publish_denied", "PUBLISH packets to topics that their client may not publish to.", OF(sum.publish_denied)},
	{"publish_paused", "Times that a client was not read because of max_publish_rate or max_publish_bytes.",
	 OF(sum.publish_paused)},
	{"retained_refused", "Messages not retained because of max_retained_... or want of memory.",
	 OF(sum.retain_refused)},
	{"auth_http_allowed", "Logins that the server of auth_http_url allowed.", OF(sum.hook_allowed)},
	{"auth_http_refused", "Logins that the server of auth_http_url refused.", OF(sum.hook_refused)},
	{"auth_http_failed", "Logins for which the server of auth_http_url had no answer.", OF(sum.hook_failed)},
	{"auth_http_cached", "Logins let in because auth_http_url had allowed the same lately.", OF(sum.hook_cached)},
	{"auth_http_busy", "Logins refused because of auth_http_max_pending.", OF(sum.hook_busy)},
	{"fastpath_evicted_flows", "Flows that made room for others.", OF(fastpath.evicted)},
	{"fastpath_told", "Deliveries of the daemon that the kernel made together with others.", OF(fastpath.told)},
};

/* Those of struct counters may be below zero for a moment. */
static const struct number gauges[] = {
	{"memory_used_bytes", "Bytes that clients take.", OF(sum.memory)},
	{"memory_limit_bytes", "Bytes that clients may take; 0 is no limit.", OF(memory_limit)},
	{"clients_connected", "Clients connected.", OF(sum.clients_connected)},
	{"clients_connected_maximum", "The most clients connected at once.", OF(clients_maximum)},
	{"sessions", "Sessions, of clients connected or not.", OF(sum.sessions)},
	{"connections_open", "Open connections.", OF(sum.sockets)},
	{"stored_messages", "Messages that wait in sessions.", OF(sum.stored_messages)},
	{"stored_bytes", "Bytes of messages that wait in sessions.", OF(sum.stored_bytes)},
	{"publish_waiting", "PUBLISH packets that wait for room in a session.", OF(sum.publish_waiting)},
	{"output_publish_waiting", "PUBLISH packets that wait for sockets.", OF(sum.out_packets)},
	{"output_waiting_bytes", "Bytes that wait for sockets.", OF(sum.out_bytes)},
	{"subscriptions", "Subscriptions.", OF(sum.subscriptions)},
	{"shared_subscriptions", "Shared subscriptions.", OF(sum.shared_subscriptions)},
	{"retained_messages", "Retained messages.", OF(sum.retained)},
	{"bans", "Bans in force.", OF(bans)},
	{"fastpath_flows", "Flows that the kernel has.", OF(fastpath.flows)},
	{"fastpath_flows_maximum", "Flows that the kernel may have.", OF(fastpath.flows_max)},
	{"fastpath_connections", "Connections that the fast path knows.", OF(fastpath.slots)},
};

static uint64_t value_of(const struct broker_stats *s, const struct number *n)
{
	return *(const uint64_t *)((const char *)s + n->offset);
}

static void numbers(const struct out *o, const struct broker_stats *s)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		counter(o, counters[i].name, counters[i].help);
		fprintf(o->f, "shunt_%s_total %llu\n", counters[i].name, (unsigned long long)value_of(s, &counters[i]));
	}
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		int64_t value = (int64_t)value_of(s, &gauges[i]);

		gauge(o, gauges[i].name, gauges[i].help);
		sample(o, gauges[i].name, value < 0 ? 0 : (uint64_t)value);
	}
}

/* ---- the daemon --------------------------------------------------------------------------------------------------- */

static void daemon_itself(const struct out *o, const struct broker_stats *s)
{
	gauge(o, "build_info", "The version of the daemon.");
	labelled(o, "build_info", "version", SHUNT_VERSION, 1);
	gauge(o, "uptime_seconds", "For how long it runs.");
	fprintf(o->f, "shunt_uptime_seconds %llu.%03u\n", (unsigned long long)(s->uptime_ms / 1000),
		(unsigned)(s->uptime_ms % 1000));
	gauge(o, "workers", "Threads that serve clients.");
	sample(o, "workers", s->workers);
	gauge(o, "memory_short", "Whether memory is short, so that nothing more is kept for clients.");
	sample(o, "memory_short", s->memory_short);
}

/* In a label, where it cannot be more than that. */
static void escaped(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", f);
		else if (*text == '"' || *text == '\\')
			fprintf(f, "\\%c", *text);
		else
			fputc(*text, f);
	}
}

static int listener(const struct broker_listener *l, void *arg)
{
	const struct out *o = arg;

	fprintf(o->f, "shunt_listener_connections{listener=\"");
	escaped(o->f, l->path ? l->path : l->address ? l->address : "");
	if (!l->path)
		fprintf(o->f, "%s%u", l->address ? ":" : "", l->port);
	fprintf(o->f, "\"} %u\n", l->connections);
	return 0;
}

static void reasons(const struct out *o, const struct broker_stats *s)
{
	gauge(o, "listener_connections", "Open connections of a listener.");
	broker_listeners(listener, (void *)o);
	counter(o, "connections_closed", "Connections that ended, by reason.");
	for (size_t i = 0; i < CLOSE_REASONS; i++)
		labelled(o, "connections_closed_total", "reason", close_texts[i].name, s->sum.closed[i]);
	counter(o, "messages_dropped", "Messages that a client should have got and did not, by reason.");
	for (size_t i = 0; i < DROP_REASONS; i++)
		labelled(o, "messages_dropped_total", "reason", drop_names[i], s->sum.dropped[i]);
	labelled(o, "messages_dropped_total", "reason", "kernel", s->fastpath.dropped);
}

/* ---- roads -------------------------------------------------------------------------------------------------------- */

static const struct number road_counters[] = {
	{"fastpath_taken", "PUBLISH packets that the daemon did not see.", offsetof(struct fp_road_stats, taken)},
	{"fastpath_forwarded", "PUBLISH packets that the kernel delivered.", offsetof(struct fp_road_stats, forwarded)},
	{"fastpath_forwarded_bytes", "Bytes of PUBLISH packets that the kernel delivered.",
	 offsetof(struct fp_road_stats, forwarded_bytes)},
	{"fastpath_diverted", "Deliveries that came back to the daemon because the receiver was not ready.",
	 offsetof(struct fp_road_stats, diverted)},
	{"fastpath_pings", "PINGREQ packets that the kernel answered.", offsetof(struct fp_road_stats, pings)},
};

static const struct {
	const char *reason;
	size_t offset;
} passes[] = {
	{"fence", offsetof(struct fp_road_stats, passed_fence)},
	{"no_flow", offsetof(struct fp_road_stats, passed_no_flow)},
	{"full", offsetof(struct fp_road_stats, passed_full)},
	{"held", offsetof(struct fp_road_stats, passed_held)},
	{"busy", offsetof(struct fp_road_stats, passed_busy)},
	{"shape", offsetof(struct fp_road_stats, passed_shape)},
	{"dead", offsetof(struct fp_road_stats, passed_dead)},
	{"off", offsetof(struct fp_road_stats, passed_off)},
};

static uint64_t road_value(const struct fp_road_stats *s, size_t offset)
{
	return *(const uint64_t *)((const char *)s + offset);
}

static void passed(const struct out *o, const char *road, const struct fp_road_stats *s)
{
	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++)
		fprintf(o->f, "shunt_fastpath_passed_total{road=\"%s\",reason=\"%s\"} %llu\n", road, passes[i].reason,
			(unsigned long long)road_value(s, passes[i].offset));
}

/* The sum has what the kernel carried in it. */
static void publish_by_road(const struct out *o, const struct broker_stats *s)
{
	const struct fp_road_stats *local = &s->fastpath.local, *remote = &s->fastpath.remote;

	counter(o, "publish_received", "PUBLISH packets received, by the road they took.");
	labelled(o, "publish_received_total", "road", "daemon", s->sum.publish_received - local->taken - remote->taken);
	labelled(o, "publish_received_total", "road", "local", local->taken);
	labelled(o, "publish_received_total", "road", "remote", remote->taken);
	counter(o, "publish_sent", "PUBLISH packets sent, by the road they took.");
	labelled(o, "publish_sent_total", "road", "daemon", s->sum.publish_sent - local->forwarded - remote->forwarded);
	labelled(o, "publish_sent_total", "road", "local", local->forwarded);
	labelled(o, "publish_sent_total", "road", "remote", remote->forwarded);
}

static void roads(const struct out *o, const struct broker_stats *s)
{
	struct fp_status status;
	char name[64];

	fp_status(&status);
	publish_by_road(o, s);
	gauge(o, "fastpath_enabled", "Whether the kernel carries messages.");
	sample(o, "fastpath_enabled", status.loaded && status.enabled);
	gauge(o, "fastpath_available", "Whether the kernel can carry messages on the road.");
	labelled(o, "fastpath_available", "road", "local", status.local);
	labelled(o, "fastpath_available", "road", "remote", status.remote);
	for (size_t i = 0; i < sizeof(road_counters) / sizeof(road_counters[0]); i++) {
		counter(o, road_counters[i].name, road_counters[i].help);
		snprintf(name, sizeof(name), "%s_total", road_counters[i].name);
		labelled(o, name, "road", "local", road_value(&s->fastpath.local, road_counters[i].offset));
		labelled(o, name, "road", "remote", road_value(&s->fastpath.remote, road_counters[i].offset));
	}
	counter(o, "fastpath_passed", "Times that the kernel gave data to the daemon, by road and reason.");
	passed(o, "local", &s->fastpath.local);
	passed(o, "remote", &s->fastpath.remote);
}

/* ---- the store ---------------------------------------------------------------------------------------------------- */

static void store(const struct out *o, const struct broker_stats *s)
{
	gauge(o, "store_enabled", "Whether there is a store (persistence).");
	sample(o, "store_enabled", s->persistence);
	if (!s->persistence)
		return;
	gauge(o, "store_failing", "Whether the last commit failed.");
	sample(o, "store_failing", s->store.failing);
	counter(o, "store_commits", "Commits.");
	sample(o, "store_commits_total", s->store.commits);
	counter(o, "store_operations", "Operations committed.");
	sample(o, "store_operations_total", s->store.operations);
	counter(o, "store_failures", "Commits that failed.");
	sample(o, "store_failures_total", s->store.failures);
	gauge(o, "store_waiting_operations", "Operations that are not on disk.");
	sample(o, "store_waiting_operations", s->store.waiting);
	gauge(o, "store_slowest_commit_seconds", "The longest commit.");
	fprintf(o->f, "shunt_store_slowest_commit_seconds %llu.%06u\n",
		(unsigned long long)(s->store.slowest_us / 1000000), (unsigned)(s->store.slowest_us % 1000000));
}

/* ---- the guard ---------------------------------------------------------------------------------------------------- */

static void guard(const struct out *o)
{
	struct guard_stats s;

	guard_stats(&s);
	gauge(o, "guard_enabled", "Whether the guard is on an interface.");
	sample(o, "guard_enabled", s.on);
	if (!s.on)
		return;
	counter(o, "guard_packets", "Packets that the guard looked at.");
	sample(o, "guard_packets_total", s.sum.packets);
	counter(o, "guard_allowed", "Packets of addresses in guard_allow.");
	sample(o, "guard_allowed_total", s.sum.allowed);
	counter(o, "guard_dropped", "Packets that the guard dropped, by reason.");
	for (unsigned r = 0; r < SHUNT_GUARD_REASONS; r++)
		labelled(o, "guard_dropped_total", "reason", guard_reason_name(r), s.sum.dropped[r]);
}

void metrics_write(FILE *f, bool openmetrics)
{
	struct out o = {.f = f, .openmetrics = openmetrics};
	struct broker_stats s;

	broker_stats(&s);
	daemon_itself(&o, &s);
	numbers(&o, &s);
	reasons(&o, &s);
	roads(&o, &s);
	store(&o, &s);
	guard(&o);
}
