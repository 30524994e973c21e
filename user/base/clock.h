/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Time. The daemon measures with CLOCK_MONOTONIC only; the wall clock may step. */
#ifndef SHUNT_CLOCK_H
#define SHUNT_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { NS_PER_MS = 1000000 };
#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. Any thread; about 25 ns. */
static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
