/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One run: what its threads share, and what came out. */
#ifndef SHUNT_BENCH_RUN_H
#define SHUNT_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "shunt-bench/plan.h"

/* Written by the main thread, read by all; the flags are atomics. */
struct run {
	const struct plan *plan;
	uint64_t start_ns;  /* CLOCK_MONOTONIC; set before the threads start */
	bool stop_sending;  /* no further message */
	bool stop;	    /* the threads return */
};

/* A number that one thread counts and others read. Relaxed: nothing else is read on the strength of it. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Flags are polled; release and acquire, so that what was written before is seen. */
static inline void flag_raise(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static inline bool flag_get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

#endif
