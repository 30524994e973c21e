// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A client that is its own subscriber: publisher and receiver are one socket, on both roads. */
#include "live.h"

enum { MESSAGES = 5000 };

static void own_subscriber(void **state)
{
	enum fp_road road = live_road(state);
	struct live live;
	struct live_conn self;
	struct live_daemon daemon = {.receiver = &self};
	struct live_reader reader = {0};
	struct live_publisher publisher = {
		.conn = &self, .id = 1, .count = MESSAGES, .min = 8, .max = 2000, .every_us = 30};
	struct fp_client_counters counters;
	struct fp_road_stats stats;

	live_open(&live, road, SHUNT_WITHOUT_BUSY);
	live_subscribe(&live, &self, "self");
	live_daemon_add(&daemon, &self);
	assert_int_equal(live_flow(&self, LIVE_TOPIC, &self), 0);
	live_daemon_start(&daemon);
	live_reader_start(&reader, self.client);
	live_publisher_start(&publisher);
	live_publisher_wait(&publisher);
	live_reader_wait(&reader, MESSAGES, 2000);
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);
	live_stats(road, &stats);
	fp_client_counters(&self.link, &counters);
	assert_int_equal(publisher.errors, 0);
	live_assert_intact(&reader);
	assert_int_equal(reader.messages, MESSAGES);
	assert_true(stats.forwarded > 0);
	assert_int_equal(counters.sent_messages, stats.forwarded);
	assert_int_equal(counters.received_messages, stats.forwarded);
	live_disconnect(&self);
	live_close(&live);
}

/* Messages to itself that it does not read, then a close with all of them unread. */
static void unread(void **state)
{
	struct live live;
	struct live_conn self;
	struct live_daemon daemon = {.receiver = &self, .queue_max = 100000};
	struct live_publisher publisher = {.conn = &self, .id = 1, .count = 2000, .min = 1000, .max = 1000};

	live_open(&live, live_road(state), SHUNT_WITHOUT_BUSY);
	live_subscribe(&live, &self, "self");
	live_daemon_add(&daemon, &self);
	assert_int_equal(live_flow(&self, LIVE_TOPIC, &self), 0);
	live_daemon_start(&daemon);
	live_publisher_start(&publisher);
	live_publisher_wait(&publisher);
	assert_int_equal(publisher.sent, 2000);
	live_daemon_stop(&daemon);
	live_disconnect(&self);
	live_close(&live);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(own_subscriber),
	LIVE_BOTH_ROADS(unread),
};

LIVE_MAIN(tests)
