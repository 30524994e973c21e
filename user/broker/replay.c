// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/replay.h"

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/mount.h"
#include "broker/subscribe.h"
#include "broker/tree.h"
#include "broker/worker.h"

enum {
	AT_ONCE = 1000,		/* topics that a walk passes in the turn of the SUBSCRIBE, */
	A_TURN = 1000,		/* and all walks of a worker together in a later one */
	OUTPUT_ENOUGH = 65536,	/* bytes: a client with so much in its output gets no more retained messages now */
	QUEUE_ENOUGH = 50,	/* of QoS 1 and 2 that wait for the client: likewise */
	BEHIND_BYTES = 1 << 26, /* that wait behind retained messages at most */
};

/* How the messages of one filter are delivered. */
struct retained_to {
	struct session *session;
	const struct broker *broker;
	uint32_t id; /* Subscription Identifier; 0: none */
	uint8_t qos;
	bool no_local;
	bool paced; /* only as far as the client takes them */
};

struct replay {
	struct list link;
	struct tree_walk *walk;
	struct retained_to to;
};

/* A live message that waits. */
struct waiting {
	struct list link;
	struct message *message; /* a reference */
	struct deliver_as as;
};

/* Of a session. */
struct replays {
	struct list link; /* in the worker's */
	struct session *session;
	struct list walks; /* struct replay; the first is at work */
	struct list behind;
	uint32_t waiting;
	uint64_t waiting_bytes;
};

/* ---- one message -------------------------------------------------------------------------------------------------- */

/* Does the client take more now? A session without one takes all that is kept for it. */
static bool takes_more(const struct session *s)
{
	const struct output *o = s->sink ? &s->sink->out : NULL;

	if (!o)
		return true;
	return !s->backlogged && s->queued < QUEUE_ENOUGH &&
	       (output_empty(o) || (o->bytes < OUTPUT_ENOUGH && session_output_free(s)));
}

static bool send_one(struct message *m, void *arg)
{
	const struct retained_to *to = arg;
	struct session *s = to->session;
	struct deliver_as as = {.retain = true, .subscribed = true};

	if (to->paced && !takes_more(s))
		return false;
	if (message_expired(m, clock_ns()) || (to->no_local && m->origin == s->origin))
		return true;
	as.qos = m->qos < to->qos && !to->broker->conf->upgrade_outgoing_qos ? m->qos : to->qos;
	if (to->id) {
		as.ids = sub_ids_one(to->id);
		if (!as.ids) {
			COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
			return true;
		}
	}
	if (as.qos && !session_has_room(s, m)) {
		session_drop(s, DROP_QUEUE_FULL);
		deliver_as_clear(&as);
		return true;
	}
	if (as.qos && s->stored && session_store_delivery(s, s->store, m, &as)) {
		session_drop(s, DROP_NO_MEMORY);
		deliver_as_clear(&as);
		return true;
	}
	session_deliver(s, m, as);
	return true;
}

/* ---- beginning ---------------------------------------------------------------------------------------------------- */

static struct replays *replays_of(struct worker *w, struct session *s)
{
	struct replays *r = s->replays;

	if (r)
		return r;
	r = malloc(sizeof(*r));
	if (!r)
		return NULL;
	memory_took(sizeof(*r));
	*r = (struct replays){.session = s};
	list_init(&r->walks);
	list_init(&r->behind);
	list_push(&w->replaying, &r->link);
	s->replays = r;
	return r;
}

/* Go on with the walk in later turns. False without memory: it is the caller's to finish. */
static bool go_on_later(struct broker *b, struct tree_walk *walk, const struct retained_to *to)
{
	struct session *s = to->session;
	struct replays *r = replays_of(&b->workers[s->worker], s);
	struct replay *one = r ? malloc(sizeof(*one)) : NULL;
	bool more;

	if (!one)
		return false;
	subscriptions_lock(b);
	more = tree_walk_rest(walk);
	subscriptions_unlock(b);
	if (!more) {
		tree_walk_free(walk);
		free(one);
		return true;
	}
	memory_took(sizeof(*one));
	*one = (struct replay){.walk = walk, .to = *to};
	one->to.paced = true;
	list_push(&r->walks, &one->link);
	return true;
}

static void send_all(struct broker *b, struct mqtt_str filter, uint64_t seq, struct retained_to *to)
{
	struct tree_walk *walk = tree_walk_new(to->session->space->tree, filter, seq);

	if (!walk) {
		COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
		return;
	}
	if (tree_walk(walk, to->session->stored ? UINT_MAX : AT_ONCE, send_one, to)) {
		if (go_on_later(b, walk, to))
			return;
		tree_walk(walk, UINT_MAX, send_one, to);
	}
	tree_walk_free(walk); /* it has not rested */
}

void retained_send(struct broker *b, struct session *s, struct mqtt_packet *packet, const uint8_t *codes,
		   const struct retained_due *due)
{
	struct retained_to to = {
		.session = s,
		.broker = b,
		.id = mqtt_props_number(&packet->props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 0),
	};
	struct mqtt_filter f;

	for (size_t i = 0; mqtt_next_filter(packet, &f); i++) {
		uint8_t *made = NULL;

		if (!due[i].wanted)
			continue;
		to.qos = codes[i];
		to.no_local = f.no_local;
		if (mount_filter(s->sink->mount, &f.topic, &made)) { /* it could be subscribed to */
			COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
			continue;
		}
		replay_stop(s, f.topic);
		send_all(b, f.topic, due[i].seq, &to);
		free(made);
	}
}

/* ---- behind them -------------------------------------------------------------------------------------------------- */

void replay_wait(struct session *s, struct message *m, struct deliver_as *as)
{
	struct replays *r = s->replays;
	struct waiting *w = NULL;
	enum drop_reason reason = DROP_QUEUE_FULL;

	if (r->waiting < SESSION_RETAINED_MAX && r->waiting_bytes < BEHIND_BYTES) {
		reason = DROP_NO_MEMORY;
		w = memory_denies(r->waiting, r->waiting_bytes) ? NULL : malloc(sizeof(*w));
	}
	if (!w) {
		session_drop(s, reason);
		deliver_as_clear(as);
		return;
	}
	memory_took(sizeof(*w));
	*w = (struct waiting){.message = message_ref(m), .as = *as};
	list_push(&r->behind, &w->link);
	r->waiting++;
	r->waiting_bytes += message_size(m);
}

static struct waiting *first_waiting(struct replays *r)
{
	struct waiting *w = container_of(r->behind.next, struct waiting, link);

	list_del(&w->link);
	r->waiting--;
	r->waiting_bytes -= message_size(w->message);
	return w;
}

static void waiting_free(struct waiting *w)
{
	message_unref(w->message);
	memory_gave(sizeof(*w));
	free(w);
}

/* Deliver those that wait, now that nothing is before them, as far as the client takes them. */
static void let_go(struct replays *r, unsigned *left)
{
	struct session *s = r->session;

	while (*left && !list_empty(&r->behind) && takes_more(s)) {
		struct waiting *w = first_waiting(r);

		s->replays = NULL; /* or it would wait again */
		session_deliver(s, w->message, w->as);
		s->replays = r;
		waiting_free(w);
		--*left;
	}
}

/* ---- going on ----------------------------------------------------------------------------------------------------- */

static void replay_free(struct replay *one)
{
	struct broker *b = &the_broker;

	list_del(&one->link);
	subscriptions_lock(b);
	tree_walk_free(one->walk);
	subscriptions_unlock(b);
	memory_gave(sizeof(*one));
	free(one);
}

static void replays_free(struct replays *r)
{
	r->session->replays = NULL;
	list_del(&r->link);
	memory_gave(sizeof(*r));
	free(r);
}

static void walk_on(struct replay *one, unsigned *left)
{
	struct broker *b = &the_broker;
	bool more = tree_walk(one->walk, *left, send_one, &one->to);

	*left = 0; /* how many it passed does not matter: the next one has its turn */
	if (more) {
		subscriptions_lock(b);
		more = tree_walk_rest(one->walk);
		subscriptions_unlock(b);
	}
	if (!more)
		replay_free(one);
}

static void go_on(struct replays *r, unsigned *left)
{
	struct session *s = r->session;

	if (!list_empty(&r->walks))
		walk_on(container_of(r->walks.next, struct replay, link), left);
	else
		let_go(r, left);
	if (list_empty(&r->walks) && list_empty(&r->behind))
		replays_free(r);
	/* What it does not take any more may be taken from now on, and what held back others does not any more. */
	if (s->sink && s->sink->dirty)
		s->sink->dirty(s->sink);
}

void replay_turn(struct worker *w)
{
	unsigned left = A_TURN;
	struct list *last = w->replaying.prev;

	while (left && !list_empty(&w->replaying)) {
		struct replays *r = container_of(w->replaying.next, struct replays, link);
		bool was_last = &r->link == last;

		list_del(&r->link);
		list_push(&w->replaying, &r->link);
		if (takes_more(r->session))
			go_on(r, &left);
		if (was_last)
			break;
	}
}

bool replay_ready(const struct worker *w)
{
	for (const struct list *l = w->replaying.next; l != &w->replaying; l = l->next)
		if (takes_more(container_of(l, struct replays, link)->session))
			return true;
	return false;
}

/* ---- ending ------------------------------------------------------------------------------------------------------- */

void replay_stop(struct session *s, struct mqtt_str filter)
{
	struct list *next;

	if (!s->replays)
		return;
	for (struct list *l = s->replays->walks.next; l != &s->replays->walks; l = next) {
		struct replay *one = container_of(l, struct replay, link);

		next = l->next;
		if (mqtt_str_eq(tree_walk_filter(one->walk), filter))
			replay_free(one);
	}
}

void replay_offline(struct session *s)
{
	struct list *next;

	if (!s->replays || s->conf->queue_qos0_messages)
		return;
	for (struct list *l = s->replays->walks.next; l != &s->replays->walks; l = next) {
		struct replay *one = container_of(l, struct replay, link);

		next = l->next;
		if (one->to.qos == 0)
			replay_free(one);
	}
}

void replay_end(struct session *s)
{
	struct replays *r = s->replays;

	if (!r)
		return;
	while (!list_empty(&r->walks))
		replay_free(container_of(r->walks.next, struct replay, link));
	while (!list_empty(&r->behind)) {
		struct waiting *w = first_waiting(r);

		deliver_as_clear(&w->as);
		waiting_free(w);
	}
	replays_free(r);
}
