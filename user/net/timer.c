// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A time is a number of TIMER_LEVELS digits of TIMER_BITS bits. A timer waits on the level of the highest digit in
 * which its time differs from now, in the slot of that digit. When now's digit there comes to it, it is due or moves to
 * a lower level.
 */
#include "net/timer.h"

#include <limits.h>

static unsigned level_of(uint64_t difference)
{
	return difference ? (63u - (unsigned)__builtin_clzll(difference)) / TIMER_BITS : 0;
}

static unsigned digit(uint64_t time, unsigned level)
{
	return time >> (level * TIMER_BITS) & (TIMER_SLOTS - 1);
}

void timers_init(struct timers *w, uint64_t now_ms)
{
	w->now = now_ms;
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		w->occupied[level] = 0;
		for (unsigned slot = 0; slot < TIMER_SLOTS; slot++)
			list_init(&w->slots[level][slot]);
	}
}

void timer_stop(struct timers *w, struct timer *t)
{
	if (!t->armed)
		return;
	t->armed = false;
	list_del(&t->link);
	if (list_empty(&w->slots[t->level][t->slot]))
		w->occupied[t->level] &= ~(UINT64_C(1) << t->slot);
}

static void insert(struct timers *w, struct timer *t)
{
	unsigned level = level_of(t->expires ^ w->now);

	t->level = (uint8_t)level;
	t->slot = (uint8_t)digit(t->expires, level);
	t->armed = true;
	w->occupied[level] |= UINT64_C(1) << t->slot;
	list_push(&w->slots[level][t->slot], &t->link);
}

void timer_start(struct timers *w, struct timer *t, uint64_t expires_ms, void (*fire)(struct timer *))
{
	const uint64_t end = (UINT64_C(1) << (TIMER_LEVELS * TIMER_BITS)) - 1;

	timer_stop(w, t);
	t->fire = fire;
	t->expires = expires_ms <= w->now ? w->now + 1 : expires_ms;
	if (t->expires > end)
		t->expires = end;
	insert(w, t);
}

/* Move the timers of the level's slots in `mask` to `to`. */
static void collect(struct timers *w, unsigned level, uint64_t mask, struct list *to)
{
	uint64_t slots = w->occupied[level] & mask;

	w->occupied[level] &= ~mask;
	while (slots) {
		list_splice(to, &w->slots[level][__builtin_ctzll(slots)]);
		slots &= slots - 1;
	}
}

/* Bits above `slot`. */
static uint64_t above(unsigned slot)
{
	return slot == TIMER_SLOTS - 1 ? 0 : ~UINT64_C(0) << (slot + 1);
}

void timers_run(struct timers *w, uint64_t now_ms)
{
	struct list passed;
	struct list *l;
	unsigned top;

	if (now_ms <= w->now)
		return;
	list_init(&passed);
	top = level_of(now_ms ^ w->now);
	for (unsigned level = 0; level < top; level++)
		collect(w, level, ~UINT64_C(0), &passed);
	collect(w, top, above(digit(w->now, top)) & ~above(digit(now_ms, top)), &passed);
	w->now = now_ms;
	/* A function called below may stop a timer that is still in `passed`: timer_stop() takes it out of there, and
	 * clears the bit of its old slot only if nothing else came in. */
	while ((l = list_pop(&passed))) {
		struct timer *t = container_of(l, struct timer, link);

		if (t->expires > now_ms) {
			insert(w, t);
			continue;
		}
		t->armed = false;
		t->fire(t);
	}
}

int timers_next(const struct timers *w, uint64_t now_ms)
{
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		uint64_t start;

		if (!w->occupied[level])
			continue;
		/* Lower levels always come first, and every slot taken lies above now's digit. */
		start = w->now >> ((level + 1) * TIMER_BITS) << TIMER_BITS;
		start = (start | (uint64_t)__builtin_ctzll(w->occupied[level])) << (level * TIMER_BITS);
		if (start <= now_ms)
			return 0;
		return start - now_ms > INT_MAX ? INT_MAX : (int)(start - now_ms);
	}
	return -1;
}
