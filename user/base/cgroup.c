// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/cgroup.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { MOUNT_LINE_MAX = 2 * PATH_MAX + 512 };

/* mountinfo writes blanks and backslashes as \ and three octal digits. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && strspn(s + 1, "01234567") >= 3) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

/* One line of mountinfo (proc(5)): is it cgroup v2, where, and is that the root or only a part of the tree? */
static bool read_mount(const char *line, char mount_point[PATH_MAX], bool *whole)
{
	const char *dash = strstr(line, " - ");
	char type[32], top[PATH_MAX];

	if (!dash || sscanf(dash, " - %31s", type) != 1 || strcmp(type, "cgroup2") != 0)
		return false;
	_Static_assert(PATH_MAX == 4096, "the width below");
	if (sscanf(line, "%*s %*s %*s %4095s %4095s", top, mount_point) != 2)
		return false;
	unescape(mount_point);
	*whole = !strcmp(top, "/");
	return true;
}

int cgroup_root(char root[PATH_MAX])
{
	char line[MOUNT_LINE_MAX], mount_point[PATH_MAX];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false, whole = false;

	if (!f)
		return -errno;
	while (!whole && fgets(line, sizeof(line), f)) {
		bool is_whole;

		if (!read_mount(line, mount_point, &is_whole) || (found && !is_whole))
			continue;
		snprintf(root, PATH_MAX, "%s", mount_point);
		found = true;
		whole = is_whole;
	}
	fclose(f);
	return found ? 0 : -ENOENT;
}

static int check(const char *path)
{
	struct statfs fs;
	struct stat st;

	if (stat(path, &st) || statfs(path, &fs))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC ? 0 : -ENOTSUP;
}

/* realpath() and check(), of the folder that it would be in if it is missing. */
static int resolve(const char *path, bool may_be_missing, char full[PATH_MAX])
{
	char parent[PATH_MAX], *name;
	size_t len = strlen(path);
	int err;

	if (realpath(path, full))
		return check(full);
	if (errno != ENOENT || !may_be_missing)
		return -errno;
	if (len >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, len + 1);
	while (len > 1 && parent[len - 1] == '/')
		parent[--len] = '\0';
	name = strrchr(parent, '/');
	if (!name || name == parent)
		return -ENOENT;
	*name++ = '\0';
	err = realpath(parent, full) ? check(full) : -errno;
	if (err)
		return err;
	len = strlen(full);
	return (size_t)snprintf(full + len, PATH_MAX - len, "/%s", name) < PATH_MAX - len ? 0 : -ENAMETOOLONG;
}

int cgroup_find(const char *path, bool may_be_missing, char full[PATH_MAX])
{
	char root[PATH_MAX], below[2 * PATH_MAX];
	int outside = *path == '/' ? resolve(path, may_be_missing, full) : -ENOENT, err;

	if (!outside)
		return 0;
	err = cgroup_root(root);
	if (err)
		return err;
	if (snprintf(below, sizeof(below), "%s/%s", root, path) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* missing here only if there is nothing else of that name */
	err = resolve(below, may_be_missing && outside == -ENOENT, full);
	return err == -ENOENT ? outside : err;
}
