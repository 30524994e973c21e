// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "chaos.h"

struct world *world;

int world_open(void)
{
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return world == MAP_FAILED ? -1 : 0;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

uint32_t look(const uint32_t *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

void fail(enum check check, const char *format, ...)
{
	uint32_t n = __atomic_fetch_add(&world->failures, 1, __ATOMIC_ACQ_REL);
	va_list args;

	__atomic_fetch_add(&world->failed[check], 1, __ATOMIC_RELAXED);
	if (n >= FAILURES_KEPT)
		return;
	va_start(args, format);
	vsnprintf(world->failure[n], FAILURE_LEN, format, args);
	va_end(args);
	event("FAILURE %.90s", world->failure[n]);
}

void event(const char *format, ...)
{
	char *line = world->event[__atomic_fetch_add(&world->events, 1, __ATOMIC_RELAXED) % EVENTS_KEPT];
	uint64_t now = now_ns();
	va_list args;
	int n;

	n = snprintf(line, EVENT_LEN, "%lu.%06lu ", (unsigned long)(now / 1000000000),
		     (unsigned long)(now / 1000 % 1000000));
	va_start(args, format);
	vsnprintf(line + n, EVENT_LEN - (size_t)n, format, args);
	va_end(args);
}

uint64_t rng_next(uint64_t *rng)
{
	uint64_t z = *rng += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint32_t rng_below(uint64_t *rng, uint32_t n)
{
	return (uint32_t)((rng_next(rng) >> 32) * n >> 32);
}

void pause_us(uint32_t us)
{
	const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	nanosleep(&t, NULL);
}
