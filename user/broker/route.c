// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/route.h"

#include <errno.h>
#include <string.h>

#include "broker/access.h"
#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/retain.h"
#include "broker/source.h"
#include "mqtt/topic.h"

/* ---- what only the broker publishes ------------------------------------------------------------------------------ */

static bool begins(struct mqtt_str s, const char *with)
{
	size_t len = strlen(with);

	return s.len >= len && memcmp(s.data, with, len) == 0;
}

/* The one thing below $SYS that others write, too: bridges, their state. */
static bool is_bridge_state(struct mqtt_str topic)
{
	static const char end[] = "/state";
	const size_t len = sizeof(end) - 1;

	return begins(topic, "$SYS/broker/connection/") && topic_depth(topic) == 5 &&
	       memcmp(topic.data + topic.len - len, end, len) == 0;
}

bool route_reserved(struct mqtt_str topic)
{
	if (!topic.len || topic.data[0] != '$')
		return false;
	return (begins(topic, "$SYS") && (topic.len == 4 || topic.data[4] == '/') && !is_bridge_state(topic)) ||
	       begins(topic, "$share/");
}

/* ---- with which QoS? --------------------------------------------------------------------------------------------- */

/* QoS of a delivery by a subscription with these options. */
static uint8_t delivery_qos(const struct broker *b, const struct message *m, uint8_t options)
{
	uint8_t granted = options & SUB_QOS_MASK;

	return granted < m->qos || b->conf->upgrade_outgoing_qos ? granted : m->qos;
}

/* ---- is there room? ---------------------------------------------------------------------------------------------- */

static bool hit_has_room(const struct broker *b, const struct message *m, const struct tree_hit *hit)
{
	return !delivery_qos(b, m, hit->options) || session_has_room(hit->subscriber, m) ||
	       !access_may_read(hit->subscriber, message_topic(m));
}

/* Has any member of a group? *full is one that has not. */
static bool share_has_room(const struct broker *b, const struct message *m, const struct tree_share *share,
			   struct session **full)
{
	uint32_t at = 0, place;
	struct tree_hit hit;

	*full = NULL;
	while (tree_share_member(share, &at, &place, &hit)) {
		if (hit_has_room(b, m, &hit))
			return true;
		*full = hit.subscriber;
	}
	return !*full;
}

/* Have all that the message is for? If not, *full is one that has not. */
static bool have_room(const struct broker *b, const struct message *m, const struct tree_hits *hits,
		      struct session **full)
{
	for (size_t i = 0; i < hits->n; i++) {
		*full = hits->v[i].subscriber;
		if (!hit_has_room(b, m, &hits->v[i]))
			return false;
	}
	for (size_t i = 0; i < hits->nshares; i++)
		if (!share_has_room(b, m, hits->shares[i], full))
			return false;
	return true;
}

/* Must the message be refused? */
static bool refused(const struct worker *w, const struct route *r, const struct tree_hits *hits)
{
	const struct conf *conf = w->broker->conf;
	struct session *full;

	if (r->bound != ROUTE_REFUSE || !r->message->qos || !w->broker->store || conf->durable_queue_drop ||
	    !conf->max_queued_bytes || have_room(w->broker, r->message, hits, &full))
		return false;
	session_refused(full);
	return true;
}

/* May it be dropped for a session that has no room for it? */
static bool may_drop(const struct worker *w, const struct route *r)
{
	return r->bound == ROUTE_DROP || w->broker->conf->durable_queue_drop;
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

static int match(struct worker *w, const struct route *r, struct tree_hits *hits)
{
	int rc;

	hits->publisher = r->publisher;
	hits->duplicates = w->broker->conf->allow_duplicate_messages;
	rc = tree_match(message_namespace(w->broker, r->message)->tree, message_topic(r->message), hits);
	if (!rc && refused(w, r, hits))
		rc = -EDQUOT;
	return rc;
}

/* Is the message refused when it cannot be retained? Before 5.0 nobody can be told so: it is delivered all the same. */
static bool refuses_retain(const struct route *r)
{
	return r->bound == ROUTE_REFUSE && r->from && r->from->version >= MQTT_5_0;
}

/* May it be retained? Under the lock. 0, or -ENOSPC: then it is not taken. *keep: it is to be retained; what cannot be takes
 * away what was retained before, which is out of date then [MQTT-3.3.1-7]. */
static int check_retain(const struct worker *w, const struct route *r, bool *keep)
{
	*keep = retain_allowed(w->broker, r->message);
	if (*keep) {
		*keep = r->message->payload_len;
		return 0;
	}
	COUNTER_ADD(retain_refused, 1);
	return refuses_retain(r) ? -ENOSPC : 0;
}

int route_check(struct worker *w, const struct route *r)
{
	bool keep;
	int rc;

	if (r->retain)
		subscriptions_lock(w->broker);
	rc = match(w, r, &w->hits);
	if (!rc && r->retain && refuses_retain(r))
		rc = check_retain(w, r, &keep);
	if (r->retain)
		subscriptions_unlock(w->broker);
	return rc == -EDQUOT || rc == -ENOSPC ? rc : 0;
}

/* Under the lock. */
static int keep_retained(struct worker *w, const struct route *r, bool *added)
{
	const struct session *by = r->publisher;
	/* What waited for PUBREL may be denied since a reload. */
	bool barred = by && w->broker->conf->check_retain_source && !access_may_write(by, message_topic(r->message));
	struct source *source = NULL;
	int rc = by ? source_of(w->broker, by, &source) : 0;

	if (!rc)
		rc = tree_retain(message_namespace(w->broker, r->message)->tree, r->message, source, barred, added);
	if (rc)
		source_unref(source);
	else
		durable_retain(w, r->message, source);
	return rc;
}

/* Under the lock. */
static int retain(struct worker *w, const struct route *r, bool keep, bool *added, bool *removed)
{
	if (keep)
		return keep_retained(w, r, added);
	*removed = tree_forget(message_namespace(w->broker, r->message)->tree, message_topic(r->message));
	if (*removed)
		durable_forget(w, r->message->ns, message_topic(r->message));
	return 0;
}

/* Retain and match under one lock: a subscriber that comes at the same time gets the message once, as a retained or as
 * a live one, see subscribe(). */
static int match_retained(struct worker *w, const struct route *r, struct tree_hits *hits)
{
	bool added = false;
	bool removed = false;
	bool keep;
	int rc;

	subscriptions_lock(w->broker);
	rc = match(w, r, hits);
	if (!rc)
		rc = check_retain(w, r, &keep);
	if (!rc)
		rc = retain(w, r, keep, &added, &removed);
	subscriptions_unlock(w->broker);
	if (added || removed) {
		COUNTER_ADD(retained, added - removed);
		namespace_count(&message_namespace(w->broker, r->message)->retained, added - removed);
	}
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

/* How a message goes out by a subscription with these options. */
static struct deliver_as deliver_as(const struct broker *b, const struct message *m, uint8_t options, bool retain)
{
	return (struct deliver_as){
		.qos = delivery_qos(b, m, options),
		.retain = retain && options & SUB_RETAIN_AS_PUBLISHED, /* 5.0 [MQTT-3.3.1-12] */
	};
}

/* Put it into the store of its session, if that has one. False: it is dropped. */
static bool store_delivery(struct worker *w, const struct route *r, struct session *s, struct deliver_as *as)
{
	if (!as->qos || !s->stored)
		return true;
	if (may_drop(w, r) && !session_has_room(s, r->message)) {
		session_drop_elsewhere(s, DROP_QUEUE_FULL);
		return false;
	}
	if (!session_store_delivery(s, &w->store, r->message, as))
		return true;
	session_drop_elsewhere(s, DROP_NO_MEMORY);
	return false;
}

static void deliver(struct worker *w, const struct route *r, struct session *s, struct deliver_as as,
		    struct conn *fenced)
{
	if (!store_delivery(w, r, s, &as))
		deliver_as_clear(&as);
	else if (s->worker == w->index)
		session_deliver(s, r->message, as);
	else
		worker_deliver(w, s, r->message, as, fenced);
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
	deliver(w, r, hit->subscriber, as, fenced);
}

/* ---- shared subscriptions ---------------------------------------------------------------------------------------- */

static bool may_have(const void *subscriber, const void *message)
{
	return access_may_read(subscriber, message_topic(message));
}

static bool is_online(const void *subscriber, const void *message)
{
	const struct session *s = subscriber;

	return __atomic_load_n(&s->online, __ATOMIC_ACQUIRE) && may_have(subscriber, message);
}

static bool has_room(const void *subscriber, const void *message)
{
	return session_has_room(subscriber, message) && may_have(subscriber, message);
}

static bool is_ready(const void *subscriber, const void *message)
{
	return is_online(subscriber, message) && has_room(subscriber, message);
}

/* Who is there comes first; when nobody is, the message waits for one of those who will come back. One with a full queue
 * gets it if there is no other. */
static bool choose_member(struct tree_share *share, const struct message *m, struct tree_hit *hit)
{
	return tree_share_next(share, is_ready, m, hit) || tree_share_next(share, has_room, m, hit) ||
	       tree_share_next(share, is_online, m, hit) || tree_share_next(share, may_have, m, hit);
}

static void deliver_share(struct worker *w, const struct route *r, struct tree_share *share, struct conn *fenced)
{
	struct deliver_as as;
	struct tree_hit hit;

	if (!choose_member(share, r->message, &hit))
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
	deliver(w, r, hit.subscriber, as, fenced);
}

void route_to_share(struct worker *w, struct message *m, struct tree_share *share)
{
	deliver_share(w, &(struct route){.message = m, .bound = ROUTE_PROMISED}, share, NULL);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

int route_publish(struct worker *w, const struct route *r, bool *matched)
{
	struct tree_hits *hits = &w->hits;
	struct message *m = r->message;
	/* Only a publisher that may take a flow needs to know when its deliveries are written. */
	struct conn *fenced = r->from && r->from->link.road != FP_ROAD_NONE ? r->from : NULL;
	int rc;

	rc = r->retain ? match_retained(w, r, hits) : match(w, r, hits);
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
