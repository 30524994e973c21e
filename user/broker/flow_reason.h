/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Why the kernel does not carry a publish: what the decision of flow.c returns, and what `shuntctl why` prints. One list
 * for both, so that the explanation is the decision.
 */
#ifndef SHUNT_FLOW_REASON_H
#define SHUNT_FLOW_REASON_H

/* In the order they are looked at, but for the last ones, which are between two looks. */
enum flow_reason {
	FLOW_POSSIBLE, /* none: the kernel carries it, or will after the next message */

	/* the fast path */
	FLOW_OFF,
	FLOW_LOGGED,
	FLOW_SIZE_LIMITED,
	FLOW_RATE_LIMITED,
	/* the message */
	FLOW_QOS,
	FLOW_RETAIN,
	FLOW_PROPERTIES,
	/* its topic */
	FLOW_DOLLAR,
	FLOW_TOPIC_TOO_LONG,
	/* who publishes it */
	FLOW_PUBLISHER_UNKNOWN,
	FLOW_PUBLISHER_AWAY,
	FLOW_PUBLISHER_NO_ROAD,
	FLOW_PUBLISHER_DENIED,
	/* who is to receive it */
	FLOW_SHARED,
	FLOW_KEPT_FOR_OFFLINE,
	FLOW_NO_LOCAL,
	FLOW_IDENTIFIER,
	FLOW_UPGRADED,
	FLOW_MANY_COPIES,
	FLOW_MANY_RECEIVERS,
	FLOW_NO_RECEIVER,
	FLOW_RECEIVER_NO_ROAD,
	FLOW_OTHER_ROAD,
	FLOW_OTHER_FORM,
	/* for now */
	FLOW_RECEIVER_SENDS,
	FLOW_LOADED,
	FLOW_RECEIVER_NOT_READY, /* it was not asked yet, or has output that must go first */
	FLOW_TABLE_FULL,
	FLOW_NO_MEMORY,
	FLOW_REASONS,
};

/* A name for programs, "no_receiver", and a clause for people, "nobody who is connected has subscribed to it". */
const char *flow_reason_name(enum flow_reason reason);
const char *flow_reason_text(enum flow_reason reason);

#endif
