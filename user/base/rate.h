/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* So many a second, and as many of a second at once. All that a rate needs to be kept is `until`: the time (CLOCK_MONOTONIC,
 * ns) that what came would last if it came evenly. 0 at first. */
#ifndef SHUNT_RATE_H
#define SHUNT_RATE_H

#include "base/clock.h"

/* The new `until` after n more. n is below 2^33. */
static inline uint64_t rate_add(uint64_t until, uint64_t now_ns, uint64_t n, uint64_t per_second)
{
	return (until > now_ns ? until : now_ns) + n * NS_PER_S / per_second;
}

/* How long nothing more may come, ns. */
static inline uint64_t rate_wait(uint64_t until, uint64_t now_ns)
{
	return until > now_ns + NS_PER_S ? until - now_ns - NS_PER_S : 0;
}

#endif
