/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What came out of a run, and how it is shown. */
#ifndef SHUNT_BENCH_RESULT_H
#define SHUNT_BENCH_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"
#include "shunt-bench/conn.h"
#include "shunt-bench/plan.h"

/* CPU time of one party while the run was measured. */
struct cpu_use {
	double cores;	       /* CPU seconds per second; NAN where it was not measured */
	double us_per_message; /* microseconds per delivered message; NAN too where none was delivered */
};

/* Counts are of the measured messages, without those of the warm-up, except for the three kinds of damage. */
struct result {
	double seconds;	 /* from the end of the warm-up to that of sending, or to the last delivery if it came later */
	uint64_t sent;	 /* by the publishers */
	uint64_t unsent; /* due, but the broker did not take them */
	uint64_t expected; /* deliveries */
	uint64_t delivered, delivered_with_warmup;
	uint64_t lost;
	double lost_percent;
	uint64_t duplicated, reordered, corrupt; /* those of the warm-up too */
	double sent_per_second, delivered_per_second;
	struct histogram latency, lag; /* nanoseconds; see receiver.h, publisher.h */
	struct cpu_use broker, generator, machine;
	struct cpu_use others;	 /* of the machine's: programs that have nothing to do with the run */
	struct cpu_use involved; /* the rest: broker, generator and the kernel's own threads */
	double resident_before, resident_connected, resident_after; /* bytes, of the broker; NAN: not measured */
	/* errors */
	uint64_t blocked, closed, malformed;
	uint64_t send_errors[ERRNO_LIMIT], receive_errors[ERRNO_LIMIT];
};

/* Did connections break? */
bool result_broken(const struct result *r);
/* Were messages changed, duplicated or reordered? */
bool result_damaged(const struct result *r);

void result_print_text(const struct result *r, const struct plan *plan, FILE *out);
void result_print_json(const struct result *r, const struct plan *plan, FILE *out);

#endif
