// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The guard: an XDP program in front of the broker's listening ports. It drops what is on a list, over a budget or not
 * MQTT at all before a socket or the daemon has any work with it.
 *
 * Whatever it cannot read it passes: other protocols, all fragments but the first, headers that are cut short, packets to
 * other ports. What clients may send within their budgets it passes whole and unchanged. It keeps no connections: it
 * remembers the sequence number of a SYN, which tells the segment that holds a connection's first bytes, and forgets that
 * when there are too many; the segment is then passed unseen.
 *
 * Constraints: loads on 6.1; no locks, so that budgets may be a little exceeded when CPUs spend of the same one at once.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "guard.h"
#include "wire.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct shunt_guard_control control;

/* Spent by all sources: new connections of those that are not proven, and SYNs of theirs that come again. */
__u64 syns_ns, retries_ns;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SHUNT_GUARD_LISTENERS_MAX);
	__type(key, struct shunt_guard_address);
	__type(value, struct shunt_guard_listener);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SHUNT_GUARD_LIST_MAX);
	__type(key, struct shunt_guard_prefix);
	__type(value, struct shunt_guard_rule);
} allowed SEC(".maps"), blocked SEC(".maps"), banned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHUNT_GUARD_SOURCES_MAX);
	__type(key, struct in6_addr);
	__type(value, struct shunt_guard_source);
} sources SEC(".maps");

/* Not in `sources`, where a flood of forged addresses drives out all others. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHUNT_GUARD_SOURCES_MAX);
	__type(key, struct in6_addr);
	__type(value, __u64);
} proven SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHUNT_GUARD_CONNECTIONS_MAX);
	__type(key, struct shunt_guard_connection);
	__type(value, struct shunt_guard_syn);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shunt_guard_counters);
} counters SEC(".maps");

#include "guard_packet.bpf.c"

/* ---- counting ----------------------------------------------------------------------------------------------------- */

static __always_inline int drop(struct shunt_guard_counters *c, enum shunt_guard_reason reason, __u32 bytes)
{
	c->dropped[reason]++;
	c->dropped_bytes[reason] += bytes;
	return XDP_DROP;
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static __always_inline struct shunt_guard_listener *find_listener(const struct packet *p)
{
	struct shunt_guard_address key = {.port = p->tuple.destination_port, .protocol = p->protocol};
	struct shunt_guard_listener *found;

	if (!p->ipv6)
		map_ipv4(key.address, 0);
	found = bpf_map_lookup_elem(&listeners, &key);
	if (found)
		return found;
	__builtin_memcpy(key.address, p->tuple.destination, sizeof(key.address));
	return bpf_map_lookup_elem(&listeners, &key);
}

static __always_inline bool is_listed(void *list, __u32 entries, const struct packet *p, __u64 now)
{
	struct shunt_guard_prefix key = {.bits = 128};
	struct shunt_guard_rule *rule;

	if (!entries)
		return false;
	__builtin_memcpy(key.address, p->tuple.source, sizeof(key.address));
	rule = bpf_map_lookup_elem(list, &key);
	if (!rule || (rule->until_ns && rule->until_ns <= now))
		return false;
	__sync_fetch_and_add(&rule->packets, 1);
	return true;
}

/* ---- budgets ------------------------------------------------------------------------------------------------------ */

/* Spend one of a budget, which is full when `ns` is past. False: there is nothing left. */
static __always_inline bool spend(__u64 *ns, const volatile struct shunt_guard_budget *budget, __u64 now)
{
	__u64 cost = budget->cost_ns, was = *ns;

	if (!cost)
		return true;
	if (was < now)
		*ns = was = now;
	if (was - now + cost > budget->depth_ns)
		return false;
	__sync_fetch_and_add(ns, cost);
	return true;
}

/* Who has the packet's budgets: an address, or a network of them. */
static __always_inline void budget_of(const struct packet *p, struct in6_addr *source)
{
	__u32 bits = control.ipv6_bits;

	__builtin_memcpy(source, p->tuple.source, sizeof(*source));
	if (!p->ipv6)
		return;
	for (__u32 i = 0; i < 4; i++) {
		__u32 left = bits > 32 * i ? bits - 32 * i : 0;

		source->in6_u.u6_addr32[i] &= left >= 32 ? ~0U : bpf_htonl(~(~0U >> left));
	}
}

/* NULL: no memory, and no limit then. */
static __always_inline struct shunt_guard_source *find_source(const struct in6_addr *address)
{
	struct shunt_guard_source fresh = {}, *source = bpf_map_lookup_elem(&sources, address);

	if (source)
		return source;
	bpf_map_update_elem(&sources, address, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sources, address);
}

/* ---- connections --------------------------------------------------------------------------------------------------- */

/* Is this connection established? Then its source has the number that was sent to it, and is not forged. */
static __always_inline bool is_established(struct xdp_md *ctx, const struct packet *p)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	bool established;

	if (p->ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, p->tuple.source, 16);
		__builtin_memcpy(tuple.ipv6.daddr, p->tuple.destination, 16);
		tuple.ipv6.sport = bpf_htons(p->tuple.source_port);
		tuple.ipv6.dport = bpf_htons(p->tuple.destination_port);
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(&tuple.ipv4.saddr, p->tuple.source + 12, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, p->tuple.destination + 12, 4);
		tuple.ipv4.sport = bpf_htons(p->tuple.source_port);
		tuple.ipv4.dport = bpf_htons(p->tuple.destination_port);
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return false;
	established = sk->state == BPF_TCP_ESTABLISHED;
	bpf_sk_release(sk);
	return established;
}

static __always_inline void prove(struct xdp_md *ctx, const struct packet *p, __u64 now)
{
	struct in6_addr source;

	__builtin_memcpy(&source, p->tuple.source, sizeof(source));
	if (!bpf_map_lookup_elem(&proven, &source) && is_established(ctx, p))
		bpf_map_update_elem(&proven, &source, &now, BPF_ANY);
}

static __always_inline bool is_proven(const struct packet *p)
{
	struct in6_addr source;

	__builtin_memcpy(&source, p->tuple.source, sizeof(source));
	return bpf_map_lookup_elem(&proven, &source) != NULL;
}

/* The same SYN once more. One that was dropped for the sake of all comes again from who means it, which forged ones do not. */
static __always_inline int retried(struct packet *p, struct shunt_guard_syn *syn, struct shunt_guard_counters *c,
				   __u64 now)
{
	if (!syn->held)
		return XDP_PASS;
	if (now - syn->ns < SHUNT_GUARD_RETRY_NS || !spend(&retries_ns, &control.syns, now))
		return drop(c, SHUNT_GUARD_SYNS, p->len);
	syn->held = 0;
	c->retried++;
	return XDP_PASS;
}

static __always_inline int new_connection(struct packet *p, struct shunt_guard_source *source,
					  struct shunt_guard_counters *c, __u64 now)
{
	struct tcp *tcp = p->transport;
	struct shunt_guard_syn fresh = {.sequence = bpf_ntohl(tcp->sequence), .ns = now};
	struct shunt_guard_syn *syn = bpf_map_lookup_elem(&connections, &p->tuple);

	if (syn && syn->sequence == fresh.sequence)
		return retried(p, syn, c, now);
	if (source && !spend(&source->connections_ns, &control.connections, now)) {
		__sync_fetch_and_add(&source->dropped, 1);
		return drop(c, SHUNT_GUARD_CONNECTIONS, p->len);
	}
	fresh.held = control.syns.cost_ns && !is_proven(p) && !spend(&syns_ns, &control.syns, now);
	bpf_map_update_elem(&connections, &p->tuple, &fresh, BPF_ANY);
	return fresh.held ? drop(c, SHUNT_GUARD_SYNS, p->len) : XDP_PASS;
}

/* ---- the first bytes ----------------------------------------------------------------------------------------------- */

enum {
	CONNECT = 0x10,
	CONNECT_MIN = 12, /* Remaining Length: of 3.1.1 with an empty client identifier [MQTT-3.1.3-1] */
	NAME_MAX = 8,	  /* protocol name with its length: "MQTT", or "MQIsdp" in 3.1 */
	LOOKED_AT = WIRE_HEADER_MAX + NAME_MAX,
};

struct first_bytes {
	__u8 b[LOOKED_AT];
	__u8 avail; /* of them are there */
};

/* How many of the first bytes of a name match the `avail` ones that are there. */
static __always_inline bool begins_like(const __u8 *b, __u32 avail, const char *name, __u32 len)
{
	for (__u32 i = 0; i < NAME_MAX; i++) {
		if (i < len && i < avail && b[i] != (__u8)name[i])
			return false;
	}
	return true;
}

/* Can this be how a CONNECT begins? However little of it is there. A global function, so that the verifier looks at it
 * once. */
__noinline int may_be_connect(const struct first_bytes *first)
{
	__u32 header = 0, avail;
	__s32 total;

	if (!first)
		return 1;
	avail = first->avail;
	if (avail >= 1 && first->b[0] != CONNECT)
		return 0;
	total = wire_header(first->b, avail, &header);
	if (total == WIRE_MORE)
		return 1;
	if (total == WIRE_BAD || total - (__s32)header < CONNECT_MIN)
		return 0;
	if (header > WIRE_HEADER_MAX) /* for the verifier */
		return 1;
	avail = avail > header ? avail - header : 0;
	return begins_like(first->b + header, avail, "\0\4MQTT", 6) ||
	       begins_like(first->b + header, avail, "\0\6MQIsdp", 8);
}

/* Of `len` bytes of data that begin at `offset` of the frame. */
static __always_inline bool starts_well(struct xdp_md *ctx, __u32 offset, __u32 len)
{
	struct first_bytes first = {};
	__u64 last = (len < LOOKED_AT ? len : LOOKED_AT) - 1ULL;

	barrier_var(last); /* the verifier is to see the bounds on what is passed on */
	if (last >= LOOKED_AT || bpf_xdp_load_bytes(ctx, offset, first.b, last + 1))
		return true;
	first.avail = last + 1;
	return may_be_connect(&first);
}

/* ---- the program --------------------------------------------------------------------------------------------------- */

static __always_inline int guard_tcp(struct xdp_md *ctx, struct packet *p, const struct shunt_guard_listener *to,
				     struct shunt_guard_source *source, struct shunt_guard_counters *c, __u64 now)
{
	struct tcp *tcp = p->transport;
	struct shunt_guard_syn *syn;
	__u32 header;

	if (p->transport + sizeof(*tcp) > p->end)
		return XDP_PASS;
	header = (tcp->len >> 4) * 4;
	if (header < sizeof(*tcp) || header > p->len)
		return XDP_PASS;
	if ((tcp->flags & TCP_SYN && tcp->flags & (TCP_FIN | TCP_RST)) ||
	    !(tcp->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)))
		return drop(c, SHUNT_GUARD_MALFORMED, p->len);
	if (tcp->flags & TCP_SYN)
		return tcp->flags & TCP_ACK ? XDP_PASS : new_connection(p, source, c, now);
	if (header == p->len || tcp->flags & TCP_RST || !to->mqtt)
		return XDP_PASS;
	syn = bpf_map_lookup_elem(&connections, &p->tuple);
	/* One byte may be that of a keepalive probe, which is none of the stream's. */
	if (!syn || bpf_ntohl(tcp->sequence) != syn->sequence + 1 || header + 1 == p->len)
		return XDP_PASS;
	if (starts_well(ctx, p->transport + header - (void *)(long)ctx->data, p->len - header)) {
		prove(ctx, p, now);
		return XDP_PASS;
	}
	drop(c, SHUNT_GUARD_NOT_MQTT, p->len);
	make_reset(p);
	/* What is sent again is for the kernel to answer, which has no connection for it any more. */
	bpf_map_delete_elem(&connections, &p->tuple);
	return XDP_PASS;
}

static __always_inline int guard_udp(struct packet *p, struct shunt_guard_counters *c)
{
	if (control.udp_size && p->len - sizeof(struct udp) > control.udp_size)
		return drop(c, SHUNT_GUARD_OVERSIZED, p->len);
	return XDP_PASS;
}

SEC("xdp.frags")
int shunt_guard(struct xdp_md *ctx)
{
	struct shunt_guard_source *source = NULL;
	struct shunt_guard_listener *to;
	struct shunt_guard_counters *c;
	struct packet p = {};
	struct in6_addr budget;
	__u32 zero = 0;
	__u64 now;

	if (!read_packet(ctx, &p))
		return XDP_PASS;
	to = find_listener(&p);
	c = bpf_map_lookup_elem(&counters, &zero);
	if (!to || !c)
		return XDP_PASS;
	now = bpf_ktime_get_ns();
	c->packets++;
	c->bytes += p.len;
	if (is_listed(&allowed, control.allowed, &p, now)) {
		c->allowed++;
		return XDP_PASS;
	}
	if (is_listed(&blocked, control.blocked, &p, now))
		return drop(c, SHUNT_GUARD_BLOCKED, p.len);
	if (is_listed(&banned, control.banned, &p, now))
		return drop(c, SHUNT_GUARD_BANNED, p.len);
	if (p.first_fragment)
		return XDP_PASS;
	if (!to->shared && (control.packets.cost_ns || control.connections.cost_ns)) {
		budget_of(&p, &budget);
		source = find_source(&budget);
	}
	if (source && !spend(&source->packets_ns, &control.packets, now)) {
		__sync_fetch_and_add(&source->dropped, 1);
		return drop(c, SHUNT_GUARD_PACKETS, p.len);
	}
	if (p.protocol == IPPROTO_UDP)
		return guard_udp(&p, c);
	return guard_tcp(ctx, &p, to, source, c, now);
}
