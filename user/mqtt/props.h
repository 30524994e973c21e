/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Properties of MQTT 5.0, section 2.2.2. They stay in their wire form: decoding checks them once against the table of
 * props.c and leaves a view; readers look values up in it, writers append to a buffer. Versions before 5.0 have the
 * empty view everywhere.
 */
#ifndef SHUNT_MQTT_PROPS_H
#define SHUNT_MQTT_PROPS_H

#include "mqtt/str.h"

enum mqtt_prop {
	MQTT_PROP_PAYLOAD_FORMAT_INDICATOR = 0x01,
	MQTT_PROP_MESSAGE_EXPIRY_INTERVAL = 0x02, /* seconds */
	MQTT_PROP_CONTENT_TYPE = 0x03,
	MQTT_PROP_RESPONSE_TOPIC = 0x08,
	MQTT_PROP_CORRELATION_DATA = 0x09,
	MQTT_PROP_SUBSCRIPTION_IDENTIFIER = 0x0b,
	MQTT_PROP_SESSION_EXPIRY_INTERVAL = 0x11, /* seconds; 0xffffffff never */
	MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER = 0x12,
	MQTT_PROP_SERVER_KEEP_ALIVE = 0x13, /* seconds */
	MQTT_PROP_AUTHENTICATION_METHOD = 0x15,
	MQTT_PROP_AUTHENTICATION_DATA = 0x16,
	MQTT_PROP_REQUEST_PROBLEM_INFORMATION = 0x17,
	MQTT_PROP_WILL_DELAY_INTERVAL = 0x18, /* seconds */
	MQTT_PROP_REQUEST_RESPONSE_INFORMATION = 0x19,
	MQTT_PROP_RESPONSE_INFORMATION = 0x1a,
	MQTT_PROP_SERVER_REFERENCE = 0x1c,
	MQTT_PROP_REASON_STRING = 0x1f,
	MQTT_PROP_RECEIVE_MAXIMUM = 0x21,
	MQTT_PROP_TOPIC_ALIAS_MAXIMUM = 0x22,
	MQTT_PROP_TOPIC_ALIAS = 0x23,
	MQTT_PROP_MAXIMUM_QOS = 0x24,
	MQTT_PROP_RETAIN_AVAILABLE = 0x25,
	MQTT_PROP_USER_PROPERTY = 0x26,
	MQTT_PROP_MAXIMUM_PACKET_SIZE = 0x27, /* bytes */
	MQTT_PROP_WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28,
	MQTT_PROP_SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29,
	MQTT_PROP_SHARED_SUBSCRIPTION_AVAILABLE = 0x2a,
	MQTT_PROP_COUNT, /* one more than the greatest identifier */
};

/* The properties of one packet (or will) in wire form, behind their length. All zero: none. */
struct mqtt_props {
	const uint8_t *data;
	uint32_t len;	  /* bytes */
	uint64_t present; /* bit 1 << identifier for each that is there */
};

/* One property. Which member is meant follows from the identifier, see the table in section 2.2.2.2. */
struct mqtt_property {
	enum mqtt_prop id;
	uint32_t number;       /* Byte, Two Byte, Four Byte and Variable Byte Integers */
	struct mqtt_str str;   /* UTF-8 Encoded String, Binary Data, name of a User Property */
	struct mqtt_str value; /* of a User Property */
};

static inline bool mqtt_props_has(const struct mqtt_props *props, enum mqtt_prop id)
{
	return props->present >> id & 1;
}

/* The value of an integer property, or `absent` when it is not there; of a repeated one the first. */
uint32_t mqtt_props_number(const struct mqtt_props *props, enum mqtt_prop id, uint32_t absent);
/* The value of a string or binary property; false when it is not there. */
bool mqtt_props_str(const struct mqtt_props *props, enum mqtt_prop id, struct mqtt_str *out);
/* All of them in order: start with *at = 0; false at the end. `props` must come from mqtt_decode() or a writer. */
bool mqtt_props_next(const struct mqtt_props *props, uint32_t *at, struct mqtt_property *out);

/* Check bytes that are to be the properties of a PUBLISH from a server, with their length in front and nothing behind, and
 * view them. False when they are not; *out is not usable then. */
bool mqtt_props_of_publish(struct mqtt_str bytes, struct mqtt_props *out);

/* Write properties into a buffer of the caller's, which must live as long as the view is used. `failed` is set when one
 * does not fit, is longer than 65,535 bytes, or is not of the kind its identifier says; the view is then not usable.
 *
 *	uint8_t buf[64];
 *	struct mqtt_props_writer w = { .buf = buf, .cap = sizeof(buf) };
 *
 *	mqtt_props_put_number(&w, MQTT_PROP_RECEIVE_MAXIMUM, 20);
 *	if (!w.failed)
 *		use(&w.props);
 */
struct mqtt_props_writer {
	uint8_t *buf;
	size_t cap;
	struct mqtt_props props; /* what was written so far */
	bool failed;
};
void mqtt_props_put_number(struct mqtt_props_writer *w, enum mqtt_prop id, uint32_t number);
void mqtt_props_put_str(struct mqtt_props_writer *w, enum mqtt_prop id, struct mqtt_str str);
void mqtt_props_put_user(struct mqtt_props_writer *w, struct mqtt_str name, struct mqtt_str value);

/* The standard's name ("Topic Alias"); "Unknown" for an identifier it does not define. */
const char *mqtt_prop_name(uint8_t id);

#endif
