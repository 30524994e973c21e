// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 1, permissions: a flow carries the messages of those who may publish to all topics, or of one publisher alone.
 *
 * Shown to bite: the same publisher uses the others' flow as soon as it is not alone any more.
 */
#include "live.h"

#include <sys/socket.h>
#include <unistd.h>

struct scene {
	struct live live;
	struct live_conn alone, free, sub;
	uint32_t seq;
};

static void open_scene(struct scene *s, enum fp_road road)
{
	memset(s, 0, sizeof(*s));
	live_open(&s->live, road, 0);
	live_connect(&s->live, &s->alone, "alone");
	live_connect(&s->live, &s->free, "free");
	live_subscribe(&s->live, &s->sub, "subscriber");
	fp_publish_alone(&s->alone.link, true);
	fp_heartbeat(0);
}

static void close_scene(struct scene *s)
{
	live_disconnect(&s->alone);
	live_disconnect(&s->free);
	live_disconnect(&s->sub);
	live_close(&s->live);
}

/* Publish one. Does the kernel carry it? The daemon takes what it does not. */
static bool carried(struct scene *s, struct live_conn *from)
{
	uint8_t b[128];
	size_t len = live_publish(b, LIVE_TOPIC, 1, s->seq++, 20);
	ssize_t n;

	assert_int_equal(live_send_all(from->client, b, len), 0);
	live_await(from->broker, s->sub.client);
	n = recv(from->broker, b, sizeof(b), MSG_DONTWAIT);
	if (n > 0) {
		assert_int_equal(n, len);
		from->received += len;
		fp_handled(&from->link, from->received);
		return false;
	}
	assert_int_equal(recv(s->sub.client, b, sizeof(b), MSG_DONTWAIT), len);
	return true;
}

static void own_flow(void **state)
{
	struct scene s;

	open_scene(&s, live_road(state));
	assert_int_equal(live_flow(&s.alone, LIVE_TOPIC, &s.sub), 0);
	assert_true(carried(&s, &s.alone));
	assert_false(carried(&s, &s.free));
	assert_int_equal(live_flow(&s.free, LIVE_TOPIC, &s.sub), 0);
	assert_int_equal(fp_flows_count(), 2);
	assert_true(carried(&s, &s.free));
	assert_true(carried(&s, &s.alone));
	close_scene(&s);
}

static void flow_of_others(void **state)
{
	struct scene s;

	open_scene(&s, live_road(state));
	assert_int_equal(live_flow(&s.free, LIVE_TOPIC, &s.sub), 0);
	assert_true(carried(&s, &s.free));
	assert_false(carried(&s, &s.alone));
	fp_publish_alone(&s.alone.link, false);
	assert_true(carried(&s, &s.alone));
	close_scene(&s);
}

static void assert_none(struct scene *s)
{
	assert_int_equal(fp_flows_count(), 0);
	assert_false(carried(s, &s->alone));
	assert_false(carried(s, &s->free));
}

/* A filter takes away all flows for the topics it matches, whoever's they are. */
static void invalidated(void **state)
{
	static const char *const filters[] = {LIVE_TOPIC, "#"};
	struct scene s;

	open_scene(&s, live_road(state));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(live_flow(&s.alone, LIVE_TOPIC, &s.sub), 0);
		assert_int_equal(live_flow(&s.free, LIVE_TOPIC, &s.sub), 0);
		fp_flow_invalidate(LIVE_NS, filters[i], strlen(filters[i]));
		assert_none(&s);
	}
	assert_int_equal(live_flow(&s.alone, LIVE_TOPIC, &s.sub), 0);
	fp_flows_clear();
	assert_none(&s);
	close_scene(&s);
}

/* Who comes into the slot finds nothing of the one before. */
static void leaves(void **state)
{
	struct live_conn next = {0};
	struct scene s;
	uint32_t slot;

	open_scene(&s, live_road(state));
	slot = s.alone.link.slot;
	assert_int_equal(live_flow(&s.alone, LIVE_TOPIC, &s.sub), 0);
	live_disconnect(&s.alone);
	assert_int_equal(fp_flows_count(), 0);
	for (unsigned i = 0; i < 1000 && next.link.slot != slot; i++) {
		if (i)
			live_disconnect(&next);
		live_sleep_us(1000);
		live_connect(&s.live, &next, "next");
	}
	assert_int_equal(next.link.slot, slot);
	s.alone = next;
	fp_publish_alone(&s.alone.link, true);
	assert_none(&s);
	close_scene(&s);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(own_flow),
	LIVE_BOTH_ROADS(flow_of_others),
	LIVE_BOTH_ROADS(invalidated),
	LIVE_BOTH_ROADS(leaves),
};

LIVE_MAIN(tests)
