// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/counters.h"

#include "mqtt/reason.h"

const struct close_text close_texts[CLOSE_REASONS] = {
	[CLOSE_DISCONNECT] = {"disconnect", NULL, 0},
	[CLOSE_PEER] = {"connection_closed", "connection closed by client", 0},
	[CLOSE_TIMEOUT] = {"timeout", "exceeded timeout", MQTT_RC_KEEP_ALIVE_TIMEOUT},
	[CLOSE_MALFORMED] = {"malformed_packet", "malformed packet", MQTT_RC_MALFORMED_PACKET},
	[CLOSE_PROTOCOL] = {"protocol_error", "protocol error", MQTT_RC_PROTOCOL_ERROR},
	[CLOSE_OVERSIZE] = {"oversize_packet", "oversize packet", MQTT_RC_PACKET_TOO_LARGE},
	[CLOSE_NOT_AUTHORISED] = {"not_authorised", "not authorised", MQTT_RC_NOT_AUTHORIZED},
	[CLOSE_BAD_METHOD] = {"bad_authentication_method", "bad authentication method",
			      MQTT_RC_BAD_AUTHENTICATION_METHOD},
	[CLOSE_TOKEN_EXPIRED] = {"token_expired", "token expired", MQTT_RC_MAXIMUM_CONNECT_TIME},
	[CLOSE_TOPIC_INVALID] = {"topic_invalid", "invalid topic", MQTT_RC_TOPIC_NAME_INVALID},
	[CLOSE_FILTER_INVALID] = {"topic_filter_invalid", "invalid topic filter", MQTT_RC_TOPIC_FILTER_INVALID},
	[CLOSE_TOPIC_ALIAS] = {"topic_alias_invalid", "invalid topic alias", MQTT_RC_TOPIC_ALIAS_INVALID},
	[CLOSE_RECEIVE_MAXIMUM] = {"receive_maximum_exceeded", "receive maximum exceeded",
				   MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED},
	[CLOSE_QOS] = {"qos_not_supported", "QoS not supported", MQTT_RC_QOS_NOT_SUPPORTED},
	[CLOSE_RETAIN] = {"retain_not_supported", "retain not supported", MQTT_RC_RETAIN_NOT_SUPPORTED},
	[CLOSE_QUOTA] = {"quota_exceeded", "quota exceeded", MQTT_RC_QUOTA_EXCEEDED},
	[CLOSE_REFUSED] = {"refused", "connection refused", 0},
	[CLOSE_TAKEN_OVER] = {"taken_over", "session taken over", MQTT_RC_SESSION_TAKEN_OVER},
	[CLOSE_KICKED] = {"administrative_action", "administrative action", MQTT_RC_ADMINISTRATIVE_ACTION},
	[CLOSE_NO_MEMORY] = {"no_memory", "out of memory", MQTT_RC_UNSPECIFIED_ERROR},
	[CLOSE_SOCKET_ERROR] = {"socket_error", "socket error", 0},
	[CLOSE_TLS] = {"tls", "TLS", 0},
	[CLOSE_WEBSOCKET] = {"websocket", "WebSocket", 0},
	[CLOSE_PROXY] = {"proxy", "PROXY protocol", 0},
	/* Banned is of CONNACK only, table 2-6 of 5.0. */
	[CLOSE_BANNED] = {"banned", "banned", MQTT_RC_ADMINISTRATIVE_ACTION},
	[CLOSE_SHUTDOWN] = {"shutdown", "server shutting down", MQTT_RC_SERVER_SHUTTING_DOWN},
};

const char *const drop_names[DROP_REASONS] = {
	[DROP_QOS0_OUTPUT_FULL] = "qos0_output_full",
	[DROP_QUEUE_FULL] = "queue_full",
	[DROP_TOO_LARGE] = "too_large",
	[DROP_EXPIRED] = "expired",
	[DROP_NO_MEMORY] = "no_memory",
	[DROP_DENIED] = "denied",
};

struct counters counters_shared;
__thread struct counters *counters_mine = &counters_shared;

void counters_bind(struct counters *c)
{
	counters_mine = c ? c : &counters_shared;
}

/* struct counters holds nothing but 64-bit numbers, so that a sum needs no list of them. */
static void add(const struct counters *c, struct counters *sum)
{
	const uint64_t *from = (const uint64_t *)c;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*c) / sizeof(*from); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void counters_sum(const struct counters *const *c, size_t n, struct counters *sum)
{
	add(&counters_shared, sum);
	for (size_t i = 0; i < n; i++)
		add(c[i], sum);
}
