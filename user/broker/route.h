/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The way of a message from its publisher to the sessions. */
#ifndef SHUNT_ROUTE_H
#define SHUNT_ROUTE_H

#include "broker/conn.h"

/* What holds for a message that a session of the store has no room for. */
enum route_bound {
	ROUTE_DROP,	/* it is dropped for that session, and counted */
	ROUTE_REFUSE,	/* it is not taken at all, unless durable_queue_policy is drop */
	ROUTE_PROMISED, /* it was acknowledged: it is delivered, unless durable_queue_policy is drop */
};

/* A message and where it comes from. */
struct route {
	struct message *message;
	bool retain; /* as published */
	enum route_bound bound;
	struct conn *from;		 /* NULL: the broker itself, or a will */
	const struct session *publisher; /* for No Local; NULL: nobody's */
};

/* Is it a topic on which only the broker publishes: below $SYS, but for the state of bridges, or nobody can: below $share?
 * What a client publishes there is acknowledged and ignored, as by mosquitto, and so is its will. */
bool route_reserved(struct mqtt_str topic);

/* Deliver to everyone subscribed now, and retain it (or forget the retained one, if it has no payload [MQTT-3.3.1-6] of
 * 5.0) when `retain`. From a worker's thread. 0; -E2BIG (too many levels); -ENOMEM; or, with ROUTE_REFUSE, after nothing was
 * done, -EDQUOT: a session has no room, -ENOSPC: it cannot be retained, and is of a client of 5.0. *matched (may be NULL):
 * is there any subscription to it? */
int route_publish(struct worker *w, const struct route *r, bool *matched);

/* Would that be refused now? 0, -EDQUOT or -ENOSPC. For QoS 2, which is acknowledged before it is delivered. */
int route_check(struct worker *w, const struct route *r);

/* Deliver to a member of a group of shared subscriptions, if there is one: the message was not acknowledged by another
 * whose session ended. */
void route_to_share(struct worker *w, struct message *m, struct tree_share *share);

#endif
