// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "chaos.h"

enum { AT_ONCE = 12, CHOSEN = 3, INFLIGHT = 8, HUNTERS = 2, SPECIALISTS = 4, RETAINED_MAX = 400 };

struct publisher {
	int number;
	uint64_t rng;
	char id[32];
	struct conn conn, old; /* `old`: while the new one takes it over */
	uint32_t life;
	uint64_t sent, on_topic[TOPICS_MAX];
	uint16_t last_id, open; /* QoS 1: the last identifier, and how many are not acknowledged */
	uint8_t *out;
	/* the present habit, chosen anew every now and then */
	int chosen[CHOSEN];
	uint32_t size, pause, batch;
	enum writing writing;
	uint64_t habit_until;
};

static uint32_t some_size(uint64_t *rng)
{
	switch (rng_below(rng, 12)) {
	case 0:
		return 4000 + rng_below(rng, 13000);
	case 1:
		return 60000 + rng_below(rng, 10000);
	case 2:
		return PAYLOAD_MAX - 1;
	case 3:
	case 4:
		return 1000 + rng_below(rng, 3000);
	default:
		return 64 + rng_below(rng, 300);
	}
}

/* A topic of a subscriber of this kind, if there is one. */
static int topic_of(struct publisher *p, enum kind kind)
{
	int topic = (int)rng_below(&p->rng, (uint32_t)owners());

	for (int i = 0; i < owners() && kind_of(topic) != kind; i++)
		topic = (topic + 1) % owners();
	return topic;
}

/* The first publishers always look for the same trouble: a receiver that leaves at this moment, and one whose queue is
 * sometimes full, so that messages of both ways meet. */
static void new_specialty(struct publisher *p)
{
	for (int i = 0; i < CHOSEN; i++)
		p->chosen[i] = i ? p->chosen[0] : topic_of(p, p->number < HUNTERS ? HUNTED : SLOW);
	p->writing = WHOLE;
	p->batch = 1;
	if (p->number < HUNTERS) {
		p->size = 64;
		p->pause = rng_below(&p->rng, 3) ? 1 : 200;
	} else {
		p->size = 1000 + rng_below(&p->rng, 3000);
		p->pause = 100 + rng_below(&p->rng, 900);
	}
}

static void new_habit(struct publisher *p)
{
	static const uint32_t pauses[] = {0, 100, 300, 1000, 1000, 2000, 2000, 5000, 5000, 20000};
	bool crowd = false, simple = rng_below(&p->rng, 2); /* what the kernel carries */

	for (int i = 0; i < CHOSEN; i++) {
		uint32_t kind = rng_below(&p->rng, 10);

		if (simple || kind < 6)
			p->chosen[i] = (int)rng_below(&p->rng, (uint32_t)owners());
		else
			p->chosen[i] = owners() + (int)rng_below(&p->rng, SHARED_TOPICS + CROWD_TOPICS);
		crowd |= is_crowd(p->chosen[i]);
	}
	p->size = some_size(&p->rng);
	p->writing = simple || rng_below(&p->rng, 3) == 0 ? WHOLE : (enum writing)rng_below(&p->rng, WRITINGS);
	p->pause = pauses[rng_below(&p->rng, sizeof(pauses) / sizeof(*pauses))];
	p->batch = simple || rng_below(&p->rng, 3) ? 1 : 1 + rng_below(&p->rng, AT_ONCE);
	if (p->size > 3000 || crowd) { /* bytes are what they cost */
		p->pause += p->size / (p->size > 50000 ? 5 : 10) + (crowd ? 4000 : 0);
		p->batch = p->size > 3000 ? 1 : p->batch;
	}
	if (p->writing == BYTES && p->pause < 1000)
		p->pause = 1000;
	if (p->batch > 1)
		p->pause += p->batch * 500;
	p->habit_until = now_ns() + (200 + rng_below(&p->rng, 1500)) * 1000000ull;
	if (p->number < SPECIALISTS)
		new_specialty(p);
	if (look(&world->calm)) { /* the last messages: small, few, on all topics in turn */
		p->size = 64 + rng_below(&p->rng, 200);
		p->batch = 1;
		p->pause = 3000;
		p->writing = WHOLE;
	}
}

static size_t write_one(struct publisher *p, uint8_t *to, uint8_t level, int topic)
{
	struct letter letter = {
		.publisher = (uint16_t)p->number,
		.topic = (uint16_t)topic,
		.life = p->life,
		.len = p->size < sizeof(letter) ? sizeof(letter) : p->size,
		.number = ++p->sent,
		.on_topic = ++p->on_topic[topic],
		.time = now_ns(),
	};
	struct last *last = &world->last[p->number][topic];
	bool retain = letter.len < RETAINED_MAX && rng_below(&p->rng, 200) == 0;
	uint16_t id = 0;

	if (rng_below(&p->rng, p->number < SPECIALISTS && p->number >= HUNTERS ? 12 : 60) == 0 && p->open < INFLIGHT &&
	    !look(&world->calm)) {
		p->last_id = p->last_id % 60000 + 1;
		id = p->last_id;
		p->open++;
	}
	if (look(&world->calm))
		*last = (struct last){.on_topic = letter.on_topic, .time = letter.time};
	count(&world->sent, 1);
	count(&world->sent_bytes, letter.len);
	return publish_write(to, level, topic, &letter, id, retain);
}

/* One turn's messages, sometimes with a PINGREQ in between, in the present way of writing. */
static bool send_some(struct publisher *p, struct conn *c)
{
	int topic = p->chosen[rng_below(&p->rng, CHOSEN)];
	size_t len = 0;

	if (look(&world->calm))
		topic = (int)(p->sent % (uint64_t)topics());
	for (uint32_t i = 0; i < p->batch; i++) {
		if (rng_below(&p->rng, 4) == 0 && !look(&world->calm))
			topic = p->chosen[rng_below(&p->rng, CHOSEN)];
		len += write_one(p, p->out + len, c->level, topic);
	}
	if (rng_below(&p->rng, 300) == 0) {
		memcpy(p->out + len, "\xc0\0", 2);
		len += 2;
		count(&world->pings, 1);
	}
	return conn_send(c, p->out, len, p->writing, &p->rng);
}

/* PUBACK and PINGRESP. */
static bool read_answers(struct publisher *p)
{
	struct packet packet;

	if (conn_read(&p->conn, 0, 65536) < 0)
		return false;
	while (conn_next(&p->conn, &packet)) {
		if (packet.first == 0x40)
			p->open -= p->open > 0;
		else if (packet.first != 0xd0 && packet.first != 0xe0)
			fail(STREAMS, "%s, a publisher, got a packet of type %#x, %zu bytes", p->id, packet.first,
			     packet.len);
	}
	return p->conn.fd >= 0;
}

/* Another connection of the same identifier, while the first one goes on sending until it finds itself closed. */
static bool take_over(struct publisher *p)
{
	count(&world->leaves[TAKE_OVER], 1);
	p->batch = 1;
	p->old = p->conn;
	p->old.excused = true;
	p->conn.input = NULL;
	if (conn_new(&p->conn) || !conn_open(&p->conn, p->id, p->old.level)) {
		free(p->conn.input);
		p->conn = p->old;
		conn_leave(&p->conn, CLOSE);
		return false;
	}
	p->open = 0;
	for (int i = 0; p->old.fd >= 0 && p->conn.fd >= 0 && i < 200; i++) {
		p->life++; /* what the old one loses is no gap among those of the new one */
		if (!send_some(p, &p->old))
			break;
		p->open = 0;
		p->life++;
		if (i % 2 && !send_some(p, &p->conn))
			break;
	}
	p->life++;
	if (p->old.fd >= 0)
		conn_leave(&p->old, CLOSE);
	free(p->old.input);
	p->old.input = NULL;
	return p->conn.fd >= 0;
}

/* One of the hunters comes again and again: what it sent last may still be on its way then. */
static uint64_t lifetime_ns(struct publisher *p)
{
	uint32_t ms = p->number == HUNTERS - 1 ? 20 + rng_below(&p->rng, 400) : 1000 + rng_below(&p->rng, 15000);

	return ms * UINT64_C(1000000);
}

/* From CONNECT to the end of the connection. */
static void live(struct publisher *p)
{
	uint8_t level = rng_below(&p->rng, 5) ? 4 : 5;
	uint64_t until;

	p->life++;
	p->open = 0;
	memset(world->last[p->number], 0, sizeof(world->last[0]));
	if (!conn_open(&p->conn, p->id, level))
		return;
	until = now_ns() + lifetime_ns(p);
	p->habit_until = 0;
	while (!look(&world->end)) {
		bool calm = look(&world->calm);
		uint64_t now = now_ns();

		if (look(&world->silent))
			return;
		if (now > p->habit_until)
			new_habit(p);
		if (!send_some(p, &p->conn) || !read_answers(p))
			return;
		if (p->pause)
			pause_us(p->pause);
		else if (rng_below(&p->rng, 500) == 0)
			pause_us(rng_below(&p->rng, 100000));
		if (calm || now < until)
			continue;
		until = now + lifetime_ns(p);
		if (rng_below(&p->rng, 3) == 0) {
			event("%s takes itself over", p->id);
			if (!take_over(p))
				return;
		} else {
			conn_leave(&p->conn, (enum way)rng_below(&p->rng, DIE));
			return;
		}
	}
}

/* Nothing more to send. The connection stays, and must. */
static void rest(struct publisher *p)
{
	__atomic_add_fetch(&world->resting, 1, __ATOMIC_ACQ_REL);
	while (!look(&world->end) && p->conn.fd >= 0) {
		if (!read_answers(p))
			return;
		pause_us(50000);
	}
}

void *publisher(void *number)
{
	struct publisher *p = calloc(1, sizeof(*p));

	if (!p || conn_new(&p->conn) || !(p->out = malloc(AT_ONCE * (size_t)PACKET_MAX / 4))) {
		fail(CLIENTS, "no memory");
		return NULL;
	}
	p->number = (int)(intptr_t)number;
	p->rng = settings.seed * 1000 + (uint64_t)p->number;
	snprintf(p->id, sizeof(p->id), "publisher-%d", p->number);
	while (!look(&world->silent) && !look(&world->end))
		live(p);
	if (!look(&world->end))
		rest(p);
	if (p->conn.fd >= 0)
		conn_leave(&p->conn, DISCONNECT);
	free(p->conn.input);
	free(p->out);
	free(p);
	__atomic_sub_fetch(&world->running, 1, __ATOMIC_ACQ_REL);
	return NULL;
}
