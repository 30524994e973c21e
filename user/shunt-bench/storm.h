/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The case `storm`: many clients connect, so many at a time, and stay connected, as after a broker has come back. */
#ifndef SHUNT_BENCH_STORM_H
#define SHUNT_BENCH_STORM_H

#include <stdbool.h>

#include "shunt-bench/options.h"

/* Do it, and print the result. 0; 1: some could not connect; -1 after saying on stderr why it was not possible. */
int storm_run(const struct options *o);

#endif
