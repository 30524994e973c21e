// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The timer wheel against a plain list of what runs. */
#include "net/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mqtt_model.h"

struct probe {
	struct timer timer;
	uint64_t due; /* 0: does not run */
	unsigned fired;
};

static struct timers wheel;
static uint64_t now;

static void fire(struct timer *t)
{
	struct probe *p = container_of(t, struct probe, timer);

	assert_false(t->armed);
	assert_true(p->due && p->due <= now); /* never early */
	p->due = 0;
	p->fired++;
}

static void start(struct probe *p, uint64_t due)
{
	timer_start(&wheel, &p->timer, due, fire);
	p->due = due <= wheel.now ? wheel.now + 1 : due;
}

static void run(uint64_t to)
{
	now = to;
	timers_run(&wheel, to);
}

static void fires_at_its_time(void **state)
{
	static const uint64_t delays[] = {1,
					  2,
					  62,
					  63,
					  64,
					  65,
					  127,
					  128,
					  4095,
					  4096,
					  4097,
					  90000,
					  262143,
					  262144,
					  16777216,
					  31536000000,
					  UINT64_C(1) << 40};

	(void)state;
	for (uint64_t base = 0; base < 200; base++) {
		for (size_t i = 0; i < COUNT(delays); i++) {
			struct probe p = {0};

			now = base;
			timers_init(&wheel, base);
			assert_int_equal(timers_next(&wheel, base), -1);
			start(&p, base + delays[i]);
			run(base + delays[i] - 1);
			assert_int_equal(p.fired, 0);
			run(base + delays[i]);
			assert_int_equal(p.fired, 1);
			assert_int_equal(timers_next(&wheel, now), -1);
		}
	}
}

/* Sleeping as long as timers_next() says always ends at every timer's time, to the millisecond. */
static void next_is_never_late(void **state)
{
	uint64_t rng = 1;
	struct probe probes[50] = {0};
	unsigned left = COUNT(probes);

	(void)state;
	timers_init(&wheel, now = 12345);
	for (size_t i = 0; i < COUNT(probes); i++)
		start(&probes[i], now + 1 + rng_below(&rng, 1U << rng_below(&rng, 28)));
	while (left) {
		int wait = timers_next(&wheel, now);
		uint64_t earliest = UINT64_MAX;

		for (size_t i = 0; i < COUNT(probes); i++)
			if (probes[i].due && probes[i].due < earliest)
				earliest = probes[i].due;
		assert_true(wait > 0);
		assert_true(now + (uint64_t)wait <= earliest);
		run(now + (uint64_t)wait);
		left = 0;
		for (size_t i = 0; i < COUNT(probes); i++)
			left += probes[i].due != 0;
	}
}

static void random_operations(void **state)
{
	static struct probe probes[200];
	uint64_t rng = 7;

	(void)state;
	memset(probes, 0, sizeof(probes));
	timers_init(&wheel, now = 1000);
	for (unsigned n = 0; n < 300000; n++) {
		struct probe *p = &probes[rng_below(&rng, COUNT(probes))];
		unsigned what = rng_below(&rng, 10);

		if (what < 5) {
			start(p, now + rng_below(&rng, 1U << rng_below(&rng, 24)));
		} else if (what < 7) {
			timer_stop(&wheel, &p->timer);
			p->due = 0;
		} else {
			run(now + rng_below(&rng, 1U << rng_below(&rng, 16)));
			for (size_t i = 0; i < COUNT(probes); i++)
				assert_false(probes[i].due && probes[i].due <= now); /* nothing forgotten */
		}
		assert_int_equal(p->timer.armed, p->due != 0);
	}
}

/* ---- timers that change others when they fire -------------------------------------------------------------------- */

static struct probe victim, again;

static void stop_victim(struct timer *t)
{
	(void)t;
	timer_stop(&wheel, &victim.timer);
	victim.due = 0;
}

static void restart(struct timer *t)
{
	again.fired++;
	timer_start(&wheel, t, now, restart); /* the next millisecond, not this one for ever */
}

static void stopped_by_another(void **state)
{
	struct probe first = {0};

	(void)state;
	memset(&victim, 0, sizeof(victim));
	timers_init(&wheel, now = 0);
	timer_start(&wheel, &first.timer, 100, stop_victim);
	start(&victim, 100);
	run(1000);
	assert_int_equal(victim.fired, 0);
	assert_false(victim.timer.armed);
	start(&victim, 1001);
	run(1001);
	assert_int_equal(victim.fired, 1);
}

static void restarts_itself(void **state)
{
	(void)state;
	timers_init(&wheel, now = 0);
	timer_start(&wheel, &again.timer, 5, restart);
	run(10);
	assert_int_equal(again.fired, 1);
	run(11);
	assert_int_equal(again.fired, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_at_its_time), cmocka_unit_test(next_is_never_late),
		cmocka_unit_test(random_operations), cmocka_unit_test(stopped_by_another),
		cmocka_unit_test(restarts_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
