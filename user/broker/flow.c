// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A receiver's side: NONE -> ASKED by the first publisher's worker, which sends the session's target_item to the owner;
 * there, when the output is empty, -> READY. The members of struct session that publishers read change under the
 * subscription lock; an install looks at them under the same lock, after matching again, so no flow can be installed
 * from what a SUBSCRIBE, a disconnect or a reconnect has just made untrue.
 */
#include "broker/flow.h"

#include <errno.h>

#include "base/log.h"
#include "broker/internal.h"

enum { RETRY_NS = 100000000 }; /* after an install that failed */

static uint8_t target_of(const struct session *s)
{
	return __atomic_load_n(&s->target, __ATOMIC_ACQUIRE);
}

static void set_target(struct session *s, enum flow_target t)
{
	__atomic_store_n(&s->target, (uint8_t)t, __ATOMIC_RELEASE);
}

/* The only session that gets the message, if the kernel can stand in for the daemon there; else NULL. Flows are for a
 * topic, whoever publishes: so a subscription with No Local has none; and the kernel adds no Subscription Identifier
 * and chooses no member of a share. */
static struct session *only_receiver(enum fp_road road, const struct tree_hits *hits)
{
	struct session *only = NULL;

	if (hits->nshares)
		return NULL;
	for (size_t i = 0; i < hits->n; i++) {
		struct session *s = hits->v[i].subscriber;

		if (!__atomic_load_n(&s->online, __ATOMIC_ACQUIRE)) {
			if (s->conf->queue_qos0_messages)
				return NULL;
			continue;
		}
		if (only || hits->v[i].options & SUB_NO_LOCAL || hits->v[i].ids)
			return NULL;
		only = s;
	}
	if (only && __atomic_load_n(&only->road, __ATOMIC_RELAXED) != road)
		return NULL;
	return only;
}

/* Match again under the lock and install a flow to the only receiver. `publisher` may be NULL. */
static int install(struct worker *w, struct conn *publisher, const struct message *m, uint8_t form, enum fp_road road)
{
	struct mqtt_str topic = message_topic(m);
	struct session *to = NULL;
	int rc = -EAGAIN;

	subscriptions_lock(w->broker);
	w->hits.publisher = NULL;
	w->hits.duplicates = false;
	if (tree_match(w->broker->tree, topic, &w->hits) == 0)
		to = only_receiver(road, &w->hits);
	if (to && to->receiver.generation && to->receiver.form == form)
		rc = fp_flow_install(publisher ? &publisher->link : NULL, FLOW_NAMESPACE, form,
				     (const char *)topic.data, topic.len, &to->receiver, to->id);
	subscriptions_unlock(w->broker);
	return rc;
}

static void receive_ask(struct inbox_item *item, void *receiver)
{
	struct session *s = container_of(item, struct session, target_item);
	struct conn *c = s->conn;

	(void)receiver;
	if (!c || c->state != CONN_OPEN || c->link.road == FP_ROAD_NONE) {
		message_drop(&s->asked);
		set_target(s, FLOW_TARGET_NONE);
		return;
	}
	c->want_target = true;
	conn_dirty(c);
}

/* The first publish that could take a flow to this receiver: its owner makes it a target and installs that flow. */
static void ask(struct worker *w, struct session *to, struct message *m)
{
	uint8_t none = FLOW_TARGET_NONE;

	if (!__atomic_compare_exchange_n(&to->target, &none, FLOW_TARGET_ASKED, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return;
	to->asked = message_ref(m);
	to->target_item.receive = receive_ask;
	loop_send(&w->broker->workers[to->worker].loop, &to->target_item);
}

void flow_consider(struct conn *publisher, struct message *m, const struct tree_hits *hits)
{
	struct worker *w = publisher->worker;
	struct session *to;

	/* With each PUBLISH logged, the daemon must see each [invariant 1]. The kernel carries none with properties. */
	if (!fp_flow_wanted(&publisher->link, (const char *)message_topic(m).data, m->topic_len) || m->dollar ||
	    m->props_len || m->expires || log_wants(LOG_TYPE_DEBUG) || w->loop.now_ns < publisher->flow_retry_ns)
		return;
	to = only_receiver(publisher->link.road, hits);
	if (!to)
		return;
	switch (target_of(to)) {
	case FLOW_TARGET_READY:
		if (install(w, publisher, m, flow_form(publisher->version), publisher->link.road))
			publisher->flow_retry_ns = w->loop.now_ns + RETRY_NS;
		break;
	case FLOW_TARGET_NONE:
		ask(w, to, m);
		break;
	default:
		break;
	}
}

void flow_make_target(struct conn *c)
{
	struct broker *b = c->worker->broker;
	struct session *s = c->session;
	struct message *asked = s->asked;

	/* Taken out first: as soon as the target is NONE again another worker may put the next one there. */
	s->asked = NULL;
	c->want_target = false;
	fp_make_target(&c->link, c->watch.fd, s->id);
	subscriptions_lock(b);
	if (c->link.target) {
		s->receiver = (struct fp_receiver){
			.road = c->link.road,
			.form = flow_form(c->version),
			.slot = c->link.slot,
			.generation = c->link.generation,
			.isn_pair = c->link.isn_pair,
		};
		set_target(s, FLOW_TARGET_READY);
	} else {
		/* Not on this connection. */
		__atomic_store_n(&s->road, FP_ROAD_NONE, __ATOMIC_RELAXED);
		set_target(s, FLOW_TARGET_NONE);
	}
	subscriptions_unlock(b);
	if (c->link.target)
		(void)install(c->worker, NULL, asked, flow_form(c->version), c->link.road);
	message_drop(&asked);
}

void flow_retire(struct conn *c)
{
	struct broker *b = c->worker->broker;
	struct session *s = c->session;
	uint32_t slot = c->link.slot;
	bool target = c->link.target;

	if (c->link.road == FP_ROAD_NONE)
		return;
	fp_retire(&c->link);
	if (c->want_target)
		message_drop(&s->asked);
	subscriptions_lock(b);
	s->receiver = (struct fp_receiver){0};
	/* ASKED, but not received yet: receive_ask() will find what is then. */
	if (target_of(s) == FLOW_TARGET_READY || c->want_target)
		set_target(s, FLOW_TARGET_NONE);
	if (target)
		fp_flow_remove_receiver(slot);
	subscriptions_unlock(b);
	c->want_target = false;
}
