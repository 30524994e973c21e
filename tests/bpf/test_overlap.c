// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 8, the remote road without a stream parser: the kernel hands a socket's program whole skbs, also when part of
 * one is old, after a retransmission that overlaps or when part of it was read before the socket came into the map. The
 * program cuts the old bytes off.
 *
 * Shown to bite: without SHUNT_WITHOUT_OVERLAP's protection the bytes come twice.
 */
#include "live.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HALF = 20 };

struct pair {
	struct live live;
	struct live_conn pub, sub;
};

static uint32_t sequence(int fd, int queue)
{
	int on = 1, off = -1; /* TCP_REPAIR_OFF_NO_WP: leave without a probe */
	uint32_t seq = 0;
	socklen_t len = sizeof(seq);

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	return seq;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return a.sin_port;
}

static uint16_t checksum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* A segment from the client as its kernel might have sent it, beginning at `seq`. */
static void inject_segment(const struct live_conn *c, uint32_t seq, const uint8_t *data, size_t len)
{
	uint8_t packet[2048] = {0};
	struct tcphdr *tcp = (struct tcphdr *)packet;
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tcp->source = port_of(c->client);
	tcp->dest = port_of(c->broker);
	tcp->seq = htonl(seq);
	tcp->ack_seq = htonl(sequence(c->client, TCP_RECV_QUEUE));
	tcp->doff = 5;
	tcp->ack = tcp->psh = 1;
	tcp->window = htons(60000);
	memcpy(packet + sizeof(*tcp), data, len);
	/* the pseudo header: both addresses, protocol, length */
	tcp->check = checksum(packet, sizeof(*tcp) + len,
			      2 * (0x7f00 + 1) + IPPROTO_TCP + (uint32_t)(sizeof(*tcp) + len));
	assert_int_equal(sendto(fd, packet, sizeof(*tcp) + len, 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(*tcp) + len);
	close(fd);
	live_sleep_us(10000);
}

static void open_pair(struct pair *p, uint32_t without)
{
	memset(p, 0, sizeof(*p));
	live_open(&p->live, FP_ROAD_REMOTE, without | SHUNT_WITHOUT_BUSY);
	live_connect(&p->live, &p->pub, "publisher");
	live_subscribe(&p->live, &p->sub, "subscriber");
}

static void close_pair(struct pair *p)
{
	live_disconnect(&p->pub);
	live_disconnect(&p->sub);
	live_close(&p->live);
}

/* What there is to read. */
static size_t drain(int fd, uint8_t *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	live_sleep_us(10000);
	while (len < size && (n = recv(fd, buf + len, size - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	return len;
}

/* Two packets of which the first arrives, and then both in one segment. Returns what came of them at `fd`. */
static size_t retransmit(struct pair *p, int fd, uint8_t *sent, size_t *sent_len, uint8_t *got, size_t size)
{
	uint32_t seq = sequence(p->pub.client, TCP_SEND_QUEUE);
	size_t first = live_publish(sent, LIVE_TOPIC, 1, 0, 40), len = 0;

	*sent_len = first + live_publish(sent + first, LIVE_TOPIC, 1, 1, 50);
	assert_int_equal(live_send_all(p->pub.client, sent, first), 0);
	len = drain(fd, got, size);
	assert_int_equal(len, first);
	inject_segment(&p->pub, seq, sent, *sent_len);
	return len + drain(fd, got + len, size - len);
}

static void passed_once(void **state)
{
	uint8_t sent[512], got[1024];
	struct pair p;
	size_t len, sent_len;

	(void)state;
	open_pair(&p, 0);
	len = retransmit(&p, p.pub.broker, sent, &sent_len, got, sizeof(got));
	assert_int_equal(len, sent_len);
	assert_memory_equal(got, sent, len);
	close_pair(&p);
}

static void passed_twice_without(void **state)
{
	uint8_t sent[512], got[1024];
	struct pair p;
	size_t len, sent_len;

	(void)state;
	open_pair(&p, SHUNT_WITHOUT_OVERLAP);
	len = retransmit(&p, p.pub.broker, sent, &sent_len, got, sizeof(got));
	assert_true(len > sent_len);
	close_pair(&p);
}

static void forwarded_once(void **state)
{
	uint8_t sent[512], got[1024];
	struct pair p;
	size_t len, sent_len;

	(void)state;
	open_pair(&p, 0);
	assert_int_equal(live_flow(&p.pub, LIVE_TOPIC, &p.sub), 0);
	len = retransmit(&p, p.sub.client, sent, &sent_len, got, sizeof(got));
	assert_int_equal(len, sent_len);
	assert_memory_equal(got, sent, len);
	close_pair(&p);
}

static void forwarded_twice_without(void **state)
{
	uint8_t sent[512], got[1024];
	struct pair p;
	size_t len, sent_len;

	(void)state;
	open_pair(&p, SHUNT_WITHOUT_OVERLAP);
	assert_int_equal(live_flow(&p.pub, LIVE_TOPIC, &p.sub), 0);
	len = retransmit(&p, p.sub.client, sent, &sent_len, got, sizeof(got));
	assert_true(len > sent_len);
	close_pair(&p);
}

/* The daemon has read a part of an skb when the socket comes into the map; returns what it reads then. */
static size_t read_by_halves(uint32_t without, uint8_t *sent, size_t *sent_len, uint8_t *got, size_t size)
{
	struct live live;
	struct live_conn pub, sub;
	size_t len;

	live_open(&live, FP_ROAD_REMOTE, without | SHUNT_WITHOUT_BUSY);
	live_connect_plain(&live, &pub, "publisher");
	*sent_len = live_publish(sent, LIVE_TOPIC, 1, 0, 100);
	assert_int_equal(live_send_all(pub.client, sent, *sent_len), 0);
	live_await(pub.broker, -1);
	assert_int_equal(recv(pub.broker, got, HALF, MSG_DONTWAIT), HALF);
	pub.received = HALF;
	live_attach(&live, &pub);
	len = HALF + drain(pub.broker, got + HALF, size - HALF);

	/* the count goes on from there: the next packet is the kernel's */
	live_subscribe(&live, &sub, "subscriber");
	assert_int_equal(live_flow(&pub, LIVE_TOPIC, &sub), 0);
	fp_handled(&pub.link, len);
	if (!without) {
		uint8_t next[256];
		size_t next_len = live_publish(next, LIVE_TOPIC, 1, 1, 10);

		assert_int_equal(live_send_all(pub.client, next, next_len), 0);
		assert_true(live_expect(sub.client, next, next_len));
		assert_true(live_expect_nothing(pub.broker));
	}
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
	return len;
}

static void half_read_before(void **state)
{
	uint8_t sent[512], got[1024];
	size_t sent_len, len = read_by_halves(0, sent, &sent_len, got, sizeof(got));

	(void)state;
	assert_int_equal(len, sent_len);
	assert_memory_equal(got, sent, len);
}

static void half_read_before_without(void **state)
{
	uint8_t sent[512], got[1024];
	size_t sent_len, len = read_by_halves(SHUNT_WITHOUT_OVERLAP, sent, &sent_len, got, sizeof(got));

	(void)state;
	assert_int_equal(len, sent_len + HALF);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(passed_once),	    cmocka_unit_test(passed_twice_without),
	cmocka_unit_test(forwarded_once),   cmocka_unit_test(forwarded_twice_without),
	cmocka_unit_test(half_read_before), cmocka_unit_test(half_read_before_without),
};

LIVE_MAIN(tests)
