/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Timers of one thread: a hierarchical wheel of milliseconds. Starting and stopping a timer costs the same whatever
 * their number, and never allocates. A timer fires at its time or, the thread being busy, later; never earlier.
 */
#ifndef SHUNT_TIMER_H
#define SHUNT_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum {
	TIMER_BITS = 6,
	TIMER_SLOTS = 1 << TIMER_BITS,
	TIMER_LEVELS = 7, /* 2^42 ms: 139 years */
};

/* Embedded in what it belongs to, which must outlive it or stop it. Zero-initialised it is stopped. */
struct timer {
	struct list link;
	uint64_t expires; /* ms */
	uint8_t level, slot;
	bool armed;
	void (*fire)(struct timer *);
};

struct timers {
	uint64_t now;			 /* ms */
	uint64_t occupied[TIMER_LEVELS]; /* a bit for each slot that is not empty */
	struct list slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timers_init(struct timers *w, uint64_t now_ms);

/* Call `fire` when timers_run() is told a time of at least expires_ms; from then on the timer is stopped. A time that
 * has passed counts as the next millisecond. Starting a timer that runs moves it. */
void timer_start(struct timers *w, struct timer *t, uint64_t expires_ms, void (*fire)(struct timer *));
void timer_stop(struct timers *w, struct timer *t);

/* Advance to now_ms and fire what is due. The functions called may start and stop any timer. */
void timers_run(struct timers *w, uint64_t now_ms);

/* Milliseconds from now_ms until timers_run() has something to do: 0 at once, -1 no timer runs. May be too early. */
int timers_next(const struct timers *w, uint64_t now_ms);

#endif
