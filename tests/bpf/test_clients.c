// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Which clients take the local road: by the user who made the socket, and by the cgroup it was made in. The programs find
 * out by what this kernel's structures say.
 */
#include "live.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"

enum { SOMEBODY = 54321 };

static char root[PATH_MAX], outer[PATH_MAX + 64], inner[PATH_MAX + 128], beside[PATH_MAX + 128];

/* This process is in the cgroup from now on. */
static void enter(const char *cgroup)
{
	char path[sizeof(inner) + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0", 1), 1);
	close(fd);
}

static int make_cgroups(void **state)
{
	(void)state;
	if (cgroup_root(root))
		return -1;
	snprintf(outer, sizeof(outer), "%s/shunt-test-%d", root, getpid());
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	snprintf(beside, sizeof(beside), "%s/beside", outer);
	return mkdir(outer, 0755) || mkdir(inner, 0755) || mkdir(beside, 0755);
}

static int remove_cgroups(void **state)
{
	(void)state;
	return rmdir(inner) || rmdir(beside) || rmdir(outer);
}

/* The road of a client whose socket is made in the cgroup by the user. */
static enum fp_road road_of(struct live *live, const char *cgroup, uid_t uid)
{
	struct live_conn conn;
	enum fp_road road;

	enter(cgroup);
	assert_int_equal(seteuid(uid), 0);
	live_connect_plain(live, &conn, "client");
	assert_int_equal(seteuid(0), 0);
	enter(root);
	fp_attach(&conn.link, conn.broker, LIVE_NS, 0, conn.name, 0);
	road = conn.link.road;
	live_disconnect(&conn);
	return road;
}

static void everybody(void **state)
{
	struct live live;

	(void)state;
	live_open_for(&live, &(struct fp_config){0});
	assert_int_equal(road_of(&live, root, 0), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, inner, SOMEBODY), FP_ROAD_LOCAL);
	live_close(&live);
}

static void excluded_users(void **state)
{
	char *uids[] = {"54321", "4294967294", NULL};
	struct live live;

	(void)state;
	live_open_for(&live, &(struct fp_config){.exclude_uids = uids});
	assert_int_not_equal(road_of(&live, root, SOMEBODY), FP_ROAD_LOCAL);
	assert_int_not_equal(road_of(&live, root, (uid_t)-2), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, root, SOMEBODY + 1), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, inner, 0), FP_ROAD_LOCAL);
	live_close(&live);
}

static void excluded_cgroups(void **state)
{
	char *cgroups[] = {inner, NULL}, *above[] = {outer, NULL};
	struct live live;

	(void)state;
	live_open_for(&live, &(struct fp_config){.exclude_cgroups = cgroups});
	assert_int_not_equal(road_of(&live, inner, 0), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, beside, 0), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, outer, 0), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, root, 0), FP_ROAD_LOCAL);
	assert_int_equal(rmdir(inner), 0); /* and comes again, with another number */
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_not_equal(road_of(&live, inner, 0), FP_ROAD_LOCAL);
	live_close(&live);
	live_open_for(&live, &(struct fp_config){.exclude_cgroups = above});
	assert_int_not_equal(road_of(&live, inner, 0), FP_ROAD_LOCAL);
	assert_int_not_equal(road_of(&live, outer, 0), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, root, 0), FP_ROAD_LOCAL);
	live_close(&live);
}

static void one_cgroup(void **state)
{
	struct live live;

	(void)state;
	live_open_for(&live, &(struct fp_config){.cgroup = outer});
	assert_int_equal(road_of(&live, outer, 0), FP_ROAD_LOCAL);
	assert_int_equal(road_of(&live, inner, SOMEBODY), FP_ROAD_LOCAL);
	assert_int_not_equal(road_of(&live, root, 0), FP_ROAD_LOCAL);
	live_close(&live);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(everybody, make_cgroups, remove_cgroups),
	cmocka_unit_test_setup_teardown(excluded_users, make_cgroups, remove_cgroups),
	cmocka_unit_test_setup_teardown(excluded_cgroups, make_cgroups, remove_cgroups),
	cmocka_unit_test_setup_teardown(one_cgroup, make_cgroups, remove_cgroups),
};

LIVE_MAIN(tests)
