// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"

enum { PENDING_MAX = 8, SLICE_MS = 20 };

struct subscription {
	bool on;	 /* from SUBSCRIBE to UNSUBACK */
	bool granted;	 /* SUBACK came */
	uint64_t suback; /* times */
	uint64_t unsuback;
};

struct subscriber {
	int number;
	enum kind kind;
	uint64_t rng;
	char id[32];
	struct conn conn;
	uint8_t *out;
	uint32_t connections;
	uint16_t last_id;
	struct pending {
		uint16_t id;
		int topic; /* -1: all shared ones */
		bool unsubscribe;
	} pending[PENDING_MAX];
	uint64_t asked; /* when the oldest pending one was, in slices of waiting */
	struct subscription subs[TOPICS_MAX];
	/* For good, whatever the connection: the last one of each publisher. */
	struct newest {
		uint64_t number, came; /* when */
		uint32_t life, connection;
	} newest[PUBLISHERS_MAX];
	/* On this connection: the last of each publisher on each topic; life 0: none yet. */
	struct seen {
		uint64_t on_topic;
		uint32_t life;
	} seen[PUBLISHERS_MAX][TOPICS_MAX];
	uint64_t gaps;
	uint32_t got; /* messages on this connection */
	bool settled;
};

enum kind kind_of(int subscriber)
{
	static const enum kind kinds[] = {STEADY, RESTLESS, SLOW, HUNTED, RESTLESS, MORTAL,
					  SLOW,	  TAKEN,    SLOW, STEADY, RESTLESS, ALL_SHARED};

	if (subscriber >= owners())
		return CROWD;
	return kinds[subscriber % (int)(sizeof(kinds) / sizeof(*kinds))];
}

/* ---- what comes --------------------------------------------------------------------------------------------------- */

static void wrong(struct subscriber *s, enum check check, const struct letter *l, const char *what)
{
	fail(check,
	     "%s (connection %u to daemon %u) got from publisher %d, life %u, number %lu, %lu on topic %d, %u bytes: %s",
	     s->id, s->connections, s->conn.generation / 2, l->publisher, l->life, (unsigned long)l->number,
	     (unsigned long)l->on_topic, l->topic, l->len, what);
}

static void check_topic(struct subscriber *s, const struct letter *l)
{
	const struct subscription *sub = &s->subs[l->topic];

	if (sub->on)
		return;
	if (!sub->unsuback)
		wrong(s, TOPICS, l, "on a topic it never subscribed to");
	else if (l->time > sub->unsuback)
		wrong(s, TOPICS, l, "on a topic it had unsubscribed from before");
}

static void check_denied(struct subscriber *s, const struct letter *l)
{
	/* The topic is set after the time. */
	if (look(&world->denied) == l->topic + 1U && l->time > __atomic_load_n(&world->denied_ns, __ATOMIC_ACQUIRE))
		wrong(s, TOPICS, l, "on a topic that nobody may read");
}

static void check_gap(struct subscriber *s, const struct letter *l)
{
	struct subscription *sub = &s->subs[l->topic];
	struct seen *seen = &s->seen[l->publisher][l->topic];

	if (!sub->on || !sub->granted || l->time < sub->suback)
		return;
	if (seen->life == l->life && l->on_topic > seen->on_topic + 1) {
		uint64_t gap = l->on_topic - seen->on_topic - 1;

		s->gaps += gap;
		count(&world->gaps[s->conn.generation / 2 % DAEMONS], gap);
		__atomic_store_n(&world->seats[s->number].gaps, s->gaps, __ATOMIC_RELEASE);
		if (s->gaps == gap && s->kind != SLOW)
			event("%s misses %lu of publisher %d before %lu on topic %d", s->id, (unsigned long)gap,
			      l->publisher, (unsigned long)l->on_topic, l->topic);
	}
	seen->life = l->life;
	seen->on_topic = l->on_topic;
}

static void check_order(struct subscriber *s, const struct letter *l)
{
	struct newest *newest = &s->newest[l->publisher];
	uint64_t now = now_ns();
	char text[128];

	if (l->number <= newest->number && s->kind != TAKEN) {
		snprintf(text, sizeof(text),
			 "%lu us old, after number %lu of life %u, which came %lu us ago on connection %u",
			 (unsigned long)(now - l->time) / 1000, (unsigned long)newest->number, newest->life,
			 (unsigned long)(now - newest->came) / 1000, newest->connection);
		wrong(s, ORDER, l, text);
	}
	*newest = (struct newest){.number = l->number, .came = now, .life = l->life, .connection = s->connections};
}

static void publish_came(struct subscriber *s, const struct packet *packet)
{
	size_t len = packet->len > 2 ? (size_t)packet->body[0] << 8 | packet->body[1] : 0,
	       head = 2 + len + (s->conn.level == 5);
	int topic = packet->len > head ? topic_find(packet->body + 2, len) : -1;
	struct letter l;
	const char *bad;

	if (topic < 0 || (s->conn.level == 5 && packet->body[head - 1] != 0)) {
		fail(STREAMS, "%s: a PUBLISH of %zu bytes that nobody sent", s->id, packet->len);
		return;
	}
	bad = letter_read(packet->body + head, packet->len - head, &l);
	if (bad) {
		fail(STREAMS, "%s: a PUBLISH on topic %d, %zu bytes: %s", s->id, topic, packet->len, bad);
		return;
	}
	count(&world->received, 1);
	s->got++;
	if (l.topic != topic)
		wrong(s, STREAMS, &l, "on another topic");
	check_topic(s, &l);
	check_denied(s, &l);
	if (packet->first == 0x31) /* retained: an old one */
		return;
	check_order(s, &l);
	check_gap(s, &l);
}

static void for_each(struct subscriber *s, int topic, void (*act)(struct subscriber *s, int topic))
{
	if (topic >= 0)
		act(s, topic);
	else
		for (int t = owners(); t < owners() + SHARED_TOPICS; t++)
			act(s, t);
}

static void granted(struct subscriber *s, int topic)
{
	if (s->subs[topic].granted)
		return;
	s->subs[topic].granted = true;
	s->subs[topic].suback = now_ns();
	for (int p = 0; p < PUBLISHERS_MAX; p++)
		s->seen[p][topic].life = 0;
}

static void gone(struct subscriber *s, int topic)
{
	s->subs[topic] = (struct subscription){.unsuback = now_ns()};
}

static void answered(struct subscriber *s, const struct packet *packet)
{
	uint16_t id = packet->len < 2 ? 0 : (uint16_t)(packet->body[0] << 8 | packet->body[1]);
	bool unsubscribe = packet->first == 0xb0;

	for (int i = 0; i < PENDING_MAX; i++) {
		struct pending *p = &s->pending[i];

		if (!id || p->id != id || p->unsubscribe != unsubscribe)
			continue;
		for_each(s, p->topic, unsubscribe ? gone : granted);
		p->id = 0;
		s->asked = 0;
		return;
	}
	fail(STREAMS, "%s: %s for %u, which it did not ask", s->id, unsubscribe ? "UNSUBACK" : "SUBACK", id);
}

static void came(struct subscriber *s)
{
	struct packet packet;

	while (conn_next(&s->conn, &packet)) {
		switch (packet.first) {
		case 0x30:
		case 0x31:
			publish_came(s, &packet);
			break;
		case 0x90:
		case 0xb0:
			answered(s, &packet);
			break;
		case 0xd0:
			break;
		case 0xe0:
			if (conn_excused(&s->conn))
				break;
			__attribute__((fallthrough));
		default:
			fail(STREAMS, "%s: a packet of type %#x, %zu bytes", s->id, packet.first, packet.len);
		}
	}
}

/* ---- what it does ------------------------------------------------------------------------------------------------- */

static void begins(struct subscriber *s, int topic)
{
	s->subs[topic].on = true;
}

/* SUBSCRIBE or UNSUBSCRIBE, unless something about the topic is under way. */
static bool ask(struct subscriber *s, int topic, bool unsubscribe)
{
	struct pending *free_one = NULL;
	size_t len;

	for (int i = 0; i < PENDING_MAX; i++) {
		if (s->pending[i].id && s->pending[i].topic == topic)
			return true;
		if (!s->pending[i].id)
			free_one = &s->pending[i];
	}
	if (!free_one)
		return true;
	s->last_id = s->last_id % 60000 + 1;
	*free_one = (struct pending){.id = s->last_id, .topic = topic, .unsubscribe = unsubscribe};
	len = subscribe_write(s->out, s->conn.level, s->last_id, topic < 0 ? "chaos/+/shared/#" : topic_name(topic),
			      unsubscribe);
	if (!unsubscribe)
		for_each(s, topic, begins);
	return conn_send(&s->conn, s->out, len, WHOLE, &s->rng);
}

static int some_topic(struct subscriber *s)
{
	switch (s->kind) {
	case CROWD:
		return owners() + SHARED_TOPICS + (int)rng_below(&s->rng, CROWD_TOPICS);
	case ALL_SHARED:
		return -1;
	case RESTLESS:
	case MORTAL:
		if (rng_below(&s->rng, 6) == 0) /* somebody else's */
			return (int)rng_below(&s->rng, (uint32_t)owners());
		if (rng_below(&s->rng, 5) == 0)
			return owners() + (int)rng_below(&s->rng, SHARED_TOPICS);
		return s->number;
	default:
		return s->number;
	}
}

/* Something that subscribers do now and then. False: the connection is gone. */
static bool act(struct subscriber *s)
{
	bool often = s->kind == RESTLESS || s->kind == MORTAL;
	int topic;

	if (look(&world->calm)) {
		topic = s->kind == CROWD	? owners() + SHARED_TOPICS + s->number % CROWD_TOPICS
			: s->kind == ALL_SHARED ? -1
						: s->number;
		return s->subs[topic < 0 ? owners() : topic].on || ask(s, topic, false);
	}
	if (s->kind == HUNTED || rng_below(&s->rng, often ? 4 : 40))
		return true;
	if (rng_below(&s->rng, 10) == 0)
		return conn_send(&s->conn, "\xc0\0", 2, WHOLE, &s->rng);
	topic = some_topic(s);
	return ask(s, topic, s->subs[topic < 0 ? owners() : topic].granted && rng_below(&s->rng, 4) != 0);
}

/* Are its questions answered in time? */
static void watch_answers(struct subscriber *s)
{
	bool open = false;

	for (int i = 0; i < PENDING_MAX; i++)
		open |= s->pending[i].id != 0;
	if (!open || look(&world->stopped) || s->kind == SLOW) {
		s->asked = 0;
		return;
	}
	if (!s->asked)
		s->asked = now_ns();
	if (now_ns() - s->asked > PATIENCE_MS * 1000000ull && !conn_excused(&s->conn)) {
		fail(ANSWERS, "%s: no SUBACK or UNSUBACK in %d s", s->id, PATIENCE_MS / 1000);
		s->conn.excused = true;
	}
}

/* A slice of time: read, look, perhaps do something. */
static bool slice(struct subscriber *s)
{
	size_t most = rng_below(&s->rng, 6) ? INPUT_MAX : 1 + rng_below(&s->rng, 5000);

	if (s->kind == SLOW && !look(&world->calm)) {
		/* so that its queue is now full, now not */
		pause_us(rng_below(&s->rng, 20) ? rng_below(&s->rng, 8000) : 20000 * (1 + rng_below(&s->rng, 40)));
		most = 1 + rng_below(&s->rng, rng_below(&s->rng, 3) ? 200000 : 20000);
	}
	if (conn_read(&s->conn, SLICE_MS, most) < 0)
		return false;
	came(s);
	watch_answers(s);
	return s->conn.fd >= 0;
}

static uint32_t lifetime_ms(struct subscriber *s)
{
	switch (s->kind) {
	case RESTLESS:
	case MORTAL:
		return rng_below(&s->rng, 3) ? 30 + rng_below(&s->rng, 600) : 5000;
	case HUNTED:
		return 2000; /* or when it has got some */
	case TAKEN:
		return 200 + rng_below(&s->rng, 3000);
	case SLOW:
		return 5000 + rng_below(&s->rng, 20000);
	default:
		return 5000 + rng_below(&s->rng, 60000);
	}
}

static bool connected(struct subscriber *s)
{
	memset(s->subs, 0, sizeof(s->subs));
	memset(s->seen, 0, sizeof(s->seen));
	memset(s->pending, 0, sizeof(s->pending));
	s->gaps = s->asked = s->got = 0;
	s->conn.excused = s->kind == TAKEN;
	if (!conn_open(&s->conn, s->id, rng_below(&s->rng, 5) ? 4 : 5))
		return false;
	s->connections++;
	__atomic_store_n(&world->seats[s->number].gaps, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&world->seats[s->number].generation, s->conn.generation, __ATOMIC_RELEASE);
	if (s->kind != TAKEN && s->kind != MORTAL)
		__atomic_store_n(&world->seats[s->number].connection, s->connections, __ATOMIC_RELEASE);
	return ask(s, s->kind == CROWD || s->kind == ALL_SHARED ? some_topic(s) : s->number, false);
}

/* Does it have the last message of everybody on its topics, of those published since it subscribed? */
static bool has_all(struct subscriber *s, bool tell)
{
	for (int t = 0; t < topics(); t++) {
		if (!s->subs[t].granted)
			continue;
		for (int p = 0; p < settings.publishers; p++) {
			const struct last *last = &world->last[p][t];

			if (last->time <= s->subs[t].suback || s->seen[p][t].on_topic == last->on_topic)
				continue;
			if (tell)
				fail(LAST, "%s lacks the last of publisher %d on topic %d: it has %lu of %lu", s->id, p,
				     t, (unsigned long)s->seen[p][t].on_topic, (unsigned long)last->on_topic);
			return false;
		}
	}
	return true;
}

/* The publishers rest: what is on its way has to come. */
static void settle(struct subscriber *s)
{
	uint64_t start = now_ns();

	while (s->conn.fd >= 0 && !look(&world->end)) {
		bool late = now_ns() - start > PATIENCE_MS / 2 * 1000000ull;

		if (has_all(s, late) || late)
			break;
		slice(s);
	}
	__atomic_add_fetch(&world->settled, 1, __ATOMIC_ACQ_REL);
}

/* From CONNECT until it leaves or is cut off. */
static void live(struct subscriber *s)
{
	uint64_t next = 0, until = now_ns() + lifetime_ms(s) * 1000000ull;
	uint32_t most = s->kind == HUNTED ? 20 + rng_below(&s->rng, 300) : UINT32_MAX;

	if (connected(s)) {
		while (slice(s) && !look(&world->end)) {
			uint64_t now = now_ns();

			if ((now > until || s->got > most) && !look(&world->calm))
				break;
			if (!s->settled && look(&world->resting) == (uint32_t)settings.publishers) {
				settle(s);
				s->settled = true;
			}
			if (now < next)
				continue;
			next = now + 20000000;
			if (!act(s))
				break;
		}
	}
	__atomic_store_n(&world->seats[s->number].connection, 0, __ATOMIC_RELEASE);
}

/* A life in a process of its own, which ends without closing anything. */
static void die(struct subscriber *s)
{
	uint32_t life_ms = 50 + rng_below(&s->rng, 1500);
	uint64_t seed = rng_next(&s->rng);
	pid_t pid = fork();

	if (pid == 0) {
		close_range(3, ~0U, 0); /* the connections of the others */
		s->rng = seed;
		s->connections += 1000000;
		live(s);
		_exit(0);
	}
	if (pid < 0) {
		event("no process: %s", s->id);
		return;
	}
	for (uint32_t ms = 0; ms < life_ms && !look(&world->end); ms += 10)
		pause_us(10000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	count(&world->leaves[DIE], 1);
}

void *subscriber(void *number)
{
	struct subscriber *s = calloc(1, sizeof(*s));

	if (!s || conn_new(&s->conn) || !(s->out = malloc(4096))) {
		fail(CLIENTS, "no memory");
		return NULL;
	}
	s->number = (int)(intptr_t)number;
	s->kind = kind_of(s->number);
	s->rng = settings.seed * 1000 + 500 + (uint64_t)s->number;
	snprintf(s->id, sizeof(s->id), s->kind == TAKEN ? "taken" : "subscriber-%d", s->number);
	snprintf(world->seats[s->number].id, sizeof(world->seats[0].id), "%s", s->id);
	while (!look(&world->end)) {
		if (s->kind == TAKEN && look(&world->calm)) /* they would go on for ever */
			break;
		if (s->kind == MORTAL && !look(&world->calm)) {
			die(s);
			continue;
		}
		live(s);
		if (s->kind == TAKEN) /* now a storm, now some time for the one who is in */
			pause_us(rng_below(&s->rng, 4) ? 2000 : rng_below(&s->rng, 1000000));
		if (s->conn.fd < 0)
			continue;
		if (look(&world->end))
			break;
		conn_leave(&s->conn, (enum way)rng_below(&s->rng, DIE));
	}
	if (s->conn.fd >= 0)
		conn_leave(&s->conn, DISCONNECT);
	free(s->conn.input);
	free(s->out);
	if (!s->settled)
		__atomic_add_fetch(&world->settled, 1, __ATOMIC_ACQ_REL);
	free(s);
	__atomic_sub_fetch(&world->running, 1, __ATOMIC_ACQ_REL);
	return NULL;
}
