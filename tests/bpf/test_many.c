// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * One message, several receivers, on the local road: every receiver gets the whole packet and nothing else, of any size that
 * is carried, also when not all copies find room in one message; a receiver that cannot take its copy now gets it by the
 * daemon, in order, and the others notice nothing; receivers that close harm nobody.
 *
 * Shown to bite: without the protection by SHUNT_WITHOUT_HOLD a copy reaches a receiver that is held, and overtakes one in the
 * sink; without the cap a stopped reader's queue grows beyond it.
 */
#include "live.h"

#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVERS = 200, MESSAGES = 20, CLOSES = 400 };

struct scene {
	struct live live;
	const char *topic;
	struct live_conn pub, sub[RECEIVERS];
	size_t n;
	/* of the sink */
	size_t diverted, diverted_bytes;
	uint32_t slot;
	uint8_t last[256];
};

static int flow_to_all(struct scene *s)
{
	struct fp_receiver to[RECEIVERS];

	for (size_t i = 0; i < s->n; i++) {
		const struct fp_link *link = &s->sub[i].link;

		to[i] = (struct fp_receiver){.road = link->road,
					     .form = s->sub[i].form,
					     .slot = link->slot,
					     .generation = link->generation,
					     .isn_pair = link->isn_pair};
	}
	return fp_flow_install(&s->pub.link, LIVE_NS, s->pub.form, s->topic, strlen(s->topic), to, s->n, NULL,
			       "receivers");
}

static void connect_as(struct scene *s, struct live_conn *c, const char *name, uint8_t form)
{
	live_connect_plain(&s->live, c, name);
	c->form = form;
	live_attach(&s->live, c);
	fp_handled(&c->link, 0);
}

/* A publisher of one form, n receivers of that form and others of the other. */
static struct scene *open_forms(const char *topic, uint8_t form, size_t n, size_t others, uint32_t without)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->topic = topic;
	live_open(&s->live, FP_ROAD_LOCAL, without);
	assert_true(fp_sink_open() >= 0);
	connect_as(s, &s->pub, "publisher", form);
	for (; s->n < n + others; s->n++) {
		/* mixed as far as there are some of both */
		bool other = s->n % 2 ? s->n / 2 < others : s->n / 2 >= n;

		connect_as(s, &s->sub[s->n], "subscriber", other ? !form : form);
		live_target(&s->sub[s->n]);
	}
	assert_int_equal(flow_to_all(s), 0);
	return s;
}

static struct scene *open_scene(size_t n, uint32_t without)
{
	return open_forms(LIVE_TOPIC, 0, n, 0, without);
}

static void close_scene(struct scene *s)
{
	live_disconnect(&s->pub);
	for (size_t i = 0; i < s->n; i++)
		live_disconnect(&s->sub[i]);
	live_close(&s->live);
	free(s);
}

static size_t publish(struct scene *s, uint32_t seq, size_t payload, uint8_t *packet)
{
	size_t len = live_publish(packet, LIVE_TOPIC, 1, seq, payload);

	assert_int_equal(live_send_all(s->pub.client, packet, len), 0);
	return len;
}

static void nothing_more(struct scene *s)
{
	assert_true(live_expect_nothing(s->pub.broker));
	for (size_t i = 0; i < s->n; i++)
		assert_true(live_expect_nothing(s->sub[i].client));
}

static void take(const struct fp_diverted *d, void *arg)
{
	struct scene *s = arg;

	s->diverted++;
	s->diverted_bytes += d->len;
	s->slot = d->slot;
	if (d->len <= sizeof(s->last))
		memcpy(s->last, d->packets, d->len);
}

/* Every number of receivers, and payloads up to the largest that is carried: with 200 of 16 kB there is room for two copies
 * at a time. */
static void copies(void **state)
{
	static const size_t numbers[] = {2, 3, 16, 64, RECEIVERS}, sizes[] = {8, 9, 40, 41, 100, 1000, 4096, 16300};
	static uint8_t packet[20000];

	(void)state;
	for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
		struct scene *s = open_scene(numbers[n], 0);
		struct fp_road_stats before, after;

		live_stats(FP_ROAD_LOCAL, &before);
		for (size_t z = 0; z < sizeof(sizes) / sizeof(sizes[0]); z++) {
			for (uint32_t m = 0; m < 3; m++) {
				size_t len = publish(s, m, sizes[z], packet);

				for (size_t i = 0; i < s->n; i++)
					assert_true(live_expect(s->sub[i].client, packet, len));
			}
		}
		nothing_more(s);
		live_stats(FP_ROAD_LOCAL, &after);
		assert_int_equal(after.taken - before.taken, 3 * sizeof(sizes) / sizeof(sizes[0]));
		assert_int_equal(after.forwarded - before.forwarded, s->n * (after.taken - before.taken));
		assert_int_equal(after.diverted, before.diverted);
		close_scene(s);
	}
}

/* Several packets in one send are copied together; a message that is too long passes. */
static void batches(void **state)
{
	struct scene *s = open_scene(5, 0);
	static uint8_t packets[40000];
	size_t len = 0;

	(void)state;
	for (uint32_t m = 0; m < MESSAGES; m++)
		len += live_publish(packets + len, LIVE_TOPIC, 1, m, 20 + m);
	assert_int_equal(live_send_all(s->pub.client, packets, len), 0);
	for (size_t i = 0; i < s->n; i++)
		assert_true(live_expect(s->sub[i].client, packets, len));
	len = publish(s, MESSAGES, SHUNT_COPY_MAX, packets);
	assert_true(live_expect(s->pub.broker, packets, len));
	nothing_more(s);
	close_scene(s);
}

/* A PUBLISH of 3.1.1 and the one of 5.0 without properties: section 3.3.2.3.1 of 5.0. */
static size_t packet_of_form(uint8_t *b, uint8_t form, const char *topic, size_t payload)
{
	size_t topic_len = strlen(topic), remaining = 2 + topic_len + form + payload, rest = remaining, at = 1;

	b[0] = WIRE_FAST_PUBLISH;
	do {
		b[at++] = (uint8_t)((rest & 127) | (rest > 127 ? 128 : 0));
		rest >>= 7;
	} while (rest);
	b[at++] = (uint8_t)(topic_len >> 8);
	b[at++] = (uint8_t)topic_len;
	memcpy(b + at, topic, topic_len);
	at += topic_len;
	if (form)
		b[at++] = 0;
	for (size_t i = 0; i < payload; i++)
		b[at + i] = (uint8_t)(i * 31 + payload);
	return at + payload;
}

static bool expect_form(struct live_conn *c, const char *topic, size_t payload)
{
	static uint8_t packet[20000];

	return live_expect(c->client, packet, packet_of_form(packet, c->form, topic, payload));
}

/* Versions 3 to 5 and back, at every length around those where the remaining length gets another byte, with any mixture of
 * receivers. */
static void forms(void **state)
{
	static const struct {
		size_t same, others;
	} sets[] = {{0, 1}, {1, 1}, {0, 2}, {3, 0}, {5, 3}, {2, 60}, {60, 2}};
	static const char *const topics[] = {"t", "a/topic/of/some/length"};
	static const size_t near[] = {0, 1, 100, 128, 5000, 16200};
	static uint8_t packet[20000];

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (unsigned form = 0; form < 2; form++) {
			const char *topic = topics[(i + form) % 2];
			struct scene *s = open_forms(topic, (uint8_t)form, sets[i].same, sets[i].others, 0);
			struct fp_road_stats stats;
			uint64_t messages = 0;

			for (size_t n = 0; n < sizeof(near) / sizeof(near[0]); n++) {
				size_t from = near[n] > strlen(topic) + 6 ? near[n] - strlen(topic) - 6 : 0;

				for (size_t payload = from; payload < from + 12; payload++, messages++) {
					size_t len = packet_of_form(packet, (uint8_t)form, topic, payload);

					assert_int_equal(live_send_all(s->pub.client, packet, len), 0);
					for (size_t r = 0; r < s->n; r++)
						assert_true(expect_form(&s->sub[r], topic, payload));
				}
			}
			nothing_more(s);
			live_stats(FP_ROAD_LOCAL, &stats);
			assert_int_equal(stats.taken, messages);
			assert_int_equal(stats.forwarded, messages * s->n);
			close_scene(s);
		}
	}
}

/* What goes to the sink is in the receiver's form; several packets at once are not changed, but pass. */
static void forms_and_sink(void **state)
{
	struct scene *s = open_forms(LIVE_TOPIC, 0, 1, 1, 0);
	static uint8_t packet[1000], other[1000];
	size_t len = packet_of_form(packet, 0, LIVE_TOPIC, 50), other_len;

	(void)state;
	assert_int_equal(s->sub[1].form, 1);
	fp_hold(&s->sub[1].link, true);
	assert_int_equal(live_send_all(s->pub.client, packet, len), 0);
	assert_true(expect_form(&s->sub[0], LIVE_TOPIC, 50));
	fp_sink_read(take, s);
	other_len = packet_of_form(other, 1, LIVE_TOPIC, 50);
	assert_int_equal(s->diverted, 1);
	assert_int_equal(s->diverted_bytes, other_len);
	assert_memory_equal(s->last, other, other_len);
	fp_hold(&s->sub[1].link, false);
	fp_returned(&s->sub[1].link, 1);

	len += packet_of_form(packet + len, 0, LIVE_TOPIC, 60);
	assert_int_equal(live_send_all(s->pub.client, packet, len), 0);
	assert_true(live_expect(s->pub.broker, packet, len));
	nothing_more(s);
	close_scene(s);
}

/* Publish to 4 of which the third cannot take it: that one's copy is in the sink. Whether it is. */
static bool goes_to_sink(struct scene *s, uint32_t seq)
{
	uint8_t packet[256];
	size_t len = publish(s, seq, 30, packet), before = s->diverted;

	for (size_t i = 0; i < s->n; i++)
		if (i != 2)
			assert_true(live_expect(s->sub[i].client, packet, len));
	fp_sink_read(take, s);
	if (s->diverted == before) {
		assert_true(live_expect(s->sub[2].client, packet, len));
		return false;
	}
	assert_int_equal(s->diverted, before + 1);
	assert_int_equal(s->slot, s->sub[2].link.slot);
	assert_memory_equal(s->last, packet, len);
	nothing_more(s);
	return true;
}

static void held(void **state)
{
	struct scene *s = open_scene(4, 0);
	uint32_t seq = 0;

	(void)state;
	assert_false(goes_to_sink(s, seq++));
	fp_hold(&s->sub[2].link, true);
	assert_true(goes_to_sink(s, seq++));
	fp_hold(&s->sub[2].link, false);
	assert_true(goes_to_sink(s, seq++)); /* behind the one that the daemon has not returned */
	fp_returned(&s->sub[2].link, 1);
	assert_true(goes_to_sink(s, seq++));
	fp_returned(&s->sub[2].link, 2);
	assert_false(goes_to_sink(s, seq++));
	close_scene(s);
}

static void without_hold(void **state)
{
	struct scene *s = open_scene(4, SHUNT_WITHOUT_HOLD);

	(void)state;
	fp_hold(&s->sub[2].link, true);
	assert_false(goes_to_sink(s, 0));
	close_scene(s);
}

/* A receiver that was retired, or whose slot another connection has, gets nothing; its copy names the old one. */
static void retired(void **state)
{
	struct scene *s = open_scene(4, 0);

	(void)state;
	fp_retire(&s->sub[2].link);
	assert_true(goes_to_sink(s, 0));
	close_scene(s);
}

/* Bytes unread at a receiver that stopped reading, and bytes in the sink, after much more was published than the cap. */
static void stop_reading(uint32_t without, uint32_t *unread, size_t *diverted)
{
	struct scene *s = open_scene(4, without);
	static uint8_t packet[2000], got[2000];
	uint32_t in_use;

	for (uint32_t m = 0; m < 4 * FP_LOCAL_FLOW_CAP / 1000; m++) {
		size_t len = publish(s, m, 1000, packet);

		for (size_t i = 0; i < s->n; i++) {
			if (i != 2) {
				assert_int_equal(recv(s->sub[i].client, got, len, MSG_WAITALL | MSG_DONTWAIT), len);
				assert_memory_equal(got, packet, len);
			}
		}
		fp_sink_read(take, s);
	}
	assert_int_equal(fp_look(s->sub[2].link.isn_pair, unread, &in_use), 0);
	*diverted = s->diverted;
	close_scene(s);
}

static void full(void **state)
{
	size_t diverted;
	uint32_t unread;

	(void)state;
	stop_reading(0, &unread, &diverted);
	assert_in_range(unread, FP_LOCAL_FLOW_CAP, FP_LOCAL_FLOW_CAP + 2000);
	assert_in_range(diverted, 2 * FP_LOCAL_FLOW_CAP / 1000, 4 * FP_LOCAL_FLOW_CAP / 1000);
}

static void without_cap(void **state)
{
	size_t diverted;
	uint32_t unread;

	(void)state;
	stop_reading(SHUNT_WITHOUT_CAP, &unread, &diverted);
	assert_true(unread > 3 * FP_LOCAL_FLOW_CAP);
	assert_int_equal(diverted, 0);
}

/* A sink that nobody reads: what goes there ends at its cap, and then messages pass. */
static void sink_is_bounded(void **state)
{
	struct scene *s = open_scene(4, 0);
	static uint8_t packet[12000];
	struct fp_road_stats stats;

	(void)state;
	fp_hold(&s->sub[2].link, true);
	for (uint32_t m = 0; m < 2 * SHUNT_SINK_CAP / 10000; m++) {
		size_t len = publish(s, m, 10000, packet);

		if (recv(s->sub[0].client, packet, len, MSG_DONTWAIT) < 0)
			break;
		assert_true(live_expect(s->sub[1].client, packet, len) && live_expect(s->sub[3].client, packet, len));
	}
	live_stats(FP_ROAD_LOCAL, &stats);
	assert_in_range(stats.diverted, SHUNT_SINK_CAP / 12000, SHUNT_SINK_CAP / 9000);
	assert_int_equal(stats.passed_full, 1);
	fp_sink_read(take, s);
	assert_int_equal(s->diverted, stats.diverted);
	assert_false(fp_sink_waits());
	close_scene(s);
}

/* Until the kernel takes messages, or the publisher fails. */
static void wait_for_traffic(const struct live_publisher *publisher)
{
	struct fp_road_stats before, now;

	live_stats(FP_ROAD_LOCAL, &before);
	do {
		live_sleep_us(20);
		live_stats(FP_ROAD_LOCAL, &now);
	} while (now.taken == before.taken && !live_load(&publisher->errors));
}

/* Receivers close, one after the other, in the middle of the traffic. */
static void receivers_close(void **state)
{
	struct live_publisher publisher = {.id = 1, .min = 16, .max = 300};
	struct scene *s = open_scene(8, 0);
	struct live_daemon daemon = {0}; /* so that the fence opens again after what passes while there is no flow */
	struct live_reader reader[4] = {0};
	struct fp_road_stats stats;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		live_reader_start(&reader[i], s->sub[i].client);
	live_daemon_add(&daemon, &s->pub);
	live_daemon_start(&daemon);
	publisher.conn = &s->pub;
	publisher.every_us = 10;
	live_publisher_start(&publisher);
	for (unsigned c = 0; c < CLOSES && !live_load(&publisher.errors); c++) {
		struct live_conn *sub = &s->sub[4 + c % 4];
		uint8_t drain[65536];

		wait_for_traffic(&publisher);
		live_sleep_us(c % 50);
		close(sub->client);
		sub->client = -1;
		live_disconnect(sub);
		live_subscribe(&s->live, sub, "subscriber");
		assert_int_equal(flow_to_all(s), 0);
		for (size_t i = 4; i < 8; i++)
			while (recv(s->sub[i].client, drain, sizeof(drain), MSG_DONTWAIT) > 0)
				continue;
		fp_sink_read(take, s);
	}
	live_stats(FP_ROAD_LOCAL, &stats);
	live_publisher_stop(&publisher);
	live_daemon_stop(&daemon);
	for (size_t i = 0; i < 4; i++)
		live_reader_stop(&reader[i]);
	assert_int_equal(publisher.errors, 0);
	assert_int_equal(live_sigpipes(), 0);
	assert_true(stats.taken >= CLOSES);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(reader[i].reordered + reader[i].broken, 0);
		assert_true(reader[i].messages > 0);
	}
	close_scene(s);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(copies),
	cmocka_unit_test(batches),
	cmocka_unit_test(forms),
	cmocka_unit_test(forms_and_sink),
	cmocka_unit_test(held),
	cmocka_unit_test(without_hold),
	cmocka_unit_test(retired),
	cmocka_unit_test(full),
	cmocka_unit_test(without_cap),
	cmocka_unit_test(sink_is_bounded),
	cmocka_unit_test(receivers_close),
};

LIVE_MAIN(tests)
