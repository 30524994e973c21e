// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A flow names its receiver by slot and generation: after a takeover or a disconnect it reaches nobody, whoever has the
 * slot now. Invariant 2; facts of slot reuse.
 *
 * Shown to bite: without SHUNT_WITHOUT_GENERATION's protection the retired receiver still gets messages, and on the remote
 * road so does a stranger who got its slot (on the local one the flow's socket is gone).
 */
#include "live.h"

#include <sys/socket.h>
#include <unistd.h>

struct pair {
	struct live live;
	struct live_conn pub, sub;
	uint32_t seq;
};

static void open_pair(struct pair *p, enum fp_road road, uint32_t without)
{
	memset(p, 0, sizeof(*p));
	live_open(&p->live, road, without);
	live_connect(&p->live, &p->pub, "publisher");
	live_subscribe(&p->live, &p->sub, "subscriber");
	assert_int_equal(live_flow(&p->pub, LIVE_TOPIC, &p->sub), 0);
	fp_heartbeat(0);
}

static void close_pair(struct pair *p)
{
	live_disconnect(&p->pub);
	live_disconnect(&p->sub);
	live_close(&p->live);
}

/* Publish; whether it came to the daemon, which it then tells, and not to the receiver. */
static bool passed(struct pair *p, const struct live_conn *receiver)
{
	uint8_t b[128];
	size_t len = live_publish(b, LIVE_TOPIC, 1, p->seq++, 20);
	ssize_t n;

	assert_int_equal(live_send_all(p->pub.client, b, len), 0);
	live_await(p->pub.broker, receiver->client);
	n = recv(p->pub.broker, b, sizeof(b), MSG_DONTWAIT);
	if (n <= 0)
		return false;
	assert_int_equal(n, len);
	p->pub.received += len;
	fp_handled(&p->pub.link, p->pub.received);
	return true;
}

static bool got_something(const struct live_conn *c)
{
	uint8_t b[128];

	return recv(c->client, b, sizeof(b), MSG_DONTWAIT) > 0;
}

static void retired(void **state)
{
	struct pair p;

	open_pair(&p, live_road(state), 0);
	assert_false(passed(&p, &p.sub));
	assert_true(got_something(&p.sub));
	fp_retire(&p.sub.link);
	for (int i = 0; i < 5; i++)
		assert_true(passed(&p, &p.sub));
	assert_false(got_something(&p.sub));
	close_pair(&p);
}

static void retired_without(void **state)
{
	struct pair p;

	open_pair(&p, live_road(state), SHUNT_WITHOUT_GENERATION);
	fp_retire(&p.sub.link);
	assert_false(passed(&p, &p.sub));
	assert_true(got_something(&p.sub));
	close_pair(&p);
}

/* The receiver goes and its flow stays; connections come until one has its slot. */
static bool stranger_gets(enum fp_road road, uint32_t without)
{
	struct live_conn stranger = {0};
	uint32_t slot;
	struct pair p;
	bool got;

	open_pair(&p, road, without);
	slot = p.sub.link.slot;
	fp_retire(&p.sub.link);
	close(p.sub.client);
	close(p.sub.broker);
	fp_detach(&p.sub.link);
	p.sub.client = p.sub.broker = -1;
	for (int i = 0; i < 1000 && stranger.link.slot != slot; i++) {
		if (i)
			live_disconnect(&stranger);
		live_sleep_us(1000);
		live_subscribe(&p.live, &stranger, "stranger");
	}
	assert_int_equal(stranger.link.slot, slot);
	passed(&p, &stranger);
	got = got_something(&stranger);
	fp_flow_remove_receiver(slot);
	live_disconnect(&stranger);
	close_pair(&p);
	return got;
}

static void slot_used_again(void **state)
{
	assert_false(stranger_gets(live_road(state), 0));
}

static void slot_used_again_without(void **state)
{
	assert_true(stranger_gets(live_road(state), SHUNT_WITHOUT_GENERATION));
}

/* What a new connection of the same client identifier sees: the old one is retired, the new one takes the flow. */
static void takeover(void **state)
{
	struct live_conn second;
	struct pair p;

	open_pair(&p, live_road(state), 0);
	assert_false(passed(&p, &p.sub));
	assert_true(got_something(&p.sub));
	fp_retire(&p.sub.link);
	fp_flow_remove_receiver(p.sub.link.slot);
	live_subscribe(&p.live, &second, "subscriber");
	assert_int_not_equal(second.link.generation, 0);
	assert_true(passed(&p, &second));
	assert_int_equal(live_flow(&p.pub, LIVE_TOPIC, &second), 0);
	assert_false(passed(&p, &second));
	assert_true(got_something(&second));
	assert_false(got_something(&p.sub));
	live_disconnect(&second);
	close_pair(&p);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(retired),
	LIVE_BOTH_ROADS(retired_without),
	LIVE_BOTH_ROADS(slot_used_again),
	LIVE_TEST(slot_used_again_without, "slot_used_again_without_remote", FP_ROAD_REMOTE),
	LIVE_BOTH_ROADS(takeover),
};

LIVE_MAIN(tests)
