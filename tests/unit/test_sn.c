// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Packets of MQTT-SN 1.2, section 5, and the topic ids of a session. */
#include "sn/packet.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "mqtt_hex.h"
#include "sn/topics.h"

#define STRING(s)                                   \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

/* What each packet looks like; all of it was read by tshark's dissector, too, see test_sn_wire.py. */
static const struct {
	const char *hex;
	struct sn_packet packet;
} vectors[] = {
	{"05 00 01 0384", {.type = SN_ADVERTISE, .gateway = 1, .duration = 900}},
	{"03 01 02", {.type = SN_SEARCHGW, .radius = 2}},
	{"03 02 07", {.type = SN_GWINFO, .gateway = 7}},
	{"07 02 07 7f000001", {.type = SN_GWINFO, .gateway = 7, .data = STRING("\x7f\0\0\1")}},
	{"0c 04 0c 01 003c 'sensor'",
	 {.type = SN_CONNECT, .will = true, .clean = true, .protocol = 1, .duration = 60, .data = STRING("sensor")}},
	{"03 05 01", {.type = SN_CONNACK, .code = SN_CONGESTION}},
	{"02 06", {.type = SN_WILLTOPICREQ}},
	{"06 07 50 'a/b'", {.type = SN_WILLTOPIC, .qos = 2, .retain = true, .data = STRING("a/b")}},
	{"02 07", {.type = SN_WILLTOPIC, .empty = true}},
	{"02 08", {.type = SN_WILLMSGREQ}},
	{"06 09 'gone'", {.type = SN_WILLMSG, .data = STRING("gone")}},
	{"02 09", {.type = SN_WILLMSG}},
	{"09 0a 0000 0001 'a/b'", {.type = SN_REGISTER, .msg_id = 1, .data = STRING("a/b")}},
	{"07 0b 0004 0001 02", {.type = SN_REGACK, .topic_id = 4, .msg_id = 1, .code = SN_INVALID_TOPIC}},
	{"09 0c b2 6162 0002 'hi'",
	 {.type = SN_PUBLISH,
	  .dup = true,
	  .qos = 1,
	  .retain = true,
	  .topic_type = SN_TOPIC_SHORT,
	  .topic_id = 0x6162,
	  .msg_id = 2,
	  .data = STRING("hi")}},
	{"07 0c 61 0005 0000",
	 {.type = SN_PUBLISH, .qos = SN_QOS_MINUS_ONE, .topic_type = SN_TOPIC_PREDEFINED, .topic_id = 5}},
	{"07 0d 0004 0002 03", {.type = SN_PUBACK, .topic_id = 4, .msg_id = 2, .code = SN_NOT_SUPPORTED}},
	{"04 0e 0002", {.type = SN_PUBCOMP, .msg_id = 2}},
	{"04 0f 0002", {.type = SN_PUBREC, .msg_id = 2}},
	{"04 10 0002", {.type = SN_PUBREL, .msg_id = 2}},
	{"08 12 20 0001 'a/#'", {.type = SN_SUBSCRIBE, .qos = 1, .msg_id = 1, .data = STRING("a/#")}},
	{"07 12 41 0001 0005",
	 {.type = SN_SUBSCRIBE, .qos = 2, .topic_type = SN_TOPIC_PREDEFINED, .msg_id = 1, .topic_id = 5}},
	{"08 13 20 0004 0001 00", {.type = SN_SUBACK, .qos = 1, .topic_id = 4, .msg_id = 1}},
	{"07 14 02 0003 6162", {.type = SN_UNSUBSCRIBE, .topic_type = SN_TOPIC_SHORT, .msg_id = 3, .topic_id = 0x6162}},
	{"04 15 0003", {.type = SN_UNSUBACK, .msg_id = 3}},
	{"08 16 'sensor'", {.type = SN_PINGREQ, .data = STRING("sensor")}},
	{"02 16", {.type = SN_PINGREQ}},
	{"02 17", {.type = SN_PINGRESP}},
	{"02 18", {.type = SN_DISCONNECT, .empty = true}},
	{"04 18 ffff", {.type = SN_DISCONNECT, .duration = 65535}},
	{"06 1a 10 'a/b'", {.type = SN_WILLTOPICUPD, .retain = true, .data = STRING("a/b")}},
	{"02 1a", {.type = SN_WILLTOPICUPD, .empty = true}},
	{"03 1b 00", {.type = SN_WILLTOPICRESP}},
	{"04 1c 'ok'", {.type = SN_WILLMSGUPD, .data = STRING("ok")}},
	{"03 1d 03", {.type = SN_WILLMSGRESP, .code = SN_NOT_SUPPORTED}},
};

static void assert_same(struct sn_packet a, struct sn_packet b)
{
	assert_true(mqtt_str_eq(a.data, b.data));
	a.data = b.data = (struct mqtt_str){0};
	assert_memory_equal(&a, &b, sizeof(a));
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct hex wire = hex_parse(vectors[i].hex);
		uint8_t buf[HEX_MAX];
		struct sn_packet p;

		assert_true(sn_decode(wire.bytes, wire.len, &p));
		assert_same(p, vectors[i].packet);
		assert_int_equal(sn_encode(&p, buf, sizeof(buf)), wire.len);
		assert_memory_equal(buf, wire.bytes, wire.len);
		assert_int_equal(sn_encode(&p, NULL, 0), wire.len);
		assert_int_equal(sn_encode(&p, buf, wire.len - 1), 0);
		/* Cut or prolonged it is none. */
		assert_false(sn_decode(wire.bytes, wire.len - 1, &p));
		wire.bytes[wire.len] = 0;
		assert_false(sn_decode(wire.bytes, wire.len + 1, &p));
	}
}

static void test_malformed(void **state)
{
	static const char *const cases[] = {
		"00",
		"01",
		"02",
		"01 00 04",
		"01 0000 0c", /* a length of 0 */
		"01 0003 17", /* shorter than itself */
		"00 17",      /* likewise */
		"02 03",      /* reserved types */
		"02 11",
		"02 19",
		"02 1e",
		"02 ff",
		"04 05 00 00",	       /* one byte too many */
		"05 04 04 01 00",      /* no duration */
		"06 0c 00 0001 00",    /* no message id */
		"07 0c 20 0001 0000",  /* message id 0 with QoS 1 */
		"07 0c 40 0001 0000",  /* and 2 */
		"07 0c 03 0001 0000",  /* a reserved type of topic */
		"08 12 00 0000 'a/b'", /* message id 0 */
		"06 12 01 0001 05",    /* an id of one byte */
		"08 12 02 0001 'abc'", /* a short name of three bytes */
		"07 14 00 0000 6162",
		"04 0f 0000",
		"03 18 00",
		"03 1b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hex wire = hex_parse(cases[i]);
		struct sn_packet p;

		if (sn_decode(wire.bytes, wire.len, &p))
			fail_msg("taken: %s", cases[i]);
	}
}

/* From 256 bytes on the length has three. */
static void test_lengths(void **state)
{
	static uint8_t payload[SN_SIZE_MAX], buf[SN_SIZE_MAX + 1];

	(void)state;
	for (uint32_t n = 0; n <= SN_SIZE_MAX - 9; n += n > 240 && n < 260 ? 1 : 7) {
		const struct sn_packet p = {.type = SN_PUBLISH, .data = {payload, n}};
		size_t want = n + 7 < 256 ? n + 7 : n + 9;
		struct sn_packet q;

		assert_int_equal(sn_encode(&p, buf, sizeof(buf)), want);
		assert_int_equal(buf[0], want < 256 ? want : 1);
		assert_true(sn_decode(buf, want, &q));
		assert_int_equal(q.data.len, n);
	}
	assert_int_equal(
		sn_encode(&(struct sn_packet){.type = SN_PUBLISH, .data = {payload, SN_SIZE_MAX - 8}}, NULL, 0), 0);
	assert_int_equal(sn_encode(&(struct sn_packet){.type = 3}, NULL, 0), 0);
}

static bool unwrap(const char *text, struct sn_envelope *e, size_t *left)
{
	static struct hex wire;
	const uint8_t *at;

	wire = hex_parse(text);
	at = wire.bytes;
	*left = wire.len;
	return sn_unwrap(&at, left, e);
}

static void test_envelopes(void **state)
{
	uint8_t buf[SN_ENVELOPE_MAX];
	struct sn_envelope e;
	size_t left;

	(void)state;
	assert_true(unwrap("02 17", &e, &left));
	assert_int_equal(left, 2);
	assert_int_equal(e.node_len, 0);
	assert_int_equal(sn_wrap(&e, buf), 0);
	assert_true(unwrap("05 fe 02 0a0b 02 17", &e, &left));
	assert_int_equal(left, 2);
	assert_int_equal(sn_wrap(&e, buf), 5);
	assert_memory_equal(buf, "\x05\xfe\x02\x0a\x0b", 5);
	assert_false(unwrap("03 fe 00 02 17", &e, &left)); /* no node */
	assert_false(unwrap("05 fe 00 0a0b", &e, &left));  /* nothing in it */
	assert_false(unwrap("05 fe 00 0a0b 05 fe 00 0a0b 02 17", &e, &left));
	assert_false(unwrap("24 fe 00 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00 02 17",
			    &e, &left));
	assert_true(unwrap("23 fe 00 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 02 17", &e,
			   &left));
}

/* All ids there are. */
static void test_all_ids(void **state)
{
	struct sn_topics *t = sn_topics_new();
	char name[16];

	(void)state;
	for (unsigned i = 1; i <= SN_TOPICS_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_non_null(sn_topics_add(t, mqtt_str(name), UINT_MAX));
	}
	assert_null(sn_topics_add(t, mqtt_str("0"), UINT_MAX));
	for (unsigned i = 1; i <= SN_TOPICS_MAX; i++)
		assert_non_null(sn_topics_by_id(t, (uint16_t)i));
	assert_null(sn_topics_by_id(t, 0));
	assert_null(sn_topics_by_id(t, UINT16_MAX));
	sn_topics_free(t);
}

static void test_topics(void **state)
{
	struct sn_topics *t = sn_topics_new(), *again = sn_topics_new();
	char name[16];

	(void)state;
	assert_non_null(t);
	assert_null(sn_topics_by_id(t, 0));
	assert_non_null(again);
	for (unsigned i = 1; i <= 100; i++) {
		struct sn_topic *topic;

		snprintf(name, sizeof(name), "topic/%u", i);
		topic = sn_topics_add(t, mqtt_str(name), 100);
		assert_non_null(topic);
		assert_false(topic->told);
		topic->told = true;
		assert_ptr_equal(sn_topics_add(t, mqtt_str(name), 100), topic);
		assert_ptr_equal(sn_topics_by_name(t, mqtt_str(name)), topic);
		assert_ptr_equal(sn_topics_by_id(t, topic->id), topic);
	}
	assert_null(sn_topics_add(t, mqtt_str("one more"), 100));
	sn_topics_untell(t);
	assert_false(sn_topics_by_name(t, mqtt_str("topic/7"))->told);
	/* Another time they have the same ids. */
	for (unsigned i = 100; i; i--) {
		snprintf(name, sizeof(name), "topic/%u", i);
		assert_int_equal(sn_topics_add(again, mqtt_str(name), 100)->id,
				 sn_topics_by_name(t, mqtt_str(name))->id);
	}
	sn_topics_free(again);
	sn_topics_free(t);
	sn_topics_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	  cmocka_unit_test(test_malformed), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_envelopes), cmocka_unit_test(test_topics),    cmocka_unit_test(test_all_ids),
	};

	hash_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
