/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The guard in front of the broker: an XDP program on interfaces of this host that drops what is on a list, over a budget or
 * no MQTT before a socket has any work with it. Everything that talks to libbpf is behind this header; built without BPF
 * the same functions do nothing.
 *
 * Threads: open, listening, update and close are the main thread's. The others: any.
 */
#ifndef SHUNT_XDP_H
#define SHUNT_XDP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guard.h"
#include "net/address.h"

/* How many a second, and how many at once. A rate of 0: no limit. */
struct guard_rate {
	uint32_t rate, burst;
};

/* What can be changed while it runs. Lists are of texts that network_parse() takes, NULL at the end; NULL: empty. */
struct guard_rules {
	char *const *allow;	       /* option guard_allow */
	char *const *block;	       /* option guard_block */
	struct guard_rate connections; /* option guard_connection_rate */
	struct guard_rate packets;     /* option guard_packet_rate */
	struct guard_rate syns;	       /* option guard_syn_rate */
	uint32_t udp_size;	       /* option guard_udp_size; 0: no limit */
	unsigned ipv6_prefix;	       /* option guard_ipv6_prefix: 1 to 128 */
};

struct guard_config {
	char *const *interfaces; /* option guard_interface: names, NULL at the end; NULL: there is no guard */
	bool require;		 /* option guard_require */
	bool fail_closed;	 /* option guard_fail_closed */
	const char *pin_path;	 /* where the maps are pinned */
	uid_t uid;		 /* the daemon's user after it dropped root; (uid_t)-1 if it keeps its own */
	gid_t gid;
	struct guard_rules rules;
};

/* Load, pin and attach. Needs privileges (root, or CAP_BPF and CAP_NET_ADMIN), which the other functions do not. Returns 0
 * also when it is off, or is missing on one of the interfaces, guard_status() and guard_interface() say why; -ENOTSUP with
 * `require`. Until it is told of listeners it passes everything. */
int guard_open(const struct guard_config *cfg);
/* Detach. A daemon that dies without detaches as well, unless `fail_closed`: then its lists and budgets go on until the
 * next one comes. */
void guard_close(void);

/* A listener is open on `fd`, of TCP or UDP: guard it. mqtt: connections begin with a CONNECT as it is in MQTT; shared: they come from
 * proxies, so that no budget is kept for their sources. 0 or -errno; 0 when the guard is off. */
int guard_listening(int fd, bool mqtt, bool shared);

/* Take over other rules. 0 or -errno: some of the prefixes are not in the lists. 0 when the guard is off. */
int guard_update(const struct guard_rules *rules);

/* Drop what comes from these addresses, until clock_ns() is `until_ns`, 0: until guard_unban(). A second ban of the
 * same network takes the place of the first. 0 or -errno; 0 when the guard is off. */
int guard_ban(const struct network *n, uint64_t until_ns);
/* A network that is not banned is no error. */
int guard_unban(const struct network *n);

struct guard_status {
	bool on; /* on one interface at least */
	bool fail_closed;
	size_t interfaces;  /* in the configuration */
	char reason[200];   /* why it is off; "" when it is on */
	char pin_path[200]; /* where the maps are pinned; "" when they are not */
};
void guard_status(struct guard_status *out);

struct guard_interface {
	char name[IF_NAMESIZE];
	bool attached;
	bool native;	  /* in the driver, else in front of the network stack */
	char reason[160]; /* why it is not attached */
};
/* The state of interface `i` of guard_status(). False: there are no more. */
bool guard_interface(size_t i, struct guard_interface *out);

/* Since it was attached, all CPUs. All zero when it is off. */
struct guard_stats {
	bool on;
	struct shunt_guard_counters sum;
};
void guard_stats(struct guard_stats *out);

/* How counters of this reason are called. names.c */
const char *guard_reason_name(enum shunt_guard_reason reason);

#endif
