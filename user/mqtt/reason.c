// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Reason codes of 5.0, section 2.4, with who may send them in what, sections 3.2.2.2 to 3.15.2.1. */
#include "mqtt/reason.h"

#include <stddef.h>

#include "mqtt/packet.h"

#define IN(type) (1u << MQTT_##type)

enum {
	IN_PUBLISH_ACKS = IN(PUBACK) | IN(PUBREC),
	IN_ALL_ACKS = IN_PUBLISH_ACKS | IN(PUBREL) | IN(PUBCOMP),
	IN_SUB_ACKS = IN(SUBACK) | IN(UNSUBACK),
	REASON_COUNT = MQTT_RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED + 1,
};

struct reason_rule {
	const char *name;
	uint16_t client, server; /* packet types in which each side may send it, a bit each */
	uint8_t as;		 /* which of connack_codes it is in a CONNACK before 5.0; 0 none */
};

static const struct reason_rule reasons[REASON_COUNT] = {
	[MQTT_RC_SUCCESS] = {"Success", IN_ALL_ACKS | IN(DISCONNECT),
			     IN(CONNACK) | IN_ALL_ACKS | IN_SUB_ACKS | IN(DISCONNECT) | IN(AUTH), 0},
	[MQTT_RC_GRANTED_QOS_1] = {"Granted QoS 1", 0, IN(SUBACK), 0},
	[MQTT_RC_GRANTED_QOS_2] = {"Granted QoS 2", 0, IN(SUBACK), 0},
	[MQTT_RC_DISCONNECT_WITH_WILL] = {"Disconnect with Will Message", IN(DISCONNECT), 0, 0},
	[MQTT_RC_NO_MATCHING_SUBSCRIBERS] = {"No matching subscribers", 0, IN_PUBLISH_ACKS, 0},
	[MQTT_RC_NO_SUBSCRIPTION_EXISTED] = {"No subscription existed", 0, IN(UNSUBACK), 0},
	[MQTT_RC_CONTINUE_AUTHENTICATION] = {"Continue authentication", IN(AUTH), IN(AUTH), 0},
	[MQTT_RC_REAUTHENTICATE] = {"Re-authenticate", IN(AUTH), 0, 0},
	[MQTT_RC_UNSPECIFIED_ERROR] = {"Unspecified error", IN_PUBLISH_ACKS | IN(DISCONNECT),
				       IN(CONNACK) | IN_PUBLISH_ACKS | IN_SUB_ACKS | IN(DISCONNECT),
				       MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_MALFORMED_PACKET] = {"Malformed Packet", IN(DISCONNECT), IN(CONNACK) | IN(DISCONNECT), 0},
	[MQTT_RC_PROTOCOL_ERROR] = {"Protocol Error", IN(DISCONNECT), IN(CONNACK) | IN(DISCONNECT), 0},
	[MQTT_RC_IMPLEMENTATION_SPECIFIC_ERROR] = {"Implementation specific error", IN_PUBLISH_ACKS | IN(DISCONNECT),
						   IN(CONNACK) | IN_PUBLISH_ACKS | IN_SUB_ACKS | IN(DISCONNECT),
						   MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION] = {"Unsupported Protocol Version", 0, IN(CONNACK),
						  MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION},
	[MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID] = {"Client Identifier not valid", 0, IN(CONNACK),
						 MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID},
	[MQTT_RC_BAD_USER_NAME_OR_PASSWORD] = {"Bad User Name or Password", 0, IN(CONNACK),
					       MQTT_RC_BAD_USER_NAME_OR_PASSWORD},
	[MQTT_RC_NOT_AUTHORIZED] = {"Not authorized", IN_PUBLISH_ACKS,
				    IN(CONNACK) | IN_PUBLISH_ACKS | IN_SUB_ACKS | IN(DISCONNECT),
				    MQTT_RC_NOT_AUTHORIZED},
	[MQTT_RC_SERVER_UNAVAILABLE] = {"Server unavailable", 0, IN(CONNACK), MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_SERVER_BUSY] = {"Server busy", 0, IN(CONNACK) | IN(DISCONNECT), MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_BANNED] = {"Banned", 0, IN(CONNACK), MQTT_RC_NOT_AUTHORIZED},
	[MQTT_RC_SERVER_SHUTTING_DOWN] = {"Server shutting down", 0, IN(DISCONNECT), 0},
	[MQTT_RC_BAD_AUTHENTICATION_METHOD] = {"Bad authentication method", 0, IN(CONNACK) | IN(DISCONNECT),
					       MQTT_RC_NOT_AUTHORIZED},
	[MQTT_RC_KEEP_ALIVE_TIMEOUT] = {"Keep Alive timeout", 0, IN(DISCONNECT), 0},
	[MQTT_RC_SESSION_TAKEN_OVER] = {"Session taken over", 0, IN(DISCONNECT), 0},
	[MQTT_RC_TOPIC_FILTER_INVALID] = {"Topic Filter invalid", 0, IN_SUB_ACKS | IN(DISCONNECT), 0},
	[MQTT_RC_TOPIC_NAME_INVALID] = {"Topic Name invalid", IN_PUBLISH_ACKS | IN(DISCONNECT),
					IN(CONNACK) | IN_PUBLISH_ACKS | IN(DISCONNECT), 0},
	[MQTT_RC_PACKET_IDENTIFIER_IN_USE] = {"Packet Identifier in use", IN_PUBLISH_ACKS,
					      IN_PUBLISH_ACKS | IN_SUB_ACKS, 0},
	[MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND] = {"Packet Identifier not found", IN(PUBREL) | IN(PUBCOMP),
						 IN(PUBREL) | IN(PUBCOMP), 0},
	[MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED] = {"Receive Maximum exceeded", IN(DISCONNECT), IN(DISCONNECT), 0},
	[MQTT_RC_TOPIC_ALIAS_INVALID] = {"Topic Alias invalid", IN(DISCONNECT), IN(DISCONNECT), 0},
	[MQTT_RC_PACKET_TOO_LARGE] = {"Packet too large", IN(DISCONNECT), IN(CONNACK) | IN(DISCONNECT), 0},
	[MQTT_RC_MESSAGE_RATE_TOO_HIGH] = {"Message rate too high", IN(DISCONNECT), IN(DISCONNECT), 0},
	[MQTT_RC_QUOTA_EXCEEDED] = {"Quota exceeded", IN_PUBLISH_ACKS | IN(DISCONNECT),
				    IN(CONNACK) | IN_PUBLISH_ACKS | IN(SUBACK) | IN(DISCONNECT),
				    MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_ADMINISTRATIVE_ACTION] = {"Administrative action", IN(DISCONNECT), IN(DISCONNECT), 0},
	[MQTT_RC_PAYLOAD_FORMAT_INVALID] = {"Payload format invalid", IN_PUBLISH_ACKS | IN(DISCONNECT),
					    IN(CONNACK) | IN_PUBLISH_ACKS | IN(DISCONNECT), 0},
	[MQTT_RC_RETAIN_NOT_SUPPORTED] = {"Retain not supported", 0, IN(CONNACK) | IN(DISCONNECT), 0},
	[MQTT_RC_QOS_NOT_SUPPORTED] = {"QoS not supported", 0, IN(CONNACK) | IN(DISCONNECT), 0},
	[MQTT_RC_USE_ANOTHER_SERVER] = {"Use another server", 0, IN(CONNACK) | IN(DISCONNECT),
					MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_SERVER_MOVED] = {"Server moved", 0, IN(CONNACK) | IN(DISCONNECT), MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED] = {"Shared Subscriptions not supported", 0,
							IN(SUBACK) | IN(DISCONNECT), 0},
	[MQTT_RC_CONNECTION_RATE_EXCEEDED] = {"Connection rate exceeded", 0, IN(CONNACK) | IN(DISCONNECT),
					      MQTT_RC_SERVER_UNAVAILABLE},
	[MQTT_RC_MAXIMUM_CONNECT_TIME] = {"Maximum connect time", 0, IN(DISCONNECT), 0},
	[MQTT_RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED] = {"Subscription Identifiers not supported", 0,
							    IN(SUBACK) | IN(DISCONNECT), 0},
	[MQTT_RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED] = {"Wildcard Subscriptions not supported", 0,
							  IN(SUBACK) | IN(DISCONNECT), 0},
};

/* Return codes of CONNACK before 5.0, table 3.1 of 3.1.1. */
static const uint8_t connack_codes[] = {
	MQTT_RC_SUCCESS,
	MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION,
	MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID,
	MQTT_RC_SERVER_UNAVAILABLE,
	MQTT_RC_BAD_USER_NAME_OR_PASSWORD,
	MQTT_RC_NOT_AUTHORIZED,
};

static const struct reason_rule *rule_of(uint8_t reason)
{
	return reason < REASON_COUNT && reasons[reason].name ? &reasons[reason] : NULL;
}

const char *mqtt_reason_name(uint8_t reason)
{
	const struct reason_rule *rule = rule_of(reason);

	return rule ? rule->name : "Unknown";
}

int mqtt_connack_code(uint8_t version, uint8_t reason)
{
	const struct reason_rule *rule = rule_of(reason);

	if (version >= MQTT_5_0 || reason == MQTT_RC_SUCCESS)
		return reason;
	for (size_t i = 1; rule && i < sizeof(connack_codes); i++) {
		if (rule->as == connack_codes[i])
			return (int)i;
	}
	return -1;
}

int mqtt_connack_reason(uint8_t version, uint8_t code)
{
	if (version >= MQTT_5_0)
		return mqtt_reason_allowed(code, MQTT_CONNACK, true) ? code : -1;
	return code < sizeof(connack_codes) ? connack_codes[code] : -1;
}

bool mqtt_reason_allowed(uint8_t reason, uint8_t type, bool from_server)
{
	const struct reason_rule *rule = rule_of(reason);

	return rule && ((from_server ? rule->server : rule->client) >> type & 1);
}
