// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Invariant 9: the fast path is switched off and on while traffic flows, and nothing is lost, repeated or out of order. */
#include "live.h"

enum { PUBLISHERS = 2, MESSAGES = 6000, SWITCHES = 150 };

static void off_and_on(void **state)
{
	enum fp_road road = live_road(state);
	struct live live;
	struct live_conn pub[PUBLISHERS], sub;
	struct live_daemon daemon = {.receiver = &sub};
	struct live_reader reader = {0};
	struct live_publisher publisher[PUBLISHERS];
	struct fp_road_stats stats;
	struct fp_status status;

	live_open(&live, road, SHUNT_WITHOUT_BUSY);
	live_subscribe(&live, &sub, "subscriber");
	live_daemon_add(&daemon, &sub);
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		live_connect(&live, &pub[i], "publisher");
		live_daemon_add(&daemon, &pub[i]);
		publisher[i] = (struct live_publisher){
			.conn = &pub[i], .id = i + 1, .count = MESSAGES, .min = 8, .max = 3000, .every_us = 50};
	}
	assert_int_equal(live_flow(&pub[0], LIVE_TOPIC, &sub), 0);
	live_daemon_start(&daemon);
	live_reader_start(&reader, sub.client);
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_publisher_start(&publisher[i]);
	for (unsigned i = 0; i < SWITCHES; i++) {
		assert_int_equal(fp_enable(i % 2), 0);
		fp_status(&status);
		assert_int_equal(status.enabled, i % 2);
		assert_string_equal(status.reason, i % 2 ? "" : "switched off");
		live_sleep_us(3000 + i * 20);
	}
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_publisher_wait(&publisher[i]);
	live_reader_wait(&reader, PUBLISHERS * MESSAGES, 2000);
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);
	live_stats(road, &stats);
	live_assert_intact(&reader);
	assert_int_equal(reader.messages, PUBLISHERS * MESSAGES);
	assert_true(stats.forwarded > 0);
	assert_true(stats.passed_off > 0);
	assert_int_equal(stats.forwarded + daemon.routed, PUBLISHERS * MESSAGES);
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		assert_int_equal(publisher[i].errors, 0);
		live_disconnect(&pub[i]);
	}
	live_disconnect(&sub);
	live_close(&live);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(off_and_on),
};

LIVE_MAIN(tests)
