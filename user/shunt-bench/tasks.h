/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * CPU time of tasks, from /proc/PID/task/TID/schedstat: nanoseconds, and what softirqs did in their name included, which
 * the sampled times of /proc/PID/stat are not.
 */
#ifndef SHUNT_BENCH_TASKS_H
#define SHUNT_BENCH_TASKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct task {
	pid_t tid, pid;	 /* its process's pid */
	uint64_t cpu_ns; /* since it began */
};

/* What was read at one moment. All zero: nothing. The owner frees it by tasks_free(). */
struct tasks {
	struct task *v; /* sorted by tid */
	size_t n, cap;
};

/* The tasks of a process, or of the whole machine with pid 0. 0 or a negative errno, -ESRCH when there are none. */
int tasks_read(struct tasks *t, pid_t pid);
void tasks_free(struct tasks *t);

/* CPU time spent between two readings, nanoseconds, by the tasks of the second one. */
struct tasks_spent {
	uint64_t all_ns;
	uint64_t others_ns; /* of all by programs other than the two: neither they nor the kernel's own threads */
};
struct tasks_spent tasks_spent(const struct tasks *before, const struct tasks *after, pid_t one, pid_t two);

/* Resident memory of a process, bytes; 0 if it cannot be read. */
uint64_t process_resident(pid_t pid);

#endif
