// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder that a service manager made for us, as root. */
static bool is_roots_and_empty(const char *folder)
{
	const struct dirent *entry;
	struct stat st;
	DIR *dir;
	bool empty = true;

	if (stat(folder, &st) || st.st_uid != 0)
		return false;
	dir = opendir(folder);
	if (!dir)
		return false;
	while (empty && (entry = readdir(dir)))
		empty = entry->d_name[0] == '.';
	closedir(dir);
	return empty;
}

int store_make_folder(const char *folder, uid_t uid, gid_t gid)
{
	if (mkdir(folder, 0700) && errno != EEXIST)
		return -errno;
	if (uid != (uid_t)-1 && is_roots_and_empty(folder) && chown(folder, uid, gid))
		return -errno;
	return 0;
}
