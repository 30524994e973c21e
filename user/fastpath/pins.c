// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The maps in the BPF file system, for bpftool. The directory is locked (flock) as long as the daemon lives, so the kernel
 * itself tells a dead daemon's pins, which are removed, from a live one's, beside which another directory is taken:
 * PATH, PATH-1, PATH-2 and so on.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fastpath/internal.h"

#include "fastpath.skel.h" /* needs the types of maps.h */

enum { DIRECTORIES_MAX = 64 };

static void remove_pins(int dir_fd)
{
	int fd = dup(dir_fd);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dir_fd, entry->d_name, 0);
	closedir(dir);
}

/* The first directory that no live daemon holds; its locked descriptor, or -errno. */
static int take_directory(const char *path, char *taken, size_t size)
{
	for (int i = 0; i < DIRECTORIES_MAX; i++) {
		int fd;

		if (i == 0)
			snprintf(taken, size, "%s", path);
		else
			snprintf(taken, size, "%s-%d", path, i);
		if (mkdir(taken, 0755) && errno != EEXIST)
			return -errno;
		fd = open(taken, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return fd;
		close(fd);
		if (errno != EWOULDBLOCK)
			return -errno;
	}
	return -EBUSY;
}

static int pin_one(struct bpf_map *map, uid_t uid, gid_t gid)
{
	char path[sizeof(fp.pin_path) + 64];
	int error;

	if (bpf_map__is_internal(map))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", fp.pin_path, bpf_map__name(map));
	error = bpf_obj_pin(bpf_map__fd(map), path) ? -errno : 0;
	if (!error && uid != (uid_t)-1 && chown(path, uid, gid))
		error = -errno;
	return error;
}

int fp_pin(const char *path, uid_t uid, gid_t gid)
{
	struct bpf_map *map;
	int error = 0;

	fp.pin_lock = take_directory(path, fp.pin_path, sizeof(fp.pin_path));
	if (fp.pin_lock < 0) {
		error = fp.pin_lock;
		fp.pin_path[0] = '\0';
		return error;
	}
	remove_pins(fp.pin_lock);
	if (uid != (uid_t)-1 && fchown(fp.pin_lock, uid, gid))
		error = -errno;
	bpf_object__for_each_map(map, fp.bpf->obj)
	{
		if (!error)
			error = pin_one(map, uid, gid);
	}
	if (error)
		fp_unpin();
	return error;
}

void fp_unpin(void)
{
	if (fp.pin_lock < 0)
		return;
	remove_pins(fp.pin_lock);
	close(fp.pin_lock);
	fp.pin_lock = -1;
	rmdir(fp.pin_path); /* the parent may not be ours: then the empty directory stays */
	fp.pin_path[0] = '\0';
}
