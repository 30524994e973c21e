// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "fastpath/pins.h"

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

enum { DIRECTORIES_MAX = 64 };

void pins_clear(const struct pins *p)
{
	int fd = dup(p->lock);
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
			unlinkat(p->lock, entry->d_name, 0);
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

int pins_add(const struct pins *p, const char *name, int fd, uid_t uid, gid_t gid)
{
	char path[sizeof(p->path) + 64];

	snprintf(path, sizeof(path), "%s/%s", p->path, name);
	if (bpf_obj_pin(fd, path))
		return -errno;
	return uid != (uid_t)-1 && chown(path, uid, gid) ? -errno : 0;
}

int pins_take(struct pins *p, const char *path, uid_t uid, gid_t gid)
{
	int error;

	p->lock = take_directory(path, p->path, sizeof(p->path));
	if (p->lock < 0) {
		error = p->lock;
		*p = (struct pins)PINS_NONE;
		return error;
	}
	if (uid == (uid_t)-1 || !fchown(p->lock, uid, gid))
		return 0;
	error = -errno;
	pins_drop(p);
	return error;
}

int pins_add_maps(const struct pins *p, const struct bpf_object *obj, uid_t uid, gid_t gid)
{
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_map(map, obj)
	{
		if (!error && !bpf_map__is_internal(map))
			error = pins_add(p, bpf_map__name(map), bpf_map__fd(map), uid, gid);
	}
	return error;
}

void pins_drop(struct pins *p)
{
	if (p->lock < 0)
		return;
	pins_clear(p);
	close(p->lock);
	rmdir(p->path); /* the parent may not be ours: then the empty directory stays */
	*p = (struct pins)PINS_NONE;
}
