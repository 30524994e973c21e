// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a client has to acknowledge, one thing at a time: sending it again, sections 6.13 and 6.14, and the acknowledgement. */
#include <stdlib.h>

#include "base/log.h"
#include "mqtt/reason.h"
#include "sn/internal.h"

enum {
	DUP = 0x80, /* in the flags of a PUBLISH */
	SOON_MS = 5,
};

/* ---- what has to be acknowledged --------------------------------------------------------------------------------- */

static void retry(struct timer *t);

static void wait_for_answer(struct sn_client *k)
{
	loop_after(&k->home->loop, &k->retry, sn_conf(k->gateway)->sn_retry_ms, retry);
}

void sn_send_pending(const struct sn_client *k)
{
	(void)sn_send(k->gateway, &k->address, k->pending.packet, k->pending.len);
}

void sn_send_register(struct sn_client *k, const struct sn_topic *topic)
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
		sn_send_register(k, p->topic);
	else if (p->type == SN_PUBLISH || p->type == SN_PUBREL)
		sn_send_pending(k);
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

void sn_expect(struct sn_client *k, struct sn_pending p)
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

/* The socket takes nothing now. */
void sn_try_soon(struct sn_client *k)
{
	k->conn->blocked = true;
	loop_after(&k->home->loop, &k->retry, SOON_MS, retry);
}

uint16_t sn_register_id(struct sn_client *k)
{
	if (!k->last_register)
		k->last_register = (uint16_t)k->connect_hash;
	if (!++k->last_register)
		k->last_register = 1;
	return k->last_register;
}

void sn_give_up_message(struct sn_client *k, uint8_t qos, uint16_t pid)
{
	struct session *s = k->conn->session;

	session_drop(s, DROP_QUEUE_FULL);
	if (qos == 1)
		(void)session_puback(s, pid);
	else if (qos == 2)
		(void)session_pubrec(s, pid, MQTT_RC_QUOTA_EXCEEDED);
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
		sn_send_pending(k);
		wait_for_answer(k);
		return;
	}
	if (pending->registering) {
		uint16_t pid = pending->msg_id;
		uint8_t qos = pending->qos;

		go_on(k);
		sn_give_up_message(k, qos, pid);
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
	p->register_id = sn_register_id(k);
	p->tries = 0;
	set_dup(p);
	sn_send_register(k, p->topic);
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
		sn_give_up_message(k, qos, p->msg_id);
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
			sn_send_pending(k); /* PUBREL was lost */
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
