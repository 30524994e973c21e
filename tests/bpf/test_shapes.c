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
	live_await(p.pub.broker, -1);
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
	uint8_t b[256] = {0};

	check_company(live_road(state), b, live_publish(b, OTHER_TOPIC, 1, 0, 60));
}

static void half_packet_behind(void **state)
{
	uint8_t b[256] = {0};

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
	size_t len = 0, came = 0;
	ssize_t n;

	open_pair(&p, road);
	for (uint32_t i = 0; i < 5; i++)
		len += live_publish(b + len, LIVE_TOPIC, 1, i, payloads[i]);
	assert_int_equal(live_send_all(p.pub.client, b, len), 0);
	while (came < len) {
		live_await(p.sub.client, p.pub.broker);
		n = recv(p.sub.client, b, sizeof(b), MSG_DONTWAIT);
		if (n > 0)
			live_check(&reader, b, (size_t)n);
		came += n > 0 ? (size_t)n : 0;
		n = recv(p.pub.broker, b, sizeof(b), MSG_DONTWAIT);
		came += n > 0 ? (size_t)n : 0;
	}
	live_stats(road, &stats);
	assert_int_equal(reader.messages, stats.forwarded);
	assert_int_equal(reader.bytes, stats.forwarded_bytes);
	live_assert_intact(&reader);
	live_free(&reader.in);
	close_pair(&p);
}

/* ---- with a daemon ------------------------------------------------------------------------------------------------ */

struct scene {
	struct live live;
	struct live_conn pub, sub;
	struct live_daemon daemon;
	struct live_reader reader;
	struct fp_road_stats stats;
	uint32_t seq;
};

static void open_scene(struct scene *s, enum fp_road road)
{
	memset(s, 0, sizeof(*s));
	live_open(&s->live, road, SHUNT_WITHOUT_BUSY);
	live_connect(&s->live, &s->pub, "publisher");
	live_subscribe(&s->live, &s->sub, "subscriber");
	s->daemon.receiver = &s->sub;
	live_daemon_add(&s->daemon, &s->pub);
	live_daemon_add(&s->daemon, &s->sub);
	assert_int_equal(live_flow(&s->pub, LIVE_TOPIC, &s->sub), 0);
	live_daemon_start(&s->daemon);
	live_reader_start(&s->reader, s->sub.client);
}

/* All has come, whole and in order, and each packet went one way. */
static void close_scene(struct scene *s)
{
	bool all = live_reader_wait(&s->reader, s->seq, 3000);

	live_stats(s->live.road, &s->stats);
	live_daemon_stop(&s->daemon);
	live_reader_stop(&s->reader);
	live_assert_intact(&s->reader);
	assert_true(all);
	assert_int_equal(s->reader.messages, s->seq);
	assert_int_equal(s->stats.forwarded + s->daemon.routed, s->seq);
	live_disconnect(&s->pub);
	live_disconnect(&s->sub);
	live_close(&s->live);
}

static size_t next(struct scene *s, uint8_t *b, size_t payload)
{
	return live_publish(b, LIVE_TOPIC, 1, s->seq++, payload);
}

static void pause_now_and_then(uint32_t i)
{
	if (i % 3 == 0)
		live_sleep_us(1000);
}

/* Header, topic and payload each in a piece of its own. */
static void gathered(void **state)
{
	uint8_t b[4096];
	struct scene s;

	open_scene(&s, live_road(state));
	for (uint32_t i = 0; i < 500; i++) {
		size_t len = next(&s, b, 8 + i * 5);
		struct iovec iov[] = {{b, 2}, {b + 2, 3}, {b + 5, 10}, {b + 15, len - 15}};

		assert_int_equal(writev(s.pub.client, iov, 4), len);
		pause_now_and_then(i);
	}
	close_scene(&s);
	assert_true(s.stats.forwarded > 0);
}

static void with_more_to_come(void **state)
{
	uint8_t b[2048];
	struct scene s;

	open_scene(&s, live_road(state));
	for (uint32_t i = 0; i < 500; i++) {
		size_t len = next(&s, b, 8 + i % 700), head = i % 2 ? 2 : len;

		assert_int_equal(send(s.pub.client, b, head, MSG_MORE), head);
		if (head < len)
			assert_int_equal(send(s.pub.client, b + head, len - head, i % 4 == 1 ? MSG_MORE : 0),
					 len - head);
		pause_now_and_then(i);
	}
	s.seq++; /* a last one without, which pushes the others out */
	assert_int_equal(live_send_all(s.pub.client, b, live_publish(b, LIVE_TOPIC, 1, s.seq - 1, 20)), 0);
	close_scene(&s);
}

/* sendfile and splice hand over pages that belong to a file or a pipe. */
static void from_a_file(void **state)
{
	enum { COUNT = 300 };
	uint8_t b[8192];
	char path[] = "/tmp/shunt-shapes-XXXXXX";
	int file = mkstemp(path), ends[2];
	off_t at = 0;
	struct scene s;

	assert_true(file >= 0);
	unlink(path);
	assert_int_equal(pipe(ends), 0);
	open_scene(&s, live_road(state));
	for (uint32_t i = 0; i < COUNT; i++) {
		size_t len = next(&s, b, 8 + i * 13 % 4000);

		if (i % 2) {
			assert_int_equal(pwrite(file, b, len, at), len);
			assert_int_equal(sendfile(s.pub.client, file, &at, len), len);
		} else {
			assert_int_equal(write(ends[1], b, len), len);
			assert_int_equal(splice(ends[0], NULL, s.pub.client, NULL, len, SPLICE_F_MOVE), len);
		}
		pause_now_and_then(i);
	}
	close_scene(&s);
	close(file);
	close(ends[0]);
	close(ends[1]);
}

static void many_in_one(void **state)
{
	static uint8_t b[1 << 20];
	uint64_t rng = 3;
	struct scene s;

	open_scene(&s, live_road(state));
	for (uint32_t i = 0; i < 150; i++) {
		size_t len = 0, count = 1 + live_random(&rng) % 300;

		while (count--)
			len += next(&s, b + len, 8 + live_random(&rng) % (i % 2 ? 60 : 3000));
		assert_int_equal(live_send_all(s.pub.client, b, len), 0);
		live_sleep_us(i % 2 ? 500 : 3000);
	}
	close_scene(&s);
}

/* Up to 200 kB, with each edge of the Remaining Length. */
static void sizes(void **state)
{
	static const size_t payloads[] = {8,	 9,	100,   114,   115,   116,   117,   1000,  4000,	  4096,
					  16300, 16370, 16371, 16372, 16373, 32768, 60000, 65536, 100000, 200000};
	uint8_t *b = malloc(300000);
	struct scene s;

	assert_non_null(b);
	open_scene(&s, live_road(state));
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(live_send_all(s.pub.client, b, next(&s, b, payloads[i % 20])), 0);
		live_sleep_us(1500);
	}
	close_scene(&s);
	assert_true(s.stats.forwarded > 0);
	free(b);
}

/* The longest topic that a flow can have is forwarded, and one more byte is not. */
static void topic_lengths(void **state)
{
	static const size_t lengths[] = {1, 2, 127, 128, 129, 1000};
	char topic[1001];
	uint8_t b[2048];
	struct pair p;

	open_pair(&p, live_road(state));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		bool fits = lengths[i] <= SHUNT_TOPIC_MAX;
		size_t len;

		live_sleep_us((FP_BUSY_MS + 5) * 1000);
		fp_heartbeat(0);
		memset(topic, 'x', lengths[i]);
		topic[lengths[i]] = '\0';
		assert_int_equal(fp_flow_wanted(&p.pub.link, topic, lengths[i]), fits);
		assert_int_equal(live_flow(&p.pub, topic, &p.sub) == 0, fits);
		len = live_publish(b, topic, 1, 0, 30);
		assert_int_equal(live_send_all(p.pub.client, b, len), 0);
		assert_true(live_expect(fits ? p.sub.client : p.pub.broker, b, len));
		assert_true(live_expect_nothing(fits ? p.pub.broker : p.sub.client));
		if (!fits)
			p.received += len;
		fp_handled(&p.pub.link, p.received);
	}
	close_pair(&p);
}

/* Nothing but a plain PUBLISH: QoS, RETAIN, DUP, other types, malformed lengths and topics are the daemon's. */
static void others_pass(void **state)
{
	static const uint8_t firsts[] = {0x31, 0x32, 0x34, 0x38, 0x3a, 0x36, 0x10, 0x20,
					 0x40, 0x82, 0xa2, 0xc0, 0xe0, 0x00, 0xf0};
	static const uint8_t odd[][8] = {
		{0x30, 0},			/* no topic */
		{0x30, 2, 0, 0},		/* an empty one */
		{0x30, 3, 0, 2, 'x'},		/* longer than the packet */
		{0x30, 0xff, 0xff, 0xff, 0xff}, /* no length */
	};
	static const size_t odd_len[] = {2, 4, 5, 5};
	struct fp_road_stats stats;
	uint8_t b[256];
	struct pair p;

	open_pair(&p, live_road(state));
	for (size_t i = 0; i < sizeof(firsts) + 4; i++) {
		size_t len = live_publish(b, LIVE_TOPIC, 1, 0, 30);

		if (i < sizeof(firsts)) {
			b[0] = firsts[i];
		} else {
			len = odd_len[i - sizeof(firsts)];
			memcpy(b, odd[i - sizeof(firsts)], len);
		}
		fp_heartbeat(0);
		assert_int_equal(live_send_all(p.pub.client, b, len), 0);
		assert_true(live_expect(p.pub.broker, b, len));
		assert_true(live_expect_nothing(p.sub.client));
		p.received += len;
		fp_handled(&p.pub.link, p.received);
	}
	live_stats(live_road(state), &stats);
	assert_int_equal(stats.passed_shape, sizeof(firsts) + 4);
	close_pair(&p);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(pingreq_behind), LIVE_BOTH_ROADS(other_topic_behind), LIVE_BOTH_ROADS(half_packet_behind),
	LIVE_BOTH_ROADS(several_sizes),	 LIVE_BOTH_ROADS(gathered),	      LIVE_BOTH_ROADS(with_more_to_come),
	LIVE_BOTH_ROADS(from_a_file),	 LIVE_BOTH_ROADS(many_in_one),	      LIVE_BOTH_ROADS(sizes),
	LIVE_BOTH_ROADS(topic_lengths),	 LIVE_BOTH_ROADS(others_pass),
};

LIVE_MAIN(tests)
