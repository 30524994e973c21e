/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A thread that publishes. */
#ifndef SHUNT_BENCH_SENDER_H
#define SHUNT_BENCH_SENDER_H

#include "shunt-bench/publisher.h"

struct sender {
	struct run *run;
	struct io io;
	struct outlet out;
	struct publisher *publishers; /* in the order of their numbers: index, index + stride, ... */
	unsigned count;
	unsigned turn;	/* the schedule: this publisher's message is due next */
	bool scheduled; /* messages are left in the schedule */
	bool finished;	/* all publishers are done: a flag for the main thread, which may then read them */
};

/* Prepare sending thread `index` of `stride` and its publishers, whose connections (with &s->io) are opened afterwards. 0
 * or a negative errno. sender_free() closes the connections, and is needed also after a failure. */
int sender_init(struct sender *s, struct run *run, unsigned index, unsigned stride);
void sender_free(struct sender *s);

/* A thread's function, with the sender. Returns NULL once run->stop is raised. */
void *sender_thread(void *sender);

#endif
