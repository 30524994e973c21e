// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* See histogram.h. A bucket's number is the value itself below 2 * SUB_BUCKETS; above that it is the number of bits
 * shifted out, times SUB_BUCKETS, plus the SUB_BITS + 1 leading bits that are left. */
#include "base/histogram.h"

static unsigned bucket_of(uint64_t value)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
	unsigned shift = bits > HISTOGRAM_SUB_BITS + 1 ? bits - (HISTOGRAM_SUB_BITS + 1) : 0;

	return shift * HISTOGRAM_SUB_BUCKETS + (unsigned)(value >> shift);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
	unsigned shift = bucket < 2 * HISTOGRAM_SUB_BUCKETS ? 0 : bucket / HISTOGRAM_SUB_BUCKETS - 1;
	uint64_t leading = bucket - shift * HISTOGRAM_SUB_BUCKETS;

	return (leading << shift) + ((1ULL << shift) - 1);
}

void histogram_record(struct histogram *h, uint64_t value)
{
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
	h->buckets[bucket_of(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (into->count == 0 || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->count += from->count;
	into->sum += from->sum;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	/* The rank rounded up, with room for the error of the product: 99.9 % of 1,000 is the 999th, not the 1,000th. */
	uint64_t wanted = (uint64_t)((double)h->count * percent / 100 * (1 - 1e-12)) + 1;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= wanted)
			return bucket_top(i) < h->max ? bucket_top(i) : h->max;
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}
