// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The table of bans against a plain list, what observers are told, its bounds; and the count of who misbehaves. */
#include "broker/bans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/hash.h"
#include "broker/strikes.h"
#include "mqtt_model.h"

static struct ban_subject network(const char *text)
{
	struct ban_subject who = {.kind = BAN_ADDRESS};

	assert_null(network_parse(text, &who.network));
	return who;
}

static struct ban_subject named(enum ban_kind kind, const char *name)
{
	return (struct ban_subject){.kind = kind, .name = mqtt_str(name)};
}

static bool has_address(struct bans *b, const char *text, uint64_t now)
{
	struct net_address a;

	assert_true(net_address_parse(text, strlen(text), &a));
	return bans_have_address(b, &a, now);
}

static int add(struct bans *b, struct ban_subject who, uint64_t until)
{
	return bans_add(b, &(struct ban){.who = who, .until_ns = until, .reason = "so"});
}

static void test_names(void **state)
{
	struct bans *b = bans_new();
	struct ban_subject who = named(BAN_CLIENT, "a");

	(void)state;
	assert_false(bans_any(b, BAN_CLIENT));
	assert_int_equal(add(b, who, 0), 0);
	assert_true(bans_have(b, &who, 1));
	who.kind = BAN_USER;
	assert_false(bans_have(b, &who, 1));
	assert_int_equal(bans_remove(b, &who), -ENOENT);
	who = named(BAN_CLIENT, "ab");
	assert_false(bans_have(b, &who, 1));
	who = named(BAN_CLIENT, "a");
	assert_int_equal(add(b, who, 10), 0); /* in place of the other */
	assert_int_equal(bans_count(b), 1);
	assert_true(bans_have(b, &who, 9));
	assert_false(bans_have(b, &who, 10));
	assert_int_equal(bans_remove(b, &who), 0);
	assert_false(bans_any(b, BAN_CLIENT));
	bans_free(b);
}

/* Names are those of a namespace. */
static void test_namespaces(void **state)
{
	struct bans *b = bans_new();
	struct ban_subject who = named(BAN_CLIENT, "a");
	char text[BAN_WHO_MAX], plant[] = "plant";

	(void)state;
	who.space = "plant";
	assert_string_equal(ban_who(&who, text), "client a of namespace plant");
	assert_int_equal(add(b, who, 0), 0);
	who.space = plant; /* by the name, wherever it is */
	assert_true(bans_have(b, &who, 1));
	who.space = "plan";
	assert_false(bans_have(b, &who, 1));
	who.space = NULL;
	assert_false(bans_have(b, &who, 1));
	assert_string_equal(ban_who(&who, text), "client a");
	assert_int_equal(add(b, who, 0), 0);
	assert_int_equal(bans_count(b), 2);
	who.space = "";
	assert_int_equal(bans_remove(b, &who), 0);
	who.space = plant;
	assert_true(bans_have(b, &who, 1));
	bans_free(b);
}

static void test_networks(void **state)
{
	static const char *const banned[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"};
	static const char *const in[] = {"10.255.1.2",	 "192.0.2.7",	    "2001:db8:ffff::1",
					 "198.51.100.9", "::ffff:10.1.2.3", "::ffff:192.0.2.7"};
	static const char *const out[] = {"11.0.0.0", "192.0.2.6", "2001:db9::", "198.51.101.1", "a00::"};
	struct bans *b = bans_new();
	struct ban_subject who = network(banned[0]);

	(void)state;
	for (size_t i = 0; i < COUNT(banned); i++)
		assert_int_equal(add(b, network(banned[i]), 0), 0);
	for (size_t i = 0; i < COUNT(in); i++)
		assert_true(has_address(b, in[i], 1));
	for (size_t i = 0; i < COUNT(out); i++)
		assert_false(has_address(b, out[i], 1));
	assert_false(bans_have_address(b, &(struct net_address){.family = AF_UNIX}, 1));
	assert_int_equal(bans_remove(b, &who), 0);
	assert_false(has_address(b, in[0], 1));
	assert_true(has_address(b, in[1], 1));
	assert_int_equal(add(b, network("0.0.0.0/0"), 0), 0);
	assert_true(has_address(b, "203.0.113.1", 1));
	assert_false(has_address(b, "2001:db9::", 1));
	bans_free(b);
}

/* ---- observers --------------------------------------------------------------------------------------------------- */

struct seen {
	struct ban_observer observer;
	char text[512];
};

static void changed(struct ban_observer *o, bool added, const struct network *n, uint64_t until_ns)
{
	struct seen *s = container_of(o, struct seen, observer);
	char name[NETWORK_NAME_MAX];
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%c%s@%d ", added ? '+' : '-', network_name(n, name),
		 (int)until_ns);
}

static unsigned over;

static void is_over(const struct ban *ban)
{
	assert_string_equal(ban->reason, "so");
	over++;
}

static void test_observer(void **state)
{
	struct seen s = {.observer.changed = changed};
	struct bans *b = bans_new();
	struct ban_subject who = network("2001:db8::/33");

	(void)state;
	over = 0;
	add(b, network("10.0.0.0/8"), 5);
	add(b, named(BAN_CLIENT, "c"), 5);
	bans_observe(b, &s.observer);
	add(b, network("10.0.0.0/8"), 7);
	add(b, who, 0);
	bans_expire(b, 6, is_over);
	assert_int_equal(over, 1);
	bans_remove(b, &who);
	bans_expire(b, 7, is_over);
	assert_int_equal(over, 2);
	assert_int_equal(bans_count(b), 0);
	bans_unobserve(b, &s.observer);
	add(b, who, 0);
	assert_string_equal(s.text, "+10.0.0.0/8@5 +10.0.0.0/8@7 +2001:db8::/33@0 -2001:db8::/33@0 -10.0.0.0/8@7 ");
	bans_free(b);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

static void test_full(void **state)
{
	struct bans *b = bans_new();
	char name[16];
	char *large = malloc(BANS_BYTES_MAX);

	(void)state;
	for (int i = 0; i < BANS_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(add(b, named(BAN_CLIENT, name), 0), 0);
	}
	assert_int_equal(add(b, named(BAN_CLIENT, "more"), 0), -ENOSPC);
	assert_int_equal(add(b, named(BAN_CLIENT, "7"), 9), 0); /* is there */
	bans_expire(b, 9, is_over);
	assert_int_equal(add(b, named(BAN_CLIENT, "more"), 0), 0);
	bans_free(b);

	b = bans_new();
	memset(large, 'x', BANS_BYTES_MAX);
	large[BANS_BYTES_MAX / 2] = '\0';
	assert_int_equal(add(b, named(BAN_CLIENT, large), 0), 0);
	assert_int_equal(add(b, named(BAN_USER, large), 0), -ENOSPC);
	free(large);
	bans_free(b);
}

/* ---- strikes ----------------------------------------------------------------------------------------------------- */

static void test_strikes(void **state)
{
	struct strikes *s = strikes_new();

	(void)state;
	assert_false(strikes_count(s, 1, 100, 50, 3));
	assert_false(strikes_count(s, 1, 120, 50, 3));
	assert_false(strikes_count(s, 2, 120, 50, 3));
	assert_true(strikes_count(s, 1, 150, 50, 3));
	assert_false(strikes_count(s, 1, 151, 50, 3)); /* anew */
	assert_false(strikes_count(s, 1, 202, 50, 3)); /* too late */
	assert_false(strikes_count(s, 1, 203, 50, 3));
	assert_false(strikes_count(s, 2, 119, 50, 3)); /* a worker whose time is behind */
	assert_true(strikes_count(s, 2, 120, 50, 3));
	assert_true(strikes_count(s, 3, 0, 50, 1));
	strikes_free(s);
}

/* The oldest of a set goes when there are too many. */
static void test_strikes_full(void **state)
{
	struct strikes *s = strikes_new();

	(void)state;
	for (uint64_t i = 0; i <= STRIKES_WAYS; i++)
		assert_false(strikes_count(s, i * STRIKES_SETS, 100 + i, 50, 2));
	assert_true(strikes_count(s, STRIKES_SETS, 120, 50, 2));
	assert_false(strikes_count(s, 0, 120, 50, 2));
	strikes_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	     cmocka_unit_test(test_namespaces), cmocka_unit_test(test_networks),
		cmocka_unit_test(test_observer),     cmocka_unit_test(test_full),	cmocka_unit_test(test_strikes),
		cmocka_unit_test(test_strikes_full),
	};

	hash_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
