// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Access control without memory: each allocation fails in its turn (the linker leads them here, see the Makefile). Nothing
 * leaks, and nobody has more rights by it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "acl_model.h"
#include "base/hash.h"
#include "base/log.h"
#include "failing_malloc.h"

static const char text[] = "topic read a/#\ntopic deny a/b\n"
			   "user u\ntopic b\nuser v\ntopic c\nuser u\ntopic d\n"
			   "pattern read all\npattern c/%c/#\npattern deny c/+/%u\n";
static const struct acl_model_client who = {"u", "id"};

static void check(const struct acl_rights *rights)
{
	static const char *const topics[] = {"a/b", "b", "c", "d", "all", "c/id/x", "c/id/u", "c/other/x"};

	for (size_t i = 0; i < COUNT(topics); i++)
		for (int access = ACL_READ; access <= ACL_WRITE; access++)
			assert_int_equal(acl_may(rights, access, mqtt_str(topics[i])),
					 acl_model_may(text, &who, access, topics[i]));
}

static void test_file(void **state)
{
	char copy[sizeof(text)];
	struct acl *acl = NULL;
	struct acl_rights *rights;
	long fail_at = 0;

	(void)state;
	memcpy(copy, text, sizeof(text));
	for (; !acl; fail_at++) {
		FILE *f = fmemopen(copy, sizeof(copy) - 1, "r");

		assert_non_null(f);
		left = fail_at;
		acl = acl_read(f, "acl");
		left = -1;
		fclose(f);
	}
	assert_true(fail_at > 10);
	rights = acl_rights_of(acl, &who);
	assert_non_null(rights);
	acl_unref(acl);
	check(rights);
	acl_rights_unref(rights);
}

static void test_rights(void **state)
{
	struct acl *acl = acl_of(text);
	struct acl_rights *rights = NULL;
	long fail_at = 0;

	(void)state;
	assert_non_null(acl);
	for (; !rights; fail_at++) {
		left = fail_at;
		rights = acl_rights_of(acl, &who);
		left = -1;
	}
	assert_true(fail_at > 3);
	acl_unref(acl);
	check(rights);
	acl_rights_unref(rights);
}

/* What could not be added is remembered. */
static struct acl_rights *build(void)
{
	static const struct mqtt_str username = {(const uint8_t *)"u", 1};
	struct acl_builder *b = acl_builder_new();
	int errors = 0;
	struct acl_rights *rights;

	if (!b)
		return NULL;
	for (int i = 0; i < 20; i++)
		errors += acl_builder_add(b, true, ACL_READ, mqtt_str("a/#")) == -ENOMEM;
	errors += acl_builder_add_pattern(b, false, ACL_READ, mqtt_str("a/%u"), &username, mqtt_str("id")) == -ENOMEM;
	rights = acl_builder_finish(b);
	assert_true(!rights || !errors);
	return rights;
}

static void test_builder(void **state)
{
	struct acl_rights *rights = NULL;
	long fail_at = 0;

	(void)state;
	for (; !rights; fail_at++) {
		left = fail_at;
		rights = build();
		left = -1;
	}
	assert_true(fail_at > 5);
	assert_true(acl_may(rights, ACL_READ, mqtt_str("a/b")));
	assert_false(acl_may(rights, ACL_READ, mqtt_str("a/u")));
	acl_rights_unref(rights);
}

/* A filter that does not fit on the stack, and messages, for which there is no memory at all. */
static void test_questions(void **state)
{
	static char filter[4096], rules[8192];
	struct acl_model_client anybody = {NULL, "id"};
	struct acl_rights *rights;
	struct acl *acl;

	(void)state;
	memset(filter, 'x', sizeof(filter) - 3);
	strcpy(filter + sizeof(filter) - 3, "/#");
	sprintf(rules, "topic read #\ntopic deny a\ntopic deny %s/y\n", filter);
	rules[strlen(rules) - 4] = 'x'; /* instead of '#' */
	acl = acl_of(rules);
	assert_non_null(acl);
	rights = acl_rights_of(acl, &anybody);
	assert_non_null(rights);
	acl_unref(acl);
	assert_true(acl_may_read_any(rights, mqtt_str(filter)));
	left = 0;
	assert_false(acl_may_read_any(rights, mqtt_str(filter)));
	left = 0;
	assert_false(acl_may_read_all(rights, mqtt_str(filter)));
	left = 0;
	assert_true(acl_may(rights, ACL_READ, mqtt_str("b")));
	assert_false(acl_may(rights, ACL_READ, mqtt_str("a")));
	assert_true(acl_may_read_any(rights, mqtt_str("+/b")));
	assert_int_equal(left, 0); /* no allocation was asked for */
	left = -1;
	acl_rights_unref(rights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_builder),
		cmocka_unit_test(test_questions),
	};

	hash_init();
	log_set_dest(0, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
