// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * While the remote road is loaded the daemon carries what is on it [invariant 5], and what it writes to a possible receiver
 * costs more than to others. So those it writes to then are none: their output is plain TCP, and they become receivers when
 * the load is gone. The stream stays whole and in order meanwhile.
 */
#include "live.h"

#include <sys/socket.h>

enum {
	PAYLOAD = 64,
	HOPELESS_MS = 20000,
};

/* What a client sends passes to the daemon, which brings it to the other one. */
static void carry(struct live_conn *from, struct live_conn *to, uint32_t seq)
{
	uint8_t packet[PAYLOAD + sizeof(LIVE_TOPIC) + LIVE_OVERHEAD], in[sizeof(packet)];
	size_t len = live_publish(packet, LIVE_TOPIC, 1, seq, PAYLOAD);

	assert_int_equal(send(from->client, packet, len, MSG_NOSIGNAL), len);
	assert_int_equal(recv(from->broker, in, len, MSG_WAITALL), len);
	from->received += len;
	while (to->link.leaving && !fp_leave(&to->link, to->broker))
		live_sleep_us(1000);
	assert_int_equal(live_send(to, in, len), len);
	fp_handled(&from->link, from->received);
}

static void yields(void **state)
{
	struct live live;
	struct live_conn publisher, receiver;
	struct live_reader reader = {0};
	struct shunt_load *load;
	uint64_t end = clock_ns() + (uint64_t)HOPELESS_MS * NS_PER_MS;
	uint32_t seq = 0;

	live_open(&live, live_road(state), 0);
	load = (struct shunt_load *)fp.load;
	live_subscribe(&live, &receiver, "receiver");
	live_connect(&live, &publisher, "publisher");
	assert_int_equal(live_flow(&publisher, LIVE_TOPIC, &receiver), 0);
	live_reader_start(&reader, receiver.client);

	/* One packet is load, and goes on to be for longer than this test takes. */
	fp.control->remote_window = 0;
	fp.control->busy_ns = NS_PER_S * 1000;
	assert_false(fp_loaded(clock_ns()));
	assert_false(fp_burdens(&receiver.link, clock_ns()));
	carry(&publisher, &receiver, seq++);
	assert_true(load->busy_until_ns > clock_ns());
	while (!fp_loaded(clock_ns()) && clock_ns() < end)
		carry(&publisher, &receiver, seq++);
	assert_true(clock_ns() - load->busy_since_ns > (uint64_t)FP_LOADED_MS * NS_PER_MS);
	assert_true(fp_burdens(&receiver.link, clock_ns()));
	assert_false(fp_burdens(&publisher.link, clock_ns()));

	fp_yield(&receiver.link, clock_ns());
	assert_int_equal(receiver.link.generation, 0);
	assert_false(fp_burdens(&receiver.link, clock_ns()));
	while (receiver.link.target && clock_ns() < end)
		carry(&publisher, &receiver, seq++);
	assert_int_equal(receiver.link.whole_max, 0);
	for (unsigned i = 0; i < 1000; i++)
		carry(&publisher, &receiver, seq++);

	receiver.link.rests_until_ns = 0;
	fp_make_target(&receiver.link, receiver.broker, "receiver");
	assert_false(receiver.link.target);
	assert_true(receiver.link.rests_until_ns > clock_ns());

	load->busy_until_ns = 0;
	assert_false(fp_loaded(clock_ns()));
	receiver.link.rests_until_ns = 0;
	live_target(&receiver);
	assert_true(receiver.link.target && receiver.link.whole_max);
	carry(&publisher, &receiver, seq++);

	assert_true(live_reader_wait(&reader, seq, 2000));
	live_reader_stop(&reader);
	live_assert_intact(&reader);
	assert_int_equal(reader.messages, seq);
	live_disconnect(&publisher);
	live_disconnect(&receiver);
	live_close(&live);
}

static const struct CMUnitTest tests[] = {
	LIVE_TEST(yields, "yields_remote", FP_ROAD_REMOTE),
};

LIVE_MAIN(tests)
