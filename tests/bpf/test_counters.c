// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What the kernel counted adds up with what was sent and what arrived, and the pinned maps say it in words. */
#include "live.h"

#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGES = 3000 };

static int find_flow(const struct fp_flow_info *info, void *arg)
{
	struct fp_flow_info *found = arg;

	if (!strcmp(info->topic, LIVE_TOPIC)) {
		*found = *info;
		return 1;
	}
	return 0;
}

static uint64_t reasons(const struct fp_road_stats *s)
{
	return s->passed_fence + s->passed_no_flow + s->passed_full + s->passed_held + s->passed_busy +
	       s->passed_shape + s->passed_dead + s->passed_off;
}

static void add_up(void **state)
{
	enum fp_road road = live_road(state);
	struct live live;
	struct live_conn pub, sub;
	struct live_daemon daemon = {.receiver = &sub};
	struct live_reader reader = {0};
	struct live_publisher publisher = {
		.conn = &pub, .id = 1, .count = MESSAGES, .min = 8, .max = 1000, .every_us = 20};
	struct fp_flow_info flow = {0};
	struct fp_client_counters from, to;
	struct fp_stats all = {0};
	struct fp_road_stats *stats = road == FP_ROAD_LOCAL ? &all.local : &all.remote;
	uint64_t before = clock_ns();

	live_open(&live, road, SHUNT_WITHOUT_BUSY);
	fp_stats(&all);
	assert_int_equal(stats->forwarded + stats->passed, 0); /* the probe's are forgotten */
	live_connect(&live, &pub, "publisher");
	live_subscribe(&live, &sub, "subscriber");
	live_daemon_add(&daemon, &pub);
	live_daemon_add(&daemon, &sub);
	fp_stats(&all);
	assert_int_equal(all.slots, 2);
	assert_int_equal(all.flows, 0);
	assert_true(fp_flow_wanted(&pub.link, LIVE_TOPIC, strlen(LIVE_TOPIC)));
	assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
	assert_false(fp_flow_wanted(&pub.link, LIVE_TOPIC, strlen(LIVE_TOPIC)));
	assert_int_equal(fp_last_seen_ns(&pub.link), 0);
	live_daemon_start(&daemon);
	live_reader_start(&reader, sub.client);
	live_publisher_start(&publisher);
	live_publisher_wait(&publisher);
	assert_true(live_reader_wait(&reader, MESSAGES, 2000));
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);

	fp_stats(&all);
	assert_true(stats->forwarded > 0);
	assert_int_equal(stats->forwarded + daemon.routed, MESSAGES);
	assert_int_equal(stats->passed, reasons(stats));
	if (daemon.routed == 0)
		assert_int_equal(stats->forwarded_bytes, reader.bytes);
	assert_int_equal(all.flows, 1);
	fp_client_counters(&pub.link, &from);
	fp_client_counters(&sub.link, &to);
	assert_int_equal(from.sent_messages, stats->forwarded);
	assert_int_equal(from.sent_bytes, stats->forwarded_bytes);
	assert_int_equal(from.received_messages, 0);
	assert_int_equal(to.received_messages, stats->forwarded);
	assert_int_equal(to.received_bytes, stats->forwarded_bytes);
	assert_int_equal(to.sent_messages, 0);
	assert_in_range(fp_last_seen_ns(&pub.link), before, clock_ns());
	assert_int_equal(fp_flow_each(find_flow, &flow), 1);
	assert_int_equal(flow.messages, stats->forwarded);
	assert_int_equal(flow.bytes, stats->forwarded_bytes);
	assert_int_equal(flow.road, road);
	assert_int_equal(flow.ns, LIVE_NS);
	assert_string_equal(flow.receiver, "subscriber");
	fp_flow_invalidate(LIVE_NS, "live/+", 6);
	fp_stats(&all);
	assert_int_equal(all.flows, 0);
	assert_true(fp_flow_wanted(&pub.link, LIVE_TOPIC, strlen(LIVE_TOPIC)));
	live_disconnect(&pub);
	live_disconnect(&sub);
	fp_stats(&all);
	assert_int_equal(all.slots, 0);
	live_close(&live);
}

/* One send for each reason that a test can bring about at will. */
static void reasons_are_told(void **state)
{
	enum fp_road road = live_road(state);
	static const uint8_t pingreq[] = {WIRE_PINGREQ, 0};
	struct live live;
	struct live_conn pub, sub;
	struct fp_road_stats stats;
	uint8_t b[128];
	size_t len = live_publish(b, LIVE_TOPIC, 1, 0, 20), other = 0;

	live_open(&live, road, 0);
	live_connect(&live, &pub, "publisher");
	live_subscribe(&live, &sub, "subscriber");
	fp_heartbeat(0);
	for (unsigned i = 0; i < 6; i++) {
		const uint8_t *data = i == 1 ? pingreq : b;
		size_t n = i == 1 ? sizeof(pingreq) : len;

		if (i == 2)
			assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
		fp_hold(&sub.link, i == 2);
		if (i == 4)
			fp_retire(&sub.link);
		if (i == 5)
			fp_enable(false);
		assert_int_equal(live_send_all(pub.client, data, n), 0);
		assert_true(live_expect(pub.broker, data, n));
		other += n;
		if (i != 2) /* 3 comes before 2 is handled */
			fp_handled(&pub.link, other);
	}
	assert_true(live_expect_nothing(sub.client));
	live_stats(road, &stats);
	assert_int_equal(stats.passed_no_flow, 1);
	assert_int_equal(stats.passed_shape, 1);
	assert_int_equal(stats.passed_held, 1);
	assert_int_equal(stats.passed_fence, 1);
	assert_int_equal(stats.passed_dead, 1);
	assert_int_equal(stats.passed_off, 1);
	assert_int_equal(stats.passed, 6);
	assert_int_equal(stats.forwarded, 0);
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
}

/* Is each word in some line of the dump of a pinned map? */
static bool dump_has(const char *map, const char *const *words, size_t count)
{
	char command[512], line[1024];
	struct fp_status status;
	uint32_t missing = (1U << count) - 1;
	FILE *dump;

	fp_status(&status);
	snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin bpftool map dump pinned %s/%s", status.pin_path,
		 map);
	dump = popen(command, "r");
	assert_non_null(dump);
	while (fgets(line, sizeof(line), dump)) {
		for (size_t i = 0; i < count; i++)
			if (strstr(line, words[i]))
				missing &= ~(1U << i);
	}
	assert_int_equal(pclose(dump), 0);
	for (size_t i = 0; i < count; i++)
		if (missing & 1U << i)
			print_message("%s: no %s in its dump\n", map, words[i]);
	return !missing;
}

static void readable(void **state)
{
	enum fp_road road = live_road(state);
	static const char *const flow[] = {"\"topic\": \"" LIVE_TOPIC "\"", "\"receiver\": \"the-subscriber\"",
					   "\"messages\": 1"};
	static const char *const slot[] = {"\"name\": \"the-publisher\"", "\"name\": \"the-subscriber\"",
					   "\"sent_messages\": 1", "\"received_messages\": 1"};
	static const char *const counter[] = {"\"forwarded\": 1", "\"passed\""};
	struct live live;
	struct live_conn pub, sub;
	uint8_t b[128];
	size_t len = live_publish(b, LIVE_TOPIC, 1, 0, 20);

	live_open(&live, road, 0);
	live_connect(&live, &pub, "the-publisher");
	live_subscribe(&live, &sub, "the-subscriber");
	assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
	assert_int_equal(live_send_all(pub.client, b, len), 0);
	assert_true(live_expect(sub.client, b, len));
	assert_true(dump_has("flows", flow, sizeof(flow) / sizeof(*flow)));
	assert_true(dump_has("counters", counter, sizeof(counter) / sizeof(*counter)));
	assert_true(dump_has("slots", slot, sizeof(slot) / sizeof(*slot)));
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(add_up),
	LIVE_BOTH_ROADS(reasons_are_told),
	LIVE_BOTH_ROADS(readable),
};

LIVE_MAIN(tests)
