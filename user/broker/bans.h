/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The table of bans: client identifiers, user names and networks of addresses that may not come in, each until a time or
 * until it is taken back. It has room for BANS_MAX of them and BANS_BYTES_MAX of text. Whoever has to know of networks as they
 * come and go, to keep their packets away before they cost anything, observes it.
 *
 * All functions may be called by any thread. Times are CLOCK_MONOTONIC in nanoseconds; 0 is no end.
 */
#ifndef SHUNT_BANS_H
#define SHUNT_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "mqtt/str.h"
#include "net/address.h"

enum {
	BANS_MAX = 16384,
	BANS_BYTES_MAX = 8 << 20, /* of names and reasons together */
	BAN_REASON_MAX = 256,	  /* bytes of a reason, with its NUL; what is more is cut off */
};

/* The store has the numbers. */
enum ban_kind {
	BAN_CLIENT, /* a client identifier */
	BAN_USER,
	BAN_ADDRESS, /* a network */
	BAN_KINDS,
};
extern const char *const ban_kind_names[BAN_KINDS]; /* "client", "user", "address" */

/* Who is banned. */
struct ban_subject {
	enum ban_kind kind;
	struct mqtt_str name;	/* of BAN_CLIENT and BAN_USER */
	const char *space;	/* likewise, the namespace: its name; NULL or "": the default one */
	struct network network; /* of BAN_ADDRESS, not of AF_UNIX; no bits are set behind its prefix */
};

struct ban {
	struct ban_subject who;
	uint64_t since_ns, until_ns;
	bool automatic;	    /* nobody asked for it */
	const char *reason; /* "": none */
};

/* Of networks, in the thread that changes the table and under its lock: short, and nothing of the table may be called.
 * Another ban of the same network is told as added, with its new end; one whose end has passed as removed. */
struct ban_observer {
	void (*changed)(struct ban_observer *o, bool added, const struct network *network, uint64_t until_ns);
	struct list all; /* the table's */
};

struct bans;

/* NULL without memory. */
struct bans *bans_new(void);
void bans_free(struct bans *b);

/* Add one; who is banned already is from now on as this one says. Copies it. 0, -ENOMEM, -ENOSPC: the table is full. */
int bans_add(struct bans *b, const struct ban *ban);
/* 0, or -ENOENT: there is none. */
int bans_remove(struct bans *b, const struct ban_subject *who);

/* Is there one for it? */
bool bans_have(struct bans *b, const struct ban_subject *who, uint64_t now_ns);
/* Is the address in a network that is banned? One that is not known, or of a Unix socket, never is. */
bool bans_have_address(struct bans *b, const struct net_address *a, uint64_t now_ns);

/* Is anything of this kind banned? Costs next to nothing. */
bool bans_any(const struct bans *b, enum ban_kind kind);

/* How many there are. */
size_t bans_count(const struct bans *b);

/* Remove those whose end has passed, and tell each before. */
void bans_expire(struct bans *b, uint64_t now_ns, void (*over)(const struct ban *ban));

/* Call `each` for all whose end has not passed, in no order, until it returns non-zero; returns that, or 0. Under the lock, as
 * an observer. */
int bans_each(struct bans *b, uint64_t now_ns, int (*each)(const struct ban *ban, void *arg), void *arg);

/* Tell the observer of all networks that are banned, and of all changes from then on, in the order in which they are made. The
 * struct is the caller's, who ends it before it goes. */
void bans_observe(struct bans *b, struct ban_observer *o);
void bans_unobserve(struct bans *b, struct ban_observer *o);

enum { BAN_WHO_MAX = 160 };
/* "client sensor-7", "client sensor-7 of namespace hall", "address 192.0.2.0/24": as far as there is room. */
const char *ban_who(const struct ban_subject *who, char text[BAN_WHO_MAX]);

#endif
