/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A thread that receives: its subscribers, and the clients that are only connected. */
#ifndef SHUNT_BENCH_RECEIVER_H
#define SHUNT_BENCH_RECEIVER_H

#include "base/histogram.h"
#include "shunt-bench/arrivals.h"
#include "shunt-bench/conn.h"
#include "shunt-bench/run.h"

struct receiver;

struct subscriber {
	struct conn conn; /* the first member: callbacks are given it */
	struct receiver *receiver;
	unsigned id;
	struct arrivals *arrivals; /* one for each publisher it hears, ascending */
	size_t heard;
};

struct receiver {
	const struct run *run;
	struct io io;
	struct subscriber *subscribers; /* those whose number is index, index + stride, ... */
	unsigned count;
	struct arrivals *together; /* of those who share: what any of them got of each publisher; else NULL */
	struct conn *idle;
	unsigned idle_count;
	struct histogram latency; /* nanoseconds; measured messages, copies not included */
	uint64_t last_ns;	  /* CLOCK_MONOTONIC of the last measured message */
	/* counters */
	uint64_t received;   /* messages, copies not included, of the warm-up too */
	uint64_t duplicated; /* copies */
	uint64_t reordered;
	uint64_t corrupt; /* payload, topic or QoS is not what was published, or not for this subscriber */
};

/* Prepare receiving thread `index` of `stride`; connections (with &r->io) are opened afterwards. 0 or a negative errno.
 * receiver_free() closes them, and is needed also after a failure. */
int receiver_init(struct receiver *r, const struct run *run, unsigned index, unsigned stride);
void receiver_free(struct receiver *r);

/* A thread's function, with the receiver. Returns NULL once run->stop is raised. */
void *receiver_thread(void *receiver);

#endif
