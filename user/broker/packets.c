// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The packets of an open connection, one function each. */
#include <stdlib.h>

#include "base/log.h"
#include "broker/conn.h"
#include "broker/internal.h"
#include "broker/route.h"
#include "broker/subscribe.h"
#include "mqtt/encode.h"
#include "mqtt/topic.h"

enum close_reason conn_close_reason(int mqtt_reason)
{
	switch (mqtt_reason) {
	case MQTT_RC_PROTOCOL_ERROR:
		return CLOSE_PROTOCOL;
	case MQTT_RC_PACKET_TOO_LARGE:
		return CLOSE_OVERSIZE;
	default:
		return CLOSE_MALFORMED;
	}
}

static void send_ack(struct conn *c, uint8_t type, uint16_t pid, uint8_t reason)
{
	uint8_t b[MQTT_SHORT_MAX];
	size_t n = mqtt_encode_ack(b, sizeof(b), c->version, type, pid, reason);

	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending %s to %s (m%u, rc%u)", mqtt_type_name(type), c->session->id, pid, reason);
	conn_send(c, b, n);
}

/* ---- PUBLISH ----------------------------------------------------------------------------------------------------- */

static void log_publish(const struct conn *c, const struct mqtt_packet *p)
{
	const struct mqtt_publish *pub = &p->publish;

	log_debug("Received PUBLISH from %s (d%d, q%d, r%d, m%u, '%.*s', ... (%u bytes))", c->session->id, pub->dup,
		  pub->qos, pub->retain, p->pid, (int)pub->topic.len, (const char *)pub->topic.data, pub->payload.len);
}

/* Only the broker writes there; what a client publishes is acknowledged and ignored, as by mosquitto. */
static bool reserved_topic(struct mqtt_str topic)
{
	return topic.len >= 4 && topic.data[0] == '$' && memcmp(topic.data, "$SYS", 4) == 0 &&
	       (topic.len == 4 || topic.data[4] == '/');
}

static int publish_message(struct conn *c, const struct mqtt_publish *pub)
{
	struct message *m;
	int rc;

	if (reserved_topic(pub->topic))
		return 0;
	m = message_new(pub);
	if (!m)
		return conn_fail(CLOSE_NO_MEMORY);
	rc = route_publish(c->worker, c, m, pub->retain);
	message_unref(m);
	return rc ? conn_fail(CLOSE_NO_MEMORY) : 0;
}

/* Section 3.3.4. */
static int handle_publish(struct conn *c, struct mqtt_packet *p)
{
	const struct mqtt_publish *pub = &p->publish;
	const struct conf *conf = c->worker->broker->conf;
	int rc = 1;

	COUNTER_ADD(publish_received, 1);
	COUNTER_ADD(publish_bytes_received, pub->payload.len);
	c->session->messages_in++;
	if (log_wants(LOG_TYPE_DEBUG))
		log_publish(c, p);
	if (topic_depth(pub->topic) > TREE_LEVELS_MAX)
		return conn_fail(CLOSE_MALFORMED);
	if (pub->qos > conf->listeners[c->listener].max_qos || (pub->retain && !conf->retain_available))
		return conn_fail(CLOSE_PROTOCOL);
	/* Of QoS 2 each is delivered when it arrives first; what comes with an identifier that waits for PUBREL is the
	 * same again [MQTT-4.3.3-2]. */
	if (pub->qos == 2)
		rc = session_receive(c->session, p->pid);
	if (rc < 0)
		return conn_fail(CLOSE_NO_MEMORY);
	rc = rc ? publish_message(c, pub) : 0;
	if (rc)
		return rc;
	if (pub->qos)
		send_ack(c, pub->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p->pid, MQTT_RC_SUCCESS);
	return 0;
}

/* ---- acknowledgements -------------------------------------------------------------------------------------------- */

static void log_ack(const struct conn *c, const struct mqtt_packet *p)
{
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Received %s from %s (Mid: %u)", mqtt_type_name(p->type), c->session->id, p->pid);
}

static int acknowledged(struct conn *c, const struct mqtt_packet *p, int rc)
{
	if (rc == MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND && log_wants(LOG_TYPE_WARNING))
		log_warning("Received %s from %s for an unknown packet identifier.", mqtt_type_name(p->type),
			    c->session->id);
	return rc == MQTT_RC_PROTOCOL_ERROR ? conn_fail(CLOSE_PROTOCOL) : 0;
}

static int handle_puback(struct conn *c, struct mqtt_packet *p)
{
	log_ack(c, p);
	return acknowledged(c, p, session_puback(c->session, p->pid));
}

static int handle_pubrec(struct conn *c, struct mqtt_packet *p)
{
	int rc;

	log_ack(c, p);
	rc = session_pubrec(c->session, p->pid);
	/* Also for an identifier that is not known: the client would wait for ever. */
	if (rc != MQTT_RC_PROTOCOL_ERROR)
		send_ack(c, MQTT_PUBREL, p->pid, (uint8_t)rc);
	return acknowledged(c, p, rc);
}

static int handle_pubrel(struct conn *c, struct mqtt_packet *p)
{
	int rc;

	log_ack(c, p);
	rc = session_pubrel(c->session, p->pid);
	send_ack(c, MQTT_PUBCOMP, p->pid, (uint8_t)rc);
	return 0;
}

static int handle_pubcomp(struct conn *c, struct mqtt_packet *p)
{
	log_ack(c, p);
	return acknowledged(c, p, session_pubcomp(c->session, p->pid));
}

/* ---- SUBSCRIBE, UNSUBSCRIBE -------------------------------------------------------------------------------------- */

static void log_received(const struct conn *c, const struct mqtt_packet *p)
{
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Received %s from %s", mqtt_type_name(p->type), c->session->id);
}

typedef size_t encode_codes(uint8_t *buf, size_t cap, uint8_t version, uint16_t pid, const uint8_t *codes, size_t n);

static void send_codes(struct conn *c, encode_codes *encode, uint8_t type, uint16_t pid, const uint8_t *codes, size_t n)
{
	size_t len = encode(NULL, 0, c->version, pid, codes, n);
	uint8_t *b = malloc(len ? len : 1);

	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending %s to %s", mqtt_type_name(type), c->session->id);
	if (b && len) {
		encode(b, len, c->version, pid, codes, n);
		conn_send(c, b, len);
	} else {
		conn_break(c, CLOSE_NO_MEMORY);
	}
	free(b);
}

/* Section 3.8.4. */
static int handle_subscribe(struct conn *c, struct mqtt_packet *p)
{
	struct broker *b = c->worker->broker;
	struct mqtt_packet again = *p;
	size_t n = mqtt_count_filters(p);
	uint8_t *codes = malloc(n);
	struct retained_due *due;

	log_received(c, p);
	if (!codes || subscribe(b, c->session, p, codes, &due)) {
		free(codes);
		return conn_fail(CLOSE_NO_MEMORY);
	}
	send_codes(c, mqtt_encode_suback, MQTT_SUBACK, p->pid, codes, n);
	retained_send(b, c->session, &again, codes, due);
	free(codes);
	return 0;
}

/* Section 3.10.4. */
static int handle_unsubscribe(struct conn *c, struct mqtt_packet *p)
{
	size_t n = mqtt_count_filters(p);
	uint8_t *codes = malloc(n);

	log_received(c, p);
	if (!codes)
		return conn_fail(CLOSE_NO_MEMORY);
	unsubscribe(c->worker->broker, c->session, p, codes);
	send_codes(c, mqtt_encode_unsuback, MQTT_UNSUBACK, p->pid, codes, n);
	free(codes);
	return 0;
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static int handle_pingreq(struct conn *c, struct mqtt_packet *p)
{
	uint8_t b[MQTT_SHORT_MAX];

	log_received(c, p);
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending PINGRESP to %s", c->session->id);
	conn_send(c, b, mqtt_encode_pingresp(b, sizeof(b)));
	return 0;
}

static int handle_disconnect(struct conn *c, struct mqtt_packet *p)
{
	log_received(c, p);
	return conn_fail(CLOSE_DISCONNECT);
}

/* A second CONNECT [MQTT-3.1.0-2], and what only servers send. */
static int handle_unexpected(struct conn *c, struct mqtt_packet *p)
{
	(void)c, (void)p;
	return conn_fail(CLOSE_PROTOCOL);
}

static int (*const handlers[16])(struct conn *, struct mqtt_packet *) = {
	[MQTT_PUBLISH] = handle_publish,	 [MQTT_PUBACK] = handle_puback,	  [MQTT_PUBREC] = handle_pubrec,
	[MQTT_PUBREL] = handle_pubrel,		 [MQTT_PUBCOMP] = handle_pubcomp, [MQTT_SUBSCRIBE] = handle_subscribe,
	[MQTT_UNSUBSCRIBE] = handle_unsubscribe, [MQTT_PINGREQ] = handle_pingreq, [MQTT_DISCONNECT] = handle_disconnect,
};

int conn_handle(struct conn *c, uint8_t first, const uint8_t *body, size_t len)
{
	struct mqtt_packet p;
	int rc;

	if (c->state == CONN_NEW)
		return conn_handle_connect(c, first, body, len);
	COUNTER_ADD(messages_received, 1);
	if (first >> 4 == MQTT_CONNECT)
		return handle_unexpected(c, NULL);
	rc = mqtt_decode(c->version, first, body, len, &p);
	if (rc)
		return conn_fail(conn_close_reason(rc));
	return (handlers[p.type] ? handlers[p.type] : handle_unexpected)(c, &p);
}
