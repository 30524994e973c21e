/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the files of user/guard share. One guard a process. Written by the main thread. */
#ifndef SHUNT_GUARD_INTERNAL_H
#define SHUNT_GUARD_INTERNAL_H

#include "fastpath/pins.h"
#include "guard/xdp.h"

struct guard_bpf;

/* An interface of the configuration. */
struct guard_place {
	char name[IF_NAMESIZE];
	int link; /* descriptor; -1: not attached */
	bool native;
	char reason[160];
};

/* Prefixes that are in a map, sorted. */
struct guard_list {
	struct network *networks;
	size_t count;
};

struct guard {
	struct guard_bpf *bpf; /* NULL: off */
	struct guard_place *places;
	size_t nplaces;
	struct guard_list allowed, blocked;
	struct pins pins;
	bool fail_closed;
	char reason[200];
	volatile struct shunt_guard_control *control; /* mapped */
	int listeners_fd, allowed_fd, blocked_fd, banned_fd, counters_fd;
};

extern struct guard guard;

/* attach.c: put the program on the interface; place->reason says why not. 0 or -errno. */
int guard_attach(struct guard_place *place, int prog_fd);
/* Take a dead daemon's programs, which are pinned in the directory, off their interfaces. */
void guard_detach_pinned(const struct pins *p);

/* lists.c: the key of a prefix. */
void guard_key(const struct network *n, struct shunt_guard_prefix *key);
void guard_lists_free(void);

#endif
