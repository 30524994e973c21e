// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A client's life: CONNECT with its will (sections 6.2 and 6.3), sleep (6.14), and the end. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <wire.h>

#include "base/hash.h"
#include "base/log.h"
#include "broker/accept.h"
#include "broker/banning.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "mqtt/encode.h"
#include "mqtt/topic.h"
#include "net/address.h"
#include "sn/internal.h"

enum { SMALL = 512 };

void sn_client_answer(struct sn_client *k, const struct sn_packet *p)
{
	/* Whoever has the answer may count on what it confirms being on its way to everybody. */
	worker_pass_on(k->home);
	sn_answer(k->gateway, &k->address, p);
}

static void answer_code(struct sn_client *k, uint8_t type, enum sn_code code)
{
	sn_client_answer(k, &(struct sn_packet){.type = type, .code = (uint8_t)code});
}

/* ---- packets for the broker -------------------------------------------------------------------------------------- */

static size_t encode(const struct mqtt_packet *p, const struct mqtt_filter *filter, uint8_t *buf, size_t cap)
{
	if (filter)
		return mqtt_encode_filters(buf, cap, MQTT_3_1_1, p->type, p->pid, filter, 1, NULL);
	return mqtt_encode(p, buf, cap);
}

bool sn_client_feed(struct sn_client *k, const struct mqtt_packet *p, const struct mqtt_filter *filter)
{
	uint8_t small[SMALL] = {0}, *buf = small;
	size_t len = encode(p, filter, NULL, 0);

	if (!k->conn || !len || !conn_takes(k->conn)) {
		COUNTER_ADD(sn_ignored, 1);
		return false;
	}
	if (len + WIRE_HEADER_MAX > sizeof(small)) {
		buf = calloc(1, len + WIRE_HEADER_MAX);
		if (!buf)
			return false;
	}
	encode(p, filter, buf, len);
	conn_feed(k->conn, buf, len);
	if (buf != small)
		free(buf);
	return true;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void forget_will(struct sn_client *k)
{
	if (k->will_topic)
		memory_gave(k->will_topic_len);
	free(k->will_topic);
	k->will_topic = NULL;
}

static void leave(struct sn_client *k)
{
	sn_forget_pending(k);
	forget_will(k);
	k->state = SN_GONE;
	loop_send(&k->gateway->worker->loop, &k->gone);
}

/* The connection of a client has ended, which is told so; but for one that is being replaced by its own. */
static void closed(struct conn *c, enum close_reason why)
{
	struct sn_client *k = container_of(c->wire, struct sn_client, wire);

	(void)why;
	if (k->conn != c)
		return;
	k->conn = NULL;
	if (k->state >= SN_ACTIVE)
		sn_client_answer(k, &(struct sn_packet){.type = SN_DISCONNECT, .empty = true});
	leave(k);
}

/* Close without a word to the address: it is not this connection's any more. */
static void close_quietly(struct sn_client *k, enum close_reason why)
{
	struct conn *c = k->conn;

	k->conn = NULL;
	if (c)
		conn_close(c, why);
}

/* ---- CONNECT ----------------------------------------------------------------------------------------------------- */

static void refuse(struct sn_client *k, enum sn_code code)
{
	answer_code(k, SN_CONNACK, code);
	close_quietly(k, CLOSE_REFUSED);
	leave(k);
}

/* There is all of it. */
static void connect_now(struct sn_client *k, struct mqtt_str will)
{
	struct mqtt_packet p = {.type = MQTT_CONNECT,
				.version = MQTT_3_1_1,
				.connect = {
					.version = MQTT_3_1_1,
					.clean_start = k->clean,
					.will = k->will_topic,
					.will_qos = k->will_qos,
					.will_retain = k->will_retain,
					.keep_alive = k->duration,
					.client_id = mqtt_str(k->id),
					.will_topic = {k->will_topic, k->will_topic_len},
					.will_payload = will,
				}};

	k->state = SN_CONNECTING;
	k->fresh = true;
	(void)sn_client_feed(k, &p, NULL);
	forget_will(k);
}

static bool open_conn(struct sn_client *k)
{
	struct sn_gateway *g = k->gateway;
	struct net_address address = net_address_of(&k->address.at.sa);
	char peer[NET_ADDRESS_MAX];

	net_address_name(&address, ntohs(k->address.at.in.sin_port), peer);
	COUNTER_ADD(connections, 1);
	if (banning_refuses_peer(k->home, peer) || !accept_admit(g->broker, g->listener, peer))
		return false;
	if (g->broker->conf->connection_messages)
		log_notice("New connection from %s on port %u.", peer, sn_conf(g)->port);
	k->wire = (struct conn_wire){
		.send = sn_wire_send, .write = sn_wire_write, .closed = closed, .max_packet = sn_conf(g)->sn_max_size};
	k->conn = conn_open(
		k->home, &k->wire,
		&(struct newcomer){.fd = -1, .listener = g->listener, .peer = peer, .order = accept_order(g->broker)});
	if (!k->conn)
		__atomic_sub_fetch(&g->broker->listener_connections[g->listener], 1, __ATOMIC_RELAXED);
	return k->conn;
}

static void begin(struct sn_client *k, const struct sn_packet *p, uint64_t hash)
{
	close_quietly(k, CLOSE_TAKEN_OVER);
	sn_forget_pending(k);
	forget_will(k);
	memset(k->requests, 0, sizeof(k->requests));
	k->connect_hash = hash;
	k->clean = p->clean;
	k->duration = p->duration;
	k->will_qos = 0;
	k->will_retain = false;
	if (!open_conn(k)) {
		refuse(k, SN_CONGESTION);
	} else if (p->will) {
		k->state = SN_WANTS_TOPIC;
		sn_client_answer(k, &(struct sn_packet){.type = SN_WILLTOPICREQ});
	} else {
		connect_now(k, (struct mqtt_str){0});
	}
}

static bool may_sleep_so(const struct sn_client *k, uint16_t seconds)
{
	uint16_t max = k->gateway->broker->conf->max_keepalive;

	return !max || (seconds && seconds <= max);
}

static void set_keep_alive(struct sn_client *k, uint16_t seconds)
{
	k->conn->keep_alive = seconds;
	conn_keepalive(k->conn);
}

/* The answer to a CONNECT may get lost: then the same comes again. One who sleeps wakes up by a CONNECT, with the session
 * as it is. */
static void handle_connect(struct sn_client *k, const struct sn_packet *p, uint64_t hash)
{
	bool sleeps = k->state == SN_ASLEEP || k->state == SN_AWAKE;

	if (k->fresh && k->connect_hash == hash && k->state == SN_CONNECTING)
		return;
	if (k->fresh && k->connect_hash == hash && k->state == SN_ACTIVE) {
		answer_code(k, SN_CONNACK, SN_ACCEPTED);
		return;
	}
	if (sleeps && !p->clean && !p->will && may_sleep_so(k, p->duration)) {
		k->state = SN_ACTIVE;
		k->duration = p->duration;
		set_keep_alive(k, p->duration);
		answer_code(k, SN_CONNACK, SN_ACCEPTED);
		sn_go_on(k);
		return;
	}
	begin(k, p, hash);
}

static void handle_will_topic(struct sn_client *k, const struct sn_packet *p)
{
	if (k->state == SN_WANTS_MESSAGE) { /* what we said was lost */
		sn_client_answer(k, &(struct sn_packet){.type = SN_WILLMSGREQ});
		return;
	}
	if (p->empty) {
		connect_now(k, (struct mqtt_str){0});
		return;
	}
	if (!topic_name_valid(p->data) || p->qos > 2) {
		refuse(k, SN_NOT_SUPPORTED);
		return;
	}
	k->will_topic = malloc(p->data.len);
	if (!k->will_topic) {
		refuse(k, SN_CONGESTION);
		return;
	}
	memory_took(p->data.len);
	memcpy(k->will_topic, p->data.data, p->data.len);
	k->will_topic_len = p->data.len;
	k->will_qos = p->qos;
	k->will_retain = p->retain;
	k->state = SN_WANTS_MESSAGE;
	sn_client_answer(k, &(struct sn_packet){.type = SN_WILLMSGREQ});
}

/* ---- sleep ------------------------------------------------------------------------------------------------------- */

static void handle_disconnect(struct sn_client *k, const struct sn_packet *p)
{
	if (p->duration && may_sleep_so(k, p->duration)) {
		k->state = SN_ASLEEP;
		set_keep_alive(k, p->duration);
		sn_hold_back(k);
		sn_client_answer(k, &(struct sn_packet){.type = SN_DISCONNECT, .empty = true});
		return;
	}
	(void)sn_client_feed(k, &(struct mqtt_packet){.type = MQTT_DISCONNECT, .version = MQTT_3_1_1}, NULL);
}

static void handle_ping(struct sn_client *k, const struct sn_packet *p)
{
	if (p->data.len && !mqtt_str_eq(p->data, mqtt_str(k->id))) {
		COUNTER_ADD(sn_ignored, 1);
		return;
	}
	if (k->state == SN_ASLEEP || k->state == SN_AWAKE) {
		bool slept = k->state == SN_ASLEEP;

		k->state = SN_AWAKE;
		if (slept)
			sn_go_on(k); /* and then the answer */
		else
			conn_dirty(k->conn);
		return;
	}
	sn_client_answer(k, &(struct sn_packet){.type = SN_PINGRESP});
}

/* ---- mail -------------------------------------------------------------------------------------------------------- */

static void handle(struct sn_client *k, const struct sn_packet *p, uint64_t hash)
{
	if (p->type == SN_CONNECT) {
		handle_connect(k, p, hash);
		return;
	}
	if (!k->conn) {
		COUNTER_ADD(sn_ignored, 1);
		return;
	}
	k->conn->last_rx_ns = k->home->loop.now_ns;
	switch (k->state) {
	case SN_WANTS_TOPIC:
	case SN_WANTS_MESSAGE:
		if (p->type == SN_WILLTOPIC)
			handle_will_topic(k, p);
		else if (p->type == SN_WILLMSG && k->state == SN_WANTS_MESSAGE)
			connect_now(k, p->data);
		else
			COUNTER_ADD(sn_ignored, 1);
		return;
	case SN_ACTIVE:
	case SN_ASLEEP:
	case SN_AWAKE:
		k->fresh = false;
		if (p->type == SN_DISCONNECT)
			handle_disconnect(k, p);
		else if (p->type == SN_PINGREQ)
			handle_ping(k, p);
		else
			sn_from_client(k, p);
		return;
	default:
		COUNTER_ADD(sn_ignored, 1);
	}
}

/* The connection has ended while this was on its way. */
static void too_late(struct sn_mail *m, const struct sn_packet *p)
{
	if (!m->replaced && p->type == SN_CONNECT) {
		sn_return(m);
		return;
	}
	__atomic_sub_fetch(&m->gateway->mails, 1, __ATOMIC_RELAXED);
	free(m);
}

void sn_client_receive(struct inbox_item *item, void *worker)
{
	struct sn_mail *m = container_of(item, struct sn_mail, item);
	struct sn_client *k = m->client;
	const struct worker *w = worker;
	struct sn_packet p = {0};

	if (!m->replaced)
		sn_decode(m->data, m->len, &p); /* which it was before */
	if (k->state == SN_GONE) {
		too_late(m, &p);
		return;
	}
	if (m->replaced || w->draining) {
		close_quietly(k, w->draining ? CLOSE_SHUTDOWN : CLOSE_PEER);
		leave(k);
	} else {
		k->address.envelope.radius = m->address.envelope.radius;
		handle(k, &p, p.type == SN_CONNECT ? hash_bytes(m->data, m->len) : 0);
	}
	__atomic_sub_fetch(&m->gateway->mails, 1, __ATOMIC_RELAXED);
	free(m);
}
