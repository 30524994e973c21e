// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/memory.h"
#include "broker/mount.h"
#include "broker/replay.h"
#include "broker/token.h"
#include "mqtt/encode.h"
#include "sn/topics.h"

/* What the client still has to send. */
enum delivery_state {
	WAIT_SENT, /* not sent yet, or of QoS 0 */
	WAIT_PUBACK,
	WAIT_PUBREC,
	WAIT_PUBCOMP,
	WAIT_STORED, /* its packet identifier is not on disk */
};

/* One message on its way to one client. */
struct delivery {
	struct list link;	 /* inflight, queue or backlog */
	struct message *message; /* a reference; NULL in WAIT_PUBCOMP */
	struct deliver_as as;
	uint16_t pid;
	uint8_t state;
	bool counted;	 /* in session->unacked */
	uint64_t ticket; /* of the store, in WAIT_STORED */
};

static struct delivery *entry(struct list *l)
{
	return container_of(l, struct delivery, link);
}

void deliver_as_clear(struct deliver_as *as)
{
	free(as->ids);
	if (as->share)
		tree_share_unref(as->share);
	as->ids = NULL;
	as->share = NULL;
}

static void delivery_free(struct delivery *d)
{
	message_drop(&d->message);
	deliver_as_clear(&d->as);
	memory_gave(sizeof(*d));
	free(d);
}

/* It is over. */
static void end(struct session *s, struct delivery *d)
{
	if (d->as.stored)
		session_stored_over(s, d->message, d->as.stored);
	delivery_free(d);
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

/* An empty output takes any message, whatever the limits. */
static bool full(const struct session *s)
{
	const struct output *o = &s->sink->out;

	return !output_empty(o) && (memory_denies(o->messages, o->bytes) ||
				    (s->conf->max_queued_messages && o->messages >= s->conf->max_queued_messages) ||
				    (s->conf->max_output_bytes && o->bytes >= s->conf->max_output_bytes));
}

bool session_output_free(const struct session *s)
{
	return !full(s);
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

/* A message is dropped because there is no room for it, which a connection may have to end for. */
static void overflow(struct session *s, enum drop_reason reason)
{
	session_drop(s, reason);
	if (!s->sink || s->conf->queue_policy != CONF_QUEUE_DISCONNECT)
		return;
	s->sink->behind = true;
	dirty(s->sink);
}

static void log_publish(const struct session *s, const struct message *m, const struct output_publish *p)
{
	struct mqtt_str topic = message_topic(m);

	log_debug("Sending PUBLISH to %s (d%d, q%u, r%d, m%u, '%.*s', ... (%u bytes))", s->name, p->dup, p->qos,
		  p->retain, p->pid, (int)topic.len, (const char *)topic.data, m->payload_len);
}

static void count_publish(struct session *s, const struct message *m)
{
	s->messages_out++;
	COUNTER_ADD(messages_sent, 1);
	COUNTER_ADD(publish_sent, 1);
	COUNTER_ADD(publish_bytes_sent, m->payload_len);
	if (s->space)
		namespace_sent(s->space, s->worker, 1);
	dirty(s->sink);
}

/* 0, -ENOMEM or -EMSGSIZE. */
static int publish(struct session *s, struct message *m, const struct deliver_as *as, uint16_t pid, bool dup)
{
	struct output_publish p = {
		.version = s->sink->version,
		.qos = as->qos,
		/* before 5.0 only for what a new subscription brings [MQTT-3.3.1-9]; it may have been queued in 5.0 */
		.retain = as->retain && (as->subscribed || s->sink->version >= MQTT_5_0),
		.dup = dup,
		.mount = s->sink->mount.len,
		.pid = pid,
		.ids = as->ids,
		.max_packet = s->sink->max_packet,
	};
	int rc;

	if (s->sink->aliases.max)
		p.alias = alias_out_get(&s->sink->aliases, message_topic(m), &p.alias_only);
	rc = output_publish(&s->sink->out, m, &p);
	if (rc == -EMSGSIZE && p.alias && !p.alias_only) { /* it may be the alias that is too much */
		p.alias = 0;
		rc = output_publish(&s->sink->out, m, &p);
	}
	if (rc)
		return rc;
	if (p.alias && !p.alias_only)
		alias_out_add(&s->sink->aliases, message_topic(m));
	if (log_wants(LOG_TYPE_DEBUG))
		log_publish(s, m, &p);
	count_publish(s, m);
	return 0;
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
	int rc;

	if (d->state == WAIT_PUBCOMP)
		return send_pubrel(s, d->pid);
	rc = publish(s, d->message, &d->as, d->pid, dup);
	if (!rc && !d->counted) {
		d->counted = true;
		s->unacked++;
	}
	return rc;
}

/* ---- window and queue -------------------------------------------------------------------------------------------- */

/* May one more PUBLISH go out on this connection? [MQTT-3.3.4-9] */
static bool quota_left(const struct session *s)
{
	return s->unacked < s->sink->receive_max;
}

static bool window_open(const struct session *s, const struct message *m)
{
	uint32_t most = s->conf->max_inflight_messages;
	uint64_t most_bytes = s->conf->max_inflight_bytes;

	if (memory_denies(s->sent.count, s->inflight_bytes))
		return false;
	if (!quota_left(s) || s->sent.count >= (most ? most : UINT16_MAX))
		return false;
	return !most_bytes || !s->inflight_bytes || s->inflight_bytes + m->payload_len <= most_bytes;
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

/* The client must not see a packet identifier of QoS 2 that the session could forget. What comes after such a one waits
 * behind it, so that the order is that of the store. */
static bool must_store(const struct session *s, const struct delivery *d)
{
	return d->as.stored && store_waits(s->store->store) && (d->as.qos == 2 || !list_empty(&s->committing));
}

static void start_when_stored(struct session *s, struct delivery *d)
{
	d->state = WAIT_STORED;
	d->counted = true; /* it will be sent */
	s->unacked++;
	d->ticket = store_ticket(s->store);
	s->inflight_bytes += d->message->payload_len;
	list_push(&s->committing, &d->link);
	s->sink->waits(s->sink);
}

/* Send a delivery of QoS 1 or 2 for the first time. 0, then it is in flight; -ENOMEM; -EMSGSIZE. */
static int start(struct session *s, struct delivery *d)
{
	int rc;

	d->pid = next_pid(s);
	rc = pid_map_put(&s->sent, d->pid, d);
	if (rc)
		return rc;
	if (d->as.stored)
		session_store_sent(s, d->as.stored, d->pid);
	if (must_store(s, d)) {
		start_when_stored(s, d);
		return 0;
	}
	rc = send_delivery(s, d, false);
	if (rc) {
		pid_map_take(&s->sent, d->pid);
		s->last_pid = s->last_pid == 1 ? 0 : s->last_pid - 1; /* it was not used */
		return rc;
	}
	d->state = d->as.qos == 1 ? WAIT_PUBACK : WAIT_PUBREC;
	s->inflight_bytes += d->message->payload_len;
	list_push(&s->inflight, &d->link);
	return 0;
}

/* It is not in flight any more, whatever for. */
static void land(struct session *s, struct delivery *d)
{
	if (s->resend == &d->link)
		s->resend = d->link.next;
	if (d->counted)
		s->unacked--;
	if (d->message)
		s->inflight_bytes -= d->message->payload_len;
	pid_map_take(&s->sent, d->pid);
	list_del(&d->link);
}

/* May the client not have the message? Its rights may have changed while it waited, or it has come by another
 * listener. */
static bool denied(struct session *s, const struct message *m)
{
	if (access_may_read(s, message_topic(m)) && (!s->sink || mount_holds(s->sink->mount, message_topic(m))))
		return false;
	session_drop(s, DROP_DENIED);
	return true;
}

/* What was not acknowledged, in the order of the first time [MQTT-4.6.0-1]. */
static int pump_resend(struct session *s)
{
	while (s->resend != &s->inflight && make_room(s)) {
		struct delivery *d = entry(s->resend);
		int rc;

		if (d->state != WAIT_PUBCOMP && !quota_left(s))
			break;
		rc = d->state != WAIT_PUBCOMP && denied(s, d->message) ? -EACCES : send_delivery(s, d, true);
		if (rc == -EMSGSIZE) /* for this connection */
			session_drop(s, DROP_TOO_LARGE);
		if (rc == -EMSGSIZE || rc == -EACCES) {
			land(s, d);
			end(s, d);
			continue;
		}
		if (rc)
			return rc;
		s->resend = s->resend->next;
	}
	return 0;
}

static struct delivery *pop_backlog(struct session *s)
{
	struct delivery *d = entry(list_pop(&s->backlog));

	s->backlogged--;
	s->backlog_bytes -= message_size(d->message);
	return d;
}

static void push_front_backlog(struct session *s, struct delivery *d)
{
	list_push_front(&s->backlog, &d->link);
	s->backlogged++;
	s->backlog_bytes += message_size(d->message);
}

static struct delivery *pop_queue(struct session *s)
{
	struct delivery *d = entry(list_pop(&s->queue));

	s->queued--;
	s->queued_bytes -= message_size(d->message);
	return d;
}

static void push_front_queue(struct session *s, struct delivery *d)
{
	list_push_front(&s->queue, &d->link);
	s->queued++;
	s->queued_bytes += message_size(d->message);
}

/* A message that waited too long is not sent any more [MQTT-3.3.2-5]; nor is one that the client may not have. */
static bool not_any_more(struct session *s, const struct delivery *d)
{
	if (!d->message->expires || !message_expired(d->message, clock_ns()))
		return denied(s, d->message);
	session_drop(s, DROP_EXPIRED);
	return true;
}

void session_stored(struct session *s)
{
	while (s->sink && !s->sink->failed && !list_empty(&s->committing)) {
		struct delivery *d = entry(s->committing.next);
		int rc;

		if (!store_done(s->store, d->ticket)) {
			s->sink->waits(s->sink);
			return;
		}
		rc = not_any_more(s, d) ? -ETIME : send_delivery(s, d, false);
		if (rc == -ENOMEM) {
			s->sink->failed = true;
			dirty(s->sink);
			return;
		}
		if (rc) {
			if (rc == -EMSGSIZE)
				session_drop(s, DROP_TOO_LARGE);
			land(s, d);
			end(s, d);
			continue;
		}
		d->state = d->as.qos == 1 ? WAIT_PUBACK : WAIT_PUBREC;
		list_del(&d->link);
		list_push(&s->inflight, &d->link);
	}
}

static int pump_backlog(struct session *s)
{
	while (s->backlogged && make_room(s)) {
		struct delivery *d = pop_backlog(s);
		int rc = not_any_more(s, d) ? 0 : publish(s, d->message, &d->as, 0, false);

		if (rc == -ENOMEM) {
			push_front_backlog(s, d);
			return rc;
		}
		if (rc)
			session_drop(s, DROP_TOO_LARGE);
		delivery_free(d);
	}
	return 0;
}

static bool queue_may_go(const struct session *s)
{
	return s->queued && s->resend == &s->inflight && window_open(s, entry(s->queue.next)->message);
}

static int pump_queue(struct session *s)
{
	while (queue_may_go(s) && make_room(s)) {
		struct delivery *d = pop_queue(s);
		int rc = not_any_more(s, d) ? -ETIME : start(s, d);

		if (rc == -ENOMEM) {
			push_front_queue(s, d);
			return rc;
		}
		if (rc == -EMSGSIZE)
			session_drop(s, DROP_TOO_LARGE);
		if (rc)
			end(s, d);
	}
	if (s->tail.active && s->queued < STORE_PAGE / 4 && s->sink->more)
		s->sink->more(s->sink);
	return 0;
}

bool session_waits(const struct session *s)
{
	return s->backlogged || queue_may_go(s) ||
	       (s->resend != &s->inflight && (entry(s->resend)->state == WAIT_PUBCOMP || quota_left(s)));
}

bool session_done(const struct session *s)
{
	return !s->replays && !s->queued && !s->backlogged && list_empty(&s->inflight) && list_empty(&s->committing) &&
	       !s->tail.active;
}

void session_pump(struct session *s)
{
	if (!s->sink || s->sink->failed)
		return;
	if (pump_resend(s) || pump_backlog(s) || pump_queue(s)) {
		s->sink->failed = true;
		dirty(s->sink);
	}
	if (!s->queued && !s->backlogged && !s->tail.active && output_empty(&s->sink->out))
		session_drops_end(s);
}

void session_online(struct session *s, struct session_sink *sink)
{
	s->sink = sink;
	s->said_too_large = false;
	s->resend = s->inflight.next;
	s->unacked = 0;
	for (struct list *l = s->inflight.next; l != &s->inflight; l = l->next)
		entry(l)->counted = false;
	session_pump(s);
}

void session_offline(struct session *s)
{
	while (!s->conf->queue_qos0_messages && s->backlogged)
		delivery_free(pop_backlog(s));
	if (!s->queued && !s->backlogged && !s->tail.active)
		session_drops_end(s);
	s->sink = NULL;
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

/* Takes what `as` holds, in any case. */
static struct delivery *delivery_new(struct message *m, struct deliver_as *as)
{
	struct delivery *d = malloc(sizeof(*d));

	if (!d) {
		deliver_as_clear(as);
		return NULL;
	}
	memory_took(sizeof(*d));
	*d = (struct delivery){.message = message_ref(m), .as = *as};
	return d;
}

/* A queue, and the most that may be in it; 0: no limit. */
struct room {
	uint32_t messages;
	uint64_t bytes, bytes_max;
};

static bool queue_has_room(const struct session *s, struct room used, const struct message *m,
			   const struct deliver_as *as)
{
	uint32_t messages_max = s->conf->max_queued_messages;

	if (as->subscribed)
		return used.messages < SESSION_RETAINED_MAX;
	return (!messages_max || used.messages < messages_max) &&
	       (!used.bytes_max || used.bytes + message_size(m) <= used.bytes_max);
}

static enum drop_reason backlog_reason(const struct session *s)
{
	return s->sink ? DROP_QOS0_OUTPUT_FULL : DROP_QUEUE_FULL;
}

/* Online the backlog is part of the output, offline of the queue: so are its limits. */
static bool backlog_has_room(const struct session *s, const struct message *m, const struct deliver_as *as)
{
	const struct room used = {s->backlogged, s->backlog_bytes,
				  s->sink ? s->conf->max_output_bytes : s->conf->max_queued_bytes};

	return queue_has_room(s, used, m, as);
}

/* May the first of a queue go to make room for a later one? What a new subscription brought has a limit of its own. */
static bool gives_way(const struct session *s, const struct list *queue)
{
	return s->conf->queue_policy == CONF_QUEUE_OLDEST && !list_empty(queue) && !entry(queue->next)->as.subscribed;
}

static bool make_backlog_room(struct session *s, const struct message *m, const struct deliver_as *as)
{
	while (!backlog_has_room(s, m, as)) {
		if (!gives_way(s, &s->backlog))
			return false;
		session_drop(s, backlog_reason(s));
		delivery_free(pop_backlog(s));
	}
	return true;
}

/* Memory is too short to let another one wait. A client that is away gets none of what is left. */
static bool may_not_wait(const struct session *s, uint32_t messages, uint64_t bytes)
{
	return s->sink ? memory_denies(messages, bytes) : memory_short();
}

static void backlog(struct session *s, struct message *m, struct deliver_as *as)
{
	bool denied = may_not_wait(s, s->backlogged, s->backlog_bytes);
	struct delivery *d;

	if (denied || !make_backlog_room(s, m, as)) {
		overflow(s, denied ? DROP_NO_MEMORY : backlog_reason(s));
		deliver_as_clear(as);
		return;
	}
	d = delivery_new(m, as);
	if (!d) {
		session_drop(s, DROP_NO_MEMORY);
		return;
	}
	list_push(&s->backlog, &d->link);
	s->backlogged++;
	s->backlog_bytes += message_size(m);
}

static void send_qos0(struct session *s, struct message *m, struct deliver_as *as)
{
	int rc = full(s) ? -EAGAIN : publish(s, m, as, 0, false);

	if (rc == -EAGAIN)
		overflow(s, DROP_QOS0_OUTPUT_FULL);
	else if (rc)
		session_drop(s, rc == -EMSGSIZE ? DROP_TOO_LARGE : DROP_NO_MEMORY);
	deliver_as_clear(as);
}

static void deliver_qos0(struct session *s, struct message *m, struct deliver_as *as)
{
	if (!s->sink) {
		if (s->conf->queue_qos0_messages && !session_ends_with_connection(s))
			backlog(s, m, as);
		else
			deliver_as_clear(as);
		return;
	}
	/* Order: what waits goes first. What is in the output cannot give way any more, so the newest wait behind it. */
	if (s->backlogged || (!make_room(s) && (as->subscribed || s->conf->queue_policy == CONF_QUEUE_OLDEST)))
		backlog(s, m, as);
	else
		send_qos0(s, m, as);
}

static bool can_start(struct session *s, const struct message *m)
{
	return s->sink && !s->queued && s->resend == &s->inflight && window_open(s, m) && make_room(s);
}

/* Those that expired while they waited make room for others. */
static void drop_expired(struct session *s)
{
	uint64_t now = clock_ns();
	struct list *next;

	for (struct list *l = s->queue.next; l != &s->queue; l = next) {
		struct delivery *d = entry(l);

		next = l->next;
		if (!message_expired(d->message, now))
			continue;
		session_drop(s, DROP_EXPIRED);
		list_del(l);
		s->queued--;
		s->queued_bytes -= message_size(d->message);
		end(s, d);
	}
}

static bool has_queue_room(const struct session *s, const struct delivery *d)
{
	const struct room used = {s->queued, s->queued_bytes, s->conf->max_queued_bytes};

	return queue_has_room(s, used, d->message, &d->as);
}

static bool may_queue(struct session *s, const struct delivery *d)
{
	/* What is in the store was promised: session_takes() bounds what of it is in memory. */
	if (d->as.stored)
		return true;
	if (may_not_wait(s, s->queued, s->queued_bytes))
		return false;
	if (has_queue_room(s, d))
		return true;
	drop_expired(s);
	while (!has_queue_room(s, d)) {
		if (!gives_way(s, &s->queue))
			return false;
		session_drop(s, DROP_QUEUE_FULL);
		end(s, pop_queue(s));
	}
	return true;
}

/* For a delivery of QoS 1 or 2. What is in the store will be read from there. */
static void no_memory_for(struct session *s, uint64_t stored)
{
	if (!stored) {
		session_drop(s, DROP_NO_MEMORY);
		return;
	}
	session_leaves(s, stored);
	if (s->sink)
		dirty(s->sink);
}

void session_deliver(struct session *s, struct message *m, struct deliver_as as)
{
	struct delivery *d;
	int rc;

	if (s->ended) {
		deliver_as_clear(&as);
		return;
	}
	if (as.stored && !session_takes(s, as.stored)) {
		deliver_as_clear(&as);
		return;
	}
	if (denied(s, m)) {
		if (as.stored)
			session_stored_over(s, m, as.stored);
		deliver_as_clear(&as);
		return;
	}
	if (s->replays && !as.subscribed) {
		replay_wait(s, m, &as);
		return;
	}
	if (as.qos == 0) {
		deliver_qos0(s, m, &as);
		return;
	}
	d = delivery_new(m, &as);
	if (!d) {
		no_memory_for(s, as.stored);
		return;
	}
	if (can_start(s, m)) {
		rc = start(s, d);
		if (rc == 0)
			return;
		if (rc == -ENOMEM) {
			/* It waits for the next connection. */
			push_front_queue(s, d);
			s->sink->failed = true;
			dirty(s->sink);
			return;
		}
		session_drop(s, DROP_TOO_LARGE);
	} else if (may_queue(s, d)) {
		list_push(&s->queue, &d->link);
		s->queued++;
		s->queued_bytes += message_size(m);
		return;
	} else {
		overflow(s, may_not_wait(s, s->queued, s->queued_bytes) ? DROP_NO_MEMORY : DROP_QUEUE_FULL);
	}
	end(s, d);
}

/* The bytes of Subscription Identifiers in the store. */
static struct sub_ids *ids_of(const struct store_bytes *b)
{
	struct sub_ids *ids = sub_ids_new(b->len / sizeof(uint32_t));

	if (ids)
		memcpy(ids->id, b->data, ids->n * sizeof(uint32_t));
	return ids;
}

int session_take_row(struct session *s, struct store_row *r, struct tree_share *share)
{
	struct deliver_as as = {.qos = r->qos, .retain = r->retain, .subscribed = r->subscribed, .stored = r->id};
	struct delivery *d = malloc(sizeof(*d));

	if (d && r->ids.data)
		as.ids = ids_of(&r->ids);
	if (!d || (r->ids.data && !as.ids) || (r->state != STORE_QUEUED && pid_map_put(&s->sent, r->pid, d))) {
		free(as.ids);
		free(d);
		return -ENOMEM;
	}
	as.share = share;
	memory_took(sizeof(*d));
	*d = (struct delivery){.message = r->message, .as = as, .pid = r->pid};
	r->message = NULL;
	if (r->state == STORE_QUEUED) {
		list_push(&s->queue, &d->link);
		s->queued++;
		s->queued_bytes += message_size(d->message);
		return 0;
	}
	d->state = r->state == STORE_WAITS_COMP ? WAIT_PUBCOMP : r->qos == 1 ? WAIT_PUBACK : WAIT_PUBREC;
	if (d->message)
		s->inflight_bytes += d->message->payload_len;
	list_push(&s->inflight, &d->link);
	return 0;
}

static struct delivery *first_shared(struct list *in)
{
	for (struct list *l = in->next; l != in; l = l->next)
		if (entry(l)->as.share && entry(l)->message)
			return entry(l);
	return NULL;
}

bool session_take_shared(struct session *s, struct message **m, struct tree_share **share)
{
	struct delivery *d = first_shared(&s->inflight);

	if (d) {
		land(s, d);
	} else {
		d = first_shared(&s->queue);
		if (!d)
			return false;
		list_del(&d->link);
		s->queued--;
		s->queued_bytes -= message_size(d->message);
	}
	*m = message_ref(d->message);
	*share = tree_share_ref(d->as.share);
	end(s, d);
	return true;
}

/* ---- acknowledgements -------------------------------------------------------------------------------------------- */

static void finish(struct session *s, struct delivery *d)
{
	land(s, d);
	end(s, d);
	session_pump(s);
}

int session_puback(struct session *s, uint16_t pid)
{
	struct delivery *d = pid_map_get(&s->sent, pid);

	if (!d || d->state == WAIT_STORED)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	if (d->state != WAIT_PUBACK)
		return MQTT_RC_PROTOCOL_ERROR;
	finish(s, d);
	return MQTT_RC_SUCCESS;
}

int session_pubrec(struct session *s, uint16_t pid, uint8_t reason)
{
	struct delivery *d = pid_map_get(&s->sent, pid);

	if (!d || d->state == WAIT_STORED)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	if (d->state == WAIT_PUBACK)
		return MQTT_RC_PROTOCOL_ERROR;
	if (reason >= MQTT_RC_UNSPECIFIED_ERROR) {
		finish(s, d);
		return MQTT_RC_SUCCESS;
	}
	/* From here on only PUBREL may be sent again [MQTT-4.3.3-1]. */
	if (d->state == WAIT_PUBREC) {
		d->state = WAIT_PUBCOMP;
		if (d->as.stored)
			session_stored_released(s, d->message, d->as.stored);
		s->inflight_bytes -= d->message->payload_len;
		message_drop(&d->message);
	}
	return MQTT_RC_SUCCESS;
}

int session_pubcomp(struct session *s, uint16_t pid)
{
	struct delivery *d = pid_map_get(&s->sent, pid);

	if (!d || d->state == WAIT_STORED)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	if (d->state != WAIT_PUBCOMP)
		return MQTT_RC_PROTOCOL_ERROR;
	finish(s, d);
	return MQTT_RC_SUCCESS;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct session *session_new(struct namespace *space, const char *id, size_t id_len, unsigned worker,
			    const struct conf *conf)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->name = namespace_client(space, id, id_len, &s->id);
	if (!s->name) {
		free(s);
		return NULL;
	}
	memory_took(sizeof(*s) + id_len);
	s->space = space;
	s->id_len = id_len;
	s->id_hash = hash_bytes(id, id_len);
	s->origin = message_origin(id, id_len);
	s->worker = worker;
	s->conf = conf;
	list_init(&s->inflight);
	s->resend = &s->inflight;
	list_init(&s->queue);
	list_init(&s->backlog);
	list_init(&s->held);
	list_init(&s->released);
	list_init(&s->committing);
	return s;
}

static void clear(struct list *l)
{
	struct list *i;

	while ((i = list_pop(l)))
		delivery_free(entry(i));
}

/* What is also in the store, if the session is there. */
static void clear_stored(struct session *s)
{
	clear(&s->inflight);
	clear(&s->committing);
	clear(&s->queue);
	session_forget_received(s);
	s->resend = &s->inflight;
	s->queued = s->unacked = 0;
	s->queued_bytes = s->inflight_bytes = 0;
	pid_map_clear(&s->sent);
}

void session_cool(struct session *s)
{
	clear_stored(s);
	s->tail.active = s->tail.cold = true;
	session_ask_no_more(s);
	memset(s->tail.known, 0, s->tail.n * sizeof(s->tail.known[0]));
	memset(s->tail.passed, 0, s->tail.n * sizeof(s->tail.passed[0]));
}

void session_clear(struct session *s)
{
	clear_stored(s);
	clear(&s->backlog);
	s->backlogged = 0;
	s->backlog_bytes = 0;
}

void session_free(struct session *s)
{
	session_clear(s);
	message_drop(&s->will);
	free(s->tail.known);
	free(s->tail.passed);
	table_free(&s->subs);
	access_rights_free(s->rights);
	sn_topics_free(s->sn_topics);
	token_free(s->token);
	access_forget_username(&s->username);
	memory_gave(sizeof(*s) + s->id_len);
	free(s->name);
	free(s);
}
