// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* CONNECT, section 3.1: checked by the worker that accepted the connection, carried out by the one its client belongs
 * to. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "broker/access.h"
#include "broker/authenticate.h"
#include "broker/banning.h"
#include "broker/conn.h"
#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/mount.h"
#include "broker/subscribe.h"
#include "broker/token.h"
#include "broker/will.h"
#include "mqtt/topic.h"

/* Answer and close. */
static int refuse(struct conn *c, uint8_t version, enum mqtt_reason reason, enum close_reason why)
{
	conn_send_connack(c, &(struct connack){.version = version, .reason = reason});
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
	const struct conf_listener *l = &c->worker->broker->conf->listeners[c->listener];
	struct mqtt_str id = con->client_id;
	char *own = NULL;

	if (l->use_username_as_clientid) {
		if (!con->has_username || !con->username.len)
			return MQTT_RC_NOT_AUTHORIZED;
		id = con->username;
	}
	if (!id.len) {
		/* 3.1 wants 1 to 23 bytes; the upper limit is not kept by anybody. 3.1.1: [MQTT-3.1.3-7],
		 * [MQTT-3.1.3-8]. 5.0: [MQTT-3.1.3-6]. */
		if (con->version == MQTT_3_1 || (con->version < MQTT_5_0 && !con->clean_start) ||
		    !l->allow_zero_length_clientid)
			return MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID;
		own = auto_id(l->auto_id_prefix);
		if (!own)
			return MQTT_RC_SERVER_UNAVAILABLE;
		id = mqtt_str(own);
		c->assigned_id = true;
	}
	c->client_name = namespace_client(conn_namespace(c), (const char *)id.data, id.len, &c->client_id);
	free(own);
	return c->client_name ? 0 : MQTT_RC_SERVER_UNAVAILABLE;
}

static bool keep_alive_allowed(const struct conf *conf, uint16_t keep_alive)
{
	return !conf->max_keepalive || (keep_alive && keep_alive <= conf->max_keepalive);
}

/* With the mount point in front of it. */
static bool will_topic_allowed(const struct conf *conf, struct mqtt_str mount, struct mqtt_str topic)
{
	size_t levels = topic_depth(topic) + (mount.len ? topic_depth(mount) - 1 : 0);

	return mount.len + topic.len <= TOPIC_LEN_MAX && levels <= topic_levels_max(conf);
}

/* 0, or the reason to refuse the client. */
static int check(const struct conn *c, const struct mqtt_connect *con)
{
	const struct conf *conf = c->worker->broker->conf;

	/* A client of 5.0 is told another keep alive instead. */
	if (con->version < MQTT_5_0 && !keep_alive_allowed(conf, con->keep_alive))
		return MQTT_RC_CLIENT_IDENTIFIER_NOT_VALID;		       /* as mosquitto answers */
	if (con->will && con->will_qos > conf->listeners[c->listener].max_qos) /* 5.0 [MQTT-3.2.2-12] */
		return MQTT_RC_QOS_NOT_SUPPORTED;
	if (con->will && con->will_retain && !conf->retain_available) /* 5.0 [MQTT-3.2.2-13] */
		return MQTT_RC_RETAIN_NOT_SUPPORTED;
	if (con->will && !will_topic_allowed(conf, mount_of(&conf->listeners[c->listener]), con->will_topic))
		return MQTT_RC_TOPIC_NAME_INVALID;
	return 0;
}

static enum close_reason refusal(int reason)
{
	switch (reason) {
	case MQTT_RC_NOT_AUTHORIZED:
		return CLOSE_NOT_AUTHORISED;
	case MQTT_RC_BAD_AUTHENTICATION_METHOD:
		return CLOSE_BAD_METHOD;
	case MQTT_RC_BANNED:
		return CLOSE_BANNED;
	case MQTT_RC_MALFORMED_PACKET:
	case MQTT_RC_TOPIC_NAME_INVALID:
		return CLOSE_MALFORMED;
	case MQTT_RC_PROTOCOL_ERROR:
		return CLOSE_PROTOCOL;
	default:
		return CLOSE_REFUSED;
	}
}

static bool is_old(uint8_t level)
{
	return level == MQTT_3_1 || level == MQTT_3_1_1;
}

/* Decode a CONNECT. 0, or conn_fail() after the answer: of 5.0 the reason [MQTT-3.1.4-1], before that nothing. */
static int decode(struct conn *c, uint8_t first, const uint8_t *body, size_t len, struct mqtt_packet *p)
{
	unsigned versions = c->worker->broker->conf->listeners[c->listener].accept_versions;
	int rc = mqtt_decode(0, first, body, len, p);

	/* In the form of the latest version, unless the level is that of an older one with another name, as by mosquitto
	 * [MQTT-3.1.2-2]. */
	if (rc == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION)
		return refuse(c, is_old(p->connect.version) ? MQTT_3_1_1 : MQTT_5_0,
			      MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, CLOSE_REFUSED);
	if (!rc && !(versions >> p->version & 1))
		return refuse(c, p->version, MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, CLOSE_REFUSED);
	if (!rc)
		return 0;
	c->sink.max_packet = mqtt_props_number(&p->props, MQTT_PROP_MAXIMUM_PACKET_SIZE, 0);
	if (p->connect.answer)
		return refuse(c, p->version, (enum mqtt_reason)rc, conn_close_reason(rc));
	return conn_fail(conn_close_reason(rc));
}

/* Check a CONNECT. 0, AUTHENTICATE_MORE, or the reason to refuse it. */
static int admit(struct conn *c, const struct mqtt_packet *p, const uint8_t *body, size_t len)
{
	int rc = check(c, &p->connect);

	c->sink.max_packet = mqtt_props_number(&p->props, MQTT_PROP_MAXIMUM_PACKET_SIZE, 0);
	if (!rc)
		rc = take_client_id(c, &p->connect);
	if (!rc && banning_refuses(c, p->connect.username)) /* before its password costs anything */
		rc = MQTT_RC_BANNED;
	if (!rc)
		rc = authenticate_connect(c, p, body, len);
	return rc;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* The client has connected again, and the worker that accepted the later connection was faster: this one would have
 * been taken over by now. */
static bool came_too_late(const struct conn *c)
{
	const struct session *s = worker_session(c->worker, conn_namespace(c), c->client_id, strlen(c->client_id));

	return s && s->conn && s->conn->order > c->order;
}

static void log_denied(const struct conn *c, const char *limit)
{
	if (c->worker->broker->conf->connection_messages)
		log_notice("Client connection from %.*s denied: %s exceeded.", net_host_len(c->peer), c->peer, limit);
}

/* A new session, which counts for global_max_clients. NULL when there are too many, or no memory. */
static struct session *new_session(struct conn *c, size_t len)
{
	struct worker *w = c->worker;
	uint32_t max = w->broker->conf->global_max_clients;
	struct namespace *space = conn_namespace(c);
	uint32_t now = __atomic_add_fetch(&space->clients, 1, __ATOMIC_RELAXED);
	struct session *s = NULL;

	if (max && now > max)
		log_denied(c, "global_max_clients");
	else if (memory_short())
		log_denied(c, "memory_limit");
	else
		s = worker_session_new(w, space, c->client_id, len);
	if (!s)
		__atomic_sub_fetch(&space->clients, 1, __ATOMIC_RELAXED);
	return s;
}

/* Close the connection that the client has [MQTT-3.1.4-2]. Its session then, if it outlives it. */
static struct session *take_over(struct conn *c, struct session *s)
{
	if (c->worker->broker->conf->connection_messages)
		log_notice("Client %s already connected, closing old connection.", s->name);
	conn_close(s->conn, CLOSE_TAKEN_OVER);
	return worker_session(c->worker, conn_namespace(c), c->client_id, strlen(c->client_id));
}

/* The session of the client: the stored one unless a clean one is wanted [MQTT-3.1.2-4], [MQTT-3.1.2-6]. NULL when
 * there is no room for one. */
static struct session *take_session(struct conn *c, bool clean, bool *present)
{
	struct worker *w = c->worker;
	size_t len = strlen(c->client_id);
	struct session *s = worker_session(w, conn_namespace(c), c->client_id, len);

	if (s && s->conn)
		s = take_over(c, s);
	if (s && clean) {
		worker_session_end(w, s);
		s = NULL;
	}
	*present = s;
	if (s) {
		timer_stop(&w->loop.timers, &s->expiry);
		will_cancel(w, s);
	} else {
		s = new_session(c, len);
	}
	return s;
}

/* The session of the client is in the store, and has to be read from there first: then the CONNECT is handled again. */
static bool must_load(struct conn *c, bool clean)
{
	struct session *s = clean ? NULL
				  : worker_session(c->worker, conn_namespace(c), c->client_id, strlen(c->client_id));

	if (s && s->conn && s->stored)
		s = take_over(c, s);
	return s && durable_wait(c, s);
}

/* How long the session is to outlive its connection, section 3.1.2.11.2 of 5.0. */
static uint32_t expiry_interval(const struct conf *conf, const struct mqtt_packet *p)
{
	uint64_t limit = conf->persistent_client_expiration;
	uint32_t wanted;

	if (p->connect.version < MQTT_5_0)
		return p->connect.clean_start ? 0 : SESSION_NEVER_EXPIRES;
	wanted = mqtt_props_number(&p->props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0);
	return limit && limit < wanted ? (uint32_t)limit : wanted;
}

/* May this session not outlive its connection, although it is to? As many as may do already. */
static bool too_many_kept(const struct session *s)
{
	uint32_t max = s->conf->max_sessions;

	return max && !s->kept && __atomic_load_n(&s->space->kept, __ATOMIC_RELAXED) >= max;
}

/* How long the session will outlive its connection. False: it should, and may not, and a client before 5.0 cannot be told
 * so [MQTT-3.1.2-5]. */
static bool take_expiry(struct conn *c, const struct mqtt_packet *p, struct session *s)
{
	struct broker *b = c->worker->broker;

	s->expiry_interval = expiry_interval(b->conf, p);
	if (session_ends_with_connection(s) || !too_many_kept(s))
		return true;
	if (b->conf->connection_messages)
		log_notice("The session of client %s [%.*s] is not kept: max_sessions exceeded.", s->name,
			   net_host_len(c->peer), c->peer);
	COUNTER_ADD(sessions_refused, 1);
	c->not_kept = true;
	s->expiry_interval = 0; /* the CONNACK says so, section 3.2.2.3.2 of 5.0 */
	return p->version >= MQTT_5_0;
}

/* What the client can take, and what it is told of us, which holds as long as it is connected. */
static void take_limits(struct conn *c, const struct mqtt_packet *p)
{
	const struct conf *conf = c->worker->broker->conf;
	const struct conf_listener *l = &conf->listeners[c->listener];
	uint32_t aliases = mqtt_props_number(&p->props, MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
	uint16_t our_aliases = l->max_topic_alias_broker;

	c->sink.receive_max = (uint16_t)mqtt_props_number(&p->props, MQTT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
	c->sink.max_packet = mqtt_props_number(&p->props, MQTT_PROP_MAXIMUM_PACKET_SIZE, 0);
	if (c->wire)
		c->sink.max_packet = c->wire->max_packet;
	c->sink.aliases.max = aliases < our_aliases ? (uint16_t)aliases : our_aliases;
	c->sink.mount = mount_of(l);
	c->told.inflight = conf->max_inflight_messages;
	c->told.topic_alias = l->max_topic_alias;
	c->told.qos = l->max_qos;
	c->told.retain = conf->retain_available;
	c->problem_info = mqtt_props_number(&p->props, MQTT_PROP_REQUEST_PROBLEM_INFORMATION, 1);
	c->keep_alive = p->connect.keep_alive;
	if (!keep_alive_allowed(conf, c->keep_alive))
		c->keep_alive = conf->max_keepalive;
}

/* The road by which it may receive flows. */
static enum fp_road road_of(const struct conn *c)
{
	return flow_receiver_limit(c) ? FP_ROAD_NONE : c->link.road;
}

static void log_connect(const struct conn *c, const struct mqtt_connect *con)
{
	const char *id = c->session->name, *name = c->session->username;

	if (!c->worker->broker->conf->connection_messages)
		return;
	if (name)
		log_notice("New client connected from %s as %s (p%d, c%d, k%d, u'%s').", c->peer, id, con->version,
			   con->clean_start, con->keep_alive, name);
	else
		log_notice("New client connected from %s as %s (p%d, c%d, k%d).", c->peer, id, con->version,
			   con->clean_start, con->keep_alive);
}

/* There is a session, and no CONNACK yet: nothing may be said before that [MQTT-3.14.0-1]. */
static int no_memory(struct conn *c)
{
	c->broken = true;
	return conn_fail(CLOSE_NO_MEMORY);
}

static int let_in(struct conn *c, const struct mqtt_packet *connect);

/* It was let in by rules that a reload has replaced since. */
static int let_in_again(struct conn *c, const struct mqtt_packet *connect)
{
	c->access_epoch = c->worker->broker->access_epoch;
	c->placed = false;
	access_anew(c);
	return let_in(c, connect);
}

static int open_connection(struct conn *c, const struct mqtt_packet *p)
{
	const struct mqtt_connect *con = &p->connect;
	struct worker *w = c->worker;
	struct session *s;
	bool present;

	if (came_too_late(c))
		return conn_fail(CLOSE_TAKEN_OVER);
	if (c->access_epoch != w->broker->access_epoch)
		return let_in_again(c, p);
	/* By the name that it has proved; and since it moved here. */
	if (banning_refuses(c, c->username ? mqtt_str(c->username) : (struct mqtt_str){0}))
		return refuse(c, con->version, MQTT_RC_BANNED, CLOSE_BANNED);
	c->version = c->sink.version = con->version;
	take_limits(c, p);
	if (must_load(c, con->clean_start)) {
		c->placed = true; /* it need not be admitted again */
		return 0;
	}
	if (will_take(c, con))
		return conn_fail(CLOSE_NO_MEMORY);
	s = take_session(c, con->clean_start, &present);
	if (s &&
	    (!take_expiry(c, p, s) || (!present && !session_ends_with_connection(s) && durable_session_begins(w, s)))) {
		worker_session_end(w, s);
		s = NULL;
	}
	if (!s) {
		message_drop(&c->will);
		return refuse(c, con->version,
			      w->broker->conf->server_reference ? MQTT_RC_USE_ANOTHER_SERVER : MQTT_RC_SERVER_BUSY,
			      CLOSE_REFUSED);
	}
	c->connected_ns = w->loop.now_ns;
	c->session = s;
	access_forget_username(&s->username);
	s->came = true;
	s->username = c->username;
	s->listener = c->listener;
	c->username = NULL;
	token_free(s->token);
	s->token = c->token;
	c->token = NULL;
	free(c->client_name);
	c->client_name = c->client_id = NULL;
	c->state = CONN_OPEN;
	s->conn = c;
	COUNTER_ADD(clients_connected, 1);
	namespace_count(&s->space->connected, 1);
	worker_session_kept(s);
	c->expires_at_close = session_ends_with_connection(s) && !c->not_kept;
	if (s->stored) {
		if (present)
			durable_session_changes(w, s);
		durable_will(w, s, c->will, c->will_retain, c->will_delay);
	}
	if (w->store.failures != c->failures)
		return no_memory(c);
	COUNTER_ADD(connects, 1);
	log_connect(c, con);
	if (c->sink.mount.len)
		c->link.no_road = "its listener has a mount point";
	else if (c->wire)
		c->link.no_road = "it speaks MQTT-SN";
	else if (!access_of(c)->gate)
		fp_attach(&c->link, c->watch.fd, s->space->number, flow_form(c->version), s->id, c->received);
	else
		c->link.no_road = "it comes by TLS, WebSocket or a proxy";
	if (subscriptions_online(w->broker, s, road_of(c), flow_form(c->version)))
		return no_memory(c);
	fp_publish_alone(&c->link, s->rights);
	if (c->link.road != FP_ROAD_NONE && worker_fence(w, c))
		return no_memory(c);
	conn_send_connack(c, &(struct connack){.version = c->version,
					       .session_present = present,
					       .connect = p,
					       .expiry_interval = s->expiry_interval});
	authenticate_done(c);
	access_done(c);
	session_online(s, &c->sink);
	conn_keepalive(c);
	if (s->token)
		token_watch(c);
	return 0;
}

/* The client is known, and this is its CONNECT: on to its worker, or open it here. */
static int place(struct conn *c, const struct mqtt_packet *connect)
{
	struct worker *home = worker_of(c->worker->broker, c->client_id, strlen(c->client_id));

	if (home != c->worker) {
		c->move_to = home;
		return 0;
	}
	return open_connection(c, connect);
}

/* What it proved is enough, or what it says. */
static int let_in(struct conn *c, const struct mqtt_packet *connect)
{
	int rc = access_check(c, &connect->connect);

	if (rc == ACCESS_LATER)
		return 0;
	return rc ? refuse(c, connect->connect.version, (enum mqtt_reason)rc, refusal(rc)) : place(c, connect);
}

/* The CONNECT that was kept while the client proved who it is. */
static int place_kept(struct conn *c)
{
	struct mqtt_packet connect;
	size_t len;
	const uint8_t *body = authenticate_connect_body(c, &len);

	mqtt_decode(0, MQTT_CONNECT << 4, body, len, &connect);
	return c->placed ? place(c, &connect) : let_in(c, &connect);
}

/* What comes between our AUTH and the CONNACK [MQTT-3.1.4-6]. */
static int handle_auth(struct conn *c, uint8_t first, const uint8_t *body, size_t len)
{
	struct mqtt_packet p;
	int rc = mqtt_decode(MQTT_5_0, first, body, len, &p);

	if (!rc && p.type == MQTT_DISCONNECT)
		return conn_fail(CLOSE_DISCONNECT);
	if (!rc)
		rc = p.type == MQTT_AUTH ? authenticate_go_on(c, &p) : MQTT_RC_PROTOCOL_ERROR;
	if (rc == AUTHENTICATE_MORE)
		return 0;
	return rc ? refuse(c, MQTT_5_0, (enum mqtt_reason)rc, refusal(rc)) : place_kept(c);
}

int conn_handle_connect(struct conn *c, uint8_t first, const uint8_t *body, size_t len)
{
	struct mqtt_packet p;
	int rc;

	if (c->placed && authenticate_waits(c)) /* the AUTH that completed it */
		return place_kept(c);
	if (c->placed) {
		mqtt_decode(0, first, body, len, &p); /* it was admitted before */
		return place(c, &p);
	}
	if (c->login_known) {
		mqtt_decode(0, first, body, len, &p);
		return let_in(c, &p);
	}
	COUNTER_ADD(messages_received, 1);
	if (authenticate_waits(c))
		return handle_auth(c, first, body, len);
	COUNTER_ADD(connects_received, 1);
	c->access_epoch = c->worker->broker->access_epoch;
	rc = decode(c, first, body, len, &p);
	if (rc)
		return rc;
	rc = admit(c, &p, body, len);
	if (rc == AUTHENTICATE_MORE)
		return 0;
	return rc ? refuse(c, p.connect.version, (enum mqtt_reason)rc, refusal(rc)) : let_in(c, &p);
}
