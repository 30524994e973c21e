// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * One send of the daemon, several receivers: each gets the bytes whole, at once and in its place among what it is sent by other
 * ways; one that is gone is named, and costs the others nothing.
 */
#include "live.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVERS = 100, ROUNDS = 3000, CLOSES = 400, LAST_FD = 4096 };

struct scene {
	struct live live;
	struct live_conn sub[RECEIVERS];
	struct fp_link *links[RECEIVERS];
	bool told[RECEIVERS];
	size_t n;
};

static struct scene *open_scene(size_t n, uint32_t without)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	live_open(&s->live, FP_ROAD_LOCAL, without);
	assert_int_equal(fp_herald_open(), 0);
	for (; s->n < n; s->n++) {
		live_subscribe(&s->live, &s->sub[s->n], "subscriber");
		s->links[s->n] = &s->sub[s->n].link;
	}
	return s;
}

static void close_scene(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		live_disconnect(&s->sub[i]);
	live_close(&s->live);
	free(s);
}

static void nothing_more(struct scene *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->sub[i].client >= 0)
			assert_true(live_expect_nothing(s->sub[i].client));
}

static size_t tell(struct scene *s, const uint8_t *packet, size_t len)
{
	return fp_tell(s->links, s->n, packet, len, s->told);
}

/* All but those whose client's end is closed got the message `seq`, and are said to have it. */
static void tell_living(struct scene *s, uint32_t seq, size_t payload)
{
	static uint8_t packet[FP_LOCAL_WHOLE];
	size_t len = live_publish(packet, LIVE_TOPIC, LIVE_OWN, seq, payload), living = 0;
	size_t count = tell(s, packet, len);

	for (size_t i = 0; i < s->n; i++) {
		bool lives = s->sub[i].client >= 0;

		assert_int_equal(s->told[i], lives);
		if (lives)
			assert_true(live_expect(s->sub[i].client, packet, len));
		living += lives;
	}
	assert_int_equal(count, living);
}

static uint64_t told_in_all(void)
{
	struct fp_stats stats;

	fp_stats(&stats);
	return stats.told;
}

/* As many as fit, of every size; the kernel counts them as the daemon's own. */
static void copies(void **state)
{
	static const size_t sizes[] = {8, 9, 63, 100, 127, 128, 1000, 4000, 4096, 9000, 20000, 40000};

	(void)state;
	for (size_t z = 0; z < sizeof(sizes) / sizeof(sizes[0]); z++) {
		size_t most = fp_tell_max(1), expected;
		struct fp_road_stats stats;
		struct scene *s;

		assert_int_equal(most, 0); /* no herald yet */
		s = open_scene(0, 0);
		most = fp_tell_max(sizes[z] + LIVE_OVERHEAD + strlen(LIVE_TOPIC));
		close_scene(s);
		assert_true(most >= 1);
		s = open_scene(most < RECEIVERS ? most : RECEIVERS, 0);
		for (uint32_t seq = 0; seq < 5; seq++)
			tell_living(s, seq, sizes[z]);
		nothing_more(s);
		expected = 5 * s->n;
		assert_int_equal(told_in_all(), expected);
		live_stats(FP_ROAD_LOCAL, &stats);
		assert_int_equal(stats.forwarded, 0);
		close_scene(s);
	}
}

static void limits(void **state)
{
	struct scene *s = open_scene(1, 0);

	(void)state;
	assert_int_equal(fp_tell_max(1), FP_TELL_MAX);
	assert_int_equal(fp_tell_max(FP_LOCAL_WHOLE), 1);
	assert_int_equal(fp_tell_max(FP_LOCAL_WHOLE + 1), 0);
	assert_int_equal(fp_tell_max(0), 0);
	assert_true(fp_tell_fits(s->links[0]));
	s->links[0]->large_left = 1;
	assert_false(fp_tell_fits(s->links[0]));
	s->links[0]->large_left = 0;
	s->links[0]->draining = true;
	assert_false(fp_tell_fits(s->links[0]));
	s->links[0]->draining = false;
	assert_false(fp_tell_fits(&(struct fp_link){0}));
	assert_false(fp_tell_fits(&(struct fp_link){.road = FP_ROAD_REMOTE, .slot = 1}));
	close_scene(s);
}

/* The first, the last and some in between have gone; then all but one, then all. */
static void closed(void **state)
{
	static const size_t gone[] = {0, 9, 4, 5, 6};
	struct scene *s = open_scene(10, 0);
	uint32_t seq = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		close(s->sub[gone[i]].client);
		s->sub[gone[i]].client = -1;
		tell_living(s, seq++, 50);
		tell_living(s, seq++, 5000);
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->sub[i].client < 0)
			continue;
		close(s->sub[i].client);
		s->sub[i].client = -1;
		tell_living(s, seq++, 50);
	}
	nothing_more(s);
	close_scene(s);
}

/* A link whose slot another connection has now: the new one gets nothing that is not its own. */
static void other_connection(void **state)
{
	struct scene *s = open_scene(4, 0);
	struct fp_link old = s->sub[1].link, *links[] = {&old, s->links[1]};
	uint8_t packet[100];
	size_t len = live_publish(packet, LIVE_TOPIC, LIVE_OWN, 0, 20);

	(void)state;
	old.isn_pair ^= 1;
	assert_int_equal(fp_tell(links, 2, packet, len, s->told), 1);
	assert_false(s->told[0]);
	assert_true(s->told[1]);
	assert_true(live_expect(s->sub[1].client, packet, len));
	nothing_more(s);
	close_scene(s);
}

/* A receiver that does not read: the daemon is told not to go on in time. */
static void full(void **state)
{
	struct scene *s = open_scene(4, 0);
	static uint8_t packet[FP_LOCAL_WHOLE];
	size_t len = live_publish(packet, LIVE_TOPIC, LIVE_OWN, 0, 10000), rounds = 0;
	uint32_t unread, in_use;

	(void)state;
	for (; fp_tell_fits(s->links[2]); rounds++) {
		assert_int_equal(tell(s, packet, len), 4);
		for (size_t i = 0; i < s->n; i++)
			if (i != 2)
				assert_true(live_expect(s->sub[i].client, packet, len));
	}
	assert_int_equal(fp_look(s->links[2]->isn_pair, &unread, &in_use), 0);
	assert_in_range(unread, FP_LOCAL_DAEMON_CAP, FP_LOCAL_DAEMON_CAP + 2 * len);
	assert_true(fp_tell_fits(s->links[0]));
	for (size_t i = 0; i < rounds; i++)
		assert_true(live_expect(s->sub[2].client, packet, len));
	nothing_more(s);
	close_scene(s);
}

/* Every receiver's stream has three writers: sends to all, sends to one, and a flow of a publisher. Readers look at order and
 * at each byte. */
static void among_others(void **state)
{
	struct live_publisher publisher = {.id = 1, .min = 16, .max = 300, .every_us = 20};
	struct live_reader readers[8] = {0};
	struct live_daemon daemon = {0};
	struct scene *s = open_scene(8, 0);
	struct fp_receiver to[8];
	struct live_conn pub = {0};
	uint64_t rng = 7;
	static uint8_t packet[FP_LOCAL_WHOLE];

	(void)state;
	assert_true(fp_sink_open() >= 0);
	live_connect(&s->live, &pub, "publisher");
	fp_handled(&pub.link, 0);
	for (size_t i = 0; i < s->n; i++) {
		const struct fp_link *link = s->links[i];

		to[i] = (struct fp_receiver){.road = link->road,
					     .slot = link->slot,
					     .generation = link->generation,
					     .isn_pair = link->isn_pair};
		live_reader_start(&readers[i], s->sub[i].client);
	}
	assert_int_equal(fp_flow_install(&pub.link, LIVE_NS, 0, LIVE_TOPIC, strlen(LIVE_TOPIC), to, s->n, NULL, "all"),
			 0);
	live_daemon_add(&daemon, &pub);
	live_daemon_start(&daemon);
	publisher.conn = &pub;
	live_publisher_start(&publisher);
	for (uint32_t seq = 0; seq < ROUNDS; seq++) {
		size_t len = live_publish(packet, LIVE_TOPIC, LIVE_OWN, seq, 8 + live_random(&rng) % 6000);
		bool all = live_random(&rng) % 3;

		if (all && fp_tell_max(len) >= s->n)
			assert_true(tell(s, packet, len) <= s->n);
		else
			memset(s->told, 0, sizeof(s->told));
		for (size_t i = 0; i < s->n; i++)
			if (!s->told[i])
				assert_int_equal(live_send(&s->sub[i], packet, len), len);
	}
	live_publisher_stop(&publisher);
	assert_int_equal(publisher.errors, 0);
	live_daemon_stop(&daemon);
	assert_true(told_in_all() > ROUNDS);
	for (size_t i = 0; i < s->n; i++) {
		live_reader_wait(&readers[i], UINT64_MAX, 200);
		live_reader_stop(&readers[i]);
		live_assert_intact(&readers[i]);
		assert_int_equal(live_load(&readers[i].own), ROUNDS);
	}
	live_disconnect(&pub);
	close_scene(s);
}

struct closer {
	struct live_conn *sub;
	unsigned after_us;
	pthread_t thread;
};

static void *close_it(void *arg)
{
	struct closer *c = arg;

	live_sleep_us(c->after_us);
	close(c->sub->client);
	c->sub->client = -1;
	return NULL;
}

/* Receivers close in the middle of a send to all. */
static void receivers_close(void **state)
{
	struct scene *s = open_scene(16, 0);
	struct live_reader readers[8] = {0};
	static uint8_t packet[FP_LOCAL_WHOLE];
	uint32_t seq = 0;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		live_reader_start(&readers[i], s->sub[i].client);
	for (unsigned c = 0; c < CLOSES; c++) {
		struct closer closer = {.sub = &s->sub[8 + c % 8], .after_us = c % 60};

		assert_int_equal(pthread_create(&closer.thread, NULL, close_it, &closer), 0);
		for (unsigned round = 0; round < 10; round++, seq++) {
			size_t len = live_publish(packet, LIVE_TOPIC, 1, seq, 300);
			uint8_t drain[65536];

			tell(s, packet, len);
			for (size_t i = 0; i < 8; i++)
				assert_true(s->told[i]);
			for (size_t i = 8; i < s->n; i++)
				if (&s->sub[i] != closer.sub)
					while (recv(s->sub[i].client, drain, sizeof(drain), MSG_DONTWAIT) > 0)
						;
		}
		pthread_join(closer.thread, NULL);
		live_disconnect(closer.sub);
		live_subscribe(&s->live, closer.sub, "subscriber");
	}
	for (size_t i = 0; i < 8; i++) {
		assert_true(live_reader_wait(&readers[i], seq, 2000));
		live_reader_stop(&readers[i]);
		live_assert_intact(&readers[i]);
	}
	close_scene(s);
}

/* The descriptor of the herald: the only socket whose two ends have one address. */
static int herald_fd(void)
{
	for (int fd = 3; fd < LAST_FD; fd++) {
		struct sockaddr_storage a = {0}, b = {0};
		socklen_t a_len = sizeof(a), b_len = sizeof(b);

		if (!getsockname(fd, (struct sockaddr *)&a, &a_len) &&
		    !getpeername(fd, (struct sockaddr *)&b, &b_len) && a.ss_family == AF_INET && a_len == b_len &&
		    memcmp(&a, &b, a_len) == 0)
			return fd;
	}
	return -1;
}

/* Somebody cuts it: nobody is told any more, and nothing is lost. */
static void cut(void **state)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct scene *s = open_scene(4, 0);
	uint8_t packet[100];
	size_t len = live_publish(packet, LIVE_TOPIC, LIVE_OWN, 0, 20);

	(void)state;
	assert_true(herald_fd() >= 0);
	assert_int_equal(connect(herald_fd(), &nobody, sizeof(nobody)), 0); /* as `ss -K` would */
	assert_int_equal(tell(s, packet, len), 0);
	for (size_t i = 0; i < s->n; i++)
		assert_false(s->told[i]);
	assert_int_equal(fp_tell_max(len), 0);
	nothing_more(s);
	assert_int_equal(live_send(&s->sub[0], packet, len), len);
	assert_true(live_expect(s->sub[0].client, packet, len));
	close_scene(s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(copies),	    cmocka_unit_test(limits), cmocka_unit_test(closed),
	cmocka_unit_test(other_connection), cmocka_unit_test(full),   cmocka_unit_test(among_others),
	cmocka_unit_test(receivers_close),  cmocka_unit_test(cut),
};

LIVE_MAIN(tests)
