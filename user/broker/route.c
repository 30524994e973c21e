// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/route.h"

#include "broker/flow.h"
#include "broker/internal.h"

/* Retain and match under one lock: a subscriber that comes at the same time gets the message once, as a retained or as
 * a live one, see subscribe(). */
static int match_retained(struct broker *b, struct message *m, struct tree_hits *hits)
{
	bool added = false;
	bool removed = false;
	int rc = 0;

	subscriptions_lock(b);
	if (m->payload_len)
		rc = tree_retain(b->tree, m, &added);
	else
		removed = tree_forget(b->tree, message_topic(m));
	if (!rc)
		rc = tree_match(b->tree, message_topic(m), hits);
	subscriptions_unlock(b);
	if (added)
		COUNTER_ADD(retained, 1);
	if (removed)
		COUNTER_ADD(retained, -1);
	return rc;
}

int route_publish(struct worker *w, struct conn *from, struct message *m, bool retain)
{
	struct broker *b = w->broker;
	struct tree_hits *hits = &w->hits;
	/* Only a publisher that may take a flow needs to know when its deliveries are written. */
	struct conn *fenced = from && from->link.road != FP_ROAD_NONE ? from : NULL;
	int rc = retain ? match_retained(b, m, hits) : tree_match(b->tree, message_topic(m), hits);

	if (rc)
		return rc;
	for (size_t i = 0; i < hits->n; i++) {
		struct session *s = hits->v[i].subscriber;
		uint8_t qos = hits->v[i].options & SUB_QOS_MASK;

		if (qos > m->qos)
			qos = m->qos;
		if (hits->v[i].options & SUB_NO_LOCAL && from && from->session == s)
			continue;
		if (s->worker == w->index)
			session_deliver(s, m, qos, 0);
		else
			worker_deliver(w, s, m, qos, fenced);
	}
	if (fenced && !retain && m->qos == 0)
		flow_consider(from, m, hits);
	return 0;
}
