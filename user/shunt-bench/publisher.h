/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One publisher: which messages it may send now, and the answers to them. It belongs to a sender's thread. */
#ifndef SHUNT_BENCH_PUBLISHER_H
#define SHUNT_BENCH_PUBLISHER_H

#include "base/histogram.h"
#include "shunt-bench/conn.h"
#include "shunt-bench/run.h"

/* What the publishers of one thread share. */
struct outlet {
	const struct run *run;
	uint8_t *packets; /* where messages are put together */
	size_t packets_size;
	uint64_t sent;	      /* counter */
	struct histogram lag; /* of measured messages: nanoseconds from when one was due to its sending */
};

/* Returns 0 or -ENOMEM. */
int outlet_init(struct outlet *out, const struct run *run);
void outlet_free(struct outlet *out);

struct publisher {
	struct conn conn; /* the first member: callbacks are given it */
	struct outlet *out;
	unsigned id;
	uint64_t due;	/* how many messages' time has come; without a schedule, of all */
	uint64_t sent;	/* how many were given to the connection: the next one's sequence number */
	uint64_t limit; /* of sent; without a schedule it is known after the warm-up */
	uint64_t
		first_measured; /* sequence number of the first measured message; as long as there is none, UINT64_MAX */
	/* QoS 1 and 2 */
	uint8_t *awaited;   /* by packet identifier - 1: the type of packet that is to come, 0 if it is not in use */
	uint16_t *free_ids; /* those not in use: a ring, so that an identifier comes back as late as possible */
	unsigned free_head, free_count;
};

/* Prepare publisher `id`, whose connection is opened afterwards. 0 or -ENOMEM; publisher_free() also after a failure. */
int publisher_init(struct publisher *p, struct outlet *out, unsigned id);
void publisher_free(struct publisher *p);

/* The connection is open: let it call the publisher. */
void publisher_start(struct publisher *p);

/* Send up to `most` messages that are due, as far as limit, window and socket allow. False: it cannot send more now. */
bool publisher_pump(struct publisher *p, uint64_t most);

/* The measured messages are those from this sequence number to `sent`. */
static inline uint64_t publisher_first_measured(const struct publisher *p)
{
	return p->first_measured < p->sent ? p->first_measured : p->sent;
}

/* Nothing more is to be sent, and everything is answered; or the connection is broken. */
bool publisher_done(const struct publisher *p);

#endif
