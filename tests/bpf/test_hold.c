// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 2, the other half of the fence: while the daemon holds output for a receiver, flows to it pass, so that a
 * message cannot overtake one that a full receiver has left in the daemon's queue.
 *
 * Shown to bite: without SHUNT_WITHOUT_HOLD's protection the later message arrives first.
 */
#include "live.h"

#include <sys/socket.h>

static uint64_t reordered(enum fp_road road, uint32_t without)
{
	struct live live;
	struct live_conn pub, sub;
	struct live_reader reader = {0};
	uint8_t first[128], second[128], got[256];
	size_t first_len = live_publish(first, LIVE_TOPIC, 1, 0, 20),
	       second_len = live_publish(second, LIVE_TOPIC, 1, 1, 30);
	bool came;

	live_open(&live, road, without);
	live_connect(&live, &pub, "publisher");
	live_subscribe(&live, &sub, "subscriber");
	fp_heartbeat(0);

	/* The first has no flow. The daemon cannot write it and keeps it, holds the receiver, and is done with the publisher. */
	assert_int_equal(live_send_all(pub.client, first, first_len), 0);
	assert_true(live_expect(pub.broker, first, first_len));
	fp_hold(&sub.link, true);
	fp_handled(&pub.link, first_len);

	assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
	assert_int_equal(live_send_all(pub.client, second, second_len), 0);
	live_await(pub.broker, sub.client);
	came = recv(pub.broker, got, sizeof(got), MSG_DONTWAIT) == (ssize_t)second_len;
	assert_int_equal(live_send(&sub, first, first_len), first_len);
	if (came)
		assert_int_equal(live_send(&sub, second, second_len), second_len);
	fp_hold(&sub.link, false);
	live_reader_start(&reader, sub.client);
	assert_true(live_reader_wait(&reader, 2, 2000));
	live_reader_stop(&reader);
	assert_int_equal(reader.broken, 0);
	if (came) { /* and once more, now by the kernel */
		uint8_t third[128];
		size_t third_len = live_publish(third, LIVE_TOPIC, 1, 2, 20);

		fp_handled(&pub.link, first_len + second_len);
		assert_int_equal(live_send_all(pub.client, third, third_len), 0);
		assert_true(live_expect(sub.client, third, third_len));
	}
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
	return reader.reordered;
}

static void held(void **state)
{
	assert_int_equal(reordered(live_road(state), 0), 0);
}

static void without_hold(void **state)
{
	assert_int_equal(reordered(live_road(state), SHUNT_WITHOUT_HOLD), 1);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(held),
	LIVE_BOTH_ROADS(without_hold),
};

LIVE_MAIN(tests)
