// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The histogram against sorted arrays of the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/histogram.h"

static struct histogram h, other;

static int clear(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	memset(&other, 0, sizeof(other));
	return 0;
}

/* xorshift64: the same values in every run. */
static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void empty(void **state)
{
	(void)state;
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_int_equal(histogram_percentile(&h, 100), 0);
	assert_true(histogram_mean(&h) == 0);
	histogram_merge(&h, &other);
	assert_int_equal(h.count, 0);
}

static void one_value(void **state)
{
	static const uint64_t values[] = {0, 1, 255, 256, 1000003, UINT64_MAX - 1, UINT64_MAX};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		clear(state);
		histogram_record(&h, values[i]);
		assert_int_equal(h.min, values[i]);
		assert_int_equal(h.max, values[i]);
		assert_int_equal(histogram_percentile(&h, 0), values[i]);
		assert_int_equal(histogram_percentile(&h, 50), values[i]);
		assert_int_equal(histogram_percentile(&h, 100), values[i]);
	}
}

static void small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 1; v <= 200; v++)
		histogram_record(&h, v);
	for (unsigned percent = 1; percent <= 100; percent++)
		assert_int_equal(histogram_percentile(&h, percent), 2 * percent);
	assert_true(histogram_mean(&h) == 100.5);
}

static void rank_is_not_rounded_past_the_value(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 999; i++)
		histogram_record(&h, 10);
	histogram_record(&h, 200);
	assert_int_equal(histogram_percentile(&h, 99.9), 10);
	assert_int_equal(histogram_percentile(&h, 99.91), 200);
	assert_int_equal(histogram_percentile(&h, 100), 200);
}

/* Every boundary between two buckets: never below the value, at most 1/128 above it. */
static void error_is_bounded(void **state)
{
	for (unsigned shift = 0; shift < 64; shift++) {
		for (uint64_t leading = 128; leading < 256; leading++) {
			for (int around = -1; around <= 1; around++) {
				uint64_t value = (leading << shift >> 7) + (uint64_t)(int64_t)around, read;

				clear(state);
				histogram_record(&h, value);
				histogram_record(&h, UINT64_MAX); /* so that the maximum does not hide the rounding */
				read = histogram_percentile(&h, 50);
				assert_true(read >= value);
				assert_true(read - value <= value / 128);
			}
		}
	}
}

static void agrees_with_a_sorted_array(void **state)
{
	static const double percents[] = {0, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
	enum { N = 20000 };
	uint64_t *values = malloc(N * sizeof(*values)), x = 88172645463325252ULL;

	(void)state;
	assert_non_null(values);
	for (unsigned i = 0; i < N; i++) {
		values[i] = next_random(&x);
		values[i] >>= next_random(&x) % 64; /* all magnitudes alike */
		histogram_record(&h, values[i]);
	}
	qsort(values, N, sizeof(*values), by_value);
	assert_int_equal(h.count, N);
	assert_int_equal(h.min, values[0]);
	assert_int_equal(h.max, values[N - 1]);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		size_t above = (size_t)(N * percents[i] / 100 + 0.999);
		uint64_t exact = values[above ? above - 1 : 0], read = histogram_percentile(&h, percents[i]);

		assert_true(read >= exact);
		assert_true(read - exact <= exact / 128);
	}
	free(values);
}

static void merge_is_recording_both(void **state)
{
	static struct histogram both;
	uint64_t x = 2463534242;

	(void)state;
	memset(&both, 0, sizeof(both));
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t value = next_random(&x) >> 40;

		histogram_record(i % 3 ? &h : &other, value);
		histogram_record(&both, value);
	}
	histogram_merge(&h, &other);
	assert_memory_equal(&h, &both, sizeof(h));
}

static void merge_into_empty(void **state)
{
	(void)state;
	histogram_record(&other, 7);
	histogram_merge(&h, &other);
	assert_memory_equal(&h, &other, sizeof(h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty, clear),
		cmocka_unit_test_setup(one_value, clear),
		cmocka_unit_test_setup(small_values_are_exact, clear),
		cmocka_unit_test_setup(rank_is_not_rounded_past_the_value, clear),
		cmocka_unit_test_setup(error_is_bounded, clear),
		cmocka_unit_test_setup(agrees_with_a_sorted_array, clear),
		cmocka_unit_test_setup(merge_is_recording_both, clear),
		cmocka_unit_test_setup(merge_into_empty, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
