// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 10: a daemon that is stopped corrupts nothing, and flows go on flowing. On the remote road a burst is the
 * daemon's as long as it is alive (it batches better); when its heartbeat is stale, flows queue up to the cap.
 */
#include "live.h"

#include <sys/socket.h>

enum { MESSAGES = 300 };

struct scene {
	struct live live;
	struct live_conn pub, sub;
	struct live_daemon daemon;
	struct live_reader reader;
	uint32_t seq;
};

static void open_scene(struct scene *s, enum fp_road road)
{
	memset(s, 0, sizeof(*s));
	live_open(&s->live, road, 0);
	live_connect(&s->live, &s->pub, "publisher");
	live_subscribe(&s->live, &s->sub, "subscriber");
	s->daemon.receiver = &s->sub;
	live_daemon_add(&s->daemon, &s->pub);
	live_daemon_add(&s->daemon, &s->sub);
	assert_int_equal(live_flow(&s->pub, LIVE_TOPIC, &s->sub), 0);
	live_daemon_start(&s->daemon);
	live_reader_start(&s->reader, s->sub.client);
}

static void close_scene(struct scene *s)
{
	live_daemon_stop(&s->daemon);
	live_reader_stop(&s->reader);
	live_disconnect(&s->pub);
	live_disconnect(&s->sub);
	live_close(&s->live);
}

static void stop_daemon(struct scene *s, bool stop)
{
	__atomic_store_n(&s->daemon.stopped, stop, __ATOMIC_RELAXED);
	if (stop)
		live_sleep_us((FP_STALE_MS + 50) * 1000);
}

static void publish(struct scene *s, unsigned packets)
{
	uint8_t b[1024];
	size_t len = 0;

	while (packets--)
		len += live_publish(b + len, LIVE_TOPIC, 1, s->seq++, 40);
	assert_int_equal(live_send_all(s->pub.client, b, len), 0);
}

/* One at a time and in bursts, while nobody runs the daemon. */
static void flows_go_on(void **state)
{
	struct fp_road_stats stats;
	struct scene s;

	open_scene(&s, live_road(state));
	stop_daemon(&s, true);
	for (unsigned i = 0; i < MESSAGES; i++) {
		publish(&s, i % 4 ? 1 : 3);
		live_sleep_us(i % 5 ? 100 : 1000);
	}
	assert_true(live_reader_wait(&s.reader, s.seq, 2000));
	live_assert_intact(&s.reader);
	live_stats(live_road(state), &stats);
	assert_int_equal(stats.forwarded, s.seq);
	assert_int_equal(s.daemon.routed, 0);
	close_scene(&s);
}

/* The same burst with a live daemon goes to it, on the remote road. */
static void bursts_are_the_daemons(void **state)
{
	struct fp_road_stats stats;
	struct scene s;

	open_scene(&s, live_road(state));
	live_sleep_us(30000);
	publish(&s, 3);
	assert_true(live_reader_wait(&s.reader, s.seq, 2000));
	live_stats(live_road(state), &stats);
	assert_int_equal(stats.forwarded, 0);
	assert_true(stats.passed_busy > 0);
	close_scene(&s);
}

/* Something passes while the daemon is stopped: what follows waits behind it, and all comes in order when it goes on. */
static void resumes_in_order(void **state)
{
	static const uint8_t pingreq[] = {WIRE_PINGREQ, 0};
	uint8_t pingresp[2];
	struct scene s;

	open_scene(&s, live_road(state));
	for (unsigned round = 0; round < 3; round++) {
		stop_daemon(&s, true);
		for (unsigned i = 0; i < 20; i++)
			publish(&s, 1);
		assert_int_equal(live_send_all(s.pub.client, pingreq, sizeof(pingreq)), 0);
		for (unsigned i = 0; i < 100; i++)
			publish(&s, 1 + i % 3);
		stop_daemon(&s, false);
		assert_true(live_reader_wait(&s.reader, s.seq, 2000));
		for (unsigned i = 0; i < 1000 && recv(s.pub.client, pingresp, 2, MSG_DONTWAIT) != 2; i++)
			live_sleep_us(1000);
		assert_int_equal(pingresp[0], 0xd0);
		pingresp[0] = 0;
	}
	live_assert_intact(&s.reader);
	assert_int_equal(s.reader.messages, s.seq);
	close_scene(&s);
}

/* A subscriber that does not read either: the kernel takes no more than the cap, and nothing is lost or out of order. */
static void bounded_while_stopped(void **state)
{
	enum { LOTS = 3000, PAYLOAD = 1000 };
	struct live_publisher publisher;
	struct fp_road_stats stats;
	struct scene s;

	open_scene(&s, live_road(state));
	__atomic_store_n(&s.reader.pause, true, __ATOMIC_RELAXED);
	stop_daemon(&s, true);
	publisher = (struct live_publisher){.conn = &s.pub, .id = 1, .count = LOTS, .min = PAYLOAD, .max = PAYLOAD};
	live_publisher_start(&publisher);
	live_sleep_us(300000);
	live_stats(live_road(state), &stats);
	assert_true(stats.forwarded > 0);
	if (live_road(state) == FP_ROAD_LOCAL)
		assert_in_range(stats.forwarded_bytes, 1, FP_LOCAL_FLOW_CAP + 2 * PAYLOAD);
	stop_daemon(&s, false);
	__atomic_store_n(&s.reader.pause, false, __ATOMIC_RELAXED);
	live_publisher_wait(&publisher);
	assert_true(live_reader_wait(&s.reader, LOTS, 2000));
	live_assert_intact(&s.reader);
	close_scene(&s);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(flows_go_on),
	LIVE_TEST(bursts_are_the_daemons, "bursts_are_the_daemons_remote", FP_ROAD_REMOTE),
	LIVE_BOTH_ROADS(resumes_in_order),
	LIVE_BOTH_ROADS(bounded_while_stopped),
};

LIVE_MAIN(tests)
