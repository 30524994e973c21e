// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What workers say to the store, and packets that wait for the disk. */
#include "broker/durable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/bans.h"
#include "broker/internal.h"
#include "broker/source.h"

enum {
	HELD_MAX = 1000, /* packets of a connection that wait: then nothing more is read from it */
	PENDING_MAX = 32 * 1024 *
		      1024, /* bytes that a worker's store has not written: the same for whoever adds to them */
};

/* An answer that waits for what it confirms. */
struct held_answer {
	struct list link; /* conn->held_answers */
	uint64_t ticket;
	size_t len;
	uint8_t packet[];
};

static bool on(const struct worker *w)
{
	return w->store.store;
}

static struct store_bytes copy(struct mqtt_str s)
{
	struct store_bytes b = {malloc(s.len ? s.len : 1), s.len};

	if (b.data)
		memcpy(b.data, s.data, s.len);
	return b;
}

/* An operation with a text; NULL without memory. */
static struct store_op *say(struct worker *w, enum store_kind kind, struct mqtt_str text)
{
	struct store_bytes b = copy(text);
	struct store_op *op = b.data ? store_op(&w->store, kind) : NULL;

	if (op)
		op->text = b;
	else if (b.data)
		free(b.data);
	else
		store_failed(&w->store);
	if (!op)
		log_error("Out of memory: a change is not in the store.");
	return op;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static int say_session(struct worker *w, const struct session *s, bool away)
{
	struct store_op *op = say(w, STORE_SESSION, (struct mqtt_str){(const uint8_t *)s->id, (uint32_t)s->id_len});

	if (!op)
		return -ENOMEM;
	op->session = s->stored;
	op->ns = s->space->number;
	op->expiry = s->expiry_interval;
	op->away = away;
	return 0;
}

int durable_session_begins(struct worker *w, struct session *s)
{
	int rc = on(w) ? session_store(s, store_new_id(&w->store), &w->store) : 0;

	if (rc || !s->stored)
		return rc;
	rc = say_session(w, s, false);
	if (rc)
		s->stored = 0;
	return rc;
}

void durable_session_changes(struct worker *w, struct session *s)
{
	(void)say_session(w, s, !s->conn);
}

void durable_will(struct worker *w, struct session *s, struct message *will, bool retain, uint32_t delay)
{
	struct store_op *op;

	if (!s->stored || (!will && !s->will_stored))
		return;
	op = store_op(&w->store, STORE_WILL);
	if (!op)
		return;
	op->session = s->stored;
	if (will) {
		store_name_message(&w->store, will);
		op->message = message_ref(will);
	}
	op->retain = retain;
	op->delay = delay;
	s->will_stored = will;
}

void durable_subscribe(struct worker *w, const struct session *s, struct mqtt_str filter, uint8_t options, uint32_t id)
{
	struct store_op *op = s->stored ? say(w, STORE_SUBSCRIBE, filter) : NULL;

	if (!op)
		return;
	op->session = s->stored;
	op->options = options;
	op->number = id;
}

void durable_unsubscribe(struct worker *w, const struct session *s, struct mqtt_str filter)
{
	struct store_op *op = s->stored ? say(w, STORE_UNSUBSCRIBE, filter) : NULL;

	if (op)
		op->session = s->stored;
}

/* ---- retained messages ------------------------------------------------------------------------------------------- */

/* The broker's own messages come anew in each run. */
static bool is_ours(struct mqtt_str topic)
{
	return topic.len >= 4 && memcmp(topic.data, "$SYS", 4) == 0;
}

/* Room for an operation with who published it; NULL without memory. */
static struct store_op *retain_op(struct worker *w, const struct source *source)
{
	struct store_op by = {.kind = STORE_RETAIN}, *op = NULL;

	if (source && source_store(w->broker, source, &by))
		store_failed(&w->store);
	else
		op = store_op(&w->store, STORE_RETAIN);
	if (op)
		*op = by;
	else
		store_op_clear(&by);
	return op;
}

void durable_retain(struct worker *w, struct message *m, const struct source *source)
{
	struct store_op *op;

	if (!on(w) || is_ours(message_topic(m)))
		return;
	op = retain_op(w, source);
	if (!op) {
		log_error("Out of memory: a retained message is not in the store.");
		return;
	}
	store_name_message(&w->store, m);
	op->message = message_ref(m);
	store_flush(&w->store);
}

void durable_forget(struct worker *w, uint16_t ns, struct mqtt_str topic)
{
	struct store_op *op = on(w) && !is_ours(topic) ? say(w, STORE_FORGET, topic) : NULL;

	if (!op)
		return;
	op->ns = ns;
	store_flush(&w->store);
}

void durable_retained_expired(struct message *m, void *worker)
{
	durable_forget(worker, m->ns, message_topic(m));
}

/* ---- bans -------------------------------------------------------------------------------------------------------- */

static struct store_op *say_of(struct worker *w, enum store_kind kind, const struct ban_subject *who)
{
	char network[NETWORK_NAME_MAX];
	struct mqtt_str name = who->name;
	struct store_op *op;

	if (who->kind == BAN_ADDRESS)
		name = mqtt_str(network_name(&who->network, network));
	op = say(w, kind, name);
	if (op) {
		op->number = who->kind;
		op->ns = namespace_named(w->broker, who->space)->number; /* it was banned there */
	}
	return op;
}

void durable_ban(struct worker *w, const struct ban *ban)
{
	struct store_bytes reason = on(w) ? copy(mqtt_str(ban->reason)) : (struct store_bytes){0};
	struct store_op *op;

	if (!on(w))
		return;
	op = reason.data ? say_of(w, STORE_BAN, &ban->who) : NULL;
	if (!op) {
		free(reason.data);
		return;
	}
	op->ids = reason;
	op->order = ban->since_ns;
	op->id = ban->until_ns;
	op->retain = ban->automatic;
	store_flush(&w->store);
}

void durable_unban(struct worker *w, const struct ban_subject *who)
{
	if (on(w) && say_of(w, STORE_UNBAN, who))
		store_flush(&w->store);
}

/* ---- packets that wait --------------------------------------------------------------------------------------------- */

void durable_watch(struct conn *c)
{
	if (!list_linked(&c->committing))
		list_push(&c->worker->committing, &c->committing);
}

void durable_begin(struct conn *c)
{
	c->operations = c->worker->store.operations;
	c->failures = c->worker->store.failures;
}

void durable_send(struct conn *c, const uint8_t *packet, size_t len, bool all)
{
	const struct store_client *store = &c->worker->store;
	uint64_t ticket = 0;
	struct held_answer *a;

	if (store->failures != c->failures) { /* what it confirms was not done */
		conn_break(c, CLOSE_NO_MEMORY);
		return;
	}
	if (store->store && store_waits(store->store) && (all || store->operations != c->operations))
		ticket = store_ticket(store);
	if (list_empty(&c->held_answers) && store_done(store, ticket)) {
		conn_send(c, packet, len);
		return;
	}
	a = malloc(sizeof(*a) + len);
	if (!a) {
		conn_break(c, CLOSE_NO_MEMORY);
		return;
	}
	a->ticket = ticket;
	a->len = len;
	memcpy(a->packet, packet, len);
	list_push(&c->held_answers, &a->link);
	c->held_n++;
	durable_watch(c);
}

bool durable_full(const struct conn *c)
{
	const struct store_client *store = &c->worker->store;

	return c->held_n >= HELD_MAX || (store->pending > PENDING_MAX && store->operations != c->operations);
}

static void got_on(struct conn *c)
{
	while (!list_empty(&c->held_answers)) {
		struct held_answer *a = container_of(c->held_answers.next, struct held_answer, link);

		if (!store_done(&c->worker->store, a->ticket)) {
			durable_watch(c);
			break;
		}
		list_del(&a->link);
		c->held_n--;
		conn_send(c, a->packet, a->len);
		free(a);
	}
	if (c->session)
		session_stored(c->session);
	if (c->paused) {
		if (c->worker->store.pending > PENDING_MAX / 2)
			durable_watch(c);
		conn_dirty(c); /* where it is seen whether reading may go on */
	}
}

void durable_notice(struct store_client *client)
{
	struct worker *w = container_of(client, struct worker, store);
	struct list now;
	struct list *l;

	list_init(&now);
	list_splice(&now, &w->committing);
	while ((l = list_pop(&now)))
		got_on(container_of(l, struct conn, committing));
}

void durable_drop(struct conn *c)
{
	struct list *l;

	while ((l = list_pop(&c->held_answers)))
		free(container_of(l, struct held_answer, link));
	c->held_n = 0;
}
