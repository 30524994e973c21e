// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a remote client sends, passed behind output on its way to it, is charged to the socket by a thread of the kernel
 * that holds no lock, and the count of the socket's memory goes wrong (kernel-notes.md). So a receiver that sends much
 * rests: its output is plain TCP again, and it becomes a receiver later. The stream stays whole and in order meanwhile.
 *
 * Shown to bite by `test_duplex unprotected`: when it never rests the count is wrong after some seconds. That is not part of
 * the other runs, because the kernel warns when it frees such a socket.
 */
#include "live.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

enum {
	PAYLOAD = 100,
	ROUNDS = 10,	      /* of resting */
	PIECE = 333,	      /* bytes the client sends at once */
	WRONG_MAX_MS = 20000, /* the count goes wrong in so long */
	PAGE = 4096,
};

struct talker {
	int fd;
	pthread_t thread;
	bool stop; /* atomic */
};

static void *talk(void *arg)
{
	static const uint8_t piece[PIECE];
	struct talker *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
		if (send(t->fd, piece, sizeof(piece), MSG_DONTWAIT) <= 0)
			live_sleep_us(20);
	return NULL;
}

/* One message of the daemon's, if it is taken; and what the client has sent is read. */
static void serve(struct live_conn *c, uint32_t *seq, bool rests)
{
	static uint8_t in[65536];
	uint8_t packet[PAYLOAD + sizeof(LIVE_TOPIC) + LIVE_OVERHEAD];
	size_t len = live_publish(packet, LIVE_TOPIC, 1, *seq, PAYLOAD);
	struct iovec iov = {packet, len};
	ssize_t n;

	if (!c->link.leaving || fp_leave(&c->link, c->broker)) {
		n = fp_send(&c->link, c->broker, &iov, 1);
		assert_true(n == (ssize_t)len || n == -EBUSY || n == -EAGAIN);
		*seq += n > 0;
	}
	while (recv(c->broker, in, sizeof(in), MSG_DONTWAIT) > 0)
		if (rests && fp_heard(&c->link, clock_ns()))
			fp_rest(&c->link, clock_ns());
}

/* Is what the kernel has reserved for the socket not the whole of pages with what it has charged? */
static bool miscounted(int fd)
{
	uint32_t m[SK_MEMINFO_VARS];
	socklen_t len = sizeof(m);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &len), 0);
	return (m[SK_MEMINFO_RMEM_ALLOC] + m[SK_MEMINFO_WMEM_QUEUED] + m[SK_MEMINFO_FWD_ALLOC]) % PAGE;
}

/* Everything has gone both ways. */
static void quiet(struct live_conn *c, struct live_reader *r, uint32_t seq)
{
	uint8_t in[4096];

	assert_true(live_reader_wait(r, seq, 2000));
	for (unsigned idle = 0; idle < 20; idle++) {
		if (recv(c->broker, in, sizeof(in), MSG_DONTWAIT) > 0)
			idle = 0;
		else
			live_sleep_us(1000);
	}
}

static void rests(void **state)
{
	struct live live;
	struct live_conn c;
	struct live_reader reader = {0};
	struct talker talker = {0};
	uint32_t seq = 0;

	live_open(&live, live_road(state), 0);
	live_connect(&live, &c, "client");
	live_reader_start(&reader, c.client);
	talker.fd = c.client;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t generation = c.link.generation;

		c.link.rests_until_ns = 0;
		live_target(&c);
		assert_true(c.link.whole_max && c.link.generation && c.link.generation != generation);
		for (unsigned k = 0; k < 200; k++)
			serve(&c, &seq, true);
		talker.stop = false;
		assert_int_equal(pthread_create(&talker.thread, NULL, talk, &talker), 0);
		while (c.link.target)
			serve(&c, &seq, true);
		assert_int_equal(c.link.whole_max, 0);
		assert_true(c.link.rests_until_ns > clock_ns());
		fp_make_target(&c.link, c.broker, "client");
		assert_false(c.link.target);
		for (unsigned k = 0; k < 2000; k++)
			serve(&c, &seq, true);
		__atomic_store_n(&talker.stop, true, __ATOMIC_RELAXED);
		pthread_join(talker.thread, NULL);
	}
	quiet(&c, &reader, seq);
	live_reader_stop(&reader);
	live_assert_intact(&reader);
	assert_int_equal(reader.messages, seq);
	live_disconnect(&c);
	live_close(&live);
}

/* Who sends little stays a receiver. */
static void stays(void **state)
{
	enum { OFTEN = 10 * FP_HEARD_MAX };
	struct fp_link link = {.road = live_road(state), .target = true};
	uint64_t now = clock_ns();

	for (unsigned i = 0; i < OFTEN; i++) {
		assert_false(fp_heard(&link, now));
		now += (uint64_t)FP_HEARD_MS * NS_PER_MS;
	}
	for (unsigned i = 0; i < FP_HEARD_MAX; i++)
		assert_false(fp_heard(&link, now));
	assert_true(fp_heard(&link, now));
	assert_true(fp_heard(&link, now));
	now += (uint64_t)FP_HEARD_MS * FP_HEARD_MAX * NS_PER_MS;
	assert_false(fp_heard(&link, now));
}

static void without_rest(void **state)
{
	struct live live;
	struct live_conn c;
	uint32_t seq = 0;
	uint64_t end;
	bool wrong = false;

	live_open(&live, live_road(state), 0);
	live_subscribe(&live, &c, "client");
	end = clock_ns() + (uint64_t)WRONG_MAX_MS * NS_PER_MS;
	while (!wrong && clock_ns() < end) {
		struct live_reader reader = {.fd = c.client};
		struct talker talker = {.fd = c.client};

		seq = 0;
		live_reader_start(&reader, c.client);
		assert_int_equal(pthread_create(&talker.thread, NULL, talk, &talker), 0);
		for (unsigned k = 0; k < 20000; k++)
			serve(&c, &seq, false);
		__atomic_store_n(&talker.stop, true, __ATOMIC_RELAXED);
		pthread_join(talker.thread, NULL);
		quiet(&c, &reader, seq);
		live_reader_stop(&reader);
		wrong = miscounted(c.broker);
	}
	live_disconnect(&c);
	live_close(&live);
	assert_true(wrong);
}

static const struct CMUnitTest tests[] = {
	LIVE_TEST(rests, "rests_remote", FP_ROAD_REMOTE),
	LIVE_TEST(stays, "stays_remote", FP_ROAD_REMOTE),
};

static const struct CMUnitTest unprotected[] = {
	LIVE_TEST(without_rest, "without_rest_remote", FP_ROAD_REMOTE),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "unprotected"))
		return cmocka_run_group_tests(unprotected, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
