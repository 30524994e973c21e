// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What shunt-bench trusts its verdicts to: the marks in a payload, who must receive what and when, and whether a message
 * is new, late or a copy. The tool as a whole is tested in tests/system/test_bench.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The tool's files are in no library. NOLINTBEGIN(bugprone-suspicious-include) */
#include "shunt-bench/arrivals.c"
#include "shunt-bench/payload.c"
#include "shunt-bench/plan.c"
/* NOLINTEND(bugprone-suspicious-include) */

/* ---- payload ---------------------------------------------------------------------------------------------------- */

static const struct payload message = {
	.tag = 0xa55a,
	.publisher = 65534,
	.due_ns = (1ULL << 48) - 2,
	.sequence = (1ULL << 47) + 12345,
};

static void payload_comes_back(void **state)
{
	uint8_t buf[200];
	struct payload out;

	(void)state;
	for (size_t size = PAYLOAD_MIN; size <= sizeof(buf); size++) {
		payload_write(buf, size, &message);
		assert_true(payload_read(buf, size, size, message.tag, &out));
		assert_int_equal(out.tag, message.tag);
		assert_int_equal(out.publisher, message.publisher);
		assert_int_equal(out.due_ns, message.due_ns);
		assert_int_equal(out.sequence, message.sequence);
		assert_false(payload_read(buf, size - 1, size, message.tag, &out));
		assert_false(payload_read(buf, size, size, message.tag + 1, &out));
	}
}

/* A change of the header shows in the pattern, which is made from it, unless there is none. */
static void every_bit_counts(void **state)
{
	enum { SIZE = 45 };
	uint8_t buf[SIZE];
	struct payload out;

	(void)state;
	for (size_t bit = 0; bit < SIZE * 8; bit++) {
		payload_write(buf, SIZE, &message);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(payload_read(buf, SIZE, SIZE, message.tag, &out));
	}
}

static void halves_of_two_messages_do_not_fit(void **state)
{
	enum { SIZE = 64 };
	uint8_t one[SIZE], two[SIZE];
	struct payload next = message, out;

	(void)state;
	next.sequence++;
	for (size_t cut = PAYLOAD_MIN; cut < SIZE; cut++) {
		payload_write(one, SIZE, &message);
		payload_write(two, SIZE, &next);
		memcpy(one + cut, two + cut, SIZE - cut);
		assert_false(payload_read(one, SIZE, SIZE, message.tag, &out));
	}
}

/* ---- arrivals --------------------------------------------------------------------------------------------------- */

static void in_order(void **state)
{
	struct arrivals a = {0};

	(void)state;
	for (uint64_t i = 0; i < 3 * ARRIVALS_WINDOW; i++)
		assert_int_equal(arrivals_note(&a, i), ARRIVAL_NEW);
}

static void gaps_are_no_copies(void **state)
{
	static const uint64_t steps[] = {
		1, 2, 63, 64, 65, ARRIVALS_WINDOW - 1, ARRIVALS_WINDOW, ARRIVALS_WINDOW + 1, 100000};

	(void)state;
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		struct arrivals a = {0};

		for (uint64_t i = 0; i < 3000; i++)
			assert_int_equal(arrivals_note(&a, i * steps[s]), ARRIVAL_NEW);
	}
}

static void copies_are_found(void **state)
{
	struct arrivals a = {0};

	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		assert_int_equal(arrivals_note(&a, i), ARRIVAL_NEW);
		assert_int_equal(arrivals_note(&a, i), ARRIVAL_COPY);
		if (i >= ARRIVALS_WINDOW - 1)
			assert_int_equal(arrivals_note(&a, i - (ARRIVALS_WINDOW - 1)), ARRIVAL_COPY);
	}
}

static void late_ones_are_found_once(void **state)
{
	struct arrivals a = {0};

	(void)state;
	arrivals_note(&a, 1000);
	assert_int_equal(arrivals_note(&a, 999), ARRIVAL_LATE);
	assert_int_equal(arrivals_note(&a, 999), ARRIVAL_COPY);
	assert_int_equal(arrivals_note(&a, 1001 - ARRIVALS_WINDOW), ARRIVAL_LATE);
	assert_int_equal(arrivals_note(&a, 1001 - ARRIVALS_WINDOW), ARRIVAL_COPY);
	assert_int_equal(arrivals_note(&a, 0), ARRIVAL_LATE); /* too old to tell */
	assert_int_equal(arrivals_note(&a, 1001), ARRIVAL_NEW);
}

/* ---- plan ------------------------------------------------------------------------------------------------------- */

static const struct bench_case exact = {.name = "exact"}, wild = {.name = "wild", .wildcard = true};

static void plan_for(struct plan *plan, struct options *o, unsigned publishers, unsigned subscribers, unsigned topics)
{
	o->publishers = publishers;
	o->subscribers = subscribers;
	o->topics = topics;
	o->topic_prefix = "bench";
	if (!o->load)
		o->load = &exact;
	assert_int_equal(plan_init(plan, o, 0xbeef), 0);
}

/* What is expected must be what one finds by looking at every message. */
static void expected_is_what_is_heard(void **state)
{
	enum { FIRST = 3, END = 40 };

	(void)state;
	for (unsigned mix = 0; mix < 6 * 6 * 8 * 2; mix++) {
		struct options o = {.load = mix % 2 ? &wild : &exact};
		struct plan plan;

		plan_for(&plan, &o, 1 + mix / 2 % 6, 1 + mix / 12 % 6, 1 + mix / 72 % 8);
		for (unsigned s = 0; s < plan.subscribers; s++) {
			size_t heard, n = 0;
			unsigned *ids = plan_heard(&plan, s, &heard);

			assert_non_null(ids);
			for (unsigned p = 0; p < plan.publishers; p++) {
				uint64_t count = 0, ever = 0;

				for (uint64_t i = 0; i < END; i++) {
					bool hears = plan_hears(&plan, s, plan_topic_of(&plan, p, i));

					count += i >= FIRST && hears;
					ever += hears;
				}
				assert_int_equal(plan_expected(&plan, s, p, FIRST, END), count);
				if (ever)
					assert_int_equal(ids[n++], p);
			}
			assert_int_equal(n, heard);
			free(ids);
		}
		plan_free(&plan);
	}
}

static void every_topic_has_one_name(void **state)
{
	struct options o = {0};
	struct plan plan;

	(void)state;
	plan_for(&plan, &o, 2, 2, 3);
	assert_true(mqtt_str_eq(plan_topic_name(&plan, 0), mqtt_str("bench/beef/000000")));
	assert_true(mqtt_str_eq(plan_topic_name(&plan, 2), mqtt_str("bench/beef/000002")));
	plan_free(&plan);
}

/* Publishers in turn, evenly spaced, and none beyond the end. */
static void schedule_is_even(void **state)
{
	struct options o = {.rate = 1000, .warmup = 0.5, .seconds = 1};
	struct plan plan;
	uint64_t all = 0;

	(void)state;
	plan_for(&plan, &o, 7, 1, 7);
	for (unsigned p = 0; p < 7; p++) {
		uint64_t limit = plan_limit(&plan, p);

		all += limit;
		for (uint64_t i = 0; i < limit; i++)
			assert_int_equal(plan_due_ns(&plan, p, i), (i * 7 + p) * 1000000);
		assert_true(plan_due_ns(&plan, p, limit) >= plan.stop_ns);
		assert_true(plan_measured_limit(&plan, p) == UINT64_MAX);
	}
	assert_int_equal(all, 1500);
	plan_free(&plan);
}

static void messages_are_counted_after_the_warmup(void **state)
{
	struct options paced = {.rate = 3000, .warmup = 0.1, .messages = 1001},
		       flood = {.warmup = 0.1, .messages = 1001};
	struct plan plan;
	uint64_t all = 0, measured = 0;

	(void)state;
	plan_for(&plan, &paced, 4, 1, 4);
	for (unsigned p = 0; p < 4; p++) {
		all += plan_limit(&plan, p);
		for (uint64_t i = 0; i < plan_limit(&plan, p); i++)
			measured += plan_due_ns(&plan, p, i) >= plan.measure_ns;
	}
	assert_int_equal(all, 1301);
	assert_int_equal(measured, 1001);
	plan_free(&plan);

	plan_for(&plan, &flood, 4, 1, 4);
	all = 0;
	for (unsigned p = 0; p < 4; p++) {
		assert_true(plan_limit(&plan, p) == UINT64_MAX);
		all += plan_measured_limit(&plan, p);
	}
	assert_int_equal(all, 1001);
	plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_comes_back),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(halves_of_two_messages_do_not_fit),
		cmocka_unit_test(in_order),
		cmocka_unit_test(gaps_are_no_copies),
		cmocka_unit_test(copies_are_found),
		cmocka_unit_test(late_ones_are_found_once),
		cmocka_unit_test(expected_is_what_is_heard),
		cmocka_unit_test(every_topic_has_one_name),
		cmocka_unit_test(schedule_is_even),
		cmocka_unit_test(messages_are_counted_after_the_warmup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
