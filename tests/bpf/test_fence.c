// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 2, the handover fence: a publisher's messages keep their order across the switch between the kernel and the
 * daemon, however its packets are cut into sends.
 *
 * Shown to bite: without SHUNT_WITHOUT_FENCE's protection a whole packet that follows one the daemon still works on is
 * forwarded ahead of it (`overtakes`), and bytes in the middle of a packet that look like a PUBLISH are forwarded as one
 * (`disguised`).
 */
#include "live.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

enum { ROUNDS = 1500, PAYLOAD = 40, LOOSE_PINGREQS = 1 };

struct scene {
	struct live live;
	struct live_conn pub, sub;
	struct live_daemon daemon;
	struct live_reader reader;
	uint32_t seq;
};

static void open_scene(struct scene *s, enum fp_road road, uint32_t without, unsigned delay_us)
{
	memset(s, 0, sizeof(*s));
	live_open(&s->live, road, without);
	live_connect(&s->live, &s->pub, "publisher");
	live_subscribe(&s->live, &s->sub, "subscriber");
	s->daemon.receiver = &s->sub;
	s->daemon.delay_us = delay_us;
	live_daemon_add(&s->daemon, &s->pub);
	live_daemon_add(&s->daemon, &s->sub);
	live_daemon_start(&s->daemon);
	live_reader_start(&s->reader, s->sub.client);
	assert_int_equal(live_flow(&s->pub, LIVE_TOPIC, &s->sub), 0);
}

static void close_scene(struct scene *s)
{
	live_daemon_stop(&s->daemon);
	live_reader_stop(&s->reader);
	live_disconnect(&s->pub);
	live_disconnect(&s->sub);
	live_close(&s->live);
}

static size_t next(struct scene *s, uint8_t *b, size_t payload)
{
	return live_publish(b, LIVE_TOPIC, 1, s->seq++, payload);
}

static void push(struct scene *s, const void *data, size_t len)
{
	assert_int_equal(live_send_all(s->pub.client, data, len), 0);
}

/* One of the ways to cut packets into sends. */
static void send_some(struct scene *s, uint32_t way)
{
	static const uint8_t pingreq[] = {WIRE_PINGREQ, 0};
	uint8_t b[8 * 256];
	size_t len = next(s, b, PAYLOAD + way * 3), more = 0;

	switch (way) {
	case 0: /* one packet, one send */
		push(s, b, len);
		break;
	case 1: /* several packets in one send */
		for (unsigned i = 0; i < 4; i++)
			more += next(s, b + len + more, PAYLOAD + i);
		push(s, b, len + more);
		break;
	case 2: /* one packet in two sends */
		push(s, b, len / 2);
		push(s, b + len / 2, len - len / 2);
		break;
	case 3: /* byte by byte */
		for (size_t i = 0; i < len; i++)
			push(s, b + i, 1);
		break;
	case 4: /* PINGREQ, then a packet */
		push(s, pingreq, sizeof(pingreq));
		push(s, b, len);
		break;
	case 5: /* a packet and a half, then the rest */
		more = next(s, b + len, PAYLOAD);
		push(s, b, len + more / 2);
		push(s, b + len + more / 2, more - more / 2);
		break;
	case 6: /* the fixed header alone */
		push(s, b, 2);
		push(s, b + 2, len - 2);
		break;
	case 7: /* a packet and a PINGREQ in one send */
		memcpy(b + len, pingreq, sizeof(pingreq));
		push(s, b, len + sizeof(pingreq));
		break;
	}
}

static void run_mixture(struct scene *s, enum fp_road road, uint32_t without, struct fp_road_stats *stats)
{
	uint64_t rng = 5;

	open_scene(s, road, without, 100);
	for (unsigned i = 0; i < ROUNDS; i++) {
		send_some(s, live_random(&rng) % 8);
		if (live_random(&rng) % 4 == 0)
			live_sleep_us(live_random(&rng) % 1500);
		if (live_random(&rng) % 128 == 0) /* beyond the time that a loaded receiver stays with the daemon */
			live_sleep_us((FP_BUSY_MS + 5) * 1000);
	}
	live_reader_wait(&s->reader, s->seq, 1000);
	live_stats(road, stats);
}

static void keeps_order(void **state)
{
	enum fp_road road = live_road(state);
	static const uint32_t ways[] = {0, SHUNT_WITHOUT_BUSY}; /* the second takes the fast road more often */
	struct fp_road_stats stats;
	struct scene s;

	for (size_t i = 0; i < 2; i++) {
		run_mixture(&s, road, ways[i], &stats);
		live_assert_intact(&s.reader);
		assert_int_equal(s.reader.messages, s.seq);
		assert_int_equal(stats.forwarded + s.daemon.routed, s.seq);
		assert_true(stats.forwarded > 0);
		assert_true(stats.passed_fence > 0);
		close_scene(&s);
	}
}

/* A packet in two sends, which the daemon gets, and one more, which the kernel could take. */
static uint64_t overtake(enum fp_road road, uint32_t without)
{
	struct scene s;
	uint64_t reordered = 0;

	open_scene(&s, road, without | SHUNT_WITHOUT_BUSY, 1000);
	for (unsigned i = 0; i < 100 && !reordered; i++) {
		send_some(&s, 2);
		send_some(&s, 0);
		live_reader_wait(&s.reader, s.seq, 1000);
		reordered = live_load(&s.reader.reordered) + live_load(&s.reader.broken);
	}
	close_scene(&s);
	return reordered;
}

static void overtakes(void **state)
{
	assert_int_equal(overtake(live_road(state), 0), 0);
	assert_true(overtake(live_road(state), SHUNT_WITHOUT_FENCE) > 0);
}

/* A packet whose payload is a PUBLISH itself, which comes in a send of its own. */
static uint64_t disguise(enum fp_road road, uint32_t without)
{
	uint8_t inner[256], outer[512];
	uint64_t seen = 0;
	struct scene s;
	size_t inner_len, len;

	open_scene(&s, road, without | SHUNT_WITHOUT_BUSY, 0);
	for (unsigned i = 0; i < 50 && !seen; i++) {
		inner_len = live_publish(inner, LIVE_TOPIC, 2, i, PAYLOAD);
		len = live_publish(outer, "other", 1, 0, LIVE_PAYLOAD_MIN + inner_len);
		memcpy(outer + len - inner_len, inner, inner_len);
		s.daemon.receiver = NULL; /* what the daemon gets goes nowhere: the outer packet has no subscriber */
		push(&s, outer, len - inner_len);
		live_sleep_us(200);
		push(&s, inner, inner_len);
		live_sleep_us(3000);
		seen = live_load(&s.reader.messages) + live_load(&s.reader.broken);
	}
	close_scene(&s);
	return seen;
}

static void disguised(void **state)
{
	assert_int_equal(disguise(live_road(state), 0), 0);
	assert_true(disguise(live_road(state), SHUNT_WITHOUT_FENCE) > 0);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(keeps_order),
	LIVE_BOTH_ROADS(overtakes),
	LIVE_BOTH_ROADS(disguised),
};

LIVE_MAIN(tests)
