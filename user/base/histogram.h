/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A log-linear histogram of 64-bit values, in the manner of HdrHistogram: every power of two is divided into 128 equal
 * buckets, so that a value read back is never below the one recorded and at most 1/128 (0.8 %) above it, and values
 * below 256 are exact. Recording is a shift and an increment; nothing is allocated and no value is out of range.
 *
 * A histogram belongs to one thread at a time; give each thread its own and merge them at the end.
 */
#ifndef SHUNT_HISTOGRAM_H
#define SHUNT_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_SUB_BITS = 7,
	HISTOGRAM_SUB_BUCKETS = 1 << HISTOGRAM_SUB_BITS,
	HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_BUCKETS,
};

/* Zero-initialised is empty. `count`, `sum`, `min` and `max` may be read; they are exact. */
struct histogram {
	uint64_t count;
	uint64_t sum; /* of the values, modulo 2^64 */
	uint64_t min, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Count one value. */
void histogram_record(struct histogram *h, uint64_t value);

/* Add what `from` has counted to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest value that at least `percent` (0 to 100) of the recorded values do not exceed, rounded up to its bucket's
 * largest value but not above the maximum; 0 when nothing was recorded. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

/* The arithmetic mean; 0 when nothing was recorded. */
double histogram_mean(const struct histogram *h);

#endif
