// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Random packets of every type, version and side: decode(encode(x)) is x. And the encoders one by one. */
#include "mqtt/encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "mqtt_hex.h"
#include "mqtt_model.h"
#include "mqtt_vectors.h"

enum {
	ROUNDS = 30000,
	POOL = 256 * 1024,
};

/* Random numbers, and room for the strings of one packet. */
struct source {
	uint64_t rng;
	uint8_t pool[POOL];
	size_t used;
	uint8_t scratch[POOL];
};

static uint8_t *take(struct source *s, size_t len)
{
	assert_true(len <= sizeof(s->pool) - s->used);
	s->used += len;
	return s->pool + s->used - len;
}

/* Mostly short, sometimes empty, rarely longer than one byte of length can say. */
static uint32_t random_len(struct source *s)
{
	return rng_below(&s->rng, 100) ? rng_below(&s->rng, 12) : rng_below(&s->rng, 20000);
}

static struct mqtt_str random_binary(struct source *s)
{
	uint32_t len = random_len(s);
	uint8_t *data = take(s, len);

	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)rng_next(&s->rng);
	return (struct mqtt_str){.data = data, .len = len};
}

/* Of `pieces`, valid strings of at most 4 bytes. */
static struct mqtt_str random_pieces(struct source *s, const char *const *pieces, uint32_t n, uint32_t count)
{
	uint8_t *data = take(s, 4 * (size_t)count);
	uint32_t len = 0;

	while (count--) {
		const char *piece = pieces[rng_below(&s->rng, n)];

		memcpy(data + len, piece, strlen(piece));
		len += (uint32_t)strlen(piece);
	}
	return (struct mqtt_str){.data = data, .len = len};
}

static struct mqtt_str random_utf8(struct source *s)
{
	static const char *const pieces[] = {
		"a", "b", "/", "+", "#", "$", "~", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x9d"};

	return random_pieces(s, pieces, 10, random_len(s));
}

static struct mqtt_str random_topic(struct source *s)
{
	static const char *const pieces[] = {"a", "b", "/", "$", "\xc3\xa4"};

	return random_pieces(s, pieces, 5, 1 + random_len(s));
}

static struct mqtt_filter random_filter(struct source *s, uint8_t type, uint8_t version)
{
	static const char *const pieces[] = {"a", "+", "b/", "+/", "/"};
	struct mqtt_filter f = {0};

	do
		f.topic = random_pieces(s, pieces, 5, 1 + rng_below(&s->rng, 6));
	while (!topic_filter_valid(f.topic));
	if (type == MQTT_SUBSCRIBE)
		f.qos = (uint8_t)rng_below(&s->rng, 3);
	if (type == MQTT_SUBSCRIBE && version == MQTT_5_0) {
		f.no_local = rng_below(&s->rng, 2);
		f.retain_as_published = rng_below(&s->rng, 2);
		f.retain_handling = (uint8_t)rng_below(&s->rng, 3);
	}
	return f;
}

/* One random property. The writer knows of what kind it is, and whether it is one at all. */
static void put_random(struct source *s, struct mqtt_props_writer *w, enum mqtt_prop id)
{
	struct mqtt_props_writer before = *w;

	mqtt_props_put_number(w, id, rng_below(&s->rng, 4) ? rng_below(&s->rng, 2) : rng_next(&s->rng));
	if (w->failed) {
		*w = before;
		mqtt_props_put_str(w, id, random_topic(s));
	}
	if (w->failed) {
		*w = before;
		mqtt_props_put_user(w, random_utf8(s), random_utf8(s));
	}
	if (w->failed)
		*w = before;
}

/* Random properties, of which those stay that may be in this packet beside the others: decoding it must say so. */
static void random_props(struct source *s, bool from_server, struct mqtt_packet *p, struct mqtt_props *props)
{
	struct mqtt_props_writer w = {.cap = POOL / 8};
	struct mqtt_packet copy;
	size_t size;

	w.buf = take(s, w.cap);
	if (p->type == MQTT_AUTH) /* must be there */
		mqtt_props_put_str(&w, MQTT_PROP_AUTHENTICATION_METHOD, random_utf8(s));
	for (uint32_t tries = rng_below(&s->rng, 12); tries; tries--) {
		struct mqtt_props good = w.props;

		put_random(s, &w, (enum mqtt_prop)(1 + rng_below(&s->rng, MQTT_PROP_COUNT - 1)));
		*props = w.props;
		size = mqtt_encode(p, s->scratch, sizeof(s->scratch));
		if (decode_whole(from_server, MQTT_5_0, s->scratch, size, &copy) != 0)
			w.props = good;
	}
	*props = w.props;
}

static uint8_t random_reason(struct source *s, uint8_t version, uint8_t type, bool from_server)
{
	uint8_t reason;

	if (version < MQTT_5_0)
		return 0;
	do
		reason = (uint8_t)rng_below(&s->rng, 0xa3);
	while (!mqtt_reason_allowed(reason, type, from_server));
	return reason;
}

static void random_connect(struct source *s, struct mqtt_packet *p)
{
	struct mqtt_connect *c = &p->connect;

	c->version = p->version;
	c->clean_start = rng_below(&s->rng, 2);
	c->keep_alive = (uint16_t)rng_next(&s->rng);
	c->will = rng_below(&s->rng, 2);
	if (c->will) {
		c->will_qos = (uint8_t)rng_below(&s->rng, 3);
		c->will_retain = rng_below(&s->rng, 2);
		c->will_topic = mqtt_str("w");
		if (c->version == MQTT_5_0)
			random_props(s, false, p, &c->will_props);
		c->will_topic = random_topic(s);
		c->will_payload = random_binary(s);
	}
	c->client_id = random_utf8(s);
	c->has_username = rng_below(&s->rng, 2);
	if (c->has_username)
		c->username = random_utf8(s);
	c->has_password = (c->has_username || c->version == MQTT_5_0) && rng_below(&s->rng, 2);
	if (c->has_password)
		c->password = random_binary(s);
}

static void random_publish(struct source *s, struct mqtt_packet *p)
{
	p->publish.qos = (uint8_t)rng_below(&s->rng, 3);
	p->publish.dup = p->publish.qos && rng_below(&s->rng, 2);
	p->publish.retain = rng_below(&s->rng, 2);
	p->pid = p->publish.qos ? p->pid : 0;
	p->publish.topic = random_topic(s);
	p->publish.payload = random_binary(s);
}

/* The wire form of 1 to 5 filters, taken from a packet that the encoder made. */
static void random_filters(struct source *s, struct mqtt_packet *p)
{
	struct mqtt_filter filters[5];
	size_t n = 1 + rng_below(&s->rng, 5), size;
	struct mqtt_packet encoded;
	uint8_t *bytes;

	for (size_t i = 0; i < n; i++)
		filters[i] = random_filter(s, p->type, p->version);
	size = mqtt_encode_filters(NULL, 0, p->version, p->type, p->pid, filters, n, NULL);
	bytes = take(s, size);
	assert_int_equal(mqtt_encode_filters(bytes, size, p->version, p->type, p->pid, filters, n, NULL), size);
	assert_int_equal(decode_whole(false, p->version, bytes, size, &encoded), 0);
	assert_int_equal(mqtt_count_filters(&encoded), n);
	p->filters = encoded.filters;
	for (size_t i = 0; i < n; i++) {
		struct mqtt_filter f;

		assert_true(mqtt_next_filter(&encoded, &f));
		assert_true(mqtt_str_eq(f.topic, filters[i].topic) && f.qos == filters[i].qos);
		assert_true(f.no_local == filters[i].no_local && f.retain_handling == filters[i].retain_handling);
		assert_true(f.retain_as_published == filters[i].retain_as_published);
	}
}

static void random_codes(struct source *s, struct mqtt_packet *p)
{
	static const uint8_t before_5_0[] = {0, 1, 2, 0x80};
	uint32_t n = 1 + rng_below(&s->rng, 5);
	uint8_t *codes = take(s, n);

	if (p->type == MQTT_UNSUBACK && p->version < MQTT_5_0)
		return;
	for (uint32_t i = 0; i < n; i++)
		codes[i] = p->version < MQTT_5_0 ? before_5_0[rng_below(&s->rng, 4)]
						 : random_reason(s, p->version, p->type, true);
	p->codes = (struct mqtt_str){.data = codes, .len = n};
}

static void random_packet(struct source *s, uint8_t type, uint8_t version, bool from_server, struct mqtt_packet *p)
{
	static const uint8_t connack_reasons[] = {0x00, 0x84, 0x85, 0x86, 0x87, 0x88};

	s->used = 0;
	*p = (struct mqtt_packet){.type = type, .version = version};
	if (type >= MQTT_PUBLISH && type <= MQTT_UNSUBACK)
		p->pid = (uint16_t)(1 + rng_below(&s->rng, 65535));
	switch (type) {
	case MQTT_CONNECT:
		random_connect(s, p);
		break;
	case MQTT_CONNACK:
		p->reason = version < MQTT_5_0 ? connack_reasons[rng_below(&s->rng, 6)]
					       : random_reason(s, version, type, from_server);
		p->session_present = version > MQTT_3_1 && !p->reason && rng_below(&s->rng, 2);
		break;
	case MQTT_PUBLISH:
		random_publish(s, p);
		break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		random_filters(s, p);
		break;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		random_codes(s, p);
		break;
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		break;
	default:
		p->reason = random_reason(s, version, type, from_server);
	}
	if (version == MQTT_5_0 && type != MQTT_PINGREQ && type != MQTT_PINGRESP) {
		random_props(s, from_server, p, &p->props);
	}
}

/* Who sends what, table 2.1 of 3.1.1 and of 5.0. */
static bool sends(bool server, uint8_t type, uint8_t version)
{
	switch (type) {
	case MQTT_CONNECT:
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
	case MQTT_PINGREQ:
		return !server;
	case MQTT_CONNACK:
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
	case MQTT_PINGRESP:
		return server;
	case MQTT_DISCONNECT:
		return !server || version == MQTT_5_0;
	case MQTT_AUTH:
		return version == MQTT_5_0;
	default:
		return true;
	}
}

static void random_packets(void **state)
{
	static struct source s = {.rng = 20260203};
	unsigned made = 0, with_props = 0;
	struct mqtt_packet p;
	const char *wrong;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)s.rng);
	for (int round = 0; round < ROUNDS; round++) {
		uint8_t type = (uint8_t)(1 + rng_below(&s.rng, 15)), version = (uint8_t)(3 + rng_below(&s.rng, 3));
		bool server = rng_below(&s.rng, 2);

		if (!sends(server, type, version))
			continue;
		random_packet(&s, type, version, server, &p);
		wrong = check_decoded(server, &p);
		if (wrong)
			fail_msg("round %d, %s of %s: %s", round, mqtt_type_name(type), mqtt_version_name(version),
				 wrong);
		made++;
		with_props += p.props.len != 0;
	}
	assert_true(made > ROUNDS / 3 && with_props > made / 10);
}

/* ---- the encoders ---------------------------------------------------------------------------------------------- */

static uint8_t out[256];

static void assert_bytes(size_t size, const char *hex)
{
	struct hex want = hex_parse(hex);

	assert_int_equal(size, want.len);
	assert_memory_equal(out, want.bytes, want.len);
}

static void server_packets(void **state)
{
	const uint8_t reasons[] = {MQTT_RC_GRANTED_QOS_2, MQTT_RC_NOT_AUTHORIZED};
	uint8_t buf[16];
	struct mqtt_props_writer w = {.buf = buf, .cap = sizeof(buf)};

	(void)state;
	mqtt_props_put_number(&w, MQTT_PROP_RECEIVE_MAXIMUM, 20);
	assert_bytes(mqtt_encode_connack(out, sizeof(out), 4, true, 0, NULL), "20 02 01 00");
	assert_bytes(mqtt_encode_connack(out, sizeof(out), 3, true, 0, NULL), "20 02 00 00");
	assert_bytes(mqtt_encode_connack(out, sizeof(out), 4, false, MQTT_RC_QUOTA_EXCEEDED, &w.props), "20 02 00 03");
	assert_bytes(mqtt_encode_connack(out, sizeof(out), 5, false, MQTT_RC_QUOTA_EXCEEDED, NULL), "20 03 00 97 00");
	assert_bytes(mqtt_encode_connack(out, sizeof(out), 5, true, 0, &w.props), "20 06 01 00 03 21 0014");
	assert_bytes(mqtt_encode_ack(out, sizeof(out), 4, MQTT_PUBACK, 1, MQTT_RC_QUOTA_EXCEEDED), "40 02 0001");
	assert_bytes(mqtt_encode_ack(out, sizeof(out), 5, MQTT_PUBREC, 1, MQTT_RC_QUOTA_EXCEEDED), "50 03 0001 97");
	assert_bytes(mqtt_encode_ack(out, sizeof(out), 5, MQTT_PUBREL, 0xabcd, 0), "62 02 abcd");
	assert_bytes(mqtt_encode_ack(out, sizeof(out), 3, MQTT_PUBCOMP, 2, 0), "70 02 0002");
	assert_bytes(mqtt_encode_suback(out, sizeof(out), 4, 7, reasons, 2), "90 04 0007 02 80");
	assert_bytes(mqtt_encode_suback(out, sizeof(out), 5, 7, reasons, 2), "90 05 0007 00 02 87");
	assert_bytes(mqtt_encode_unsuback(out, sizeof(out), 4, 7, reasons, 2), "b0 02 0007");
	assert_bytes(mqtt_encode_unsuback(out, sizeof(out), 5, 7, reasons + 1, 1), "b0 04 0007 00 87");
	assert_bytes(mqtt_encode_pingresp(out, sizeof(out)), "d0 00");
	assert_bytes(mqtt_encode_disconnect(out, sizeof(out), 5, MQTT_RC_SESSION_TAKEN_OVER), "e0 01 8e");
}

static void client_packets(void **state)
{
	const struct mqtt_connect connect = {
		.version = 4, .clean_start = true, .keep_alive = 60, .client_id = mqtt_str("c")};
	const struct mqtt_filter filters[] = {{.topic = mqtt_str("a"), .qos = 1}, {.topic = mqtt_str("#")}};
	struct mqtt_connect newer = connect;

	(void)state;
	newer.version = 5;
	assert_bytes(mqtt_encode_connect(out, sizeof(out), &connect, NULL), "10 0d 0004'MQTT' 04 02 003c 0001'c'");
	assert_bytes(mqtt_encode_connect(out, sizeof(out), &newer, NULL), "10 0e 0004'MQTT' 05 02 003c 00 0001'c'");
	assert_bytes(mqtt_encode_filters(out, sizeof(out), 4, MQTT_SUBSCRIBE, 1, filters, 2, NULL),
		     "82 0a 0001 0001'a' 01 0001'#' 00");
	assert_bytes(mqtt_encode_filters(out, sizeof(out), 5, MQTT_UNSUBSCRIBE, 1, filters, 2, NULL),
		     "a2 09 0001 00 0001'a' 0001'#'");
	assert_bytes(mqtt_encode_pingreq(out, sizeof(out)), "c0 00");
	assert_bytes(mqtt_encode_disconnect(out, sizeof(out), 4, 0), "e0 00");
}

static void publish_packets(void **state)
{
	const struct mqtt_publish qos_0 = {.topic = mqtt_str("a/b"), .payload = mqtt_str("hi"), .retain = true};
	const struct mqtt_publish qos_1 = {.topic = mqtt_str("a/b"), .payload = mqtt_str("hi"), .qos = 1, .dup = true};

	(void)state;
	assert_bytes(mqtt_encode_publish(out, sizeof(out), 4, &qos_0, 5, NULL), "31 07 0003'a/b' 'hi'");
	assert_bytes(mqtt_encode_publish(out, sizeof(out), 4, &qos_1, 5, NULL), "3a 09 0003'a/b' 0005 'hi'");
	assert_bytes(mqtt_encode_publish(out, sizeof(out), 5, &qos_1, 5, NULL), "3a 0a 0003'a/b' 0005 00 'hi'");
	assert_bytes(mqtt_encode_publish_header(out, sizeof(out), 4, &qos_0, 123, 0, NULL), "31 8001 0003'a/b'");
	assert_bytes(mqtt_encode_publish_header(out, sizeof(out), 5, &qos_1, 0, 9, NULL), "3a 08 0003'a/b' 0009 00");
}

/* What cannot be said, or does not fit, is not said. */
static void refused(void **state)
{
	static const uint8_t text[65536];
	const struct mqtt_publish too_long = {.topic = {.data = text, .len = sizeof(text)}};
	const struct mqtt_filter long_filter = {.topic = {.data = text, .len = sizeof(text)}};
	const struct mqtt_filter filter = {.topic = mqtt_str("abc")};
	const struct mqtt_packet no_type = {.type = 0, .version = 4}, type_16 = {.type = 16, .version = 4};

	(void)state;
	assert_int_equal(mqtt_encode_publish(NULL, 0, 4, &too_long, 0, NULL), 0);
	assert_int_equal(mqtt_encode_filters(NULL, 0, 4, MQTT_SUBSCRIBE, 1, &long_filter, 1, NULL), 0);
	assert_int_equal(mqtt_encode_filters(NULL, 0, 4, MQTT_SUBSCRIBE, 1, &filter, 1, NULL), 10);
	assert_int_equal(mqtt_encode_filters(out, 9, 4, MQTT_SUBSCRIBE, 1, &filter, 1, NULL), 0);
	assert_int_equal(mqtt_encode_filters(out, 10, 4, MQTT_SUBSCRIBE, 1, &filter, 1, NULL), 10);
	assert_int_equal(mqtt_encode_connack(out, sizeof(out), 4, false, MQTT_RC_MALFORMED_PACKET, NULL), 0);
	assert_int_equal(mqtt_encode_ack(out, 3, 4, MQTT_PUBACK, 1, 0), 0);
	assert_int_equal(mqtt_encode_ack(out, sizeof(out), 0, MQTT_PUBACK, 1, 0), 0);
	assert_int_equal(mqtt_encode_ack(out, sizeof(out), 6, MQTT_PUBACK, 1, 0), 0);
	assert_int_equal(mqtt_encode(&no_type, out, sizeof(out)), 0);
	assert_int_equal(mqtt_encode(&type_16, out, sizeof(out)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_packets),  cmocka_unit_test(server_packets), cmocka_unit_test(client_packets),
		cmocka_unit_test(publish_packets), cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
