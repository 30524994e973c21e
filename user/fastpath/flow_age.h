/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which flow makes room when there are as many as there may be: about the one that was least recently used. When a flow was
 * used last is known to the kernel only, and asking costs a system call, so few are asked: those that were looked at least
 * recently, until one of them was not used since (the "second chance" of page replacement).
 *
 * When even that one was in use a moment ago, there are more topics in use than flows, and to replace one by the other
 * costs more than it brings: then only some of those who ask get room, which are more likely the busy ones.
 *
 * No thread safety: its owner has a lock.
 */
#ifndef SHUNT_FLOW_AGE_H
#define SHUNT_FLOW_AGE_H

#include <stdint.h>

#include "base/list.h"

enum {
	FLOW_AGE_LOOKS = 32,	  /* flows asked at most when room is made */
	FLOW_AGE_IDLE_MS = 1000,  /* who was used since is in use */
	FLOW_AGE_ONE_IN_MANY = 8, /* who ask for the room of one in use, and get it */
};

/* Embedded in a flow. */
struct flow_age {
	struct list at;
	uint64_t
		seen_ns; /* CLOCK_MONOTONIC of its last use when it was looked at last; at first, of its installation */
};

struct flow_ages {
	struct list order; /* who was looked at least recently is the first */
	unsigned asked;	   /* for room of flows that are in use */
};

void flow_ages_init(struct flow_ages *a);
void flow_ages_add(struct flow_ages *a, struct flow_age *age, uint64_t now_ns);
void flow_ages_remove(struct flow_age *age);

/* Who is to make room; NULL: nobody now. last_use returns when a flow was used last, 0 for never. */
struct flow_age *flow_ages_victim(struct flow_ages *a, uint64_t now_ns, uint64_t (*last_use)(const struct flow_age *));

#endif
