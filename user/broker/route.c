// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/route.h"

#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"

/* Retain and match under one lock: a subscriber that comes at the same time gets the message once, as a retained or as
 * a live one, see subscribe(). */
static int match_retained(struct worker *w, struct message *m, struct tree_hits *hits)
{
	struct broker *b = w->broker;
	bool added = false;
	bool removed = false;
	int rc = 0;

	subscriptions_lock(b);
	if (m->payload_len)
		rc = tree_retain(b->tree, m, &added);
	else
		removed = tree_forget(b->tree, message_topic(m));
	if (!rc && m->payload_len)
		durable_retain(w, m);
	else if (removed)
		durable_forget(w, message_topic(m));
	if (!rc)
		rc = tree_match(b->tree, message_topic(m), hits);
	subscriptions_unlock(b);
	if (added)
		COUNTER_ADD(retained, 1);
	if (removed)
		COUNTER_ADD(retained, -1);
	return rc;
}

/* ---- one delivery ------------------------------------------------------------------------------------------------ */

static struct sub_ids *ids_of(const struct tree_hits *hits, const struct tree_hit *hit)
{
	struct sub_ids *ids;
	uint32_t n = 0;

	for (uint32_t i = hit->ids; i; i = hits->ids[i - 1].next)
		n++;
	ids = sub_ids_new(n);
	if (!ids)
		return NULL;
	ids->n = 0;
	for (uint32_t i = hit->ids; i; i = hits->ids[i - 1].next)
		ids->id[ids->n++] = hits->ids[i - 1].id;
	return ids;
}

/* QoS and RETAIN of a delivery by a subscription with these options. */
static struct deliver_as deliver_as(const struct broker *b, const struct message *m, uint8_t options, bool retain)
{
	uint8_t granted = options & SUB_QOS_MASK;

	return (struct deliver_as){
		.qos = granted < m->qos || b->conf->upgrade_outgoing_qos ? granted : m->qos,
		.retain = retain && options & SUB_RETAIN_AS_PUBLISHED, /* 5.0 [MQTT-3.3.1-12] */
	};
}

static void deliver(struct worker *w, struct session *s, struct message *m, struct deliver_as as, struct conn *fenced)
{
	if (as.qos && s->stored && session_store_delivery(s, &w->store, m, &as)) {
		COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
		deliver_as_clear(&as);
		return;
	}
	if (s->worker == w->index)
		session_deliver(s, m, as);
	else
		worker_deliver(w, s, m, as, fenced);
}

/* One delivery less: a publisher that waits for an acknowledgement does not get it. */
static void lost(struct worker *w, uint8_t qos)
{
	COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
	if (qos)
		store_failed(&w->store);
}

static void deliver_hit(struct worker *w, const struct route *r, const struct tree_hit *hit, struct conn *fenced)
{
	struct deliver_as as = deliver_as(w->broker, r->message, hit->options, r->retain);

	if (hit->ids) {
		as.ids = ids_of(&w->hits, hit);
		if (!as.ids) {
			lost(w, as.qos);
			return;
		}
	}
	deliver(w, hit->subscriber, r->message, as, fenced);
}

/* ---- shared subscriptions ---------------------------------------------------------------------------------------- */

static bool is_online(const void *subscriber, const void *arg)
{
	const struct session *s = subscriber;

	(void)arg;
	return __atomic_load_n(&s->online, __ATOMIC_ACQUIRE);
}

static bool any(const void *subscriber, const void *arg)
{
	(void)subscriber, (void)arg;
	return true;
}

/* Who is there comes first; when nobody is, the message waits for one of those who will come back. */
static void deliver_share(struct worker *w, const struct route *r, struct tree_share *share, struct conn *fenced)
{
	struct deliver_as as;
	struct tree_hit hit;

	if (!tree_share_next(share, is_online, NULL, &hit) && !tree_share_next(share, any, NULL, &hit))
		return;
	as = deliver_as(w->broker, r->message, hit.options, r->retain);
	if (hit.ids) {
		as.ids = sub_ids_one(hit.ids);
		if (!as.ids) {
			lost(w, as.qos);
			return;
		}
	}
	if (as.qos == 1)
		as.share = tree_share_ref(share);
	deliver(w, hit.subscriber, r->message, as, fenced);
}

void route_to_share(struct worker *w, struct message *m, struct tree_share *share)
{
	deliver_share(w, &(struct route){.message = m}, share, NULL);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

int route_publish(struct worker *w, const struct route *r, bool *matched)
{
	struct broker *b = w->broker;
	struct tree_hits *hits = &w->hits;
	struct message *m = r->message;
	/* Only a publisher that may take a flow needs to know when its deliveries are written. */
	struct conn *fenced = r->from && r->from->link.road != FP_ROAD_NONE ? r->from : NULL;
	int rc;

	hits->publisher = r->publisher;
	hits->duplicates = b->conf->allow_duplicate_messages;
	rc = r->retain ? match_retained(w, m, hits) : tree_match(b->tree, message_topic(m), hits);
	if (rc)
		return rc;
	if (matched)
		*matched = hits->any;
	for (size_t i = 0; i < hits->n; i++)
		deliver_hit(w, r, &hits->v[i], fenced);
	for (size_t i = 0; i < hits->nshares; i++)
		deliver_share(w, r, hits->shares[i], fenced);
	if (fenced)
		flow_consider(r->from, m, r->retain, hits);
	return 0;
}
