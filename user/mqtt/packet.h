/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * MQTT control packets, versions 3.1, 3.1.1 and 5.0, decoded. A struct mqtt_packet is a view: its strings point into
 * the buffer it was decoded from and are valid as long as that buffer is; nothing is allocated. The versions differ by
 * data (the layouts in layout.c, the properties in props.c, the reasons in reason.c), not by code. All functions are
 * pure and may be called from any thread. Statement numbers are those of 3.1.1 unless 5.0 is named. Encoders are in
 * encode.h.
 */
#ifndef SHUNT_MQTT_PACKET_H
#define SHUNT_MQTT_PACKET_H

#include "mqtt/props.h"
#include "mqtt/reason.h"
#include "mqtt/str.h"

enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK = 2,
	MQTT_PUBLISH = 3,
	MQTT_PUBACK = 4,
	MQTT_PUBREC = 5,
	MQTT_PUBREL = 6,
	MQTT_PUBCOMP = 7,
	MQTT_SUBSCRIBE = 8,
	MQTT_SUBACK = 9,
	MQTT_UNSUBSCRIBE = 10,
	MQTT_UNSUBACK = 11,
	MQTT_PINGREQ = 12,
	MQTT_PINGRESP = 13,
	MQTT_DISCONNECT = 14,
	MQTT_AUTH = 15, /* 5.0 only */
};

/* The Protocol Level of CONNECT. */
enum mqtt_version {
	MQTT_3_1 = 3,
	MQTT_3_1_1 = 4,
	MQTT_5_0 = 5,
};

/* CONNECT, section 3.1. */
struct mqtt_connect {
	uint8_t version;  /* enum mqtt_version: from here on the connection's */
	bool answer;	  /* when it cannot be decoded: the client may be told why */
	bool clean_start; /* Clean Session before 5.0 */
	bool will;	  /* the will_ members are set */
	bool has_username;
	bool has_password;
	uint8_t will_qos;
	bool will_retain;
	uint16_t keep_alive;	   /* seconds; 0 off */
	struct mqtt_str client_id; /* may be empty: what that means is the broker's to decide [MQTT-3.1.3-7] */
	struct mqtt_str will_topic;
	struct mqtt_str will_payload;
	struct mqtt_str username;
	struct mqtt_str password; /* binary */
	struct mqtt_props will_props;
};

/* PUBLISH, section 3.3. The packet identifier is in struct mqtt_packet, 0 with QoS 0. */
struct mqtt_publish {
	struct mqtt_str topic; /* empty only in 5.0 with a Topic Alias */
	struct mqtt_str payload;
	uint8_t qos;
	bool dup;
	bool retain;
};

/* One entry of a SUBSCRIBE or UNSUBSCRIBE, sections 3.8.3 and 3.10.3. */
struct mqtt_filter {
	struct mqtt_str topic;
	/* SUBSCRIBE only */
	uint8_t qos;		  /* requested */
	bool no_local;		  /* 5.0 */
	bool retain_as_published; /* 5.0 */
	uint8_t retain_handling;  /* 5.0: 0 send retained messages, 1 if the subscription is new, 2 do not */
};

struct mqtt_packet {
	uint8_t type;	 /* enum mqtt_type */
	uint8_t version; /* enum mqtt_version */
	uint8_t reason;	 /* enum mqtt_reason: CONNACK, PUBACK to PUBCOMP, DISCONNECT, AUTH; 0 where absent */
	uint16_t pid;	 /* packet identifier where the packet has one [MQTT-2.3.1-1], else 0 */
	struct mqtt_props props;
	union {
		struct mqtt_connect connect;
		struct mqtt_publish publish;
		bool session_present;	 /* CONNACK */
		struct mqtt_str filters; /* SUBSCRIBE, UNSUBSCRIBE: those mqtt_next_filter() has not returned yet */
		struct mqtt_str codes;	 /* SUBACK; UNSUBACK of 5.0: one reason code a filter */
	};
};

/*
 * Decode a packet that a client sent. `version` is the connection's (ignored for CONNECT), `first` the first byte of
 * the fixed header, `body` the `len` bytes behind the fixed header (framing is wire_header()'s, include/wire.h).
 *
 * Returns 0, or the enum mqtt_reason for which the connection must be closed [MQTT-4.8.0-1]; 5.0 and CONNECT may be
 * told it first. out->type is then set, but nothing else may be used, with two exceptions: of a CONNECT out->version,
 * out->connect.answer and the properties in front of a wrong one; and on MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION
 * out->connect.version is the level that was asked for, any byte.
 *
 *   MQTT_RC_MALFORMED_PACKET	flags, lengths, strings or fields that cannot be parsed; trailing bytes
 *   MQTT_RC_PROTOCOL_ERROR	parsed, but not allowed here: a packet for servers to send, a property given twice, ...
 *   MQTT_RC_TOPIC_NAME_INVALID, MQTT_RC_TOPIC_FILTER_INVALID, MQTT_RC_TOPIC_ALIAS_INVALID
 *   MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION	CONNECT with an MQTT protocol name, but none of the three levels
 *
 * After 0 the packet obeys every rule that can be checked without knowing the session.
 */
int mqtt_decode(uint8_t version, uint8_t first, const uint8_t *body, size_t len, struct mqtt_packet *out);

/* The same for a packet that a server sent: for clients, bridges and tests. */
int mqtt_decode_from_server(uint8_t version, uint8_t first, const uint8_t *body, size_t len, struct mqtt_packet *out);

/* Take the next topic filter of a decoded SUBSCRIBE or UNSUBSCRIBE; false when there is none left. */
bool mqtt_next_filter(struct mqtt_packet *packet, struct mqtt_filter *out);

/* How many filters are left. */
uint32_t mqtt_count_filters(const struct mqtt_packet *packet);

/* "PUBLISH"; "RESERVED" for 0 and what is no type. */
const char *mqtt_type_name(uint8_t type);

/* "3.1", "3.1.1", "5.0"; "?" for what is no version. */
const char *mqtt_version_name(uint8_t version);

#endif
