// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/sys.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "broker/broker.h"
#include "broker/internal.h"
#include "broker/route.h"
#include "guard/xdp.h"

enum {
	SYS_QOS = 2, /* as mosquitto's */
	VALUE_MAX = 64,
};

/* ---- plain values ------------------------------------------------------------------------------------------------ */

struct sample {
	struct broker_stats stats;
	uint64_t heap, heap_maximum; /* bytes that malloc() has given out */
	/* of the namespace where it is published: */
	uint64_t clients, connected, clients_maximum, expired, subscriptions, shared_subscriptions, retained;
	uint64_t own_received, own_sent; /* PUBLISH; of the default one: of the whole process */
};

typedef uint64_t value_fn(const struct sample *s);

/* Nothing is known twice: a topic and where its value comes from. */
#define SUM(name, member)                             \
	static uint64_t name(const struct sample *s)  \
	{                                             \
		return (uint64_t)s->stats.sum.member; \
	}
SUM(messages_received, messages_received)
SUM(messages_sent, messages_sent)
SUM(messages_stored, stored_messages)
SUM(stored_bytes, stored_bytes)
SUM(bytes_received, bytes_received)
SUM(bytes_sent, bytes_sent)
SUM(publish_received, publish_received)
SUM(publish_sent, publish_sent)
SUM(publish_bytes_received, publish_bytes_received)
SUM(publish_bytes_sent, publish_bytes_sent)
SUM(out_packets, out_packets)
SUM(out_bytes, out_bytes)
SUM(connections, connections)
SUM(connects_received, connects_received)
#undef SUM

#define OWN(name, member)                            \
	static uint64_t name(const struct sample *s) \
	{                                            \
		return s->member;                    \
	}
OWN(clients_total, clients)
OWN(clients_connected, connected)
OWN(clients_maximum, clients_maximum)
OWN(clients_expired, expired)
OWN(subscriptions, subscriptions)
OWN(shared_subscriptions, shared_subscriptions)
OWN(retained, retained)
OWN(own_received, own_received)
OWN(own_sent, own_sent)
#undef OWN

static uint64_t clients_disconnected(const struct sample *s)
{
	return s->clients > s->connected ? s->clients - s->connected : 0;
}

static uint64_t publish_dropped(const struct sample *s)
{
	uint64_t n = s->stats.fastpath.dropped;

	/* What a client may not read is no loss. */
	for (unsigned i = 0; i < DROP_REASONS; i++)
		n += i == DROP_DENIED ? 0 : s->stats.sum.dropped[i];
	return n;
}

static uint64_t heap_current(const struct sample *s)
{
	return s->heap;
}

static uint64_t heap_maximum(const struct sample *s)
{
	return s->heap_maximum;
}

/* Those of a namespace are published in each, those of the whole process in the default one. */
static const struct {
	const char *topic; /* behind "$SYS/broker/" */
	value_fn *value;
	bool own; /* of a namespace */
} values[] = {
	{"clients/total", clients_total, true},
	{"clients/maximum", clients_maximum, true},
	{"clients/disconnected", clients_disconnected, true},
	{"clients/inactive", clients_disconnected, true},
	{"clients/connected", clients_connected, true},
	{"clients/active", clients_connected, true},
	{"clients/expired", clients_expired, true},
	{"messages/stored", messages_stored, false},
	{"messages/received", messages_received, false},
	{"messages/sent", messages_sent, false},
	{"store/messages/count", messages_stored, false},
	{"store/messages/bytes", stored_bytes, false},
	{"subscriptions/count", subscriptions, true},
	{"shared_subscriptions/count", shared_subscriptions, true},
	{"retained messages/count", retained, true},
	{"bytes/received", bytes_received, false},
	{"bytes/sent", bytes_sent, false},
	{"publish/bytes/received", publish_bytes_received, false},
	{"publish/bytes/sent", publish_bytes_sent, false},
	{"publish/messages/dropped", publish_dropped, false},
	{"publish/messages/received", own_received, true},
	{"publish/messages/sent", own_sent, true},
	{"packet/out/count", out_packets, false},
	{"packet/out/bytes", out_bytes, false},
	{"heap/current", heap_current, false},
	{"heap/maximum", heap_maximum, false},
	/* All since the start, as mosquitto counts them. */
	{"connections/socket/count", connections, false},
};

/* ---- load: moving averages of what happens in a minute ----------------------------------------------------------- */

static const struct {
	const char *topic; /* behind "$SYS/broker/load/" */
	value_fn *value;
} loads[] = {
	{"messages/received", messages_received},
	{"messages/sent", messages_sent},
	{"publish/dropped", publish_dropped},
	{"publish/received", publish_received},
	{"publish/sent", publish_sent},
	{"bytes/received", bytes_received},
	{"bytes/sent", bytes_sent},
	{"sockets", connections},
	{"connections", connects_received},
};

static const struct {
	const char *name;
	double decay; /* a second: e^(-1/seconds) */
} spans[] = {
	{"1min", 0.98347145382161749},
	{"5min", 0.99667221605452318},
	{"15min", 0.99888950594427932},
};

enum {
	VALUES = sizeof(values) / sizeof(values[0]),
	LOADS = sizeof(loads) / sizeof(loads[0]),
	SPANS = sizeof(spans) / sizeof(spans[0]),
};

/* What was published last in a namespace. */
struct sys_space {
	char version[VALUE_MAX];
	char uptime[VALUE_MAX];
	char value[VALUES][VALUE_MAX];
	uint64_t clients_maximum; /* the most connected at once, as seen each second */
};

/* What was published last in the default one alone, and what the next averages start from. */
struct sys_state {
	uint64_t published; /* the interval that was published last, by the clock on the wall; 0: none */
	char guard_packets[VALUE_MAX], guard_allowed[VALUE_MAX];
	char guard_dropped[SHUNT_GUARD_REASONS][VALUE_MAX];
	char load_text[LOADS][SPANS][VALUE_MAX];
	double load[LOADS][SPANS];
	uint64_t load_last[LOADS];
	uint64_t load_ns;
	uint64_t heap_maximum; /* as seen each interval */
};

/* ---- publishing -------------------------------------------------------------------------------------------------- */

static void publish(struct worker *w, const struct namespace *space, const char *topic, const char *payload, size_t len,
		    uint32_t seconds)
{
	char full[128];
	const struct mqtt_publish p = {
		.topic = {.data = (const uint8_t *)full,
			  .len = (uint32_t)snprintf(full, sizeof(full), "$SYS/broker/%s", topic)},
		.payload = {.data = (const uint8_t *)payload, .len = (uint32_t)len},
		.qos = SYS_QOS,
		.retain = !seconds};
	uint8_t props[8];
	struct mqtt_props_writer expiry = {.buf = props, .cap = sizeof(props)};
	struct message *m;

	if (seconds)
		mqtt_props_put_number(&expiry, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, seconds);
	m = message_new(&p, &expiry.props, 0);
	if (!m)
		return;
	m->ns = space->number;
	message_published(m, w->loop.now_ns);
	(void)route_publish(w, &(struct route){.message = m, .retain = p.retain}, NULL);
	message_unref(m);
}

void sys_publish(struct worker *w, const char *topic, const char *payload, size_t len, uint32_t seconds)
{
	publish(w, &w->broker->namespaces[0], topic, payload, len, seconds);
}

static void publish_if_changed(struct worker *w, const struct namespace *space, const char *topic, char *last,
			       const char *value)
{
	if (strcmp(last, value) == 0)
		return;
	snprintf(last, VALUE_MAX, "%s", value);
	publish(w, space, topic, value, strlen(value), 0);
}

static void publish_number(struct worker *w, const struct namespace *space, const char *topic, char *last,
			   uint64_t value)
{
	char text[VALUE_MAX];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	publish_if_changed(w, space, topic, last, text);
}

static void take_own(struct sample *s, const struct broker *b, const struct namespace *space)
{
	struct namespace_traffic traffic = namespace_traffic(b, space);

	s->connected = __atomic_load_n(&space->connected, __ATOMIC_RELAXED);
	s->clients = __atomic_load_n(&space->clients, __ATOMIC_RELAXED);
	s->clients_maximum = space->sys->clients_maximum;
	s->expired = __atomic_load_n(&space->expired, __ATOMIC_RELAXED);
	s->subscriptions = __atomic_load_n(&space->subscriptions, __ATOMIC_RELAXED);
	s->shared_subscriptions = __atomic_load_n(&space->shared_subscriptions, __ATOMIC_RELAXED);
	s->retained = __atomic_load_n(&space->retained, __ATOMIC_RELAXED);
	s->own_received = namespace_is_default(space) ? publish_received(s) : traffic.received;
	s->own_sent = namespace_is_default(space) ? publish_sent(s) : traffic.sent;
}

static void publish_values(struct worker *w, struct namespace *space, struct sample *s)
{
	struct sys_space *last = space->sys;
	char text[VALUE_MAX];

	publish_if_changed(w, space, "version", last->version, "shunt version " SHUNT_VERSION);
	snprintf(text, sizeof(text), "%llu seconds", (unsigned long long)(s->stats.uptime_ms / 1000));
	publish_if_changed(w, space, "uptime", last->uptime, text);
	take_own(s, w->broker, space);
	for (unsigned i = 0; i < VALUES; i++)
		if (values[i].own || namespace_is_default(space))
			publish_number(w, space, values[i].topic, last->value[i], values[i].value(s));
}

/* Shunt's own; nothing where there is no guard. */
static void publish_guard(struct worker *w)
{
	struct sys_state *st = w->sys_state;
	const struct namespace *space = &w->broker->namespaces[0];
	struct guard_stats stats;
	char topic[64];

	guard_stats(&stats);
	if (!stats.on)
		return;
	publish_number(w, space, "guard/packets", st->guard_packets, stats.sum.packets);
	publish_number(w, space, "guard/allowed", st->guard_allowed, stats.sum.allowed);
	for (unsigned r = 0; r < SHUNT_GUARD_REASONS; r++) {
		snprintf(topic, sizeof(topic), "guard/dropped/%s", guard_reason_name(r));
		publish_number(w, space, topic, st->guard_dropped[r], stats.sum.dropped[r]);
	}
}

static double decay_over(unsigned span, uint64_t seconds)
{
	double d = 1;

	while (seconds--)
		d *= spans[span].decay;
	return d;
}

static void publish_loads(struct worker *w, const struct sample *s)
{
	struct sys_state *st = w->sys_state;
	double seconds = (double)(w->loop.now_ns - st->load_ns) / NS_PER_S;
	uint64_t whole = (uint64_t)(seconds + 0.5);

	st->load_ns = w->loop.now_ns;
	for (unsigned i = 0; i < LOADS; i++) {
		uint64_t now = loads[i].value(s);
		double rate = seconds > 0 ? (double)(now - st->load_last[i]) * 60 / seconds : 0;

		st->load_last[i] = now;
		for (unsigned k = 0; k < SPANS; k++) {
			char topic[96];
			char text[VALUE_MAX];

			st->load[i][k] = rate + decay_over(k, whole) * (st->load[i][k] - rate);
			snprintf(topic, sizeof(topic), "load/%s/%s", loads[i].topic, spans[k].name);
			snprintf(text, sizeof(text), "%.2f", st->load[i][k]);
			publish_if_changed(w, &w->broker->namespaces[0], topic, st->load_text[i][k], text);
		}
	}
}

/* Is it time to publish? At the start, and then whenever the time of day passes a multiple of the interval, as with
 * mosquitto. */
static bool is_due(struct sys_state *st, uint32_t interval)
{
	uint64_t now;

	if (!interval)
		return false;
	now = (uint64_t)time(NULL) / interval;
	if (now == st->published)
		return false;
	st->published = now;
	return true;
}

static uint64_t ms_to_next_second(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return 1000 - (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* It walks the free lists, so this is for an interval of seconds. */
static void measure_heap(struct sys_state *st, struct sample *s)
{
	const struct mallinfo2 heap = mallinfo2();

	s->heap = heap.uordblks + heap.hblkhd;
	if (st->heap_maximum < s->heap)
		st->heap_maximum = s->heap;
	s->heap_maximum = st->heap_maximum;
}

/* Nobody can see what is published where no listener leads to; but the default one has what is of the whole process. */
static struct sys_space *sys_of(struct namespace *space)
{
	if (!space->sys && (space->has_listener || namespace_is_default(space)))
		space->sys = calloc(1, sizeof(*space->sys));
	return space->sys;
}

static void look_at(struct namespace *space)
{
	struct sys_space *sys = sys_of(space);
	uint64_t connected = __atomic_load_n(&space->connected, __ATOMIC_RELAXED);

	if (sys && connected > sys->clients_maximum)
		sys->clients_maximum = connected;
}

/* Once a second, for the maximum. */
static void tick(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, sys);
	struct broker *b = w->broker;
	struct sample s = {0};
	uint64_t connected;
	bool due = is_due(w->sys_state, b->conf->sys_interval);

	loop_after(&w->loop, t, ms_to_next_second(), tick);
	broker_stats(&s.stats);
	connected = (uint64_t)s.stats.sum.clients_connected;
	for (unsigned i = 0; i < b->nnamespaces; i++)
		look_at(&b->namespaces[i]);
	if (connected > s.stats.clients_maximum) {
		s.stats.clients_maximum = connected;
		__atomic_store_n(&b->clients_max, connected, __ATOMIC_RELAXED);
	}
	if (due) {
		measure_heap(w->sys_state, &s);
		for (unsigned i = 0; i < b->nnamespaces; i++)
			if (b->namespaces[i].sys)
				publish_values(w, &b->namespaces[i], &s);
		publish_loads(w, &s);
		publish_guard(w);
	}
}

void sys_start(struct worker *w)
{
	w->sys_state = calloc(1, sizeof(*w->sys_state));
	if (!w->sys_state) {
		log_error("Out of memory: there will be no $SYS topics.");
		return;
	}
	w->sys_state->load_ns = w->loop.now_ns;
	tick(&w->sys);
}

void sys_space_free(struct namespace *space)
{
	free(space->sys);
	space->sys = NULL;
}

void sys_free(struct worker *w)
{
	free(w->sys_state);
	w->sys_state = NULL;
}
