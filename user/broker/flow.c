// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A receiver's side: NONE -> ASKED by the first publisher's worker, which sends the session's target_item to the owner;
 * there, when the output is empty, -> READY. One on the remote road that sends much itself -> RESTS, one to which the daemon
 * writes while that road is loaded -> YIELDS; both -> ASKED again by a publisher after some time. The members of struct session that publishers read change under the
 * subscription lock; an install looks at them under the same lock, after matching again, so no flow can be installed
 * from what a SUBSCRIBE, a disconnect or a reconnect has just made untrue.
 */
#include "broker/flow.h"

#include <errno.h>

#include "base/log.h"
#include "broker/access.h"
#include "broker/internal.h"
#include "wire.h"

enum { RETRY_NS = 100000000 }; /* after an install that failed */

/* The receivers. Written under the subscription lock, read by any worker. */
static struct session *by_slot[FP_SLOTS];

struct session *flow_receiver(uint32_t slot, uint64_t generation)
{
	struct session *s = __atomic_load_n(&by_slot[slot], __ATOMIC_ACQUIRE);

	return s && __atomic_load_n(&s->generation, __ATOMIC_ACQUIRE) == generation ? s : NULL;
}

static uint8_t target_of(const struct session *s)
{
	return __atomic_load_n(&s->target, __ATOMIC_ACQUIRE);
}

static void set_target(struct session *s, enum flow_target t)
{
	__atomic_store_n(&s->target, (uint8_t)t, __ATOMIC_RELEASE);
}

/* What rules out a flow for the topic, whoever gets its messages. */
static enum flow_reason topic_reason(const struct conf *conf, uint8_t form, struct mqtt_str topic)
{
	if (!fp_is_on())
		return FLOW_OFF;
	/* With each PUBLISH logged, the daemon must see each [invariant 1]. */
	if (log_wants(LOG_TYPE_DEBUG))
		return FLOW_LOGGED;
	if (conf->message_size_limit)
		return FLOW_SIZE_LIMITED;
	if (conf->max_publish_rate || conf->max_publish_bytes)
		return FLOW_RATE_LIMITED;
	if (topic.len && topic.data[0] == '$')
		return FLOW_DOLLAR;
	return fp_topic_fits(form, topic.len) ? FLOW_POSSIBLE : FLOW_TOPIC_TOO_LONG;
}

/* And for this publisher, NULL: any. */
static enum flow_reason publish_reason(const struct worker *w, const struct conn *publisher, struct mqtt_str topic)
{
	enum flow_reason reason = topic_reason(w->broker->conf, publisher ? flow_form(publisher->version) : 0, topic);

	if (!reason && publisher && publisher->link.road == FP_ROAD_NONE)
		return FLOW_PUBLISHER_NO_ROAD;
	return reason;
}

/* And what rules out this message. */
static enum flow_reason message_reason(const struct message *m, bool retain)
{
	if (m->qos)
		return FLOW_QOS;
	if (retain)
		return FLOW_RETAIN;
	return m->props_len || m->expires ? FLOW_PROPERTIES : FLOW_POSSIBLE;
}

/* Can a subscription of a connected session be part of a flow? Flows are for a topic, whoever publishes: so one with No
 * Local has none; and the kernel adds no Subscription Identifier. */
static enum flow_reason hit_reason(const struct tree_hit *hit)
{
	const struct session *s = hit->subscriber;

	if (hit->options & SUB_NO_LOCAL)
		return FLOW_NO_LOCAL;
	if (hit->ids)
		return FLOW_IDENTIFIER;
	return s->conf->upgrade_outgoing_qos && hit->options & SUB_QOS_MASK ? FLOW_UPGRADED : FLOW_POSSIBLE;
}

/* And its connection, for publishers on this road and of this form? */
static enum flow_reason receiver_reason(const struct session *s, enum fp_road road, uint8_t form)
{
	enum fp_road own = (enum fp_road)__atomic_load_n(&s->road, __ATOMIC_RELAXED);

	if (own == FP_ROAD_NONE)
		return FLOW_RECEIVER_NO_ROAD;
	if (own != road)
		return FLOW_OTHER_ROAD;
	return __atomic_load_n(&s->form, __ATOMIC_RELAXED) == form || fp_forms_mix(road) ? FLOW_POSSIBLE
											 : FLOW_OTHER_FORM;
}

/* A connected session that gets the message. */
static enum flow_reason add_receiver(enum fp_road road, uint8_t form, const struct tree_hit *hit, size_t max,
				     struct flow_receivers *to)
{
	struct session *s = hit->subscriber;
	enum flow_reason reason = hit_reason(hit);

	if (!reason)
		reason = receiver_reason(s, road, form);
	if (reason)
		return reason;
	if (to->n >= max)
		return to->n && to->session[to->n - 1] == s ? FLOW_MANY_COPIES : FLOW_MANY_RECEIVERS;
	to->session[to->n++] = s;
	return FLOW_POSSIBLE;
}

static bool is_online(const struct session *s)
{
	return __atomic_load_n(&s->online, __ATOMIC_ACQUIRE);
}

/* The connected members of a group, of which the kernel chooses one in turn. */
static enum flow_reason find_members(enum fp_road road, uint8_t form, struct mqtt_str topic, struct tree_share *share,
				     struct flow_receivers *to, struct session **about)
{
	size_t max = fp_receivers_max(road) < FP_SHARE_MAX ? fp_receivers_max(road) : FP_SHARE_MAX;
	uint32_t at = 0, place;
	struct tree_hit hit;

	to->share = share;
	while (tree_share_member(share, &at, &place, &hit)) {
		struct session *s = hit.subscriber;
		enum flow_reason reason;

		*about = s;
		if (!is_online(s) || !access_may_read(s, topic))
			continue;
		reason = __atomic_load_n(&s->form, __ATOMIC_RELAXED) == form ? FLOW_POSSIBLE : FLOW_OTHER_FORM;
		if (!reason)
			reason = add_receiver(road, form, &hit, max, to);
		if (reason)
			return reason;
		to->receiver[to->n - 1].place = place;
	}
	return to->n ? FLOW_POSSIBLE : FLOW_NO_RECEIVER;
}

/* The connected sessions that get the message, if the kernel can stand in for the daemon there. *about is the session that
 * the reason is about, or NULL. */
static enum flow_reason find_receivers(enum fp_road road, uint8_t form, struct mqtt_str topic,
				       const struct tree_hits *hits, struct flow_receivers *to, struct session **about)
{
	enum flow_reason reason;

	to->n = 0;
	to->share = NULL;
	*about = NULL;
	if (hits->nshares == 1 && !hits->n && fp_forms_mix(road))
		return find_members(road, form, topic, hits->shares[0], to, about);
	if (hits->nshares)
		return FLOW_SHARED;
	for (size_t i = 0; i < hits->n; i++) {
		*about = hits->v[i].subscriber;
		if (!access_may_read(*about, topic))
			continue;
		if (!is_online(*about)) {
			if ((*about)->conf->queue_qos0_messages)
				return FLOW_KEPT_FOR_OFFLINE;
			continue;
		}
		reason = add_receiver(road, form, &hits->v[i], fp_receivers_max(road), to);
		if (reason)
			return reason;
	}
	return to->n ? FLOW_POSSIBLE : FLOW_NO_RECEIVER;
}

/* Where the kernel finds the turn of the group; under the lock. NULL: there is no more room. */
static uint32_t *turn_of(struct tree_share *share)
{
	uint32_t *turn = tree_share_turn(share);

	if (turn)
		return turn;
	turn = fp_turn_new();
	if (turn)
		tree_share_keep_turn(share, turn, fp_turn_free);
	return turn;
}

static enum flow_reason no_target_reason(const struct session *s)
{
	switch (target_of(s)) {
	case FLOW_TARGET_RESTS:
		return FLOW_RECEIVER_SENDS;
	case FLOW_TARGET_YIELDS:
		return FLOW_LOADED;
	default:
		return FLOW_RECEIVER_NOT_READY;
	}
}

/* Match again, under the lock, now that no subscription can change. */
static enum flow_reason match_again(struct worker *w, const struct namespace *space, struct mqtt_str topic,
				    uint8_t form, enum fp_road road, struct session **about)
{
	struct flow_receivers *to = w->found;
	enum flow_reason reason;

	*about = NULL;
	w->hits.publisher = NULL;
	w->hits.duplicates = w->broker->conf->allow_duplicate_messages;
	if (tree_match(space->tree, topic, &w->hits))
		return FLOW_NO_MEMORY;
	reason = find_receivers(road, form, topic, &w->hits, to, about);
	for (size_t i = 0; !reason && i < to->n; i++) {
		uint32_t place = to->receiver[i].place;

		to->receiver[i] = to->session[i]->receiver;
		to->receiver[i].place = place;
		*about = to->session[i];
		if (!to->receiver[i].generation)
			reason = no_target_reason(to->session[i]);
	}
	return reason;
}

/* Install a flow to all receivers. `publisher` may be NULL. */
static int install(struct worker *w, struct conn *publisher, const struct message *m, uint8_t form, enum fp_road road)
{
	struct mqtt_str topic = message_topic(m);
	struct flow_receivers *to = w->found;
	uint32_t *turn = NULL;
	struct session *about;
	int rc = -EAGAIN;

	subscriptions_lock(w->broker);
	if (!match_again(w, message_namespace(w->broker, m), topic, form, road, &about)) {
		if (to->share)
			turn = turn_of(to->share);
		rc = to->share && !turn ? -ENOSPC
					: fp_flow_install(publisher ? &publisher->link : NULL, m->ns, form,
							  (const char *)topic.data, topic.len, to->receiver, to->n,
							  turn, to->session[0]->id);
	}
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
static void ask(struct worker *w, struct session *to, uint8_t target, struct message *m, bool alone)
{
	if (!__atomic_compare_exchange_n(&to->target, &target, FLOW_TARGET_ASKED, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return;
	to->asked = message_ref(m);
	to->asked_alone = alone;
	to->target_item.receive = receive_ask;
	loop_send(&w->broker->workers[to->worker].loop, &to->target_item);
}

static bool may_ask(const struct worker *w, const struct session *s, uint8_t target)
{
	return target == FLOW_TARGET_NONE || ((target == FLOW_TARGET_RESTS || target == FLOW_TARGET_YIELDS) &&
					      w->loop.now_ns >= __atomic_load_n(&s->rests_until_ns, __ATOMIC_RELAXED));
}

/* Are all of them ready? Those that may be asked are. */
static bool all_ready(struct worker *w, const struct flow_receivers *to, struct message *m, bool alone)
{
	bool ready = true;

	for (size_t i = 0; i < to->n; i++) {
		uint8_t target = target_of(to->session[i]);

		if (may_ask(w, to->session[i], target))
			ask(w, to->session[i], target, m, alone);
		ready &= target == FLOW_TARGET_READY;
	}
	return ready;
}

void flow_consider(struct conn *publisher, struct message *m, bool retain, const struct tree_hits *hits)
{
	struct worker *w = publisher->worker;
	uint8_t form = flow_form(publisher->version);
	struct session *about;

	if (message_reason(m, retain) ||
	    !fp_flow_wanted(&publisher->link, (const char *)message_topic(m).data, m->topic_len) ||
	    w->loop.now_ns < publisher->flow_retry_ns || publish_reason(w, publisher, message_topic(m)) ||
	    find_receivers(publisher->link.road, form, message_topic(m), hits, w->found, &about) ||
	    !all_ready(w, w->found, m, publisher->link.alone))
		return;
	publisher->flow_error = install(w, publisher, m, form, publisher->link.road);
	if (publisher->flow_error)
		publisher->flow_retry_ns = w->loop.now_ns + RETRY_NS;
}

enum flow_reason flow_explain(struct worker *w, const struct namespace *space, const struct conn *publisher,
			      struct mqtt_str topic, struct session **about)
{
	uint8_t form = publisher ? flow_form(publisher->version) : 0;
	enum fp_road road = publisher ? publisher->link.road : FP_ROAD_LOCAL;
	enum flow_reason reason = publish_reason(w, publisher, topic);

	*about = NULL;
	if (!reason && publisher && !access_may_write(publisher->session, topic))
		reason = FLOW_PUBLISHER_DENIED;
	if (reason)
		return reason;
	subscriptions_lock(w->broker);
	reason = match_again(w, space, topic, form, road, about);
	if (!publisher && (reason == FLOW_OTHER_ROAD || reason == FLOW_OTHER_FORM))
		reason = match_again(w, space, topic, (*about)->form, (enum fp_road)(*about)->road, about);
	subscriptions_unlock(w->broker);
	/* -EAGAIN: what had changed between two looks was looked at again now. */
	if (reason || !publisher || w->loop.now_ns >= publisher->flow_retry_ns || publisher->flow_error == -EAGAIN)
		return reason;
	return publisher->flow_error == -ENOMEM ? FLOW_NO_MEMORY : FLOW_TABLE_FULL;
}

/* The kernel looks at no Maximum Packet Size, and uses no Topic Alias where the daemon would. */
const char *flow_receiver_limit(const struct conn *c)
{
	uint32_t ours = c->worker->broker->conf->max_packet_size;

	if (c->sink.max_packet && c->sink.max_packet < (ours ? ours : WIRE_REMAINING_MAX))
		return "it has a Maximum Packet Size below max_packet_size";
	return c->sink.aliases.max ? "it is sent topic aliases" : NULL;
}

/* No flow is for it any more. Under the subscription lock. */
static void forget_receiver(struct session *s, uint32_t slot)
{
	s->receiver = (struct fp_receiver){0};
	__atomic_store_n(&s->generation, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&by_slot[slot], NULL, __ATOMIC_RELEASE);
	fp_flow_remove_receiver(slot);
}

static void rest(struct session *s, const struct fp_link *link)
{
	__atomic_store_n(&s->rests_until_ns, link->rests_until_ns, __ATOMIC_RELAXED);
	set_target(s, link->yields ? FLOW_TARGET_YIELDS : FLOW_TARGET_RESTS);
}

void flow_make_target(struct conn *c)
{
	struct broker *b = c->worker->broker;
	struct session *s = c->session;
	struct message *asked = s->asked;
	bool alone = s->asked_alone;

	/* Taken out first: as soon as the target is NONE again another worker may put the next one there. */
	s->asked = NULL;
	c->want_target = false;
	fp_make_target(&c->link, c->watch.fd, s->id);
	subscriptions_lock(b);
	if (c->link.generation) {
		s->receiver = (struct fp_receiver){
			.road = c->link.road,
			.form = flow_form(c->version),
			.slot = c->link.slot,
			.generation = c->link.generation,
			.isn_pair = c->link.isn_pair,
		};
		__atomic_store_n(&s->generation, c->link.generation, __ATOMIC_RELEASE);
		__atomic_store_n(&by_slot[c->link.slot], s, __ATOMIC_RELEASE);
		set_target(s, FLOW_TARGET_READY);
	} else if (c->link.leaving || c->link.rests_until_ns > c->worker->loop.now_ns) {
		rest(s, &c->link);
	} else {
		/* Not on this connection. */
		__atomic_store_n(&s->road, FP_ROAD_NONE, __ATOMIC_RELAXED);
		set_target(s, FLOW_TARGET_NONE);
	}
	subscriptions_unlock(b);
	/* One for the publisher alone is installed with its next message. */
	if (c->link.generation && !alone)
		(void)install(c->worker, NULL, asked, flow_form(c->version), c->link.road);
	message_drop(&asked);
}

static void stop_receiving(struct conn *c, void (*leave)(struct fp_link *, uint64_t))
{
	struct broker *b = c->worker->broker;
	struct session *s = c->session;
	bool ready;

	subscriptions_lock(b);
	ready = target_of(s) == FLOW_TARGET_READY;
	leave(&c->link, c->worker->loop.now_ns);
	if (ready) { /* it may be one for its PINGREQ only */
		forget_receiver(s, c->link.slot);
		rest(s, &c->link);
	}
	subscriptions_unlock(b);
}

void flow_rest(struct conn *c)
{
	stop_receiving(c, fp_rest);
}

void flow_yield(struct conn *c)
{
	stop_receiving(c, fp_yield);
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
	if (target)
		forget_receiver(s, slot);
	/* ASKED, but not received yet: receive_ask() will find what is then. */
	if (target_of(s) != FLOW_TARGET_ASKED || c->want_target)
		set_target(s, FLOW_TARGET_NONE);
	subscriptions_unlock(b);
	c->want_target = false;
}
