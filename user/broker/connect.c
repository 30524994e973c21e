// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* CONNECT, section 3.1: checked by the worker that accepted the connection, carried out by the one its client belongs
 * to. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "broker/conn.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/subscribe.h"
#include "mqtt/encode.h"
#include "mqtt/topic.h"

static void send_connack(struct conn *c, uint8_t version, bool session_present, uint8_t reason)
{
	uint8_t b[16];
	size_t n;

	if (mqtt_connack_code(version, reason) < 0)
		return;
	n = mqtt_encode_connack(b, sizeof(b), version, session_present, reason, NULL);
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending CONNACK to %s (%d, %d)", c->session ? c->session->id : c->peer, session_present,
			  mqtt_connack_code(version, reason));
	if (n)
		conn_send(c, b, n);
}

/* Answer and close. */
static int refuse(struct conn *c, uint8_t version, enum mqtt_reason reason, enum close_reason why)
{
	send_connack(c, version, false, reason);
	return conn_fail(why);
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* The server's own identifier for a client that gave none [MQTT-3.1.3-6]: in the form mosquitto gives. */
static char *auto_id(const char *prefix)
{
	uint8_t r[16];
	char *id = NULL;

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r) ||
	    asprintf(&id, "%s%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
		     prefix ? prefix : "", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11],
		     r[12], r[13], r[14], r[15]) < 0)
		return NULL;
	return id;
}

/* 0, or the reason to refuse the client identifier. */
static int take_client_id(struct conn *c, const struct mqtt_connect *con)
{
	const struct conf *conf = c->worker->broker->conf;

	if (con->client_id.len) {
		c->client_id = strndup((const char *)con->client_id.data, con->client_id.len);
	} else {
		/* 3.1 wants 1 to 23 bytes; the upper limit is not kept by anybody. 3.1.1: [MQTT-3.1.3-7],
		 * [MQTT-3.1.3-8]. */
		if (con->version == MQTT_3_1 || !con->clean_start || !conf->allow_zero_length_clientid)
			return MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID;
		c->client_id = auto_id(conf->auto_id_prefix);
	}
	return c->client_id ? 0 : MQTT_RC_SERVER_UNAVAILABLE;
}

/* 0, or the reason to refuse the client. */
static int check(const struct conn *c, const struct mqtt_connect *con)
{
	const struct conf *conf = c->worker->broker->conf;

	/* There are no other ways to be let in yet. */
	if (!conf->listeners[c->listener].allow_anonymous)
		return MQTT_RC_NOT_AUTHORIZED;
	if (conf->max_keepalive && (con->keep_alive == 0 || con->keep_alive > conf->max_keepalive))
		return MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID; /* as mosquitto answers clients before 5.0 */
	if (con->will && con->will_qos > conf->listeners[c->listener].max_qos)
		return MQTT_RC_QOS_NOT_SUPPORTED;
	if (con->will && con->will_retain && !conf->retain_available)
		return MQTT_RC_RETAIN_NOT_SUPPORTED;
	return 0;
}

/* Decode and check. 0, or conn_fail() after the answer. */
static int admit(struct conn *c, uint8_t first, const uint8_t *body, size_t len, struct mqtt_packet *p)
{
	int rc = mqtt_decode(0, first, body, len, p);

	if (rc == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION) /* [MQTT-3.1.2-2] */
		return refuse(c, MQTT_3_1_1, MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, CLOSE_REFUSED);
	if (rc)
		return conn_fail(conn_close_reason(rc));
	if (p->connect.version == MQTT_5_0)
		return refuse(c, MQTT_5_0, MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, CLOSE_REFUSED);
	if (p->connect.will && topic_depth(p->connect.will_topic) > TREE_LEVELS_MAX)
		return conn_fail(CLOSE_MALFORMED);
	rc = check(c, &p->connect);
	if (!rc)
		rc = take_client_id(c, &p->connect);
	if (rc)
		return refuse(c, p->connect.version, (enum mqtt_reason)rc,
			      rc == MQTT_RC_NOT_AUTHORIZED ? CLOSE_NOT_AUTHORISED : CLOSE_REFUSED);
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* The client has connected again, and the worker that accepted the later connection was faster: this one would have
 * been taken over by now. */
static bool came_too_late(const struct conn *c)
{
	const struct session *s = worker_session(c->worker, c->client_id, strlen(c->client_id));

	return s && s->conn && s->conn->order > c->order;
}

/* The session of the client: the stored one unless a clean one is wanted [MQTT-3.1.2-4], [MQTT-3.1.2-6]. NULL without
 * memory. */
static struct session *take_session(struct conn *c, bool clean, bool *present)
{
	struct worker *w = c->worker;
	size_t len = strlen(c->client_id);
	struct session *s = worker_session(w, c->client_id, len);

	if (s && s->conn) {
		if (w->broker->conf->connection_messages)
			log_notice("Client %s already connected, closing old connection.", c->client_id);
		conn_close(s->conn, CLOSE_TAKEN_OVER); /* [MQTT-3.1.4-2] */
		s = worker_session(w, c->client_id, len);
	}
	if (s && clean) {
		worker_session_end(w, s);
		s = NULL;
	}
	*present = s;
	if (s)
		timer_stop(&w->loop.timers, &s->expiry);
	else
		s = worker_session_new(w, c->client_id, len);
	return s;
}

static int take_will(struct conn *c, const struct mqtt_connect *con)
{
	const struct mqtt_publish will = {.topic = con->will_topic,
					  .payload = con->will_payload,
					  .qos = con->will_qos,
					  .retain = con->will_retain};

	if (!con->will)
		return 0;
	c->will_retain = con->will_retain;
	c->will = message_new(&will);
	return c->will ? 0 : -1;
}

static void log_connect(const struct conn *c, const struct mqtt_connect *con)
{
	const char *id = c->session->id;

	if (!c->worker->broker->conf->connection_messages)
		return;
	if (con->has_username)
		log_notice("New client connected from %s as %s (p%d, c%d, k%d, u'%.*s').", c->peer, id, con->version,
			   con->clean_start, con->keep_alive, (int)con->username.len, (const char *)con->username.data);
	else
		log_notice("New client connected from %s as %s (p%d, c%d, k%d).", c->peer, id, con->version,
			   con->clean_start, con->keep_alive);
}

static int open_connection(struct conn *c, const struct mqtt_connect *con)
{
	struct worker *w = c->worker;
	struct session *s;
	bool present;

	if (came_too_late(c))
		return conn_fail(CLOSE_TAKEN_OVER);
	if (take_will(c, con))
		return conn_fail(CLOSE_NO_MEMORY);
	s = take_session(c, con->clean_start, &present);
	if (!s) {
		message_drop(&c->will);
		return refuse(c, con->version, MQTT_RC_SERVER_UNAVAILABLE, CLOSE_NO_MEMORY);
	}
	c->version = c->sink.version = con->version;
	c->keep_alive = con->keep_alive;
	c->connected_ns = w->loop.now_ns;
	c->session = s;
	free(c->client_id);
	c->client_id = NULL;
	c->state = CONN_OPEN;
	s->conn = c;
	s->clean = con->clean_start;
	COUNTER_ADD(connects, 1);
	COUNTER_ADD(clients_connected, 1);
	log_connect(c, con);
	fp_attach(&c->link, c->watch.fd, FLOW_NAMESPACE, flow_form(c->version), s->id, c->received);
	subscriptions_online(w->broker, s, c->link.road);
	send_connack(c, c->version, present, MQTT_RC_SUCCESS);
	session_online(s, &c->sink);
	conn_keepalive(c);
	return 0;
}

int conn_handle_connect(struct conn *c, uint8_t first, const uint8_t *body, size_t len)
{
	struct mqtt_packet p;
	struct worker *home;
	int rc;

	if (c->placed) {
		mqtt_decode(0, first, body, len, &p); /* it was admitted before */
	} else {
		COUNTER_ADD(messages_received, 1);
		rc = admit(c, first, body, len, &p);
		if (rc)
			return rc;
	}
	home = worker_of(c->worker->broker, c->client_id, strlen(c->client_id));
	if (home != c->worker) {
		c->move_to = home;
		return 0;
	}
	return open_connection(c, &p.connect);
}
