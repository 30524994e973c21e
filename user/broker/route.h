/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The way of a message from its publisher to the sessions. */
#ifndef SHUNT_ROUTE_H
#define SHUNT_ROUTE_H

#include "broker/conn.h"

/* A message and where it comes from. */
struct route {
	struct message *message;
	bool retain;			 /* as published */
	struct conn *from;		 /* NULL: the broker itself, or a will */
	const struct session *publisher; /* for No Local; NULL: nobody's */
};

/* Deliver to everyone subscribed now, and retain it (or forget the retained one, if it has no payload [MQTT-3.3.1-6] of
 * 5.0) when `retain`. From a worker's thread. 0; -E2BIG (too many levels); -ENOMEM. *matched (may be NULL): is there any
 * subscription to it? */
int route_publish(struct worker *w, const struct route *r, bool *matched);

/* Deliver to a member of a group of shared subscriptions, if there is one: the message was not acknowledged by another
 * whose session ended. */
void route_to_share(struct worker *w, struct message *m, struct tree_share *share);

#endif
