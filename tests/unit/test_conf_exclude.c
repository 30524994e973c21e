// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The configuration: which clients take the local road. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cgroup.h"
#include "conf_files.h"

static void test_users(void **state)
{
	(void)state;
	assert_null(conf.fastpath_exclude_uid);
	read_text("fastpath_exclude_uid 1000\nfastpath_exclude_uid root # a name\nfastpath_exclude_uid 4294967294\n");
	assert_string_equal(conf.fastpath_exclude_uid[0], "1000");
	assert_string_equal(conf.fastpath_exclude_uid[1], "0");
	assert_string_equal(conf.fastpath_exclude_uid[2], "4294967294");
	assert_null(conf.fastpath_exclude_uid[3]);
	assert_error("fastpath_exclude_uid who?", "fastpath_exclude_uid: there is no user \"who?\".");
	/* (uid_t)-1 is nobody's */
	assert_error("fastpath_exclude_uid 4294967295", "fastpath_exclude_uid: there is no user \"4294967295\".");
}

/* The folder of a cgroup of our own; the test is skipped where there can be none. */
static void make_cgroup(char root[PATH_MAX], char *path, size_t size)
{
	if (cgroup_root(root))
		skip();
	snprintf(path, size, "%s/shunt-test-%d", root, getpid());
	if (mkdir(path, 0755))
		skip();
}

static void test_cgroups(void **state)
{
	char root[PATH_MAX], path[PATH_MAX + 32], text[4 * sizeof(path)];
	const char *name;

	(void)state;
	assert_null(conf.fastpath_cgroup);
	assert_null(conf.fastpath_exclude_cgroup);
	make_cgroup(root, path, sizeof(path));
	name = strrchr(path, '/');
	/* the three ways to write it, and one that does not exist yet */
	snprintf(text, sizeof(text),
		 "fastpath_cgroup %s/\nfastpath_exclude_cgroup %s\nfastpath_exclude_cgroup %s\n"
		 "fastpath_exclude_cgroup %s/../%s\n",
		 path, name, name + 1, path, name + 1);
	read_text(text);
	assert_string_equal(conf.fastpath_cgroup, path);
	for (int i = 0; i < 3; i++)
		assert_string_equal(conf.fastpath_exclude_cgroup[i], path);
	assert_null(conf.fastpath_exclude_cgroup[3]);
	snprintf(text, sizeof(text), "fastpath_exclude_cgroup %s/later/\n", name);
	write_text("test.conf", text);
	assert_int_equal(conf_file(&conf, "test.conf"), 0);
	snprintf(text, sizeof(text),
		 "Warning in test.conf:1: fastpath_exclude_cgroup: there is no cgroup %s/later yet.\n", path);
	assert_logged(text);
	snprintf(text, sizeof(text), "%s/later", path);
	assert_string_equal(conf.fastpath_exclude_cgroup[3], text);

	read_text("fastpath_cgroup /\n");
	assert_string_equal(conf.fastpath_cgroup, root);
	assert_int_equal(rmdir(path), 0);
}

static void test_no_cgroups(void **state)
{
	static const char *const names[] = {"no/such", "/tmp", "/cgroup.procs", "no/such/"};
	char root[PATH_MAX], line[256], want[PATH_MAX + 256];

	(void)state;
	if (cgroup_root(root)) {
		assert_error("fastpath_cgroup /", "fastpath_cgroup: cgroup v2 is not mounted.");
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "fastpath_cgroup %s", names[i]);
		snprintf(want, sizeof(want),
			 "fastpath_cgroup: \"%s\" is not a directory of cgroup v2, which is mounted on %s.", names[i],
			 root);
		assert_error(line, want);
		snprintf(line, sizeof(line), "fastpath_exclude_cgroup %s", names[i]);
		snprintf(want, sizeof(want),
			 "fastpath_exclude_cgroup: \"%s\" is not a directory of cgroup v2, which is mounted on %s.",
			 names[i], root);
		assert_error(line, want);
	}
	assert_error("fastpath_exclude_cgroup /",
		     "fastpath_exclude_cgroup: that is the root, and all clients are below it: write "
		     "\"fastpath_local off\".");
	snprintf(line, sizeof(line), "fastpath_exclude_cgroup %0128d", 0);
	assert_error(line, "fastpath_exclude_cgroup: the name of a cgroup may have at most 127 characters.");
	assert_null(conf.fastpath_cgroup);
	assert_null(conf.fastpath_exclude_cgroup);
}

/* Lists are compared by what is in them. */
static void test_reload(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} others[] = {
		{"fastpath_exclude_uid 1\nfastpath_exclude_uid 2\n", true},
		{"fastpath_exclude_uid 1\n", false},
		{"fastpath_exclude_uid 1\nfastpath_exclude_uid 3\n", false},
		{"fastpath_exclude_uid 1\nfastpath_exclude_uid 2\nfastpath_exclude_uid 3\n", false},
		{"", false},
	};

	(void)state;
	read_text("fastpath_exclude_uid 1\nfastpath_exclude_uid 2\n");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct conf next;

		write_text("test.conf", others[i].text);
		assert_int_equal(conf_init(&next), 0);
		assert_int_equal(conf_file(&next, "test.conf"), 0);
		assert_int_equal(conf_compare(&conf, &next), 0);
		assert_logged(others[i].same ? ""
					     : "Warning: A change of fastpath_exclude_uid counts when the broker is "
					       "started again.\n");
		conf_update(&conf, &next);
		conf_free(&next);
	}
	assert_string_equal(conf.fastpath_exclude_uid[1], "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_users, begin, end),
		cmocka_unit_test_setup_teardown(test_cgroups, begin, end),
		cmocka_unit_test_setup_teardown(test_no_cgroups, begin, end),
		cmocka_unit_test_setup_teardown(test_reload, begin, end),
	};
	int failed;

	if (conf_files_begin())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return conf_files_end() ? 1 : failed;
}
