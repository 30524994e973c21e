// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a server says of a connection: CONNACK and DISCONNECT, sections 3.2 and 3.14. */
#include <stdlib.h>

#include "base/log.h"
#include "broker/authenticate.h"
#include "broker/conn.h"
#include "broker/internal.h"
#include "mqtt/encode.h"

enum {
	NUMBERS = 64, /* bytes, all properties of a CONNACK that are numbers */
	STRING = 3,   /* bytes in front of a string property */
};

static size_t len_of(const char *s)
{
	return s ? strlen(s) + STRING : 0;
}

static void put_text(struct mqtt_props_writer *w, enum mqtt_prop id, const char *text)
{
	if (text)
		mqtt_props_put_str(w, id, mqtt_str(text));
}

/* ---- what the server can do, sections 3.2.2.3.3 to .13 ------------------------------------------------------------------ */

static void put_limits(struct mqtt_props_writer *w, const struct conf *conf, const struct conf_listener *l)
{
	if (conf->max_inflight_messages && conf->max_inflight_messages < UINT16_MAX)
		mqtt_props_put_number(w, MQTT_PROP_RECEIVE_MAXIMUM, conf->max_inflight_messages);
	if (l->max_qos < 2)
		mqtt_props_put_number(w, MQTT_PROP_MAXIMUM_QOS, l->max_qos);
	if (conf->max_packet_size)
		mqtt_props_put_number(w, MQTT_PROP_MAXIMUM_PACKET_SIZE, conf->max_packet_size);
	if (l->max_topic_alias)
		mqtt_props_put_number(w, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, l->max_topic_alias);
}

/* Only what is not available is said: the others are by default. */
static void put_unavailable(struct mqtt_props_writer *w, const struct conf *conf)
{
	if (!conf->retain_available)
		mqtt_props_put_number(w, MQTT_PROP_RETAIN_AVAILABLE, 0);
	if (!conf->wildcard_subscriptions)
		mqtt_props_put_number(w, MQTT_PROP_WILDCARD_SUBSCRIPTION_AVAILABLE, 0);
	if (!conf->subscription_identifiers)
		mqtt_props_put_number(w, MQTT_PROP_SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0);
	if (!conf->shared_subscriptions)
		mqtt_props_put_number(w, MQTT_PROP_SHARED_SUBSCRIPTION_AVAILABLE, 0);
}

/* What became of the client's own wishes. */
static void put_answers(struct mqtt_props_writer *w, const struct conn *c, const struct connack *a)
{
	const struct conf *conf = c->worker->broker->conf;
	const struct mqtt_props *wanted = &a->connect->props;

	if (a->expiry_interval != mqtt_props_number(wanted, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0))
		mqtt_props_put_number(w, MQTT_PROP_SESSION_EXPIRY_INTERVAL, a->expiry_interval);
	if (c->keep_alive != a->connect->connect.keep_alive) /* 5.0 [MQTT-3.2.2-21] */
		mqtt_props_put_number(w, MQTT_PROP_SERVER_KEEP_ALIVE, c->keep_alive);
	if (c->assigned_id)
		put_text(w, MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER, c->session->id);
	if (mqtt_props_number(wanted, MQTT_PROP_REQUEST_RESPONSE_INFORMATION, 0))
		put_text(w, MQTT_PROP_RESPONSE_INFORMATION, conf->response_information);
}

/* ---- why not ----------------------------------------------------------------------------------------------------- */

/* For the developer who reads it in the client, where the code alone does not tell enough. */
static const char *reason_string(enum mqtt_reason reason)
{
	switch (reason) {
	case MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID:
		return "this server does not assign client identifiers";
	case MQTT_RC_BAD_AUTHENTICATION_METHOD:
		return "no such authentication method here";
	case MQTT_RC_QOS_NOT_SUPPORTED:
		return "the QoS of the will is above the maximum";
	case MQTT_RC_RETAIN_NOT_SUPPORTED:
		return "the will may not be retained: retained messages are not available";
	default:
		return NULL;
	}
}

static bool elsewhere(enum mqtt_reason reason)
{
	return reason == MQTT_RC_USE_ANOTHER_SERVER || reason == MQTT_RC_SERVER_MOVED;
}

/* ---- packets ----------------------------------------------------------------------------------------------------- */

static void put_props(struct mqtt_props_writer *w, const struct conn *c, const struct connack *a)
{
	const struct conf *conf = c->worker->broker->conf;

	if (a->connect) {
		put_answers(w, c, a);
		put_limits(w, conf, &conf->listeners[c->listener]);
		put_unavailable(w, conf);
		authenticate_props(c, w);
		return;
	}
	put_text(w, MQTT_PROP_REASON_STRING, reason_string(a->reason));
	if (elsewhere(a->reason))
		put_text(w, MQTT_PROP_SERVER_REFERENCE, conf->server_reference);
}

static size_t props_cap(const struct conn *c, const struct connack *a)
{
	const struct conf *conf = c->worker->broker->conf;

	return NUMBERS + len_of(c->session ? c->session->id : NULL) + len_of(conf->response_information) +
	       len_of(conf->server_reference) + len_of(reason_string(a->reason)) + authenticate_props_len(c);
}

static size_t encode_connack(uint8_t *buf, size_t cap, const struct connack *a, const struct mqtt_props *props)
{
	return mqtt_encode_connack(buf, cap, a->version, a->session_present, (uint8_t)a->reason, props);
}

static bool too_large(const struct conn *c, size_t len)
{
	return c->sink.max_packet && len > c->sink.max_packet;
}

void conn_send_connack(struct conn *c, const struct connack *a)
{
	size_t cap = a->version >= MQTT_5_0 ? props_cap(c, a) : 0;
	uint8_t *b = malloc(2 * cap + 16);
	struct mqtt_props_writer w = {.buf = b, .cap = cap};
	size_t n;

	if (!b) {
		conn_break(c, CLOSE_NO_MEMORY);
		return;
	}
	if (a->version >= MQTT_5_0)
		put_props(&w, c, a);
	n = w.failed ? 0 : encode_connack(b + cap, cap + 16, a, &w.props);
	if (!a->connect && too_large(c, n)) /* without Reason String 5.0 [MQTT-3.2.2-19] */
		n = encode_connack(b + cap, cap + 16, a, NULL);
	if (log_wants(LOG_TYPE_DEBUG) && n)
		log_debug("Sending CONNACK to %s (%d, %d)", c->session ? c->session->name : c->peer, a->session_present,
			  mqtt_connack_code(a->version, (uint8_t)a->reason));
	/* No bytes: 3.1 and 3.1.1 have no code for some reasons. */
	if (too_large(c, n)) /* 5.0 [MQTT-3.1.2-24] */
		conn_break(c, CLOSE_OVERSIZE);
	else if (n)
		conn_send(c, b + cap, n);
	free(b);
}

void conn_send_disconnect(struct conn *c, enum close_reason why)
{
	struct mqtt_packet p = {.type = MQTT_DISCONNECT, .version = MQTT_5_0, .reason = close_texts[why].reason};
	const char *reference = c->worker->broker->conf->server_reference;
	uint8_t *b;
	size_t cap = len_of(reference), n;
	struct mqtt_props_writer w;

	if (c->state != CONN_OPEN || c->version < MQTT_5_0 || !p.reason)
		return;
	b = malloc(2 * cap + 16);
	if (!b)
		return;
	if (why == CLOSE_SHUTDOWN && reference) {
		w = (struct mqtt_props_writer){.buf = b, .cap = cap};
		put_text(&w, MQTT_PROP_SERVER_REFERENCE, reference);
		p.reason = MQTT_RC_USE_ANOTHER_SERVER;
		p.props = w.props;
	}
	n = mqtt_encode(&p, b + cap, cap + 16);
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending DISCONNECT to %s (rc%u)", c->session->name, p.reason);
	if (n && !too_large(c, n))
		conn_send(c, b + cap, n);
	free(b);
}
