// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Packets of connected clients, made into those of MQTT. */
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/will.h"
#include "mqtt/topic.h"
#include "sn/internal.h"

/* ---- requests ---------------------------------------------------------------------------------------------------- */

bool sn_request(struct sn_client *k, uint8_t type, uint16_t msg_id, uint16_t topic_id)
{
	int room = -1;

	for (int i = SN_REQUESTS - 1; i >= 0; i--) {
		if (!k->requests[i].type || (k->requests[i].type == type && k->requests[i].msg_id == msg_id))
			room = i;
		if (k->requests[i].type == type && k->requests[i].msg_id == msg_id)
			break;
	}
	if (room < 0)
		return false;
	k->requests[room].type = type;
	k->requests[room].msg_id = msg_id;
	k->requests[room].topic_id = topic_id;
	return true;
}

uint16_t sn_request_done(struct sn_client *k, uint8_t type, uint16_t msg_id)
{
	for (size_t i = 0; i < SN_REQUESTS; i++) {
		if (k->requests[i].type == type && k->requests[i].msg_id == msg_id) {
			k->requests[i].type = 0;
			return k->requests[i].topic_id;
		}
	}
	return 0;
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static struct sn_topics *topics_of(const struct sn_client *k)
{
	return k->conn->session->sn_topics;
}

/* The topic that an id stands for; `name` is room for a short one. len 0: it stands for none. */
static struct mqtt_str topic_by_id(const struct sn_client *k, uint8_t type, uint16_t id, uint8_t name[2])
{
	struct mqtt_str topic = {0};
	const struct sn_topic *registered;

	switch (type) {
	case SN_TOPIC_NORMAL:
		registered = sn_topics_by_id(topics_of(k), id);
		if (registered)
			topic = sn_topic_name(registered);
		break;
	case SN_TOPIC_PREDEFINED:
		topic = sn_predefined_name(k->gateway->predefined, id);
		break;
	default:
		sn_short_name(id, name);
		topic = (struct mqtt_str){name, 2};
	}
	return topic;
}

static struct sn_topic *register_topic(struct sn_client *k, struct mqtt_str name)
{
	return sn_topics_add(topics_of(k), name, sn_conf(k->gateway)->sn_max_topics);
}

static void handle_register(struct sn_client *k, const struct sn_packet *p)
{
	struct sn_packet answer = {.type = SN_REGACK, .msg_id = p->msg_id};
	struct sn_topic *topic = NULL;

	if (!topic_name_valid(p->data) || topic_depth(p->data) > topic_levels_max(k->gateway->broker->conf)) {
		answer.code = SN_NOT_SUPPORTED;
	} else {
		topic = register_topic(k, p->data);
		answer.code = topic ? SN_ACCEPTED : SN_CONGESTION;
	}
	if (topic) {
		topic->told = true;
		answer.topic_id = topic->id;
	}
	sn_client_answer(k, &answer);
}

/* ---- PUBLISH ----------------------------------------------------------------------------------------------------- */

static void answer_publish(struct sn_client *k, const struct sn_packet *p, enum sn_code code)
{
	sn_client_answer(
		k, &(struct sn_packet){
			   .type = SN_PUBACK, .topic_id = p->topic_id, .msg_id = p->msg_id, .code = (uint8_t)code});
}

static void handle_publish(struct sn_client *k, const struct sn_packet *p)
{
	const struct conn *c = k->conn;
	uint8_t name[2];
	struct mqtt_packet m = {
		.type = MQTT_PUBLISH,
		.version = MQTT_3_1_1,
		.pid = p->qos ? p->msg_id : 0,
		.publish = {.topic = topic_by_id(k, p->topic_type, p->topic_id, name),
			    .payload = p->data,
			    .qos = p->qos,
			    .dup = p->dup && p->qos,
			    .retain = p->retain},
	};

	if (!topic_name_valid(m.publish.topic)) {
		answer_publish(k, p, SN_INVALID_TOPIC);
		return;
	}
	/* For these a client of MQTT would be disconnected; here it can be told. */
	if (p->qos > c->told.qos || (p->retain && !c->told.retain)) {
		answer_publish(k, p, SN_NOT_SUPPORTED);
		return;
	}
	if (p->qos == 1 && !sn_request(k, SN_PUBLISH, p->msg_id, p->topic_id)) {
		answer_publish(k, p, SN_CONGESTION);
		return;
	}
	if (!sn_client_feed(k, &m, NULL) && p->qos == 1) /* it will send it again */
		(void)sn_request_done(k, SN_PUBLISH, p->msg_id);
}

static void handle_pubrel(struct sn_client *k, const struct sn_packet *p)
{
	(void)sn_client_feed(k, &(struct mqtt_packet){.type = MQTT_PUBREL, .version = MQTT_3_1_1, .pid = p->msg_id},
			     NULL);
}

/* ---- subscriptions ----------------------------------------------------------------------------------------------- */

/* The filter of a SUBSCRIBE or UNSUBSCRIBE. */
static struct mqtt_str filter_of(const struct sn_client *k, const struct sn_packet *p, uint8_t name[2])
{
	return p->topic_type == SN_TOPIC_NORMAL ? p->data : topic_by_id(k, p->topic_type, p->topic_id, name);
}

static void refuse_subscription(struct sn_client *k, const struct sn_packet *p, enum sn_code code)
{
	sn_client_answer(k, &(struct sn_packet){.type = SN_SUBACK, .msg_id = p->msg_id, .code = (uint8_t)code});
}

static void handle_subscribe(struct sn_client *k, const struct sn_packet *p)
{
	uint8_t name[2];
	const struct mqtt_filter filter = {.topic = filter_of(k, p, name), .qos = p->qos};
	const struct mqtt_packet m = {.type = MQTT_SUBSCRIBE, .version = MQTT_3_1_1, .pid = p->msg_id};
	struct sn_topic *topic = NULL;
	struct mqtt_str share, inner;
	uint16_t id = p->topic_id;

	if (!topic_filter_valid(filter.topic) || p->qos > 2) {
		refuse_subscription(k, p, p->topic_type == SN_TOPIC_PREDEFINED ? SN_INVALID_TOPIC : SN_NOT_SUPPORTED);
		return;
	}
	/* One that stands for many topics has no id. */
	if (p->topic_type == SN_TOPIC_NORMAL && topic_name_valid(filter.topic) &&
	    !topic_share(filter.topic, &share, &inner)) {
		topic = register_topic(k, filter.topic);
		if (!topic) {
			refuse_subscription(k, p, SN_CONGESTION);
			return;
		}
		id = topic->id;
	}
	if (!sn_request(k, SN_SUBSCRIBE, p->msg_id, id)) {
		refuse_subscription(k, p, SN_CONGESTION);
		return;
	}
	/* What was retained comes behind the SUBACK, which has the id. */
	if (topic)
		topic->told = true;
	if (!sn_client_feed(k, &m, &filter))
		(void)sn_request_done(k, SN_SUBSCRIBE, p->msg_id);
}

static void handle_unsubscribe(struct sn_client *k, const struct sn_packet *p)
{
	uint8_t name[2];
	const struct mqtt_filter filter = {.topic = filter_of(k, p, name)};
	const struct mqtt_packet m = {.type = MQTT_UNSUBSCRIBE, .version = MQTT_3_1_1, .pid = p->msg_id};

	/* There can be no such subscription; UNSUBACK has no code to say so. */
	if (!topic_filter_valid(filter.topic))
		sn_client_answer(k, &(struct sn_packet){.type = SN_UNSUBACK, .msg_id = p->msg_id});
	else
		(void)sn_client_feed(k, &m, &filter);
}

/* ---- wills ------------------------------------------------------------------------------------------------------- */

static enum sn_code change_will(struct sn_client *k, const struct mqtt_publish *will)
{
	durable_begin(k->conn);
	return will_change(k->conn, will) ? SN_CONGESTION : SN_ACCEPTED;
}

static void handle_will_topic(struct sn_client *k, const struct sn_packet *p)
{
	const struct conn *c = k->conn;
	struct mqtt_publish will = {.topic = p->data, .qos = p->qos, .retain = p->retain};
	enum sn_code code = SN_NOT_SUPPORTED;

	if (p->empty) {
		code = change_will(k, NULL);
	} else if (topic_name_valid(p->data) && topic_depth(p->data) <= topic_levels_max(k->gateway->broker->conf) &&
		   p->qos <= c->told.qos && (!p->retain || c->told.retain)) {
		if (c->will)
			will.payload = message_payload(c->will);
		code = change_will(k, &will);
	}
	sn_client_answer(k, &(struct sn_packet){.type = SN_WILLTOPICRESP, .code = (uint8_t)code});
}

static void handle_will_message(struct sn_client *k, const struct sn_packet *p)
{
	const struct conn *c = k->conn;
	enum sn_code code = SN_NOT_SUPPORTED; /* there is no will */

	if (c->will)
		code = change_will(k, &(struct mqtt_publish){.topic = message_topic(c->will),
							     .payload = p->data,
							     .qos = c->will->qos,
							     .retain = c->will_retain});
	sn_client_answer(k, &(struct sn_packet){.type = SN_WILLMSGRESP, .code = (uint8_t)code});
}

/* ---- */

static void (*const handlers[])(struct sn_client *, const struct sn_packet *) = {
	[SN_REGISTER] = handle_register,       [SN_REGACK] = sn_acknowledged,
	[SN_PUBLISH] = handle_publish,	       [SN_PUBACK] = sn_acknowledged,
	[SN_PUBREC] = sn_acknowledged,	       [SN_PUBCOMP] = sn_acknowledged,
	[SN_PUBREL] = handle_pubrel,	       [SN_SUBSCRIBE] = handle_subscribe,
	[SN_UNSUBSCRIBE] = handle_unsubscribe, [SN_WILLTOPICUPD] = handle_will_topic,
	[SN_WILLMSGUPD] = handle_will_message,
};

void sn_from_client(struct sn_client *k, const struct sn_packet *p)
{
	if (p->type < sizeof(handlers) / sizeof(handlers[0]) && handlers[p->type])
		handlers[p->type](k, p);
	else
		COUNTER_ADD(sn_ignored, 1);
}
