/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What one subscriber has received of one publisher: is a message new, late or a second copy? */
#ifndef SHUNT_BENCH_ARRIVALS_H
#define SHUNT_BENCH_ARRIVALS_H

#include <stdint.h>

enum {
	ARRIVALS_WINDOW = 512, /* so many sequence numbers back a copy is recognised; what is older counts as late */
};

/* All zero but the publisher: nothing received. */
struct arrivals {
	unsigned publisher;
	uint64_t next;			       /* one more than the highest sequence number so far */
	uint64_t window[ARRIVALS_WINDOW / 64]; /* ring of bits: received, of the ARRIVALS_WINDOW numbers below next */
};

enum arrival {
	ARRIVAL_NEW,
	ARRIVAL_LATE, /* new, but after a later message of the same publisher: reordered [MQTT-4.6.0-6] */
	ARRIVAL_COPY, /* received before */
};

/* Take note of the message with this sequence number. */
enum arrival arrivals_note(struct arrivals *a, uint64_t sequence);

#endif
