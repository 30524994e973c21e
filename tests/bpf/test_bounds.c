// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 4, bounded: a subscriber that stops reading costs the kernel no more than the cap on the queue in front of it,
 * whatever is published; the publisher sees no error; what comes above the cap is the daemon's, in order.
 *
 * Shown to bite: without SHUNT_WITHOUT_CAP's protection the kernel takes all that is published.
 */
#include "live.h"

enum { PAYLOAD = 1000, MESSAGES = 100000 }; /* 100 MB */

struct result {
	struct fp_road_stats stats;
	uint64_t taken; /* bytes that the kernel forwarded while nobody read */
	uint64_t errors;
	uint64_t sent, received, dropped, reordered, broken;
	int error;
};

static void publish_to_nobody(enum fp_road road, uint32_t without, uint32_t messages, struct result *out)
{
	struct live live;
	struct live_conn pub, sub;
	struct live_daemon daemon = {.receiver = &sub, .queue_max = 100000};
	struct live_reader reader = {.pause = true};
	struct live_publisher publisher = {.conn = &pub, .id = 1, .count = messages, .min = PAYLOAD, .max = PAYLOAD};

	/* What begins in the middle of an skb passes: leave each message its own where all are to be taken. */
	if (without & SHUNT_WITHOUT_CAP)
		publisher.every_us = 1;

	live_open(&live, road, without);
	live_connect(&live, &pub, "publisher");
	live_subscribe(&live, &sub, "subscriber");
	live_daemon_add(&daemon, &pub);
	live_daemon_add(&daemon, &sub);
	assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
	live_daemon_start(&daemon);
	live_reader_start(&reader, sub.client);
	live_publisher_start(&publisher);
	live_publisher_wait(&publisher);
	live_stats(road, &out->stats);
	out->taken = out->stats.forwarded_bytes;
	__atomic_store_n(&reader.pause, false, __ATOMIC_RELAXED);
	live_reader_wait(&reader, messages, 500);
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);
	live_stats(road, &out->stats);
	out->sent = publisher.sent;
	out->errors = publisher.errors;
	out->error = publisher.error;
	out->received = reader.messages;
	out->dropped = daemon.dropped;
	out->reordered = reader.reordered;
	out->broken = reader.broken;
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
}

static void capped(void **state)
{
	enum fp_road road = live_road(state);
	/* on the remote road TCP's buffers come on top, at most half a send buffer and what the receiver's takes */
	uint64_t bound = road == FP_ROAD_LOCAL ? FP_LOCAL_FLOW_CAP + PAYLOAD + 64 : 8 << 20;
	struct result r;

	publish_to_nobody(road, SHUNT_WITHOUT_BUSY, MESSAGES, &r);
	if (r.errors)
		fail_msg("the publisher got %s", strerror(r.error));
	assert_int_equal(r.sent, MESSAGES);
	assert_true(r.taken > 0);
	assert_in_range(r.taken, 1, bound);
	assert_true(r.stats.passed_full > 0);
	assert_true(r.dropped > 0);
	assert_int_equal(r.broken, 0);
	assert_int_equal(r.reordered, 0);
	assert_int_equal(r.received + r.dropped, MESSAGES);
}

static void without_cap(void **state)
{
	enum { FEWER = 20000 };
	struct result r;

	publish_to_nobody(live_road(state), SHUNT_WITHOUT_BUSY | SHUNT_WITHOUT_CAP, FEWER, &r);
	assert_true(r.taken > (uint64_t)FEWER * PAYLOAD / 2);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(capped),
	LIVE_BOTH_ROADS(without_cap),
};

LIVE_MAIN(tests)
