// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The ways in which a client may hand its packets to the kernel, on both roads: what is forwarded arrives whole, and what
 * belongs to the daemon goes to the daemon and to nobody else.
 */
#include "live.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define OTHER_TOPIC "other/topic"

/* Publisher and subscriber without a daemon: the test looks at both ends itself. */
struct pair {
	struct live live;
	struct live_conn pub, sub;
	uint64_t received; /* by the daemon */
};

static void open_pair(struct pair *p, enum fp_road road)
{
	memset(p, 0, sizeof(*p));
	live_open(&p->live, road, 0);
	live_connect(&p->live, &p->pub, "publisher");
	live_subscribe(&p->live, &p->sub, "subscriber");
	assert_int_equal(live_flow(&p->pub, LIVE_TOPIC, &p->sub), 0);
}

static void close_pair(struct pair *p)
{
	live_disconnect(&p->pub);
	live_disconnect(&p->sub);
	live_close(&p->live);
}

/* A message of packets of which only the first has a flow: whatever the kernel does with the first, the second must not
 * reach the first one's receiver. The result of a redirect stays with an sk_msg when its program runs again for the rest
 * of it, so that "pass" would then mean "redirect once more". */
static void check_company(enum fp_road road, const uint8_t *second, size_t second_len)
{
	uint8_t b[512];
	struct live_reader to_sub = {0};
	struct pair p;
	size_t len;
	ssize_t n;

	open_pair(&p, road);
	len = live_publish(b, LIVE_TOPIC, 1, 0, 40);
	memcpy(b + len, second, second_len);
	assert_int_equal(live_send_all(p.pub.client, b, len + second_len), 0);
	live_sleep_us(20000);
	n = recv(p.sub.client, b, sizeof(b), MSG_DONTWAIT);
	if (n > 0)
		live_check(&to_sub, b, (size_t)n);
	if (to_sub.broken || to_sub.bytes > len || n > (ssize_t)len)
		fail_msg("%zd bytes for the first packet of %zu", n, len);
	n = recv(p.pub.broker, b, sizeof(b), MSG_DONTWAIT);
	assert_true(n == (ssize_t)second_len || n == (ssize_t)(len + second_len));
	assert_memory_equal(b + (size_t)n - second_len, second, second_len);
	live_free(&to_sub.in);
	close_pair(&p);
}

static void pingreq_behind(void **state)
{
	static const uint8_t pingreq[] = {WIRE_PINGREQ, 0};

	check_company(live_road(state), pingreq, sizeof(pingreq));
}

static void other_topic_behind(void **state)
{
	uint8_t b[256];

	check_company(live_road(state), b, live_publish(b, OTHER_TOPIC, 1, 0, 60));
}

static void half_packet_behind(void **state)
{
	uint8_t b[256];

	check_company(live_road(state), b, live_publish(b, LIVE_TOPIC, 1, 1, 60) / 2);
}

/* Packets of different sizes to one receiver in one message, counted as so many. */
static void several_sizes(void **state)
{
	enum fp_road road = live_road(state);
	static const size_t payloads[] = {8, 200, 9, 100, 1000};
	struct live_reader reader = {0};
	struct fp_road_stats stats;
	uint8_t b[4096];
	struct pair p;
	size_t len = 0;
	ssize_t n;

	open_pair(&p, road);
	for (uint32_t i = 0; i < 5; i++)
		len += live_publish(b + len, LIVE_TOPIC, 1, i, payloads[i]);
	assert_int_equal(live_send_all(p.pub.client, b, len), 0);
	live_sleep_us(20000);
	live_stats(road, &stats);
	n = recv(p.sub.client, b, sizeof(b), MSG_DONTWAIT);
	if (n > 0)
		live_check(&reader, b, (size_t)n);
	assert_int_equal(reader.messages, stats.forwarded);
	assert_int_equal(reader.bytes, stats.forwarded_bytes);
	live_assert_intact(&reader);
	live_free(&reader.in);
	close_pair(&p);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(pingreq_behind),
	LIVE_BOTH_ROADS(other_topic_behind),
	LIVE_BOTH_ROADS(half_packet_behind),
	LIVE_BOTH_ROADS(several_sizes),
};

LIVE_MAIN(tests)
