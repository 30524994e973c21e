// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * PINGREQ that the kernel answers, on both roads: while the daemon is alive and has nothing that must go first, in the queue
 * that all output takes, so that it is between two packets, and not when the two bytes are a part of something else.
 *
 * Shown to bite: without SHUNT_WITHOUT_FENCE's protection the end of a packet that looks like a PINGREQ is answered.
 */
#include "live.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum { PINGS = 3000, MESSAGES = 3000, OWN = 1000 };

static const uint8_t pingreq[] = {WIRE_PINGREQ, 0}, pingresp[] = {WIRE_PINGRESP, 0};

struct scene {
	struct live live;
	struct live_conn client;
};

static void open_scene(struct scene *s, void **state, uint32_t without)
{
	live_open(&s->live, live_road(state), without);
	live_connect(&s->live, &s->client, "client");
	fp_handled(&s->client.link, 0);
	fp_heartbeat(0);
}

static void close_scene(struct scene *s)
{
	live_disconnect(&s->client);
	live_close(&s->live);
}

/* Which end has something to read first. */
static bool client_is_first(const struct live_conn *c)
{
	struct pollfd fds[] = {{.fd = c->client, .events = POLLIN}, {.fd = c->broker, .events = POLLIN}};

	assert_in_range(poll(fds, 2, 2000), 1, 2);
	return fds[0].revents;
}

/* Send a PINGREQ; is it answered? Otherwise the daemon got it. */
static bool ping(struct live_conn *c)
{
	assert_int_equal(live_send_all(c->client, pingreq, sizeof(pingreq)), 0);
	if (!client_is_first(c)) {
		assert_true(live_expect(c->broker, pingreq, sizeof(pingreq)));
		assert_true(live_expect_nothing(c->client));
		c->received += sizeof(pingreq);
		fp_handled(&c->link, c->received);
		return false;
	}
	assert_true(live_expect(c->client, pingresp, sizeof(pingresp)));
	assert_true(live_expect_nothing(c->broker));
	return true;
}

static void answered(void **state)
{
	struct fp_road_stats stats;
	struct scene s = {0};
	uint64_t seen;

	open_scene(&s, state, 0);
	assert_false(ping(&s.client)); /* not asked for */
	fp_answer_pings(&s.client.link, s.client.broker, "client");
	assert_false(ping(&s.client)); /* not allowed */
	fp_let_pings(true);
	assert_true(ping(&s.client));
	seen = fp_last_seen_ns(&s.client.link);
	assert_true(seen > 0);
	assert_true(ping(&s.client));
	assert_true(fp_last_seen_ns(&s.client.link) > seen);
	fp_hold(&s.client.link, true);
	assert_false(ping(&s.client));
	fp_hold(&s.client.link, false);
	assert_true(ping(&s.client));
	fp.control->heartbeat_ns -= UINT64_C(2) * FP_PING_STALE_MS * NS_PER_MS; /* a daemon that stands still */
	assert_false(ping(&s.client));
	fp_heartbeat(0);
	assert_true(ping(&s.client));
	fp_retire(&s.client.link);
	assert_false(ping(&s.client));
	live_stats(live_road(state), &stats);
	assert_int_equal(stats.pings, 4);
	assert_int_equal(stats.taken + stats.forwarded, 0);
	close_scene(&s);
}

static void not_allowed(void **state)
{
	struct scene s = {0};

	open_scene(&s, state, 0);
	fp_answer_pings(&s.client.link, s.client.broker, "client");
	fp_let_pings(true);
	assert_true(ping(&s.client));
	fp_let_pings(false);
	assert_false(ping(&s.client));
	fp_let_pings(true);
	fp_enable(false);
	assert_false(ping(&s.client));
	fp_enable(true);
	assert_true(ping(&s.client));
	close_scene(&s);
}

/* Two in one send, one byte at a time, with flags, or with something behind: the daemon's. */
static void other_shapes(void **state)
{
	static const uint8_t shapes[][4] = {{2, WIRE_PINGREQ | 1, 0},
					    {2, WIRE_PINGREQ, 1},
					    {1, WIRE_PINGREQ},
					    {1, 0},
					    {3, WIRE_PINGREQ, 0, WIRE_DISCONNECT}};
	struct scene s = {0};

	open_scene(&s, state, 0);
	fp_answer_pings(&s.client.link, s.client.broker, "client");
	fp_let_pings(true);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		assert_int_equal(live_send_all(s.client.client, shapes[i] + 1, shapes[i][0]), 0);
		assert_true(live_expect(s.client.broker, shapes[i] + 1, shapes[i][0]));
		s.client.received += shapes[i][0];
		fp_handled(&s.client.link, s.client.received);
	}
	assert_true(live_expect_nothing(s.client.client));
	assert_true(ping(&s.client));
	close_scene(&s);
}

/* The end of a packet, of which the daemon has seen the rest, is no PINGREQ. */
static bool end_of_packet_is_answered(void **state, uint32_t without)
{
	uint8_t b[64];
	struct scene s = {0};
	size_t len = live_publish(b, LIVE_TOPIC, 1, 0, 20);
	bool is_answered;

	memcpy(b + len - 2, pingreq, 2);
	open_scene(&s, state, without);
	fp_answer_pings(&s.client.link, s.client.broker, "client");
	fp_let_pings(true);
	assert_int_equal(live_send_all(s.client.client, b, len - 2), 0);
	assert_true(live_expect(s.client.broker, b, len - 2));
	assert_int_equal(live_send_all(s.client.client, pingreq, 2), 0);
	is_answered = client_is_first(&s.client);
	if (!is_answered)
		assert_true(live_expect(s.client.broker, pingreq, 2));
	close_scene(&s);
	return is_answered;
}

static void end_of_packet(void **state)
{
	assert_false(end_of_packet_is_answered(state, 0));
}

static void without_fence(void **state)
{
	assert_true(end_of_packet_is_answered(state, SHUNT_WITHOUT_FENCE));
}

static void *ping_often(void *arg)
{
	const struct live_conn *c = arg;

	for (unsigned i = 0; i < PINGS; i++) {
		if (live_send_all(c->client, pingreq, sizeof(pingreq)))
			abort();
		live_sleep_us(100);
	}
	return NULL;
}

/* PINGREQ of a client that receives from a publisher by a flow, and from the daemon: all of it arrives, whole. */
static void among_output(void **state)
{
	enum fp_road road = live_road(state);
	struct live live;
	struct live_conn pub, sub;
	struct live_daemon daemon = {.receiver = &sub,
				     .own_min = LIVE_PAYLOAD_MIN,
				     .own_max = road == FP_ROAD_LOCAL ? 60000 : FP_REMOTE_WHOLE - 64,
				     .own_count = OWN,
				     .own_every_us = 300};
	struct live_reader reader = {0};
	struct live_publisher publisher = {
		.conn = &pub, .id = 1, .count = MESSAGES, .min = 8, .max = 3000, .every_us = 100};
	struct fp_road_stats stats;
	pthread_t pinger;

	live_open(&live, road, SHUNT_WITHOUT_BUSY);
	live_connect(&live, &pub, "publisher");
	live_subscribe(&live, &sub, "subscriber");
	live_daemon_add(&daemon, &pub);
	live_daemon_add(&daemon, &sub);
	fp_let_pings(true);
	assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
	fp_handled(&sub.link, 0);
	live_daemon_start(&daemon);
	live_reader_start(&reader, sub.client);
	live_publisher_start(&publisher);
	assert_int_equal(pthread_create(&pinger, NULL, ping_often, &sub), 0);
	pthread_join(pinger, NULL);
	live_publisher_wait(&publisher);
	for (unsigned i = 0; i < 5000 && (live_load(&reader.own) < OWN || live_load(&reader.pings) < PINGS) &&
			     !live_violations(&reader);
	     i++)
		live_sleep_us(1000);
	live_reader_wait(&reader, MESSAGES, 3000);
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);
	live_stats(road, &stats);
	live_assert_intact(&reader);
	assert_int_equal(reader.messages, MESSAGES);
	assert_int_equal(reader.own, OWN);
	assert_int_equal(reader.pings, PINGS);
	assert_in_range(stats.pings, 1, PINGS);
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
}

/* Remote road: at the cap they pass. */
static void full(void **state)
{
	struct fp_road_stats stats;
	struct scene s = {0};
	uint32_t cap;

	open_scene(&s, state, 0);
	fp_answer_pings(&s.client.link, s.client.broker, "client");
	fp_let_pings(true);
	cap = fp.control->remote_cap;
	fp.control->remote_cap = 0;
	assert_false(ping(&s.client));
	fp.control->remote_cap = cap;
	assert_true(ping(&s.client));
	live_stats(FP_ROAD_REMOTE, &stats);
	assert_int_equal(stats.passed_full, 1);
	close_scene(&s);
}

/* Remote road: what the kernel answered counts before a connection is known to be drained. */
static void drained(void **state)
{
	struct scene s = {0};

	open_scene(&s, state, 0);
	fp_answer_pings(&s.client.link, s.client.broker, "client");
	fp_let_pings(true);
	for (unsigned i = 0; i < 10; i++)
		assert_true(ping(&s.client));
	fp_retire(&s.client.link);
	for (unsigned i = 0; i < 1000 && !fp_drained(&s.client.link, s.client.broker); i++)
		live_sleep_us(1000);
	assert_true(fp_drained(&s.client.link, s.client.broker));
	s.client.link.injected++; /* a byte that has not gone */
	assert_false(fp_drained(&s.client.link, s.client.broker));
	close_scene(&s);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(answered),
	LIVE_BOTH_ROADS(not_allowed),
	LIVE_BOTH_ROADS(other_shapes),
	LIVE_BOTH_ROADS(end_of_packet),
	LIVE_BOTH_ROADS(without_fence),
	LIVE_BOTH_ROADS(among_output),
	LIVE_TEST(full, "full_remote", FP_ROAD_REMOTE),
	LIVE_TEST(drained, "drained_remote", FP_ROAD_REMOTE),
};

LIVE_MAIN(tests)
