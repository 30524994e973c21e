// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 4 for what comes from a remote client: while the daemon does not read, the client is held back by its window, also
 * one that does not read either and for which there is output. What passes to the daemon waits behind output that the
 * client's TCP has no room for, and there it is charged to nobody; so output is injected only as far as there is room.
 *
 * Shown to bite: without SHUNT_WITHOUT_ROOM's protection the kernel takes all that the client sends.
 */
#include "live.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/socket.h>

enum {
	BUFFER = 64 * 1024,  /* of the sockets, where it has to be known */
	PAYLOAD = 4000,	     /* of the daemon's output */
	OUTPUT = 2000,	     /* messages of it, if they are taken */
	INPUT_MAX = 8 << 20, /* bytes that the client would send */
	BOUND = 32 * BUFFER, /* that it may: both buffers, and what small packets make of them */
	QUIET_MS = 300,
	CHARGE_MS = 10, /* time for the kernel's thread to charge what waits only for a moment */
};

static void small_buffer(int fd, int option)
{
	int bytes = BUFFER;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes)), 0);
}

/* As fast as it goes, so that many are injected before the kernel sends the first. */
static void write_output(struct live_conn *c)
{
	static uint8_t packet[PAYLOAD + sizeof(LIVE_TOPIC) + LIVE_OVERHEAD];
	size_t len = live_publish(packet, LIVE_TOPIC, LIVE_OWN, 0, PAYLOAD);
	struct iovec iov = {packet, len};

	for (unsigned i = 0; i < OUTPUT; i++) {
		ssize_t n = fp_send(&c->link, c->broker, &iov, 1);

		if (n == -EBUSY)
			continue;
		assert_int_equal(n, len);
	}
}

static uint32_t charged(int fd)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len), 0);
	return mem[SK_MEMINFO_RMEM_ALLOC];
}

/* Bytes that the client can send until nothing is taken for a while, no faster than the kernel's thread works. */
static size_t taken_from(const struct live_conn *c)
{
	static const uint8_t piece[BUFFER / 4];
	struct pollfd p = {.fd = c->client, .events = POLLOUT};
	size_t sum = 0;

	while (sum < INPUT_MAX && poll(&p, 1, QUIET_MS) > 0) {
		uint32_t before = charged(c->broker);
		ssize_t n = send(c->client, piece, sizeof(piece), MSG_DONTWAIT);

		assert_true(n > 0 || errno == EAGAIN);
		sum += n > 0 ? (size_t)n : 0;
		for (unsigned ms = 0; n > 0 && ms < CHARGE_MS && charged(c->broker) == before; ms++)
			live_sleep_us(1000);
	}
	return sum;
}

static size_t unread(void **state, uint32_t without)
{
	struct live live;
	struct live_conn c;
	size_t sum;

	live_open(&live, live_road(state), without);
	live_connect_plain(&live, &c, "client");
	small_buffer(c.client, SO_RCVBUF);
	small_buffer(c.client, SO_SNDBUF);
	small_buffer(c.broker, SO_RCVBUF);
	small_buffer(c.broker, SO_SNDBUF);
	live_attach(&live, &c);
	live_target(&c);
	write_output(&c);
	sum = taken_from(&c);
	live_disconnect(&c);
	live_close(&live);
	return sum;
}

static void bounded(void **state)
{
	assert_in_range(unread(state, 0), 1, BOUND);
}

static void without_room(void **state)
{
	assert_true(unread(state, SHUNT_WITHOUT_ROOM) > 2 * BOUND);
}

static const struct CMUnitTest tests[] = {
	LIVE_TEST(bounded, "bounded_remote", FP_ROAD_REMOTE),
	LIVE_TEST(without_room, "without_room_remote", FP_ROAD_REMOTE),
};

LIVE_MAIN(tests)
