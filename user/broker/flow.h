/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which publishes the kernel may carry. A publish that was routed to exactly one online session, and would reach it
 * as it is, becomes a flow; the receiver's owner first makes its connection a target.
 */
#ifndef SHUNT_FLOW_H
#define SHUNT_FLOW_H

#include "broker/conn.h"
#include "broker/flow_reason.h"

/* A connection of this version has this wire form in the fast path: 1 is 5.0, without properties. */
static inline uint8_t flow_form(uint8_t version)
{
	return version >= MQTT_5_0;
}

/* Who gets a message; one a worker. */
struct flow_receivers {
	size_t n;
	struct tree_share *share; /* they are its members; NULL: all get it */
	struct session *session[FP_RECEIVERS_MAX];
	struct fp_receiver receiver[FP_RECEIVERS_MAX];
};

/* After a publish of a connection with a road was routed to these hits: see if the next ones can go by the kernel. The
 * publisher's worker. */
void flow_consider(struct conn *publisher, struct message *m, bool retain, const struct tree_hits *hits);

/* The session whose connection has the slot as a receiver of this generation, or NULL. Any worker; valid until its next
 * quiescent state. */
struct session *flow_receiver(uint32_t slot, uint64_t generation);

/* Deliver what the kernel put into the worker's sink, see fp_sink_open(); open it. diverted.c */
void flow_read_sink(struct worker *w);
void flow_open_sink(struct worker *w);

/* As which flow_consider() would find a plain message on the topic, and what would follow; `publisher` NULL: of one on the
 * receiver's road and of its form. *about: the session that the reason is about, or NULL; valid until the worker's next
 * quiescent state. On the worker's thread. */
enum flow_reason flow_explain(struct worker *w, const struct namespace *space, const struct conn *publisher,
			      struct mqtt_str topic, struct session **about);

/* Why the connection cannot receive flows although it has a road, for people; NULL: it can. */
const char *flow_receiver_limit(const struct conn *c);

/* The output is empty and the connection was asked to be a target: become one. Its owner. */
void flow_make_target(struct conn *c);

/* fp_heard() said so: the connection receives no flows for some time. Its owner. */
void flow_rest(struct conn *c);

/* fp_burdens() said so. Its owner. */
void flow_yield(struct conn *c);

/* The connection receives no flows any more. Its owner, before it is closed. */
void flow_retire(struct conn *c);

#endif
