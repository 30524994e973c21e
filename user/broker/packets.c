// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The packets of an open connection, one function each. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "broker/access.h"
#include "broker/authenticate.h"
#include "broker/conn.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/mount.h"
#include "broker/rate.h"
#include "broker/replay.h"
#include "broker/room.h"
#include "broker/route.h"
#include "broker/subscribe.h"
#include "mqtt/encode.h"
#include "mqtt/topic.h"

enum { REASON_STRING_MAX = 80 }; /* bytes; ours are shorter */

enum close_reason conn_close_reason(int mqtt_reason)
{
	switch (mqtt_reason) {
	case MQTT_RC_PROTOCOL_ERROR:
		return CLOSE_PROTOCOL;
	case MQTT_RC_PACKET_TOO_LARGE:
		return CLOSE_OVERSIZE;
	case MQTT_RC_TOPIC_NAME_INVALID:
		return CLOSE_TOPIC_INVALID;
	case MQTT_RC_TOPIC_FILTER_INVALID:
		return CLOSE_FILTER_INVALID;
	case MQTT_RC_TOPIC_ALIAS_INVALID:
		return CLOSE_TOPIC_ALIAS;
	default:
		return CLOSE_MALFORMED;
	}
}

/* With a Reason String, if there is one and the client wants to hear such [MQTT-3.1.2-29]. When what it confirms is on
 * disk: of QoS 2 also what was said of the identifier before. */
static void send_reason(struct conn *c, struct mqtt_packet *p, const char *why)
{
	uint8_t props[REASON_STRING_MAX + 3], b[REASON_STRING_MAX + 16];
	struct mqtt_props_writer w = {.buf = props, .cap = sizeof(props)};
	size_t n;

	p->version = c->version;
	if (why && c->problem_info && c->version >= MQTT_5_0) {
		mqtt_props_put_str(&w, MQTT_PROP_REASON_STRING, mqtt_str(why));
		p->props = w.props;
	}
	n = mqtt_encode(p, b, sizeof(b));
	if (c->sink.max_packet && n > c->sink.max_packet) { /* [MQTT-3.4.2-2] */
		p->props = (struct mqtt_props){0};
		n = mqtt_encode(p, b, sizeof(b));
	}
	durable_send(c, b, n, p->type != MQTT_PUBACK && c->session->stored);
}

static void send_ack(struct conn *c, uint8_t type, uint16_t pid, uint8_t reason, const char *why)
{
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending %s to %s (m%u, rc%u)", mqtt_type_name(type), c->session->name, pid, reason);
	send_reason(c, &(struct mqtt_packet){.type = type, .pid = pid, .reason = reason}, why);
}

/* ---- PUBLISH ----------------------------------------------------------------------------------------------------- */

static void log_publish(const struct conn *c, const struct mqtt_packet *p)
{
	const struct mqtt_publish *pub = &p->publish;

	log_debug("Received PUBLISH from %s (d%d, q%d, r%d, m%u, '%.*s', ... (%u bytes))", c->session->name, pub->dup,
		  pub->qos, pub->retain, p->pid, (int)pub->topic.len, (const char *)pub->topic.data, pub->payload.len);
}

/* A PUBLISH that was taken, but what became of it. */
struct outcome {
	uint8_t reason;	 /* of its acknowledgement */
	const char *why; /* NULL: the reason says it all */
	bool waits;	 /* room.c has it: there is no acknowledgement yet */
};

/* The message of a PUBLISH, or NULL with *rc 0 (not taken, *out says why) or conn_fail(). */
static struct message *take_message(struct conn *c, const struct mqtt_packet *p, struct outcome *out, int *rc)
{
	const struct mqtt_publish *pub = &p->publish;
	const struct conf *conf = c->worker->broker->conf;
	struct message *m;

	*rc = 0;
	if (route_reserved(pub->topic)) {
		*out = (struct outcome){MQTT_RC_NOT_AUTHORIZED, "nobody but the server publishes there", false};
		return NULL;
	}
	if (!access_may_write(c->session, pub->topic)) {
		*out = (struct outcome){MQTT_RC_NOT_AUTHORIZED, NULL, false};
		COUNTER_ADD(publish_denied, 1);
		if (log_wants(LOG_TYPE_DEBUG))
			log_debug("Denied PUBLISH from %s (q%d, '%.*s')", c->session->name, pub->qos,
				  (int)pub->topic.len, (const char *)pub->topic.data);
		return NULL;
	}
	if (conf->message_size_limit && pub->payload.len > conf->message_size_limit) {
		*out = (struct outcome){MQTT_RC_QUOTA_EXCEEDED, "the payload is larger than message_size_limit", false};
		COUNTER_ADD(dropped[DROP_TOO_LARGE], 1);
		return NULL;
	}
	m = message_new(pub, &p->props, c->session->origin);
	if (!m) {
		*rc = conn_fail(CLOSE_NO_MEMORY);
		return NULL;
	}
	m->ns = c->session->space->number;
	message_published(m, c->worker->loop.now_ns);
	return m;
}

/* The way of a message of this client. */
static struct route route_of(struct conn *c, struct message *m, bool retain, enum route_bound bound)
{
	return (struct route){.message = m, .retain = retain, .bound = bound, .from = c, .publisher = c->session};
}

/* Is this -EDQUOT or -ENOSPC of route_publish(), or -ENOBUFS of check_held()? */
static bool is_refusal(int rc)
{
	return rc == -EDQUOT || rc == -ENOSPC || rc == -ENOBUFS;
}

/* To its subscribers. 0; conn_fail(); a refusal, with ROUTE_REFUSE. */
static int route(struct conn *c, struct message *m, bool retain, enum route_bound bound, bool *matched)
{
	const struct route r = route_of(c, m, retain, bound);
	int rc = route_publish(c->worker, &r, matched);

	return rc && !is_refusal(rc) ? conn_fail(CLOSE_NO_MEMORY) : rc;
}

/* A message of QoS 1 or 2 is refused. 0 or conn_fail(). */
static int refuse(struct conn *c, const struct mqtt_packet *p, struct message *m, int refusal, struct outcome *out)
{
	if (c->version < MQTT_5_0) {
		out->waits = true;
		return room_wait(c, m, p->pid, p->publish.retain, p->publish.dup) ? conn_fail(CLOSE_NO_MEMORY) : 0;
	}
	COUNTER_ADD(publish_refused, 1);
	out->reason = MQTT_RC_QUOTA_EXCEEDED;
	out->why = refusal == -EDQUOT	? "the queue of a subscriber is full"
		   : refusal == -ENOSPC ? "it cannot be retained"
					: "memory is short";
	return 0;
}

/* QoS 0 and 1. */
static int publish_now(struct conn *c, const struct mqtt_packet *p, struct outcome *out)
{
	enum route_bound bound = p->publish.qos ? ROUTE_REFUSE : ROUTE_DROP;
	bool matched = false;
	int rc;
	struct message *m = take_message(c, p, out, &rc);

	if (!m)
		return rc;
	rc = p->publish.qos && room_waits(c) ? -EDQUOT : route(c, m, p->publish.retain, bound, &matched);
	if (is_refusal(rc))
		rc = refuse(c, p, m, rc, out);
	else if (!matched)
		out->reason = MQTT_RC_NO_MATCHING_SUBSCRIBERS;
	message_unref(m);
	return rc;
}

/* What is held of QoS 2 and is more than may be, goes on before its PUBREL. */
static int publish_overheld(struct conn *c)
{
	struct held_message h;
	int rc = 0;

	store_unit(&c->worker->store, true);
	while (!rc && (h = session_overheld(c->session)).message) {
		rc = route(c, h.message, h.retain, ROUTE_PROMISED, NULL);
		message_unref(h.message);
	}
	store_unit(&c->worker->store, false);
	return rc;
}

/* Is one more of QoS 1 or 2 above our Receive Maximum? Those of QoS 1 are acknowledged at once; of QoS 2 some may be
 * open [MQTT-3.3.4-7]. */
static bool one_too_many(const struct conn *c)
{
	return c->version >= MQTT_5_0 && c->told.inflight && c->session->received.count >= c->told.inflight;
}

/* Will a message of QoS 2 be taken? What waits goes first. 0 or a refusal. */
static int check_held(struct conn *c, struct message *m, bool retain)
{
	const struct route r = route_of(c, m, retain, ROUTE_REFUSE);

	if (memory_short())
		return -ENOBUFS;
	return room_waits(c) ? -EDQUOT : route_check(c->worker, &r);
}

/* QoS 2, which goes on with its PUBREL. */
static int publish_later(struct conn *c, const struct mqtt_packet *p, struct outcome *out)
{
	int rc = session_receive(c->session, p->pid, p->publish.dup);
	struct message *m;

	if (rc <= 0)
		return rc ? conn_fail(CLOSE_PROTOCOL) : 0;
	if (one_too_many(c))
		return conn_fail(CLOSE_RECEIVE_MAXIMUM);
	m = take_message(c, p, out, &rc);
	/* Before 5.0 an acknowledgement cannot say no: the handshake goes on, without a message. */
	if (!m && (rc || c->version >= MQTT_5_0))
		return rc;
	rc = m ? check_held(c, m, p->publish.retain) : 0;
	if (rc) {
		rc = refuse(c, p, m, rc, out);
		message_unref(m);
		return rc;
	}
	rc = session_hold(c->session, p->pid, m, p->publish.retain);
	message_drop(&m);
	return rc ? conn_fail(CLOSE_NO_MEMORY) : publish_overheld(c);
}

/* Put in the topic that a Topic Alias stands for, section 3.3.2.3.4 of 5.0. 0 or conn_fail(). */
static int resolve_alias(struct conn *c, struct mqtt_packet *p)
{
	struct mqtt_str *topic = &p->publish.topic;
	uint32_t alias;

	if (!mqtt_props_has(&p->props, MQTT_PROP_TOPIC_ALIAS))
		return 0;
	alias = mqtt_props_number(&p->props, MQTT_PROP_TOPIC_ALIAS, 0);
	if (alias > c->told.topic_alias) /* [MQTT-3.3.2-9] */
		return conn_fail(CLOSE_TOPIC_ALIAS);
	if (topic->len)
		return alias_in_set(&c->aliases, (uint16_t)alias, *topic) ? conn_fail(CLOSE_NO_MEMORY) : 0;
	return alias_in_get(&c->aliases, (uint16_t)alias, topic) ? 0 : conn_fail(CLOSE_PROTOCOL);
}

/* Make it the whole topic. 0 or conn_fail(). */
static int mount(const struct conn *c, struct mqtt_str *topic, uint8_t **made)
{
	int rc = mount_topic(c->sink.mount, topic, made);

	return rc ? conn_fail(rc == -ENOMEM ? CLOSE_NO_MEMORY : CLOSE_TOPIC_INVALID) : 0;
}

/* What the server does not allow. 0 or conn_fail(). */
static int check_publish(const struct conn *c, const struct mqtt_publish *pub)
{
	if (topic_depth(pub->topic) > topic_levels_max(c->worker->broker->conf))
		return conn_fail(CLOSE_TOPIC_INVALID);
	if (pub->qos > c->told.qos) /* 5.0 [MQTT-3.2.2-11] */
		return conn_fail(CLOSE_QOS);
	if (pub->retain && !c->told.retain) /* 5.0 [MQTT-3.2.2-14] */
		return conn_fail(CLOSE_RETAIN);
	return 0;
}

/* Section 3.3.4. */
static int handle_publish(struct conn *c, struct mqtt_packet *p)
{
	const struct mqtt_publish *pub = &p->publish;
	struct outcome out = {0};
	uint8_t *mounted = NULL;
	int rc;

	COUNTER_ADD(publish_received, 1);
	COUNTER_ADD(publish_bytes_received, pub->payload.len);
	c->session->messages_in++;
	namespace_received(c->session->space, c->worker->index, 1);
	rc = resolve_alias(c, p);
	if (!rc)
		rc = mount(c, &p->publish.topic, &mounted);
	if (!rc && log_wants(LOG_TYPE_DEBUG))
		log_publish(c, p);
	if (!rc)
		rc = check_publish(c, pub);
	if (!rc && pub->qos == 1 && one_too_many(c))
		rc = conn_fail(CLOSE_RECEIVE_MAXIMUM);
	if (!rc)
		rc = pub->qos == 2 ? publish_later(c, p, &out) : publish_now(c, p, &out);
	if (!rc && pub->qos && !out.waits)
		send_ack(c, pub->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p->pid, out.reason, out.why);
	free(mounted);
	return rc;
}

/* QoS 2 that waited. 0; conn_fail(); -EDQUOT. */
static int hold_again(struct conn *c, const struct room_wait *wait)
{
	const struct route r = route_of(c, wait->message, wait->retain, ROUTE_REFUSE);
	int rc = session_receive(c->session, wait->pid, wait->dup);

	if (rc <= 0) /* it came twice, and the other one is held */
		return rc ? conn_fail(CLOSE_PROTOCOL) : 0;
	rc = route_check(c->worker, &r);
	if (rc)
		return rc;
	rc = session_hold(c->session, wait->pid, wait->message, wait->retain);
	return rc ? conn_fail(CLOSE_NO_MEMORY) : publish_overheld(c);
}

int conn_publish_again(struct conn *c, struct room_wait *wait)
{
	bool qos2 = wait->message->qos == 2;
	int rc = qos2 ? hold_again(c, wait) : route(c, wait->message, wait->retain, ROUTE_REFUSE, NULL);

	if (!rc)
		send_ack(c, qos2 ? MQTT_PUBREC : MQTT_PUBACK, wait->pid, MQTT_RC_SUCCESS, NULL);
	return rc;
}

/* ---- acknowledgements -------------------------------------------------------------------------------------------- */

static void log_ack(const struct conn *c, const struct mqtt_packet *p)
{
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Received %s from %s (Mid: %u)", mqtt_type_name(p->type), c->session->name, p->pid);
}

static int acknowledged(struct conn *c, const struct mqtt_packet *p, int rc)
{
	if (rc == MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND && log_wants(LOG_TYPE_WARNING))
		log_warning("Received %s from %s for an unknown packet identifier.", mqtt_type_name(p->type),
			    c->session->name);
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
	rc = session_pubrec(c->session, p->pid, p->reason);
	/* Also for an identifier that is not known: the client would wait for ever. */
	if (rc != MQTT_RC_PROTOCOL_ERROR && p->reason < MQTT_RC_UNSPECIFIED_ERROR)
		send_ack(c, MQTT_PUBREL, p->pid, MQTT_RC_SUCCESS, NULL);
	return acknowledged(c, p, rc);
}

static int handle_pubrel(struct conn *c, struct mqtt_packet *p)
{
	const struct held_message *held = session_held(c->session, p->pid);
	struct held_message h = {0};
	int rc = 0;

	log_ack(c, p);
	/* That it was released and that it was delivered are the same thing. */
	store_unit(&c->worker->store, true);
	if (held)
		rc = route(c, held->message, held->retain, ROUTE_PROMISED, NULL);
	/* Without memory for all receivers it is kept for the client's next PUBREL: for those who got it now it may come
	 * twice, but nobody loses what a PUBREC took over. */
	if (!rc && c->worker->store.failures != c->failures)
		rc = conn_fail(CLOSE_NO_MEMORY);
	/* Completed in any other case, also when it was before [MQTT-4.3.3-2]. */
	if (!rc)
		session_pubrel(c->session, p->pid, &h);
	store_unit(&c->worker->store, false);
	message_drop(&h.message);
	if (!rc)
		send_ack(c, MQTT_PUBCOMP, p->pid, MQTT_RC_SUCCESS, NULL);
	return rc;
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
		log_debug("Received %s from %s", mqtt_type_name(p->type), c->session->name);
}

typedef size_t encode_codes(uint8_t *buf, size_t cap, uint8_t version, uint16_t pid, const uint8_t *codes, size_t n);

static void send_codes(struct conn *c, encode_codes *encode, uint8_t type, uint16_t pid, const uint8_t *codes, size_t n)
{
	size_t len = encode(NULL, 0, c->version, pid, codes, n);
	uint8_t *b = malloc(len ? len : 1);

	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending %s to %s", mqtt_type_name(type), c->session->name);
	if (b && len) {
		encode(b, len, c->version, pid, codes, n);
		durable_send(c, b, len, false);
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
	free(due);
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

/* May the kernel answer the next PINGREQ? For a remote client all output then takes a way that costs more, so that it is
 * for one that got nothing else since the last. */
static bool lets_answer(const struct conn *c)
{
	return c->link.road != FP_ROAD_REMOTE || c->pinged_at == c->bytes_out + c->sink.out.bytes;
}

static int handle_pingreq(struct conn *c, struct mqtt_packet *p)
{
	uint8_t b[MQTT_SHORT_MAX];

	log_received(c, p);
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("Sending PINGRESP to %s", c->session->name);
	c->pinged = lets_answer(c);
	conn_send(c, b, mqtt_encode_pingresp(b, sizeof(b)));
	c->pinged_at = c->bytes_out + c->sink.out.bytes;
	return 0;
}

/* Section 3.14. The session may be given another time to live, but none if it had none. */
static int handle_disconnect(struct conn *c, struct mqtt_packet *p)
{
	uint32_t expiry = mqtt_props_number(&p->props, MQTT_PROP_SESSION_EXPIRY_INTERVAL, c->session->expiry_interval);

	log_received(c, p);
	if (expiry && c->expires_at_close && c->version >= MQTT_5_0)
		return conn_fail(CLOSE_PROTOCOL);
	c->session->expiry_interval = c->not_kept ? 0 : expiry;
	worker_session_kept(c->session);
	c->peer_reason = p->reason;
	return conn_fail(CLOSE_DISCONNECT);
}

static int handle_auth(struct conn *c, struct mqtt_packet *p)
{
	log_received(c, p);
	return authenticate_again(c, p);
}

/* A second CONNECT [MQTT-3.1.0-2], and what only servers send. */
static int handle_unexpected(struct conn *c, struct mqtt_packet *p)
{
	(void)c, (void)p;
	return conn_fail(CLOSE_PROTOCOL);
}

static int (*const handlers[16])(struct conn *, struct mqtt_packet *) = {
	[MQTT_PUBLISH] = handle_publish,	 [MQTT_PUBACK] = handle_puback,
	[MQTT_PUBREC] = handle_pubrec,		 [MQTT_PUBREL] = handle_pubrel,
	[MQTT_PUBCOMP] = handle_pubcomp,	 [MQTT_SUBSCRIBE] = handle_subscribe,
	[MQTT_UNSUBSCRIBE] = handle_unsubscribe, [MQTT_PINGREQ] = handle_pingreq,
	[MQTT_DISCONNECT] = handle_disconnect,	 [MQTT_AUTH] = handle_auth,
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
	if (first >> 4 == MQTT_PUBLISH)
		rate_publish(c, len);
	rc = mqtt_decode(c->version, first, body, len, &p);
	if (rc)
		return conn_fail(conn_close_reason(rc));
	return (handlers[p.type] ? handlers[p.type] : handle_unexpected)(c, &p);
}
