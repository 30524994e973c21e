/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Keys and values of the guard's maps: what the daemon (user/guard) and the XDP program (bpf/guard.bpf.c) share.
 * Fixed-width fields only; `bpftool map dump pinned /sys/fs/bpf/shunt-guard/NAME` prints them by these names through BTF.
 *
 * Addresses are 16 bytes in network order, those of IPv4 mapped into IPv6 (::ffff:a.b.c.d); ports are numbers. Times are
 * CLOCK_MONOTONIC.
 */
#ifndef SHUNT_GUARD_H
#define SHUNT_GUARD_H

#ifndef __VMLINUX_H__ /* a BPF program has the types from vmlinux.h */
#include <linux/types.h>
#endif

enum {
	SHUNT_GUARD_LISTENERS_MAX = 256,
	SHUNT_GUARD_LIST_MAX = 65536,	     /* prefixes in each of the lists */
	SHUNT_GUARD_SOURCES_MAX = 65536,     /* that budgets are kept for, the least recently seen ones go first */
	SHUNT_GUARD_CONNECTIONS_MAX = 65536, /* whose first bytes are looked for, likewise */
	SHUNT_GUARD_MAPPED_BITS = 96,	     /* in front of an IPv4 address */
	SHUNT_GUARD_RETRY_NS = 400000000, /* sooner than this no client sends its SYN again: the first time after 1 s */
};

/* Why a packet was dropped; of SHUNT_GUARD_NOT_MQTT: was made a RST. */
enum shunt_guard_reason {
	SHUNT_GUARD_BLOCKED,	 /* its source is in `blocked` */
	SHUNT_GUARD_BANNED,	 /* or in `banned` */
	SHUNT_GUARD_PACKETS,	 /* more packets of its source than the budget */
	SHUNT_GUARD_CONNECTIONS, /* more new connections of its source than the budget */
	SHUNT_GUARD_SYNS,	 /* more new connections of all sources that have not shown yet that they are real */
	SHUNT_GUARD_NOT_MQTT,	 /* the first bytes of its connection are no CONNECT's */
	SHUNT_GUARD_MALFORMED,	 /* TCP flags that nobody sends who means well */
	SHUNT_GUARD_OVERSIZED,	 /* a datagram that is too long */
	SHUNT_GUARD_REASONS
};

/* Maps `allowed`, `blocked` and `banned`: sources by prefix. Daemon. */
struct shunt_guard_prefix {
	__u32 bits; /* that count, of the 128 */
	__u8 address[16];
};

struct shunt_guard_rule {
	__u64 until_ns; /* it counts for nothing from then on; 0: for good. Daemon */
	__u64 packets;	/* of sources that it was found for. Kernel, any CPU, atomically */
};

/* Map `listeners`: what is guarded. An address of which all 16 bytes are zero stands for all of IPv6, ::ffff:0.0.0.0 for all of
 * IPv4. Daemon. */
struct shunt_guard_address {
	__u8 address[16];
	__u16 port;
	__u16 protocol; /* of IP: 6 TCP, 17 UDP */
};

struct shunt_guard_listener {
	__u32 mqtt;   /* 1: connections begin with a CONNECT, not with TLS, HTTP or a proxy's header */
	__u32 shared; /* 1: its connections come from proxies, no budget is theirs alone */
};

/* Map `sources`: the budgets of each source. A budget is the time at which it would be full again. Kernel, any CPU. */
struct shunt_guard_source {
	__u64 packets_ns, connections_ns;
	__u64 dropped; /* packets over one of the two */
};

/* Map `proven`: sources of which a connection was seen that they have answered for, so that they are not forged; the
 * value is when. Kernel. */

/* Map `connections`: those whose SYN was seen. Kernel. */
struct shunt_guard_connection {
	__u8 source[16], destination[16];
	__u16 source_port, destination_port;
};

struct shunt_guard_syn {
	__u32 sequence; /* of the SYN: the first byte has the next number */
	__u32 held;	/* 1: it was dropped, and the next one like it is let in */
	__u64 ns;	/* when it came */
};

/* Map `counters`, one for each CPU. Kernel. */
struct shunt_guard_counters {
	__u64 packets, bytes; /* to the listeners, as far as the guard can read them */
	__u64 allowed;	      /* of them, packets from sources in `allowed` */
	__u64 retried;	      /* SYNs let in when they came again */
	__u64 dropped[SHUNT_GUARD_REASONS], dropped_bytes[SHUNT_GUARD_REASONS];
};

/* A budget: what each one of it costs and how much may be spent at once, in ns. A cost of 0: there is no limit. */
struct shunt_guard_budget {
	__u64 cost_ns, depth_ns;
};

/* Variable `control`, mapped by the daemon. Daemon. */
struct shunt_guard_control {
	struct shunt_guard_budget packets, connections, syns;
	__u32 udp_size;			/* bytes of the largest datagram; 0: no limit */
	__u32 ipv6_bits;		/* of an IPv6 address that tell one source from another */
	__u32 allowed, blocked, banned; /* prefixes in the lists: an empty one need not be looked into */
};

_Static_assert(sizeof(struct shunt_guard_prefix) == 20, "as LPM tries have it: bits, then the address");
_Static_assert(sizeof(struct shunt_guard_rule) == 16, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_guard_address) == 20, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_guard_listener) == 8, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_guard_source) == 24, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_guard_connection) == 36, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_guard_syn) == 16, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_guard_counters) == 160, "layout shared with the kernel");

#endif
