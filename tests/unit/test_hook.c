// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What an HTTP hook is told, and what is kept of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/hook.h"
#include "base/clock.h"

static void assert_form(const struct hook_client *c, const char *want)
{
	size_t len;
	char *form = hook_form(c, &len);

	assert_non_null(form);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(form, want, len);
	free(form);
}

/* What is not known is left out; what is empty is not. */
static void test_form(void **state)
{
	(void)state;
	assert_form(&(struct hook_client){.port = 65535}, "port=65535");
	assert_form(&(struct hook_client){.client_id = mqtt_str("c"), .password = mqtt_str("")},
		    "client_id=c&password=&port=0");
	assert_form(
		&(struct hook_client){
			.client_id = mqtt_str("Az09*-._"),
			.username = mqtt_str("a b+c&d=e%f"),
			.password = {.data = (const uint8_t *)"\0\x7f\xff", .len = 3},
			.address = mqtt_str("2001:db8::1"),
			.certificate = mqtt_str("~\xc3\xa9"),
			.port = 1883,
		},
		"client_id=Az09*-._&username=a%20b%2Bc%26d%3De%25f&password=%00%7F%FF&address=2001%3Adb8%3A%3A1&"
		"certificate=%7E%C3%A9&port=1883");
}

/* The longest there can be. */
static void test_longest_form(void **state)
{
	struct mqtt_str all = {.data = calloc(1, 65535), .len = 65535};
	size_t len;
	char *form = hook_form(&(struct hook_client){all, all, all, all, 65535, all}, &len);

	(void)state;
	assert_non_null(form);
	assert_int_equal(len,
			 5 * 3 * 65535 + strlen("client_id=&username=&password=&address=&certificate=&port=65535"));
	free(form);
	free((void *)all.data);
}

static void digest_of(const struct hook_cache *c, unsigned n, uint8_t digest[HOOK_DIGEST_LEN])
{
	assert_true(hook_cache_digest(c, &n, sizeof(n), digest));
}

static bool has(struct hook_cache *c, unsigned n, uint64_t now)
{
	uint8_t digest[HOOK_DIGEST_LEN];

	digest_of(c, n, digest);
	return hook_cache_has(c, digest, now);
}

static void add(struct hook_cache *c, unsigned n, uint64_t now)
{
	uint8_t digest[HOOK_DIGEST_LEN];

	digest_of(c, n, digest);
	hook_cache_add(c, digest, now);
}

/* For its time, from the last time it was allowed on. */
static void test_time(void **state)
{
	struct hook_cache c;

	(void)state;
	assert_int_equal(hook_cache_init(&c, 10), 0);
	assert_false(has(&c, 1, 0));
	add(&c, 1, 0);
	add(&c, 2, 5 * NS_PER_S);
	assert_true(has(&c, 1, 10 * NS_PER_S - 1));
	assert_true(has(&c, 2, 10 * NS_PER_S));
	assert_false(has(&c, 1, 10 * NS_PER_S));
	add(&c, 2, 12 * NS_PER_S);
	assert_true(has(&c, 2, 21 * NS_PER_S));
	assert_int_equal(c.table.count, 1);
	assert_false(has(&c, 2, 22 * NS_PER_S));
	assert_int_equal(c.table.count, 0);
	hook_cache_free(&c);
}

/* The oldest makes room. */
static void test_bound(void **state)
{
	struct hook_cache c;

	(void)state;
	assert_int_equal(hook_cache_init(&c, 10), 0);
	for (unsigned n = 0; n < HOOK_CACHE_MAX + 5; n++)
		add(&c, n, n);
	assert_int_equal(c.table.count, HOOK_CACHE_MAX);
	assert_false(has(&c, 4, HOOK_CACHE_MAX));
	assert_true(has(&c, 5, HOOK_CACHE_MAX));
	assert_true(has(&c, HOOK_CACHE_MAX + 4, HOOK_CACHE_MAX));
	hook_cache_free(&c);
}

/* Without time nothing is kept; and each has a key of its own. */
static void test_off(void **state)
{
	uint8_t digest[2][HOOK_DIGEST_LEN];
	struct hook_cache c, other;

	(void)state;
	assert_int_equal(hook_cache_init(&c, 0), 0);
	assert_int_equal(hook_cache_init(&other, 10), 0);
	add(&c, 1, 0);
	assert_false(has(&c, 1, 0));
	digest_of(&c, 1, digest[0]);
	digest_of(&other, 1, digest[1]);
	assert_memory_not_equal(digest[0], digest[1], HOOK_DIGEST_LEN);
	hook_cache_free(&c);
	hook_cache_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),  cmocka_unit_test(test_longest_form), cmocka_unit_test(test_time),
		cmocka_unit_test(test_bound), cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
