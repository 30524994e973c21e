/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* All clients of a run and the threads that serve them. The functions are the main thread's. */
#ifndef SHUNT_BENCH_CLIENTS_H
#define SHUNT_BENCH_CLIENTS_H

#include <pthread.h>

#include "shunt-bench/receiver.h"
#include "shunt-bench/sender.h"

struct clients {
	struct run *run;
	unsigned threads; /* of each kind */
	unsigned running; /* of both kinds */
	struct sender *senders;
	struct receiver *receivers;
	pthread_t *ids;
};

/* 0 or a negative errno; clients_free() also after a failure. */
int clients_init(struct clients *c, struct run *run);

/* Disconnect and free. The threads have been stopped. */
void clients_free(struct clients *c);

/* Open every connection and subscribe. 0, or -1 after saying on stderr what failed. `interrupted` ends it. */
int clients_connect(struct clients *c, const volatile int *interrupted);

/* Start the threads; run->start_ns is set. 0 or a negative errno. */
int clients_start(struct clients *c);

/* Stop those that were started, and wait for them. */
void clients_stop(struct clients *c);

/* Have all publishers finished? The expected deliveries may then be computed. */
bool clients_finished(const struct clients *c);

/* Messages sent and received so far, copies not included, of the warm-up too. */
uint64_t clients_sent(const struct clients *c);
uint64_t clients_received(const struct clients *c);

/* How many deliveries the messages sent must lead to: all, or those of measured messages. Once the publishers have
 * finished or the threads are stopped. */
uint64_t clients_expected(const struct clients *c, bool measured);

#endif
