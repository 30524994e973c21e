/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The way of a message from its publisher to the sessions. */
#ifndef SHUNT_ROUTE_H
#define SHUNT_ROUTE_H

#include "broker/conn.h"

/* Deliver to everyone subscribed now, and retain it (or forget the retained one, if it has no payload [MQTT-3.3.1-10])
 * when `retain`. From a worker's thread; `from` NULL: the broker itself, or a will. 0; -E2BIG (too many levels);
 * -ENOMEM. */
int route_publish(struct worker *w, struct conn *from, struct message *m, bool retain);

#endif
