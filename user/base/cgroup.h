/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Directories of cgroup v2, wherever it is mounted. Any thread. */
#ifndef SHUNT_CGROUP_H
#define SHUNT_CGROUP_H

#include <limits.h>
#include <stdbool.h>

/* The root of cgroup v2 as this process sees it. 0, -ENOENT when it is not mounted, or another negative errno. */
int cgroup_root(char root[PATH_MAX]);

/*
 * The full path of the cgroup that `path` names: the path of a directory, or one below the root, with a slash in front
 * or without, as /proc/PID/cgroup has it. With may_be_missing the cgroup itself need not exist now, only the one it would
 * be in. 0, -ENOTSUP when it is something else than a cgroup, or another negative errno.
 */
int cgroup_find(const char *path, bool may_be_missing, char full[PATH_MAX]);

#endif
