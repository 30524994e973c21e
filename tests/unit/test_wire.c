// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Framing, include/wire.h: section 2.2.3 of 3.1.1. */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_model.h"

static void assert_header(const uint8_t *b, size_t avail)
{
	const char *wrong = check_header(b, avail);

	if (wrong)
		fail_msg("%s: %zu of %02x %02x %02x %02x %02x", wrong, avail, b[0], b[1], b[2], b[3], b[4]);
}

/* Every combination of the interesting bytes, cut at every place. */
static void every_header(void **state)
{
	static const uint8_t edges[] = {0x00, 0x01, 0x02, 0x3f, 0x40, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff};
	static const uint8_t firsts[] = {0x00, 0x30, 0x7f, 0xff};
	const size_t n = sizeof(edges);
	uint8_t b[WIRE_HEADER_MAX];

	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		b[1] = edges[i % n];
		b[2] = edges[i / n % n];
		b[3] = edges[i / n / n % n];
		b[4] = edges[i / n / n / n];
		for (size_t first = 0; first < sizeof(firsts); first++) {
			b[0] = firsts[first];
			for (size_t avail = 0; avail <= sizeof(b); avail++)
				assert_header(b, avail);
		}
	}
}

/* Table 2.4: where one more byte is needed, with the number that the encoder writes there. */
static void every_length(void **state)
{
	static const uint32_t lengths[] = {3,	    126,     127,     128,     129,	  16382,
					   16383,   16384,   16385,   2097150, 2097151,	  2097152,
					   2097153, 9999999, 1 << 24, 1 << 27, 268435454, 268435455};
	const struct mqtt_publish publish = {.topic = mqtt_str("t")};
	uint8_t b[16];
	uint32_t header_len;
	size_t size;
	__s32 total;

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		size = mqtt_encode_publish_header(b, sizeof(b), MQTT_3_1_1, &publish, lengths[i] - 3, 0, NULL);
		total = wire_header(b, (uint32_t)size, &header_len);
		assert_int_equal(total, lengths[i] + header_len);
		assert_int_equal(size, header_len + 3);
		assert_int_equal(header_len, lengths[i] < 128	    ? 2
					     : lengths[i] < 16384   ? 3
					     : lengths[i] < 2097152 ? 4
								    : 5);
		for (size_t avail = 0; avail <= WIRE_HEADER_MAX; avail++)
			assert_header(b, avail);
	}
	assert_int_equal(
		mqtt_encode_publish_header(b, sizeof(b), MQTT_3_1_1, &publish, WIRE_REMAINING_MAX - 2, 0, NULL), 0);
	assert_int_equal(mqtt_encode_publish_header(NULL, 0, MQTT_3_1_1, &publish, SIZE_MAX, 0, NULL), 0);
}

enum {
	STREAM_PACKETS = 40,
	STREAM_MAX = 64 * 1024,
};

struct stream {
	uint8_t bytes[STREAM_MAX];
	size_t len;
	size_t ends[STREAM_PACKETS]; /* offsets behind each packet */
};

/* Packets of many kinds and sizes, one behind the other. */
static void make_stream(struct stream *s, uint64_t *rng)
{
	static const uint32_t sizes[] = {0, 1, 100, 122, 123, 124, 125, 126, 127, 128, 300, 16500};
	static const uint8_t payload[16500];
	struct mqtt_publish publish = {.topic = mqtt_str("a/b")};

	s->len = 0;
	for (size_t i = 0; i < STREAM_PACKETS; i++) {
		uint8_t *at = s->bytes + s->len;
		size_t room = sizeof(s->bytes) - s->len, len;

		publish.payload = (struct mqtt_str){.data = payload, .len = sizes[rng_below(rng, i % 20 ? 11 : 12)]};
		switch (rng_below(rng, 4)) {
		case 0:
			len = mqtt_encode_pingreq(at, room);
			break;
		case 1:
			len = mqtt_encode_ack(at, room, MQTT_3_1_1, MQTT_PUBACK, 0x8080, 0);
			break;
		default:
			len = mqtt_encode_publish(at, room, MQTT_3_1_1, &publish, 0, NULL);
		}
		assert_int_not_equal(len, 0);
		s->len += len;
		s->ends[i] = s->len;
	}
}

/* Take the whole packets of what is there, as a receiver would; returns the bytes taken. */
static size_t take_packets(const struct stream *s, size_t from, size_t to, size_t *packets)
{
	uint8_t header[WIRE_HEADER_MAX];
	uint32_t header_len;
	__s32 total;

	for (;;) {
		size_t there = to - from, copied = there < sizeof(header) ? there : sizeof(header);

		memset(header, 0xff, sizeof(header));
		memcpy(header, s->bytes + from, copied);
		total = wire_header(header, (uint32_t)there, &header_len);
		assert_true(total >= 0);
		if (total == WIRE_MORE || (size_t)total > there)
			return from;
		from += (size_t)total;
		assert_int_equal(from, s->ends[(*packets)++]);
	}
}

/* A stream that arrives in two parts, cut at every byte. */
static void every_split(void **state)
{
	static struct stream s;
	uint64_t seed = 20260201, rng = seed;
	size_t packets, taken;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	make_stream(&s, &rng);
	for (size_t split = 0; split <= s.len; split++) {
		packets = 0;
		taken = take_packets(&s, 0, split, &packets);
		assert_true(taken <= split);
		assert_true(packets == STREAM_PACKETS || split < s.ends[packets]);
		taken = take_packets(&s, taken, s.len, &packets);
		assert_int_equal(taken, s.len);
		assert_int_equal(packets, STREAM_PACKETS);
	}
}

static void topic_length(void **state)
{
	(void)state;
	assert_int_equal(wire_topic_len((const __u8[]){0, 1}, 3), 1);
	assert_int_equal(wire_topic_len((const __u8[]){0, 1}, 2), 0); /* does not fit */
	assert_int_equal(wire_topic_len((const __u8[]){0, 0}, 9), 0); /* [MQTT-4.7.3-1] */
	assert_int_equal(wire_topic_len((const __u8[]){0, 1}, 1), 0); /* not even a length */
	assert_int_equal(wire_topic_len((const __u8[]){0, 1}, 0), 0);
	assert_int_equal(wire_topic_len((const __u8[]){0xff, 0xff}, 65537), 65535);
	assert_int_equal(wire_topic_len((const __u8[]){0xff, 0xff}, 65536), 0);
	assert_int_equal(wire_topic_len((const __u8[]){0x01, 0x02}, WIRE_REMAINING_MAX), 258);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_header),
		cmocka_unit_test(every_length),
		cmocka_unit_test(every_split),
		cmocka_unit_test(topic_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
