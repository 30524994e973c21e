/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who publishes what, and when; who must receive it. Everything here follows from the options alone, so that sender,
 * receiver and report compute it each for themselves. Read-only after plan_init(), any thread.
 */
#ifndef SHUNT_BENCH_PLAN_H
#define SHUNT_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt/str.h"
#include "shunt-bench/options.h"

enum { PLAN_NAME_MAX = 200 }; /* longest topic, NUL included */

struct plan {
	const struct options *options;
	uint16_t tag; /* of the run: in client identifiers, topics and payloads */
	unsigned publishers, subscribers, topics;
	char *names;	     /* of the topics, one after the other */
	size_t name_len;     /* bytes of each */
	double interval_ns;  /* between two messages, of whichever publishers; 0: no schedule */
	uint64_t measure_ns; /* messages due from here on count; this and the next since the start of the run */
	uint64_t stop_ns;    /* the last is due before; UINT64_MAX: the number of messages decides */
};

/* `count` things are dealt out in turn to `of` hands: how many does hand `index` get? */
static inline uint64_t plan_share(uint64_t count, unsigned index, unsigned of)
{
	return count > index ? (count - index - 1) / of + 1 : 0;
}

/* Returns 0, -ENOMEM, or -ENAMETOOLONG for the topic prefix. */
int plan_init(struct plan *plan, const struct options *options, uint16_t tag);
void plan_free(struct plan *plan);

/* Name of a topic, from 0. */
struct mqtt_str plan_topic_name(const struct plan *plan, unsigned topic);

/* The topic of a publisher's message. */
unsigned plan_topic_of(const struct plan *plan, unsigned publisher, uint64_t sequence);

/* Does the subscriber receive what is published on the topic? */
bool plan_hears(const struct plan *plan, unsigned subscriber, unsigned topic);

/* When a publisher's message is due, since the start of the run. Only with a schedule. */
uint64_t plan_due_ns(const struct plan *plan, unsigned publisher, uint64_t sequence);

/* Where a publisher stops: after so many messages in all, with a schedule; after so many of the measured ones, without a
 * schedule and by --messages. UINT64_MAX where the other, or the time, decides. */
uint64_t plan_limit(const struct plan *plan, unsigned publisher);
uint64_t plan_measured_limit(const struct plan *plan, unsigned publisher);

/* How many of the publisher's messages in [first, end) the subscriber has to receive. */
uint64_t plan_expected(const struct plan *plan, unsigned subscriber, unsigned publisher, uint64_t first, uint64_t end);

/* The publishers that a subscriber hears, ascending, in an array that the caller frees; NULL: no memory (at least one
 * element is allocated). */
unsigned *plan_heard(const struct plan *plan, unsigned subscriber, size_t *n);

#endif
