/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reason codes. The broker thinks in those of 5.0 (section 2.4) whatever version a client speaks; what 3.1.1 and 3.1
 * put on the wire instead is a column of the same table.
 */
#ifndef SHUNT_MQTT_REASON_H
#define SHUNT_MQTT_REASON_H

#include <stdbool.h>
#include <stdint.h>

enum mqtt_reason {
	MQTT_RC_SUCCESS = 0x00, /* also Normal disconnection, Granted QoS 0 */
	MQTT_RC_GRANTED_QOS_1 = 0x01,
	MQTT_RC_GRANTED_QOS_2 = 0x02,
	MQTT_RC_DISCONNECT_WITH_WILL = 0x04,
	MQTT_RC_NO_MATCHING_SUBSCRIBERS = 0x10,
	MQTT_RC_NO_SUBSCRIPTION_EXISTED = 0x11,
	MQTT_RC_CONTINUE_AUTHENTICATION = 0x18,
	MQTT_RC_REAUTHENTICATE = 0x19,
	MQTT_RC_UNSPECIFIED_ERROR = 0x80,
	MQTT_RC_MALFORMED_PACKET = 0x81,
	MQTT_RC_PROTOCOL_ERROR = 0x82,
	MQTT_RC_IMPLEMENTATION_SPECIFIC_ERROR = 0x83,
	MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
	MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID = 0x85,
	MQTT_RC_BAD_USER_NAME_OR_PASSWORD = 0x86,
	MQTT_RC_NOT_AUTHORIZED = 0x87,
	MQTT_RC_SERVER_UNAVAILABLE = 0x88,
	MQTT_RC_SERVER_BUSY = 0x89,
	MQTT_RC_BANNED = 0x8a,
	MQTT_RC_SERVER_SHUTTING_DOWN = 0x8b,
	MQTT_RC_BAD_AUTHENTICATION_METHOD = 0x8c,
	MQTT_RC_KEEP_ALIVE_TIMEOUT = 0x8d,
	MQTT_RC_SESSION_TAKEN_OVER = 0x8e,
	MQTT_RC_TOPIC_FILTER_INVALID = 0x8f,
	MQTT_RC_TOPIC_NAME_INVALID = 0x90,
	MQTT_RC_PACKET_IDENTIFIER_IN_USE = 0x91,
	MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND = 0x92,
	MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
	MQTT_RC_TOPIC_ALIAS_INVALID = 0x94,
	MQTT_RC_PACKET_TOO_LARGE = 0x95,
	MQTT_RC_MESSAGE_RATE_TOO_HIGH = 0x96,
	MQTT_RC_QUOTA_EXCEEDED = 0x97,
	MQTT_RC_ADMINISTRATIVE_ACTION = 0x98,
	MQTT_RC_PAYLOAD_FORMAT_INVALID = 0x99,
	MQTT_RC_RETAIN_NOT_SUPPORTED = 0x9a,
	MQTT_RC_QOS_NOT_SUPPORTED = 0x9b,
	MQTT_RC_USE_ANOTHER_SERVER = 0x9c,
	MQTT_RC_SERVER_MOVED = 0x9d,
	MQTT_RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9e,
	MQTT_RC_CONNECTION_RATE_EXCEEDED = 0x9f,
	MQTT_RC_MAXIMUM_CONNECT_TIME = 0xa0,
	MQTT_RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xa1,
	MQTT_RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xa2,
};

/* The standard's name ("Malformed Packet"); "Unknown" for a value it does not define. */
const char *mqtt_reason_name(uint8_t reason);

/* What a CONNACK of this version says for the reason: the byte of the wire, or -1 when 3.1 and 3.1.1 have no return
 * code for it and the server just closes the connection [MQTT-3.2.2-6]. */
int mqtt_connack_code(uint8_t version, uint8_t reason);
/* The reason a CONNACK's code stands for, or -1 when this version does not define it. */
int mqtt_connack_reason(uint8_t version, uint8_t code);

/* What a SUBACK of this version says: every failure is 0x80 before 5.0 [MQTT-3.9.3-2]. */
static inline uint8_t mqtt_suback_code(uint8_t version, uint8_t reason)
{
	return version < 5 && reason >= MQTT_RC_UNSPECIFIED_ERROR ? MQTT_RC_UNSPECIFIED_ERROR : reason;
}

/* Does 5.0 allow the reason in a packet of this type (enum mqtt_type) sent by the client, or by the server? */
bool mqtt_reason_allowed(uint8_t reason, uint8_t type, bool from_server);

#endif
