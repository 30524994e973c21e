// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/session.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "mqtt/encode.h"

/* What the client still has to send. */
enum delivery_state {
	WAIT_SENT, /* not sent yet, or of QoS 0 */
	WAIT_PUBACK,
	WAIT_PUBREC,
	WAIT_PUBCOMP,
};

/* One message on its way to one client. */
struct delivery {
	struct list link;	 /* inflight, queue or backlog */
	struct message *message; /* a reference; NULL in WAIT_PUBCOMP */
	uint16_t pid;
	uint8_t qos;
	bool retain;
	uint8_t state;
};

static struct delivery *entry(struct list *l)
{
	return container_of(l, struct delivery, link);
}

struct session *session_new(const char *id, size_t id_len, unsigned worker, const struct conf *conf)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = strndup(id, id_len);
	if (!s->id) {
		free(s);
		return NULL;
	}
	s->id_len = id_len;
	s->worker = worker;
	s->conf = conf;
	s->receive_max = UINT16_MAX;
	list_init(&s->inflight);
	s->resend = &s->inflight;
	list_init(&s->queue);
	list_init(&s->backlog);
	return s;
}

static void delivery_free(struct delivery *d)
{
	if (d->message)
		message_unref(d->message);
	free(d);
}

static void clear(struct list *l)
{
	struct list *i;

	while ((i = list_pop(l)))
		delivery_free(entry(i));
}

void session_clear(struct session *s)
{
	clear(&s->inflight);
	clear(&s->queue);
	clear(&s->backlog);
	s->resend = &s->inflight;
	s->queued = s->backlogged = 0;
	s->queued_bytes = s->backlog_bytes = 0;
	pid_map_clear(&s->sent);
	pid_map_clear(&s->received);
}

void session_free(struct session *s)
{
	session_clear(s);
	table_free(&s->subs);
	free(s->id);
	free(s);
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

/* One notice an episode, in mosquitto's words; the episode ends when nothing waits any more. */
static void drop(struct session *s, enum drop_reason reason)
{
	s->dropped[reason]++;
	COUNTER_ADD(dropped[reason], 1);
	if (s->dropping)
		return;
	s->dropping = true;
	log_notice("Outgoing messages are being dropped for client %s.", s->id);
}

/* An empty output takes any message, whatever the limits. */
static bool full(const struct session *s)
{
	const struct output *o = &s->sink->out;

	return !output_empty(o) && ((s->conf->max_queued_messages && o->messages >= s->conf->max_queued_messages) ||
				    (s->conf->max_output_bytes && o->bytes >= s->conf->max_output_bytes));
}

static bool make_room(struct session *s)
{
	if (full(s) && s->sink->flush)
		s->sink->flush(s->sink);
	return !full(s);
}

static void dirty(struct session_sink *sink)
{
	if (sink->dirty)
		sink->dirty(sink);
}

static void log_publish(const struct session *s, const struct message *m, const struct output_publish *p)
{
	struct mqtt_str topic = message_topic(m);

	log_debug("Sending PUBLISH to %s (d%d, q%u, r%d, m%u, '%.*s', ... (%u bytes))", s->id, p->dup, p->qos,
		  p->retain, p->pid, (int)topic.len, (const char *)topic.data, m->payload_len);
}

static int publish(struct session *s, struct message *m, const struct output_publish *p)
{
	int rc = output_publish(&s->sink->out, m, p);

	if (rc)
		return rc;
	if (log_wants(LOG_TYPE_DEBUG))
		log_publish(s, m, p);
	s->messages_out++;
	COUNTER_ADD(messages_sent, 1);
	COUNTER_ADD(publish_sent, 1);
	COUNTER_ADD(publish_bytes_sent, m->payload_len);
	dirty(s->sink);
	return 0;
}

static int send_qos0(struct session *s, struct message *m, bool retain)
{
	return publish(s, m, &(struct output_publish){.version = s->sink->version, .retain = retain});
}

static int send_pubrel(struct session *s, uint16_t pid)
{
	uint8_t b[MQTT_SHORT_MAX];
	size_t n = mqtt_encode_ack(b, sizeof(b), s->sink->version, MQTT_PUBREL, pid, MQTT_RC_SUCCESS);
	int rc = output_packet(&s->sink->out, b, n);

	if (rc)
		return rc;
	COUNTER_ADD(messages_sent, 1);
	dirty(s->sink);
	return 0;
}

static int send_delivery(struct session *s, struct delivery *d, bool dup)
{
	if (d->state == WAIT_PUBCOMP)
		return send_pubrel(s, d->pid);
	return publish(
		s, d->message,
		&(struct output_publish){
			.version = s->sink->version, .qos = d->qos, .retain = d->retain, .dup = dup, .pid = d->pid});
}

/* ---- window and queue -------------------------------------------------------------------------------------------- */

static bool window_open(const struct session *s)
{
	uint32_t limit = s->conf->max_inflight_messages;

	if (!limit || limit > s->receive_max)
		limit = s->receive_max;
	return s->sent.count < limit;
}

/* The next identifier that is not in use: 1, 2, 3, ... [MQTT-2.3.1-4]. The window leaves some free. */
static uint16_t next_pid(struct session *s)
{
	do
		if (++s->last_pid == 0)
			s->last_pid = 1;
	while (pid_map_get(&s->sent, s->last_pid));
	return s->last_pid;
}

/* Send a delivery of QoS 1 or 2 for the first time. 0, then it is in flight, or -ENOMEM. */
static int start(struct session *s, struct delivery *d)
{
	int rc;

	d->pid = next_pid(s);
	rc = pid_map_put(&s->sent, d->pid, d);
	if (rc)
		return rc;
	rc = send_delivery(s, d, false);
	if (rc) {
		pid_map_take(&s->sent, d->pid);
		return rc;
	}
	d->state = d->qos == 1 ? WAIT_PUBACK : WAIT_PUBREC;
	list_push(&s->inflight, &d->link);
	return 0;
}

/* What was not acknowledged, in the order of the first time [MQTT-4.6.0-1]. */
static int pump_resend(struct session *s)
{
	while (s->resend != &s->inflight && make_room(s)) {
		int rc = send_delivery(s, entry(s->resend), true);

		if (rc)
			return rc;
		s->resend = s->resend->next;
	}
	return 0;
}

static int pump_backlog(struct session *s)
{
	while (s->backlogged && make_room(s)) {
		struct delivery *d = entry(list_pop(&s->backlog));
		int rc = send_qos0(s, d->message, d->retain);

		if (rc) {
			list_push_front(&s->backlog, &d->link);
			return rc;
		}
		s->backlogged--;
		s->backlog_bytes -= d->message->wire_len;
		delivery_free(d);
	}
	return 0;
}

static int pump_queue(struct session *s)
{
	while (s->queued && s->resend == &s->inflight && window_open(s) && make_room(s)) {
		struct delivery *d = entry(list_pop(&s->queue));
		int rc = start(s, d);

		if (rc) {
			list_push_front(&s->queue, &d->link);
			return rc;
		}
		s->queued--;
		s->queued_bytes -= d->message->wire_len;
	}
	return 0;
}

bool session_waits(const struct session *s)
{
	return s->backlogged || s->resend != &s->inflight || (s->queued && window_open(s));
}

void session_pump(struct session *s)
{
	if (!s->sink || s->sink->failed)
		return;
	if (pump_resend(s) || pump_backlog(s) || pump_queue(s)) {
		s->sink->failed = true;
		dirty(s->sink);
	}
	if (s->dropping && !s->queued && !s->backlogged && output_empty(&s->sink->out))
		s->dropping = false;
}

void session_online(struct session *s, struct session_sink *sink)
{
	s->sink = sink;
	s->resend = s->inflight.next;
	session_pump(s);
}

void session_offline(struct session *s)
{
	s->sink = NULL;
	if (!s->conf->queue_qos0_messages) {
		clear(&s->backlog);
		s->backlogged = 0;
		s->backlog_bytes = 0;
	}
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static struct delivery *delivery_new(struct message *m, uint8_t qos, bool retain)
{
	struct delivery *d = malloc(sizeof(*d));

	if (d)
		*d = (struct delivery){.message = message_ref(m), .qos = qos, .retain = retain};
	return d;
}

/* A queue, and the most that may be in it; 0: no limit. */
struct room {
	uint32_t messages;
	uint64_t bytes, bytes_max;
};

static bool queue_has_room(const struct session *s, struct room used, const struct message *m, unsigned flags)
{
	uint32_t messages_max = s->conf->max_queued_messages;

	if (flags & DELIVER_RETAINED)
		return used.messages < SESSION_RETAINED_MAX;
	return (!messages_max || used.messages < messages_max) &&
	       (!used.bytes_max || used.bytes + m->wire_len <= used.bytes_max);
}

/* Online the backlog is part of the output, offline of the queue: so are its limits. */
static void backlog(struct session *s, struct message *m, unsigned flags)
{
	const struct room used = {s->backlogged, s->backlog_bytes,
				  s->sink ? s->conf->max_output_bytes : s->conf->max_queued_bytes};
	bool retained = flags & DELIVER_RETAINED;
	struct delivery *d;

	if (!queue_has_room(s, used, m, flags)) {
		drop(s, s->sink ? DROP_QOS0_OUTPUT_FULL : DROP_QUEUE_FULL);
		return;
	}
	d = delivery_new(m, 0, retained);
	if (!d) {
		drop(s, DROP_NO_MEMORY);
		return;
	}
	list_push(&s->backlog, &d->link);
	s->backlogged++;
	s->backlog_bytes += m->wire_len;
}

static void deliver_qos0(struct session *s, struct message *m, unsigned flags)
{
	if (!s->sink) {
		if (s->conf->queue_qos0_messages && !s->clean)
			backlog(s, m, flags);
		return;
	}
	/* Order: what waits goes first. */
	if (s->backlogged || (!make_room(s) && (flags & DELIVER_RETAINED)))
		backlog(s, m, flags);
	else if (full(s))
		drop(s, DROP_QOS0_OUTPUT_FULL);
	else if (send_qos0(s, m, flags & DELIVER_RETAINED))
		drop(s, DROP_NO_MEMORY);
}

static bool can_start(struct session *s)
{
	return s->sink && !s->queued && s->resend == &s->inflight && window_open(s) && make_room(s);
}

void session_deliver(struct session *s, struct message *m, uint8_t qos, unsigned flags)
{
	const struct room used = {s->queued, s->queued_bytes, s->conf->max_queued_bytes};
	struct delivery *d;

	if (s->ended)
		return;
	if (qos == 0) {
		deliver_qos0(s, m, flags);
		return;
	}
	d = delivery_new(m, qos, flags & DELIVER_RETAINED);
	if (!d) {
		drop(s, DROP_NO_MEMORY);
	} else if (can_start(s)) {
		if (start(s, d) == 0)
			return;
		drop(s, DROP_NO_MEMORY);
		delivery_free(d);
	} else if (queue_has_room(s, used, m, flags)) {
		list_push(&s->queue, &d->link);
		s->queued++;
		s->queued_bytes += m->wire_len;
	} else {
		drop(s, DROP_QUEUE_FULL);
		delivery_free(d);
	}
}

/* ---- acknowledgements -------------------------------------------------------------------------------------------- */

static void finish(struct session *s, struct delivery *d)
{
	if (s->resend == &d->link)
		s->resend = d->link.next;
	pid_map_take(&s->sent, d->pid);
	list_del(&d->link);
	delivery_free(d);
	session_pump(s);
}

int session_puback(struct session *s, uint16_t pid)
{
	struct delivery *d = pid_map_get(&s->sent, pid);

	if (!d)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	if (d->state != WAIT_PUBACK)
		return MQTT_RC_PROTOCOL_ERROR;
	finish(s, d);
	return MQTT_RC_SUCCESS;
}

int session_pubrec(struct session *s, uint16_t pid)
{
	struct delivery *d = pid_map_get(&s->sent, pid);

	if (!d)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	if (d->state == WAIT_PUBACK)
		return MQTT_RC_PROTOCOL_ERROR;
	/* From here on only PUBREL may be sent again [MQTT-4.3.3-1]. */
	if (d->state == WAIT_PUBREC) {
		d->state = WAIT_PUBCOMP;
		message_unref(d->message);
		d->message = NULL;
	}
	return MQTT_RC_SUCCESS;
}

int session_pubcomp(struct session *s, uint16_t pid)
{
	struct delivery *d = pid_map_get(&s->sent, pid);

	if (!d)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	if (d->state != WAIT_PUBCOMP)
		return MQTT_RC_PROTOCOL_ERROR;
	finish(s, d);
	return MQTT_RC_SUCCESS;
}

int session_receive(struct session *s, uint16_t pid)
{
	int rc;

	if (pid_map_get(&s->received, pid))
		return 0;
	rc = pid_map_put(&s->received, pid, s);
	return rc ? rc : 1;
}

int session_pubrel(struct session *s, uint16_t pid)
{
	return pid_map_take(&s->received, pid) ? MQTT_RC_SUCCESS : MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
}
