// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The broker's packets, put into datagrams. Answers go out at once. PUBLISH is taken from the connection's output one at a
 * time: while the client has not acknowledged what needs that, section 6.12, the others wait there, where they are limited
 * and counted as those of any client that does not read.
 */
#include <errno.h>
#include <stdlib.h>
#include <wire.h>

#include "base/log.h"
#include "broker/internal.h"
#include "mqtt/encode.h"
#include "sn/internal.h"

enum {
	IOVECS = 4,
	DUP = 0x80,  /* in the flags of a PUBLISH */
	SOON_MS = 5, /* the socket takes nothing now */
};

/* ---- what has to be acknowledged --------------------------------------------------------------------------------- */

static void retry(struct timer *t);

static void wait_for_answer(struct sn_client *k)
{
	loop_after(&k->home->loop, &k->retry, sn_conf(k->gateway)->sn_retry_ms, retry);
}

static void send_pending(const struct sn_client *k)
{
	(void)sn_send(k->gateway, &k->address, k->pending.packet, k->pending.len);
}

static void send_register(struct sn_client *k, const struct sn_topic *topic)
{
	const struct sn_packet p = {.type = SN_REGISTER,
				    .topic_id = topic->id,
				    .msg_id = k->pending.register_id,
				    .data = sn_topic_name(topic)};
	size_t len = sn_encode(&p, NULL, 0);
	uint8_t *buf = malloc(len);

	if (!buf) /* then it is sent later, as if it were lost */
		return;
	sn_encode(&p, buf, len);
	(void)sn_send(k->gateway, &k->address, buf, len);
	free(buf);
}

static void send_again(struct sn_client *k)
{
	struct sn_pending *p = &k->pending;

	if (p->type == SN_REGISTER || p->registering)
		send_register(k, p->topic);
	else if (p->type == SN_PUBLISH || p->type == SN_PUBREL)
		send_pending(k);
	else
		return;
	COUNTER_ADD(sn_retransmitted, 1);
}

/* It answers nothing: one that is awake for a moment sleeps on, another is lost, section 6.13. */
static void give_up(struct sn_client *k)
{
	k->pending.tries = 0;
	if (k->state == SN_AWAKE)
		k->state = SN_ASLEEP;
	else
		conn_close(k->conn, CLOSE_TIMEOUT);
}

static void set_dup(struct sn_pending *p)
{
	if (p->type == SN_PUBLISH)
		p->packet[p->packet[0] == 1 ? 4 : 2] |= DUP;
}

static void retry(struct timer *t)
{
	struct sn_client *k = container_of(t, struct sn_client, retry);

	if (!k->pending.type || k->pending.type == SN_PUBREC) {
		k->conn->blocked = false;
		conn_dirty(k->conn);
		return;
	}
	if (k->pending.tries++ >= sn_conf(k->gateway)->sn_retries) {
		give_up(k);
		return;
	}
	set_dup(&k->pending);
	send_again(k);
	wait_for_answer(k);
}

void sn_forget_pending(struct sn_client *k)
{
	timer_stop(&k->home->loop.timers, &k->retry);
	free(k->pending.packet);
	k->pending = (struct sn_pending){0};
}

/* From now on this is what the client has to acknowledge; takes its bytes. */
static void expect(struct sn_client *k, struct sn_pending p)
{
	sn_forget_pending(k);
	k->pending = p;
	k->conn->blocked = true;
	wait_for_answer(k);
}

/* It has. */
static void go_on(struct sn_client *k)
{
	sn_forget_pending(k);
	if (k->conn && k->state != SN_ASLEEP) {
		k->conn->blocked = false;
		conn_dirty(k->conn);
	}
}

void sn_hold_back(struct sn_client *k)
{
	timer_stop(&k->home->loop.timers, &k->retry);
	k->conn->blocked = true;
}

void sn_go_on(struct sn_client *k)
{
	k->pending.tries = 0;
	if (k->pending.type && k->pending.type != SN_PUBREC) {
		set_dup(&k->pending);
		send_again(k);
		wait_for_answer(k);
		return;
	}
	k->conn->blocked = k->pending.type;
	conn_dirty(k->conn);
}

/* ---- PUBLISH ----------------------------------------------------------------------------------------------------- */

static uint16_t random_id(struct sn_client *k)
{
	/* One that nobody who cannot see our datagrams knows, so that he cannot acknowledge for the client. */
	if (!k->last_register)
		k->last_register = (uint16_t)k->connect_hash;
	if (!++k->last_register)
		k->last_register = 1;
	return k->last_register;
}

/* Tell the client what the id of a topic is; the PUBLISH stays where it is until that is acknowledged. */
static void tell_topic(struct sn_client *k, struct sn_topic *topic)
{
	expect(k, (struct sn_pending){.type = SN_REGISTER, .register_id = random_id(k), .topic = topic});
	send_register(k, topic);
}

/* How the client knows the topic. False: it has to be told first; *topic is NULL if that cannot be. */
static bool address_topic(struct sn_client *k, struct mqtt_str name, struct sn_packet *p, struct sn_topic **topic)
{
	struct sn_topics *all = k->conn->session->sn_topics;

	*topic = sn_topics_by_name(all, name);
	if (*topic && (*topic)->told) {
		p->topic_id = (*topic)->id;
		return true;
	}
	p->topic_id = sn_predefined_id(k->gateway->predefined, name);
	if (p->topic_id) {
		p->topic_type = SN_TOPIC_PREDEFINED;
		return true;
	}
	if (name.len == 2) {
		p->topic_type = SN_TOPIC_SHORT;
		p->topic_id = (uint16_t)(name.data[0] << 8 | name.data[1]);
		return true;
	}
	if (!*topic)
		*topic = sn_topics_add(all, name, sn_conf(k->gateway)->sn_max_topics);
	return false;
}

/* The client does not get the message at the head of the output. */
static void give_up_message(struct sn_client *k, uint8_t qos, uint16_t pid)
{
	struct session *s = k->conn->session;

	session_drop(s, DROP_QUEUE_FULL);
	if (qos == 1)
		(void)session_puback(s, pid);
	else if (qos == 2)
		(void)session_pubrec(s, pid, MQTT_RC_QUOTA_EXCEEDED);
}

/* False: it is not taken from the output. */
static bool send_publish(struct sn_client *k, const struct mqtt_packet *m)
{
	const struct mqtt_publish *publish = &m->publish;
	struct sn_packet p = {.type = SN_PUBLISH,
			      .dup = publish->dup,
			      .qos = publish->qos,
			      .retain = publish->retain,
			      .msg_id = m->pid,
			      .data = publish->payload};
	struct sn_pending pending = {.type = SN_PUBLISH, .qos = p.qos, .msg_id = m->pid};
	int rc;

	if (!address_topic(k, publish->topic, &p, &pending.topic)) {
		if (pending.topic && pending.topic != k->refused) {
			tell_topic(k, pending.topic);
			return false;
		}
		k->refused = NULL;
		give_up_message(k, p.qos, m->pid);
		return true;
	}
	pending.len = sn_encode(&p, NULL, 0);
	pending.packet = pending.len ? malloc(pending.len) : NULL;
	if (!pending.packet) {
		k->conn->sink.failed = true;
		return false;
	}
	sn_encode(&p, pending.packet, pending.len);
	rc = sn_send(k->gateway, &k->address, pending.packet, pending.len);
	if (p.qos) {
		expect(k, pending);
		return true;
	}
	free(pending.packet);
	if (!rc)
		return true;
	k->conn->blocked = true;
	loop_after(&k->home->loop, &k->retry, SOON_MS, retry);
	return false;
}

/* False without memory. */
static bool expect_pubcomp(struct sn_client *k, uint16_t pid)
{
	const struct sn_packet p = {.type = SN_PUBREL, .msg_id = pid};
	struct sn_pending pending = {.type = SN_PUBREL, .msg_id = pid, .len = sn_encode(&p, NULL, 0)};

	pending.packet = malloc(pending.len);
	if (!pending.packet)
		return false;
	sn_encode(&p, pending.packet, pending.len);
	expect(k, pending);
	send_pending(k);
	if (k->state == SN_ASLEEP)
		sn_hold_back(k);
	return true;
}

/* ---- the output -------------------------------------------------------------------------------------------------- */

/* A packet from the output. False: it stays there. */
static bool send_packet(struct sn_client *k, const uint8_t *packet, size_t len, __u32 header_len)
{
	struct mqtt_packet m;

	/* They are ours, and so they are valid. */
	if (mqtt_decode_from_server(MQTT_3_1_1, packet[0], packet + header_len, len - header_len, &m))
		return true;
	if (m.type == MQTT_PUBLISH)
		return send_publish(k, &m);
	if (m.type == MQTT_PUBREL && !expect_pubcomp(k, m.pid)) {
		k->conn->sink.failed = true;
		return false;
	}
	return true;
}

static size_t copy(const struct iovec *iov, int n, uint8_t *to, size_t max)
{
	size_t len = 0;

	for (int i = 0; i < n && len < max; i++) {
		size_t part = iov[i].iov_len < max - len ? iov[i].iov_len : max - len;

		memcpy(to + len, iov[i].iov_base, part);
		len += part;
	}
	return len;
}

/* Send what the output begins with. False: not now. */
static bool send_first(struct sn_client *k)
{
	struct conn *c = k->conn;
	uint8_t header[WIRE_HEADER_MAX] = {0}, *whole = NULL;
	struct iovec iov[IOVECS];
	__u32 header_len = 0;
	size_t len;
	int n = output_gather(&c->sink.out, iov, IOVECS, c->link.whole_max, &len);
	bool taken;

	wire_header(header, (__u32)copy(iov, n, header, sizeof(header)), &header_len);
	if (n > 1) {
		whole = malloc(len);
		if (!whole) {
			c->sink.failed = true;
			return false;
		}
		copy(iov, n, whole, len);
	}
	taken = send_packet(k, whole ? whole : iov[0].iov_base, len, header_len);
	free(whole);
	if (taken)
		conn_written(c, len, len);
	return taken;
}

/* One that was asleep has got all that waited: only now the answer to its PINGREQ, section 6.14. */
static void look_if_all(struct sn_client *k)
{
	struct conn *c = k->conn;

	if (k->state != SN_AWAKE || k->pending.type || !output_empty(&c->sink.out) || !session_done(c->session))
		return;
	k->state = SN_ASLEEP;
	sn_hold_back(k);
	sn_client_answer(k, &(struct sn_packet){.type = SN_PINGRESP});
}

void sn_wire_write(struct conn *c)
{
	struct sn_client *k = container_of(c->wire, struct sn_client, wire);

	if (k->conn != c || k->state < SN_ACTIVE || k->writing)
		return;
	k->writing = true; /* what is dropped makes room for more, which is to be written */
	while (!output_empty(&c->sink.out) && !c->blocked && !c->sink.failed && send_first(k))
		;
	k->writing = false;
	look_if_all(k);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static enum sn_code code_of(uint8_t mqtt_code)
{
	enum { UNAVAILABLE = 3 };

	return !mqtt_code ? SN_ACCEPTED : mqtt_code == UNAVAILABLE ? SN_CONGESTION : SN_NOT_SUPPORTED;
}

/* Of a session that goes on the client may remember ids, or not: it may use them, and is told them again. */
static bool take_topics(struct sn_client *k)
{
	struct session *s = k->conn->session;

	if (!s->sn_topics)
		s->sn_topics = sn_topics_new();
	if (s->sn_topics)
		sn_topics_untell(s->sn_topics);
	return s->sn_topics;
}

static void answer_connect(struct sn_client *k, uint8_t mqtt_code)
{
	if (!mqtt_code && !take_topics(k)) {
		conn_break(k->conn, CLOSE_NO_MEMORY);
		return;
	}
	if (!mqtt_code)
		k->state = SN_ACTIVE;
	sn_client_answer(k, &(struct sn_packet){.type = SN_CONNACK, .code = (uint8_t)code_of(mqtt_code)});
}

static void answer_subscribe(struct sn_client *k, uint16_t pid, uint8_t granted)
{
	struct sn_packet p = {.type = SN_SUBACK, .msg_id = pid, .topic_id = sn_request_done(k, SN_SUBSCRIBE, pid)};

	if (granted <= 2) {
		p.qos = granted;
	} else {
		p.topic_id = 0;
		p.code = SN_NOT_SUPPORTED;
	}
	sn_client_answer(k, &p);
}

void sn_wire_send(struct conn *c, const uint8_t *packet, size_t len)
{
	struct sn_client *k = container_of(c->wire, struct sn_client, wire);
	uint16_t pid = len >= 4 ? (uint16_t)(packet[2] << 8 | packet[3]) : 0;

	c->bytes_out += len;
	COUNTER_ADD(bytes_sent, len);
	if (k->conn != c)
		return;
	switch (packet[0] >> 4) {
	case MQTT_CONNACK:
		answer_connect(k, packet[3]);
		break;
	case MQTT_PUBACK:
		sn_client_answer(k, &(struct sn_packet){.type = SN_PUBACK,
							.topic_id = sn_request_done(k, SN_PUBLISH, pid),
							.msg_id = pid});
		break;
	case MQTT_PUBREC:
		sn_client_answer(k, &(struct sn_packet){.type = SN_PUBREC, .msg_id = pid});
		break;
	case MQTT_PUBCOMP:
		sn_client_answer(k, &(struct sn_packet){.type = SN_PUBCOMP, .msg_id = pid});
		break;
	case MQTT_PUBREL:
		if (!expect_pubcomp(k, pid))
			conn_break(c, CLOSE_NO_MEMORY);
		break;
	case MQTT_SUBACK:
		answer_subscribe(k, pid, packet[4]);
		break;
	case MQTT_UNSUBACK:
		sn_client_answer(k, &(struct sn_packet){.type = SN_UNSUBACK, .msg_id = pid});
		break;
	default:
		break;
	}
}

/* ---- acknowledgements -------------------------------------------------------------------------------------------- */

static void feed_ack(struct sn_client *k, uint8_t type, uint16_t pid)
{
	(void)sn_client_feed(k, &(struct mqtt_packet){.type = type, .version = MQTT_3_1_1, .pid = pid}, NULL);
}

/* REGACK for what was to be published, or for what was published in vain. */
static void registered(struct sn_client *k, const struct sn_packet *p)
{
	struct sn_pending *pending = &k->pending;

	if (p->code == SN_CONGESTION) /* it is asked again, later */
		return;
	if (p->code) {
		/* It will not have the topic: nor the message, which is in the output still, or was taken from there. */
		struct mqtt_str name = sn_topic_name(pending->topic);

		log_notice("Client %s refuses topic %.*s: the message is dropped.", k->id, (int)name.len,
			   (const char *)name.data);
	}
	if (pending->registering && !p->code) {
		pending->registering = false;
		pending->topic->told = true;
		pending->tries = 0;
		send_pending(k);
		wait_for_answer(k);
		return;
	}
	if (pending->registering) {
		uint16_t pid = pending->msg_id;
		uint8_t qos = pending->qos;

		go_on(k);
		give_up_message(k, qos, pid);
		return;
	}
	if (!p->code) {
		pending->topic->told = true;
		go_on(k);
		return;
	}
	k->refused = pending->topic;
	go_on(k);
}

/* It does not know the topic of a PUBLISH: tell it, and send that again; once. */
static bool tell_again(struct sn_client *k)
{
	struct sn_pending *p = &k->pending;

	if (!p->topic || p->again)
		return false;
	p->topic->told = false;
	p->registering = p->again = true;
	p->register_id = random_id(k);
	p->tries = 0;
	set_dup(p);
	send_register(k, p->topic);
	wait_for_answer(k);
	return true;
}

static void published(struct sn_client *k, const struct sn_packet *p)
{
	struct sn_topic *topic;
	uint8_t qos = k->pending.qos;

	if (!p->msg_id || k->pending.type != SN_PUBLISH || k->pending.msg_id != p->msg_id) {
		/* One of QoS 0 was for nothing; the next of its topic need not be. */
		topic = p->code == SN_INVALID_TOPIC ? sn_topics_by_id(k->conn->session->sn_topics, p->topic_id) : NULL;
		if (topic)
			topic->told = false;
		return;
	}
	if (k->pending.registering || p->code == SN_CONGESTION || (p->code == SN_INVALID_TOPIC && tell_again(k)))
		return;
	if (qos == 2 && !p->code) /* it should have been PUBREC */
		return;
	go_on(k);
	if (p->code)
		give_up_message(k, qos, p->msg_id);
	else
		feed_ack(k, MQTT_PUBACK, p->msg_id);
}

void sn_acknowledged(struct sn_client *k, const struct sn_packet *p)
{
	struct sn_pending *pending = &k->pending;

	/* Not now: then it will come again, when what it is for was sent again. */
	if (p->type != SN_REGACK && !conn_takes(k->conn)) {
		COUNTER_ADD(sn_ignored, 1);
		return;
	}
	switch (p->type) {
	case SN_REGACK:
		if ((pending->type == SN_REGISTER || pending->registering) && pending->register_id == p->msg_id)
			registered(k, p);
		break;
	case SN_PUBACK:
		published(k, p);
		break;
	case SN_PUBREC:
		if (pending->type == SN_PUBREL && pending->msg_id == p->msg_id) {
			send_pending(k); /* PUBREL was lost */
		} else if (pending->type == SN_PUBLISH && pending->qos == 2 && pending->msg_id == p->msg_id) {
			timer_stop(&k->home->loop.timers, &k->retry);
			pending->type = SN_PUBREC;
			feed_ack(k, MQTT_PUBREC, p->msg_id);
		}
		break;
	default:
		if (pending->type == SN_PUBREL && pending->msg_id == p->msg_id) {
			go_on(k);
			feed_ack(k, MQTT_PUBCOMP, p->msg_id);
		}
	}
}
