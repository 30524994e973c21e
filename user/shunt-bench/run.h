/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One run: connect, publish on schedule, measure, wait for the rest. */
#ifndef SHUNT_BENCH_RUN_H
#define SHUNT_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "shunt-bench/plan.h"

struct result;

/* What the threads of a run share. The main thread writes it. */
struct run {
	const struct plan *plan;
	uint64_t start_ns; /* CLOCK_MONOTONIC; set before the threads start */
	bool stop_sending; /* flag: no further message */
	bool stop;	   /* flag: the threads return */
};

/* Do it, and fill in the result, which must be all zero. 0, or -1 after saying on stderr why the run was not possible.
 * SIGINT ends it early with what there is. The caller has set the limit of open files. */
int run_execute(const struct plan *plan, struct result *result);

/* A counter that one thread writes and others read. Relaxed: nothing else is read on the strength of it. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* A flag that one thread raises. What it wrote before is seen by those who find the flag up: release, acquire. */
static inline void flag_raise(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static inline bool flag_get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

#endif
