// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Control packets against vectors: what is accepted and refused, cut short, changed, and filled with bad strings. */
#include "mqtt/packet.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mqtt_hex.h"
#include "mqtt_model.h"
#include "mqtt_vectors.h"

/* Decode with the body in a block of its exact size. The packet's strings then point nowhere: look at the result only. */
static int decode_exact(const struct vector *v, const struct hex *h, size_t body_len)
{
	uint8_t *body = exact_copy(h->bytes + 1, body_len);
	struct mqtt_packet p;
	const char *wrong = NULL;
	int err = decode_as(v->sender, v->version, h->bytes[0], body, body_len, &p);

	if (!err)
		wrong = check_decoded(v->sender, &p);
	free(body);
	if (wrong)
		fail_msg("%s, %zu bytes of body: %s", v->what, body_len, wrong);
	return err;
}

static struct vector as_vector(const struct bad_vector *bad)
{
	return (struct vector){
		.what = bad->what, .version = bad->version, .sender = bad->sender, .packet = bad->packet};
}

/* Good packets are decoded and encoded to the same bytes. */
static void good(void **state)
{
	struct mqtt_packet p;
	uint8_t bytes[HEX_MAX];
	uint32_t header_len;
	size_t size;

	(void)state;
	for (size_t i = 0; i < COUNT(good_vectors); i++) {
		const struct vector *v = &good_vectors[i];
		struct hex h = hex_parse(v->packet);

		if (decode_exact(v, &h, h.len - 1) != OK)
			fail_msg("%s is refused", v->what);
		assert_int_equal(decode_as(v->sender, v->version, h.bytes[0], h.bytes + 1, h.len - 1, &p), OK);
		assert_int_equal(p.type, h.bytes[0] >> 4);
		assert_int_equal(p.version, v->version);
		size = mqtt_encode(&p, bytes, sizeof(bytes));
		assert_int_equal(wire_header(bytes, WIRE_HEADER_MAX, &header_len), size);
		if (bytes[0] != h.bytes[0] || size - header_len != h.len - 1 ||
		    memcmp(bytes + header_len, h.bytes + 1, h.len - 1) != 0)
			fail_msg("%s is encoded in another way", v->what);
	}
}

static void loose(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(loose_vectors); i++) {
		struct hex h = hex_parse(loose_vectors[i].packet);

		if (decode_exact(&loose_vectors[i], &h, h.len - 1) != OK)
			fail_msg("%s is refused", loose_vectors[i].what);
	}
}

static void bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_vectors); i++) {
		struct vector v = as_vector(&bad_vectors[i]);
		struct hex h = hex_parse(v.packet);
		int err = decode_exact(&v, &h, h.len - 1);

		if (err != bad_vectors[i].expect)
			fail_msg("%s: %02x instead of %02x", v.what, (unsigned)err, (unsigned)bad_vectors[i].expect);
	}
}

/* A packet cut at any byte is refused, unless what is left is a packet, too: a shorter payload, fewer filters. */
static void check_cuts(const struct vector *v)
{
	struct hex h = hex_parse(v->packet);
	unsigned accepted = 0;

	for (size_t len = 0; len + 1 < h.len; len++)
		accepted += decode_exact(v, &h, len) == OK;
	if (accepted != v->prefixes)
		fail_msg("%s: %u shorter packets", v->what, accepted);
}

static void cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good_vectors); i++)
		check_cuts(&good_vectors[i]);
	for (size_t i = 0; i < COUNT(loose_vectors); i++)
		check_cuts(&loose_vectors[i]);
}

/* Change each byte to every value and decode as each version from each side: nothing is read out of bounds, and what is
 * accepted is consistent. */
static void check_changes(const struct vector *v)
{
	struct hex h = hex_parse(v->packet);
	struct vector as = *v;

	for (size_t at = 0; at < h.len; at++) {
		uint8_t was = h.bytes[at];

		for (unsigned value = 0; value < 256; value++) {
			h.bytes[at] = (uint8_t)value;
			decode_exact(&as, &h, h.len - 1);
		}
		h.bytes[at] = was;
		for (as.version = MQTT_3_1; as.version <= MQTT_5_0; as.version++) {
			for (as.sender = CLIENT; as.sender <= SERVER; as.sender++)
				decode_exact(&as, &h, at);
		}
		as = *v;
	}
}

static void changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good_vectors); i++)
		check_changes(&good_vectors[i]);
	for (size_t i = 0; i < COUNT(bad_vectors); i++)
		check_changes(&(struct vector){.what = bad_vectors[i].what,
					       .version = bad_vectors[i].version,
					       .sender = bad_vectors[i].sender,
					       .packet = bad_vectors[i].packet});
}

/* Every place of a UTF-8 string, and every place of binary data. */
static const struct vector string_places[] = {
	{"client identifier [MQTT-3.1.3-4]", 4, CLIENT, "10 0004'MQTT' 04 02 003c @", 0},
	{"will topic [MQTT-3.1.3-10]", 4, CLIENT, "10 0004'MQTT' 04 06 003c 0000 @ 0000", 0},
	{"user name [MQTT-3.1.3-11]", 4, CLIENT, "10 0004'MQTT' 04 82 003c 0000 @", 0},
	{"topic [MQTT-3.3.2-1]", 4, CLIENT, "30 @", 0},
	{"topic from the server", 3, SERVER, "30 @", 0},
	{"filter [MQTT-3.8.3-1]", 4, CLIENT, "82 0001 @ 00", 0},
	{"filter [MQTT-3.10.3-1]", 4, CLIENT, "a2 0001 @", 0},
};
static const struct vector binary_places[] = {
	{"will message", 4, CLIENT, "10 0004'MQTT' 04 06 003c 0000 0001'w' @", 0},
	{"password", 4, CLIENT, "10 0004'MQTT' 04 c2 003c 0000 0001'u' @", 0},
	{"payload", 4, CLIENT, "30 0001'a' @", 0},
};

static void strings(void **state)
{
	static const struct {
		const char *what, *hex;
		bool good;
	} texts[] = {
		{"U+0000 [MQTT-1.5.3-2]", "61 00 62", false},
		{"a surrogate [MQTT-1.5.3-1]", "eda080", false},
		{"the last surrogate [MQTT-1.5.3-1]", "edbfbf", false},
		{"an overlong U+0000", "c080", false},
		{"an overlong '/'", "e080af", false},
		{"above U+10FFFF", "f4908080", false},
		{"a lone continuation", "80", false},
		{"a cut character", "61 e282", false},
		{"no byte of UTF-8", "ff", false},
		{"U+FEFF [MQTT-1.5.3-3]", "efbbbf 61", true},
		{"a non-character", "efbfbf", false},
		{"a control character", "1f", false},
		{"the last character", "f48fbfbd", true},
		{"D and a combining caron", "44 cc8c", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct hex text = hex_parse(texts[i].hex);
		struct mqtt_str string = {.data = text.bytes, .len = (uint32_t)text.len};

		for (size_t j = 0; j < COUNT(string_places); j++) {
			struct hex h = {.len = 0};

			hex_append(&h, string_places[j].packet, string);
			if (decode_exact(&string_places[j], &h, h.len - 1) != (texts[i].good ? OK : MALFORMED))
				fail_msg("%s with %s", string_places[j].what, texts[i].what);
		}
		for (size_t j = 0; j < COUNT(binary_places); j++) {
			struct hex h = {.len = 0};

			hex_append(&h, binary_places[j].packet, string);
			if (decode_exact(&binary_places[j], &h, h.len - 1) != OK)
				fail_msg("%s with %s", binary_places[j].what, texts[i].what);
		}
	}
}

static struct mqtt_packet decode_text(uint8_t version, const char *text, struct hex *h)
{
	struct mqtt_packet p;

	*h = hex_parse(text);
	assert_int_equal(mqtt_decode(version, h->bytes[0], h->bytes + 1, h->len - 1, &p), 0);
	return p;
}

static void connect_fields(void **state)
{
	struct hex h;
	struct mqtt_packet p = decode_text(4, good_vectors[1].packet, &h);

	(void)state;
	assert_true(p.connect.clean_start && p.connect.will && p.connect.will_retain);
	assert_true(p.connect.has_username && p.connect.has_password);
	assert_int_equal(p.connect.will_qos, 2);
	assert_int_equal(p.connect.keep_alive, 10);
	assert_true(mqtt_str_eq(p.connect.client_id, mqtt_str("cid")));
	assert_true(mqtt_str_eq(p.connect.will_topic, mqtt_str("w/t")));
	assert_true(mqtt_str_eq(p.connect.username, mqtt_str("user")));
	assert_int_equal(p.connect.will_payload.len, 3);
	assert_int_equal(p.connect.password.len, 2);
	/* The level that was asked for is told, whatever it is. */
	h = hex_parse("10 0004'MQTT' 84 02 003c 0000");
	assert_int_equal(mqtt_decode(0, h.bytes[0], h.bytes + 1, h.len - 1, &p), VERSION);
	assert_int_equal(p.type, MQTT_CONNECT);
	assert_int_equal(p.connect.version, 0x84);
}

static void publish_fields(void **state)
{
	struct hex h;
	struct mqtt_packet p = decode_text(4, "3d 0003'a/b' 1234 'xyz'", &h);

	(void)state;
	assert_true(p.publish.dup && p.publish.retain);
	assert_int_equal(p.publish.qos, 2);
	assert_int_equal(p.pid, 0x1234);
	assert_true(mqtt_str_eq(p.publish.topic, mqtt_str("a/b")));
	assert_true(mqtt_str_eq(p.publish.payload, mqtt_str("xyz")));
}

static void filters(void **state)
{
	struct hex h;
	struct mqtt_packet p = decode_text(5, "82 0001 00 0003'a/b' 2e 0001'#' 11", &h);
	struct mqtt_filter f;

	(void)state;
	assert_int_equal(mqtt_count_filters(&p), 2);
	assert_true(mqtt_next_filter(&p, &f));
	assert_true(mqtt_str_eq(f.topic, mqtt_str("a/b")));
	assert_true(f.qos == 2 && f.no_local && f.retain_as_published && f.retain_handling == 2);
	assert_int_equal(mqtt_count_filters(&p), 1);
	assert_true(mqtt_next_filter(&p, &f));
	assert_true(mqtt_str_eq(f.topic, mqtt_str("#")));
	assert_true(f.qos == 1 && !f.no_local && !f.retain_as_published && f.retain_handling == 1);
	assert_false(mqtt_next_filter(&p, &f));
	p = decode_text(4, "a2 0001 0001'a' 0001'b'", &h);
	assert_true(mqtt_next_filter(&p, &f) && mqtt_next_filter(&p, &f));
	assert_true(mqtt_str_eq(f.topic, mqtt_str("b")));
	assert_false(mqtt_next_filter(&p, &f));
}

static void type_names(void **state)
{
	(void)state;
	assert_string_equal(mqtt_type_name(MQTT_CONNECT), "CONNECT");
	assert_string_equal(mqtt_type_name(MQTT_AUTH), "AUTH");
	assert_string_equal(mqtt_type_name(0), "RESERVED");
	assert_string_equal(mqtt_type_name(16), "RESERVED");
	assert_string_equal(mqtt_version_name(MQTT_3_1_1), "3.1.1");
	assert_string_equal(mqtt_version_name(0), "?");
	assert_string_equal(mqtt_version_name(0x84), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(loose),
		cmocka_unit_test(bad),
		cmocka_unit_test(cut),
		cmocka_unit_test(changed),
		cmocka_unit_test(strings),
		cmocka_unit_test(connect_fields),
		cmocka_unit_test(publish_fields),
		cmocka_unit_test(filters),
		cmocka_unit_test(type_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
