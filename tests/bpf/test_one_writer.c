// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 3, one writer a stream: the daemon's output and the kernel's redirects to one receiver never cut each other's
 * packets. The reader checks every byte.
 *
 * Shown to bite: without SHUNT_WITHOUT_ONE_WRITER's protection the daemon writes to the socket beside the kernel's queue;
 * without SHUNT_WITHOUT_DRAIN's it hands over a packet in pieces while flows to its receiver are open. Both break the
 * stream within seconds.
 */
#include "live.h"

enum { PUBLISHERS = 3, ATTEMPTS = 16 };

struct scene {
	struct live live;
	struct live_conn pub[PUBLISHERS], sub;
	struct live_daemon daemon;
	struct live_reader reader;
	struct live_publisher publisher[PUBLISHERS];
};

struct load {
	uint32_t without;
	uint32_t count;	 /* messages of each publisher */
	size_t min, max; /* their payloads */
	unsigned every_us;
	size_t own_min, own_max;
	uint32_t own_count;
	unsigned own_every_us;
};

static void open_scene(struct scene *s, enum fp_road road, const struct load *load)
{
	memset(s, 0, sizeof(*s));
	live_open(&s->live, road, load->without);
	live_subscribe(&s->live, &s->sub, "subscriber");
	live_daemon_add(&s->daemon, &s->sub);
	s->daemon.receiver = &s->sub;
	s->daemon.own_min = load->own_min;
	s->daemon.own_max = load->own_max;
	s->daemon.own_count = load->own_count;
	s->daemon.own_every_us = load->own_every_us;
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		live_connect(&s->live, &s->pub[i], "publisher");
		live_daemon_add(&s->daemon, &s->pub[i]);
		s->publisher[i] = (struct live_publisher){
			.conn = &s->pub[i],
			.id = i + 1,
			.count = load->count,
			.min = load->min,
			.max = load->max,
			.every_us = load->every_us,
		};
		assert_int_equal(live_flow(&s->pub[i], LIVE_TOPIC, &s->sub), 0);
	}
}

static void run_scene(struct scene *s)
{
	live_daemon_start(&s->daemon);
	live_reader_start(&s->reader, s->sub.client);
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_publisher_start(&s->publisher[i]);
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_publisher_wait(&s->publisher[i]);
	for (unsigned i = 0;
	     i < 5000 && live_load(&s->reader.own) < s->daemon.own_count && !live_violations(&s->reader); i++)
		live_sleep_us(1000);
	live_reader_wait(&s->reader, (uint64_t)PUBLISHERS * s->publisher[0].count, 3000);
	live_daemon_stop(&s->daemon);
	live_reader_stop(&s->reader);
}

static void close_scene(struct scene *s)
{
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_disconnect(&s->pub[i]);
	live_disconnect(&s->sub);
	live_close(&s->live);
}

static void assert_holds(enum fp_road road, const struct load *load)
{
	struct fp_road_stats stats;
	struct scene s;

	open_scene(&s, road, load);
	run_scene(&s);
	live_stats(road, &stats);
	live_assert_intact(&s.reader);
	assert_int_equal(s.reader.own, load->own_count);
	assert_int_equal(s.reader.messages, PUBLISHERS * load->count);
	assert_true(stats.forwarded > 0);
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		assert_int_equal(s.publisher[i].errors, 0);
	close_scene(&s);
}

static void assert_breaks(enum fp_road road, const struct load *load)
{
	uint64_t violations = 0;
	struct scene s;

	for (unsigned attempt = 0; attempt < ATTEMPTS && !violations; attempt++) {
		open_scene(&s, road, load);
		run_scene(&s);
		violations = live_violations(&s.reader);
		close_scene(&s);
	}
	assert_true(violations > 0);
}

/* Whole packets of 2 B to what goes in one piece (60 kB on the local road); payloads below LIVE_PAYLOAD_MIN stand for a PINGRESP. BUSY is out so that the kernel
 * forwards under this load, too. */
static void whole_packets(void **state)
{
	const struct load load = {
		.without = SHUNT_WITHOUT_BUSY,
		.count = 3000,
		.min = LIVE_PAYLOAD_MIN,
		.max = 3000,
		.every_us = 50,
		.own_max = live_road(state) == FP_ROAD_LOCAL ? 60000 : FP_REMOTE_WHOLE - 64,
		.own_count = 1000,
		.own_every_us = 300,
	};

	assert_holds(live_road(state), &load);
}

/* On the remote road the publishers' packets must lie in several page fragments, which the kernel sends one by one, and come
 * whole, so with a pause between them; on the local one the daemon's are torn, because the client reads its two queues in
 * turn. */
static void without_one_writer(void **state)
{
	bool local = live_road(state) == FP_ROAD_LOCAL;
	const struct load load = {
		.without = SHUNT_WITHOUT_ONE_WRITER | SHUNT_WITHOUT_BUSY | SHUNT_WITHOUT_CAP | SHUNT_WITHOUT_HOLD,
		.count = 3000,
		.min = local ? LIVE_PAYLOAD_MIN : 20000,
		.max = local ? 3000 : 60000,
		.every_us = local ? 50 : 100,
		.own_min = 30000,
		.own_max = 60000,
		.own_count = 5000,
	};

	assert_breaks(live_road(state), &load);
}

/* Packets that go in pieces: the flows are drained before, and come back when none was sent for a while. */
static void large_packets(void **state)
{
	const struct load load = {
		.without = SHUNT_WITHOUT_BUSY,
		.count = 3000,
		.min = LIVE_PAYLOAD_MIN,
		.max = 500,
		.every_us = 1000,
		.own_min = 100000,
		.own_max = 1000000,
		.own_count = 3,
		.own_every_us = (FP_LARGE_LINGER_MS + 300) * 1000,
	};

	assert_holds(live_road(state), &load);
}

static void without_drain(void **state)
{
	const struct load load = {
		.without = SHUNT_WITHOUT_DRAIN | SHUNT_WITHOUT_BUSY | SHUNT_WITHOUT_CAP | SHUNT_WITHOUT_HOLD,
		.count = 3000,
		.min = LIVE_PAYLOAD_MIN,
		.max = 500,
		.every_us = 50,
		.own_min = 100000,
		.own_max = 1000000,
		.own_count = 100,
	};

	assert_breaks(live_road(state), &load);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(whole_packets),
	LIVE_BOTH_ROADS(without_one_writer),
	LIVE_BOTH_ROADS(large_packets),
	LIVE_BOTH_ROADS(without_drain),
};

LIVE_MAIN(tests)
