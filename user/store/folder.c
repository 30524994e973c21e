// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
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

/* The name of a new folder is on disk when the folder that has it is: else a power cut may take the store with it. */
static int sync_parent(const char *folder)
{
	char *copy = strdup(folder);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	return rc == -EINVAL ? 0 : rc; /* a file system that has nothing to sync */
}

int store_make_folder(const char *folder, uid_t uid, gid_t gid)
{
	int error = 0;

	if (mkdir(folder, 0700) == 0)
		error = sync_parent(folder);
	else if (errno != EEXIST)
		error = -errno;
	if (error)
		return error;
	if (uid != (uid_t)-1 && is_roots_and_empty(folder) && chown(folder, uid, gid))
		return -errno;
	return 0;
}
