// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The tables of 5.0: which property and which reason code may be where, from the sections of the packets, where the code
 * has them by property and by reason. */
#include "mqtt/props.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "mqtt_hex.h"
#include "mqtt_model.h"
#include "mqtt_vectors.h"

/* A packet with a place @ for properties, and the identifiers that may be there, in the standard's order. */
static const struct {
	const char *what;
	int sender;
	const char *before, *after;
	const char *allowed;
} places[] = {
	{"CONNECT, 3.1.2.11", CLIENT, "10 0004'MQTT' 05 02 0000", "0000", "11 21 27 22 19 17 26 15 16"},
	{"will, 3.1.3.2", CLIENT, "10 0004'MQTT' 05 06 0000 00 0000", "0001'w' 0000", "18 01 02 03 08 09 26"},
	{"CONNACK, 3.2.2.3", SERVER, "20 00 00", "", "11 21 24 25 27 12 22 1f 26 28 29 2a 13 1a 1c 15 16"},
	{"PUBLISH, 3.3.2.3", CLIENT, "30 0001't'", "", "01 02 23 08 09 26 03"},
	{"PUBLISH, 3.3.2.3", SERVER, "30 0001't'", "", "01 02 23 08 09 26 0b 03"},
	{"PUBACK, 3.4.2.2", CLIENT, "40 0001 00", "", "1f 26"},
	{"PUBACK, 3.4.2.2", SERVER, "40 0001 00", "", "1f 26"},
	{"PUBREC, 3.5.2.2", CLIENT, "50 0001 00", "", "1f 26"},
	{"PUBREC, 3.5.2.2", SERVER, "50 0001 00", "", "1f 26"},
	{"PUBREL, 3.6.2.2", CLIENT, "62 0001 00", "", "1f 26"},
	{"PUBREL, 3.6.2.2", SERVER, "62 0001 00", "", "1f 26"},
	{"PUBCOMP, 3.7.2.2", CLIENT, "70 0001 00", "", "1f 26"},
	{"PUBCOMP, 3.7.2.2", SERVER, "70 0001 00", "", "1f 26"},
	{"SUBSCRIBE, 3.8.2.1", CLIENT, "82 0001", "0001'a' 00", "0b 26"},
	{"SUBACK, 3.9.2.1", SERVER, "90 0001", "00", "1f 26"},
	{"UNSUBSCRIBE, 3.10.2.1", CLIENT, "a2 0001", "0001'a'", "26"},
	{"UNSUBACK, 3.11.2.1", SERVER, "b0 0001", "00", "1f 26"},
	{"DISCONNECT, 3.14.2.2", CLIENT, "e0 00", "", "11 1f 26"},
	{"DISCONNECT, 3.14.2.2", SERVER, "e0 00", "", "1f 26 1c"},
	{"AUTH, 3.15.2.2", CLIENT, "f0 18", "", "15 16 1f 26"},
	{"AUTH, 3.15.2.2", SERVER, "f0 18", "", "15 16 1f 26"},
};

/* A good value of each property, table 2-4. */
static const struct {
	uint8_t id;
	const char *value;
} values[] = {
	{0x01, "01"},	   {0x02, "00000000"}, {0x03, "0001'x'"},   {0x08, "0001'x'"},	{0x09, "0001 ff"},
	{0x0b, "01"},	   {0x11, "ffffffff"}, {0x12, "0000"},	    {0x13, "ffff"},	{0x15, "0001'x'"},
	{0x16, "0001 00"}, {0x17, "00"},       {0x18, "00000001"},  {0x19, "01"},	{0x1a, "0001'x'"},
	{0x1c, "0001'x'"}, {0x1f, "0001'x'"},  {0x21, "0001"},	    {0x22, "0000"},	{0x23, "0001"},
	{0x24, "00"},	   {0x25, "01"},       {0x26, "0000 0000"}, {0x27, "00000001"}, {0x28, "01"},
	{0x29, "00"},	   {0x2a, "01"},
};

static bool listed(const char *list, unsigned id)
{
	struct hex h = hex_parse(list);

	return h.len && memchr(h.bytes, (int)id, h.len);
}

/* Decode the packet of the place with `times` properties of that kind in it. */
static int decode_with(size_t place, size_t value, unsigned times)
{
	struct hex props = {.len = 0}, h = hex_parse(places[place].before);
	unsigned id = values[value].id;
	struct mqtt_packet p;
	const char *wrong;
	int err;

	if (id == MQTT_PROP_AUTHENTICATION_DATA || (h.bytes[0] == 0xf0 && id != MQTT_PROP_AUTHENTICATION_METHOD))
		hex_append(&props, "15 0001'm'", (struct mqtt_str){0}); /* the method must be there, too */
	while (times--) {
		hex_put(&props, (uint8_t)id);
		hex_append(&props, values[value].value, (struct mqtt_str){0});
	}
	hex_put(&h, (uint8_t)props.len);
	for (size_t i = 0; i < props.len; i++)
		hex_put(&h, props.bytes[i]);
	hex_append(&h, places[place].after, (struct mqtt_str){0});
	err = decode_as(places[place].sender, MQTT_5_0, h.bytes[0], h.bytes + 1, h.len - 1, &p);
	wrong = err ? NULL : check_decoded(places[place].sender, &p);
	if (wrong)
		fail_msg("%s, property %02x: %s", places[place].what, id, wrong);
	return err;
}

/* Table 2-4, and that a property stands once, with the exceptions that sections 2.2.2.2 and 3.3.2.3.8 name. */
static void properties_by_packet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		for (size_t j = 0; j < COUNT(values); j++) {
			unsigned id = values[j].id;
			bool allowed = listed(places[i].allowed, id);
			bool repeatable = id == MQTT_PROP_USER_PROPERTY || id == MQTT_PROP_SUBSCRIPTION_IDENTIFIER;

			if (id == MQTT_PROP_SUBSCRIPTION_IDENTIFIER && places[i].sender == CLIENT)
				repeatable = false;
			if ((decode_with(i, j, 1) == OK) != allowed)
				fail_msg("%s: property %02x", places[i].what, id);
			if (allowed && decode_with(i, j, 2) != (repeatable ? OK : PROTOCOL))
				fail_msg("%s: property %02x twice", places[i].what, id);
		}
	}
}

static void property_names(void **state)
{
	unsigned named = 0;

	(void)state;
	for (unsigned id = 0; id < 256; id++)
		named += strcmp(mqtt_prop_name((uint8_t)id), "Unknown") != 0;
	assert_int_equal(named, COUNT(values));
	assert_string_equal(mqtt_prop_name(MQTT_PROP_TOPIC_ALIAS), "Topic Alias");
}

/* Sections 3.2.2.2 to 3.15.2.1. */
static void reasons_by_packet(void **state)
{
	static const struct {
		uint8_t type;
		int sender;
		const char *allowed;
	} packets[] = {
		{MQTT_CONNACK, SERVER, "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"},
		{MQTT_PUBACK, CLIENT, "00 80 83 87 90 91 97 99"},
		{MQTT_PUBACK, SERVER, "00 10 80 83 87 90 91 97 99"},
		{MQTT_PUBREC, CLIENT, "00 80 83 87 90 91 97 99"},
		{MQTT_PUBREC, SERVER, "00 10 80 83 87 90 91 97 99"},
		{MQTT_PUBREL, CLIENT, "00 92"},
		{MQTT_PUBREL, SERVER, "00 92"},
		{MQTT_PUBCOMP, CLIENT, "00 92"},
		{MQTT_PUBCOMP, SERVER, "00 92"},
		{MQTT_SUBACK, SERVER, "00 01 02 80 83 87 8f 91 97 9e a1 a2"},
		{MQTT_UNSUBACK, SERVER, "00 11 80 83 87 8f 91"},
		{MQTT_DISCONNECT, CLIENT, "00 04 80 81 82 83 90 93 94 95 96 97 98 99"},
		/* 8c: section 2.4 has it, 3.14.2.1 does not */
		{MQTT_DISCONNECT, SERVER,
		 "00 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2"},
		{MQTT_AUTH, CLIENT, "18 19"},
		{MQTT_AUTH, SERVER, "00 18"},
	};

	(void)state;
	for (uint8_t type = 0; type < 16; type++) {
		for (int sender = CLIENT; sender <= SERVER; sender++) {
			const char *allowed = "";

			for (size_t i = 0; i < COUNT(packets); i++) {
				if (packets[i].type == type && packets[i].sender == sender)
					allowed = packets[i].allowed;
			}
			for (unsigned reason = 0; reason < 256; reason++) {
				if (mqtt_reason_allowed((uint8_t)reason, type, sender) != listed(allowed, reason))
					fail_msg("%s: reason %02x", mqtt_type_name(type), reason);
			}
		}
	}
}

/* Table 3.1 of 3.1.1, both ways; every reason of a CONNACK has a code, or none, but never an unknown one. */
static void connack_codes(void **state)
{
	static const uint8_t table[] = {MQTT_RC_SUCCESS,
					MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION,
					MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID,
					MQTT_RC_SERVER_UNAVAILABLE,
					MQTT_RC_BAD_USER_NAME_OR_PASSWORD,
					MQTT_RC_NOT_AUTHORIZED};

	(void)state;
	for (unsigned code = 0; code < COUNT(table); code++) {
		for (unsigned version = MQTT_3_1; version <= MQTT_3_1_1; version++) {
			assert_int_equal(mqtt_connack_code((uint8_t)version, table[code]), code);
			assert_int_equal(mqtt_connack_reason((uint8_t)version, (uint8_t)code), table[code]);
		}
		assert_int_equal(mqtt_connack_code(MQTT_5_0, table[code]), table[code]);
		assert_int_equal(mqtt_connack_reason(MQTT_5_0, table[code]), table[code]);
	}
	for (unsigned reason = 0; reason < 256; reason++)
		assert_in_range(mqtt_connack_code(MQTT_3_1_1, (uint8_t)reason) + 1, 0, COUNT(table));
	assert_int_equal(mqtt_connack_reason(MQTT_3_1_1, 6), -1);
	assert_int_equal(mqtt_connack_reason(MQTT_5_0, MQTT_RC_SESSION_TAKEN_OVER), -1);
	assert_int_equal(mqtt_connack_code(MQTT_3_1_1, MQTT_RC_QUOTA_EXCEEDED), 3);
	assert_int_equal(mqtt_connack_code(MQTT_3_1_1, MQTT_RC_BANNED), 5);
	assert_int_equal(mqtt_connack_code(MQTT_3_1_1, MQTT_RC_MALFORMED_PACKET), -1); /* [MQTT-3.2.2-6] */
	assert_int_equal(mqtt_connack_code(MQTT_3_1_1, 0xff), -1);
}

/* [MQTT-3.9.3-2] */
static void suback_codes(void **state)
{
	(void)state;
	assert_int_equal(mqtt_suback_code(MQTT_3_1_1, MQTT_RC_GRANTED_QOS_2), 2);
	assert_int_equal(mqtt_suback_code(MQTT_3_1_1, MQTT_RC_NOT_AUTHORIZED), 0x80);
	assert_int_equal(mqtt_suback_code(MQTT_5_0, MQTT_RC_NOT_AUTHORIZED), 0x87);
}

static void reason_names(void **state)
{
	(void)state;
	assert_string_equal(mqtt_reason_name(MQTT_RC_MALFORMED_PACKET), "Malformed Packet");
	assert_string_equal(mqtt_reason_name(MQTT_RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
			    "Wildcard Subscriptions not supported");
	assert_string_equal(mqtt_reason_name(3), "Unknown");
	assert_string_equal(mqtt_reason_name(0xff), "Unknown");
}

/* What is written is read, in the same order. */
static void write_and_read(void **state)
{
	uint8_t buf[128];
	struct mqtt_props_writer w = {.buf = buf, .cap = sizeof(buf)};
	struct mqtt_property p;
	struct mqtt_str s;
	uint32_t at = 0;

	(void)state;
	mqtt_props_put_user(&w, mqtt_str("k"), mqtt_str("v"));
	mqtt_props_put_number(&w, MQTT_PROP_MAXIMUM_PACKET_SIZE, 0xdeadbeef);
	mqtt_props_put_number(&w, MQTT_PROP_TOPIC_ALIAS, 0xbeef);
	mqtt_props_put_number(&w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 128);
	mqtt_props_put_number(&w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, WIRE_REMAINING_MAX);
	mqtt_props_put_number(&w, MQTT_PROP_MAXIMUM_QOS, 1);
	mqtt_props_put_str(&w, MQTT_PROP_REASON_STRING, mqtt_str("why"));
	mqtt_props_put_str(&w, MQTT_PROP_CORRELATION_DATA, (struct mqtt_str){0});
	assert_false(w.failed);
	assert_true(mqtt_props_has(&w.props, MQTT_PROP_USER_PROPERTY));
	assert_false(mqtt_props_has(&w.props, MQTT_PROP_CONTENT_TYPE));
	assert_int_equal(mqtt_props_number(&w.props, MQTT_PROP_MAXIMUM_PACKET_SIZE, 1), 0xdeadbeef);
	assert_int_equal(mqtt_props_number(&w.props, MQTT_PROP_TOPIC_ALIAS, 1), 0xbeef);
	assert_int_equal(mqtt_props_number(&w.props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 1), 128);
	assert_int_equal(mqtt_props_number(&w.props, MQTT_PROP_MAXIMUM_QOS, 2), 1);
	assert_int_equal(mqtt_props_number(&w.props, MQTT_PROP_RECEIVE_MAXIMUM, 65535), 65535);
	assert_true(mqtt_props_str(&w.props, MQTT_PROP_REASON_STRING, &s) && mqtt_str_eq(s, mqtt_str("why")));
	assert_true(mqtt_props_str(&w.props, MQTT_PROP_CORRELATION_DATA, &s) && s.len == 0);
	assert_false(mqtt_props_str(&w.props, MQTT_PROP_CONTENT_TYPE, &s));
	assert_true(mqtt_props_next(&w.props, &at, &p));
	assert_true(p.id == MQTT_PROP_USER_PROPERTY && mqtt_str_eq(p.str, mqtt_str("k")));
	assert_true(mqtt_str_eq(p.value, mqtt_str("v")));
	assert_null(check_props(&w.props));
}

/* What does not fit, or is of another kind, fails and leaves nothing behind. */
static void write_fails(void **state)
{
	static uint8_t buf[70000], long_text[65536];
	struct mqtt_props_writer w = {.buf = buf, .cap = 4}, none = {0};

	(void)state;
	mqtt_props_put_number(&w, MQTT_PROP_TOPIC_ALIAS, 1);
	mqtt_props_put_number(&w, MQTT_PROP_MAXIMUM_QOS, 1);
	assert_true(w.failed);
	assert_int_equal(w.props.len, 3);
	mqtt_props_put_number(&none, MQTT_PROP_MAXIMUM_QOS, 1);
	assert_true(none.failed);
	for (int i = 0; i < 8; i++) {
		w = (struct mqtt_props_writer){.buf = buf, .cap = sizeof(buf)};
		switch (i) {
		case 0:
			mqtt_props_put_number(&w, MQTT_PROP_REASON_STRING, 1);
			break;
		case 1:
			mqtt_props_put_str(&w, MQTT_PROP_TOPIC_ALIAS, mqtt_str("x"));
			break;
		case 2:
			mqtt_props_put_str(&w, MQTT_PROP_USER_PROPERTY, mqtt_str("x"));
			break;
		case 3:
			mqtt_props_put_str(&w, MQTT_PROP_CONTENT_TYPE,
					   (struct mqtt_str){.data = long_text, .len = sizeof(long_text)});
			break;
		case 4:
			mqtt_props_put_number(&w, MQTT_PROP_MAXIMUM_QOS, 256);
			break;
		case 5:
			mqtt_props_put_number(&w, MQTT_PROP_TOPIC_ALIAS, 65536);
			break;
		case 6:
			mqtt_props_put_number(&w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, WIRE_REMAINING_MAX + 1);
			break;
		default:
			mqtt_props_put_number(&w, (enum mqtt_prop)4, 1);
		}
		assert_true(w.failed);
		assert_true(w.props.len == 0 && w.props.present == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(properties_by_packet), cmocka_unit_test(property_names),
		cmocka_unit_test(reasons_by_packet),	cmocka_unit_test(connack_codes),
		cmocka_unit_test(suback_codes),		cmocka_unit_test(reason_names),
		cmocka_unit_test(write_and_read),	cmocka_unit_test(write_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
