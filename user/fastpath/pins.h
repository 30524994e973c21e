/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A directory in the BPF file system where maps are shown to bpftool, for the fast path and for the guard. It is locked
 * (flock) as long as the daemon lives, so the kernel itself tells a dead daemon's pins from a live one's, beside which
 * another directory is taken: PATH, PATH-1, PATH-2 and so on. Main thread.
 */
#ifndef SHUNT_PINS_H
#define SHUNT_PINS_H

#include <sys/types.h>

struct bpf_object;

struct pins {
	char path[200]; /* "": there is none */
	int lock;	/* descriptor of the directory; -1 */
};

#define PINS_NONE          \
	{                  \
		.lock = -1 \
	}

/* Find and lock a directory, what a dead daemon left in it included; owned by uid and gid, so that pins can be removed without
 * privileges ((uid_t)-1: they stay ours). 0 or -errno. */
int pins_take(struct pins *p, const char *path, uid_t uid, gid_t gid);
/* Remove what is in it. */
void pins_clear(const struct pins *p);
/* Pin the maps of an object, or something else by its descriptor, with the owner as above. 0 or -errno. */
int pins_add_maps(const struct pins *p, const struct bpf_object *obj, uid_t uid, gid_t gid);
int pins_add(const struct pins *p, const char *name, int fd, uid_t uid, gid_t gid);
/* Remove all. Does nothing when there is none. */
void pins_drop(struct pins *p);

#endif
