// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The broker's packets, put into datagrams. Answers go out at once. PUBLISH is taken from the connection's output one at a
 * time: while the client has not acknowledged what needs that, section 6.12, the others wait there, where they are limited
 * and counted as those of any client that does not read.
 */
#include <errno.h>
#include <stdlib.h>
#include <wire.h>

#include "sn/internal.h"

enum { IOVECS = 4 };

/* ---- PUBLISH ----------------------------------------------------------------------------------------------------- */

/* Tell the client what the id of a topic is; the PUBLISH stays where it is until that is acknowledged. */
static void tell_topic(struct sn_client *k, struct sn_topic *topic)
{
	sn_expect(k, (struct sn_pending){.type = SN_REGISTER, .register_id = sn_register_id(k), .topic = topic});
	sn_send_register(k, topic);
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
		sn_give_up_message(k, p.qos, m->pid);
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
		sn_expect(k, pending);
		return true;
	}
	free(pending.packet);
	if (!rc)
		return true;
	sn_try_soon(k);
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
	sn_expect(k, pending);
	sn_send_pending(k);
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
