// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The fast path: QoS 0 publishes from socket to socket inside the kernel.
 *
 * Local road: sockops puts the sockets of clients on this host into `local_socks`; what they send runs local_publish,
 * which redirects a publish with a flow straight into the receiver's receive queue. What the daemon sends to them runs
 * local_deliver, which takes the same way, so that the receiver's stream has one writer (invariant 3).
 *
 * Remote road: the daemon puts its own sockets of remote clients into `remote_socks`; what they receive runs
 * remote_verdict, which redirects to the socket of the receiver. What the daemon has for a receiver comes through an
 * AF_UNIX socket and runs inject_verdict into the same queue.
 *
 * Nothing here decides what MQTT means: whatever is not a plain QoS 0 PUBLISH with a flow passes to the daemon, and so
 * does everything while the daemon has not finished what it was given before (the fence, invariant 2).
 *
 * Constraints: loads on 6.1 (no kfunc, no -mcpu=v3); sk_msg programs are preemptible, so scratch space is the stack and
 * never a per-CPU map; SK_DROP from sk_msg would poison the sender's socket and is never returned.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* How long a closing receiver waits for redirects to it. They take a microsecond, but a virtual machine may be put off its
 * CPU in the middle of one: some hundred milliseconds were seen. */
enum { CLOSE_MAX_NS = 500000000 };

/* More cgroups one in the other than anybody has; a socket that is deeper counts as excluded. */
enum { CGROUP_DEPTH_MAX = 256 };

#define AF_INET 2
#define AF_INET6 10

struct shunt_control control;
struct shunt_sink sinks[SHUNT_SINKS_MAX];

/* By group of shared subscriptions: the place of the member that got the last message. The daemon's too, so that turns go on
 * whoever takes the next message; not atomically, as a turn that two publishers take at once does not matter. */
__u32 share_turns[SHUNT_SHARES_MAX];

/* All of the remote road together. Any CPU, and not atomically: a lost count changes nothing. */
struct shunt_load remote_load;

/* Protections that a test takes out to show that it would notice; enum shunt_without. Read-only after loading, so the
 * verifier removes the branches. */
const volatile __u32 without;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SHUNT_FLOWS_MAX);
	__type(key, struct shunt_flow_key);
	__type(value, struct shunt_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct shunt_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_MEMBERS_MAX);
	__type(key, __u32);
	__type(value, struct shunt_member);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SHUNT_ROADS);
	__type(key, __u32);
	__type(value, struct shunt_counters);
} counters SEC(".maps");

/* Client sockets of this host, by pair of initial sequence numbers; program local_publish. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, SHUNT_CLIENTS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} local_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SHUNT_CLIENTS_MAX);
	__type(key, __u64);
	__type(value, struct shunt_local_client);
} local_clients SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHUNT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct shunt_local_target);
} local_targets SEC(".maps");

/* By CPU: the last redirect that was decided there. As many entries as there may be CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shunt_aim);
} local_aims SEC(".maps");

/* The daemon's sockets of local clients, by slot; program local_deliver. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, SHUNT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} broker_socks SEC(".maps");

/* Sockets of the daemon that take the copies for receivers which cannot be reached now, one a worker. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, SHUNT_SINKS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} sink_socks SEC(".maps");

/* Addresses of this host that clients have connected to, learned from accepted connections. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct in6_addr);
	__type(value, __u8);
} own_addresses SEC(".maps");

/* Who stays off the local road; the daemon sizes and fills them before it lets clients in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8);
} excluded_users SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct shunt_cgroup);
	__type(value, __u8);
} excluded_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct shunt_sock);
} sock_state SEC(".maps");

/* The daemon's sockets of remote clients, by slot; program remote_verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, SHUNT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} remote_socks SEC(".maps");

/* Socket cookie -> slot, of the sockets in remote_socks. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SHUNT_SLOTS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} remote_slots SEC(".maps");

/* The kernel's ends of the injectors, one a worker; program inject_verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} injectors SEC(".maps");

static __always_inline int pass(__u32 road, __u32 reason)
{
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);
	__u64 index = reason;

	barrier_var(index); /* the verifier is to see the bounds on what is used */
	if (c && index < SHUNT_PASS_REASONS)
		__sync_fetch_and_add(&c->passed[index], 1);
	return SK_PASS;
}

/* What a publisher sent is the kernel's now. */
static __always_inline void count_taken(__u32 road, struct shunt_slot *from, struct shunt_flow *flow, __u32 messages,
					__u32 bytes, __u64 payload)
{
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);
	__u64 now = bpf_ktime_get_ns();

	if (c) {
		__sync_fetch_and_add(&c->taken, messages);
		__sync_fetch_and_add(&c->taken_bytes, bytes);
		__sync_fetch_and_add(&c->taken_payload, payload);
	}
	from->last_seen_ns = now;
	from->sent_messages += messages;
	from->sent_bytes += bytes;
	__sync_fetch_and_add(&flow->messages, messages);
	__sync_fetch_and_add(&flow->bytes, bytes);
	flow->last_ns = now;
}

static __always_inline void count_forwarded(__u32 road, struct shunt_slot *to, __u32 messages, __u32 bytes,
					    __u64 payload)
{
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);

	if (c) {
		__sync_fetch_and_add(&c->forwarded, messages);
		__sync_fetch_and_add(&c->forwarded_bytes, bytes);
		__sync_fetch_and_add(&c->forwarded_payload, payload);
	}
	__sync_fetch_and_add(&to->received_messages, messages);
	__sync_fetch_and_add(&to->received_bytes, bytes);
}

static __always_inline struct shunt_slot *slot_at(__u32 index)
{
	return index ? bpf_map_lookup_elem(&slots, &index) : NULL;
}

/* ---- local road: which sockets ---------------------------------------------------------------------------------- */

static __always_inline bool is_our_port(__u32 port)
{
	for (__u32 i = 0; i < SHUNT_PORTS_MAX; i++) {
		if (i >= control.nports)
			return false;
		if (control.ports[i] == port)
			return true;
	}
	return false;
}

static __always_inline bool is_loopback(const struct in6_addr *a)
{
	const __u32 *w = a->in6_u.u6_addr32;

	if (w[0] || w[1])
		return false;
	if (w[2] == bpf_htonl(0xffff))
		return (bpf_ntohl(w[3]) >> 24) == 127;
	return !w[2] && w[3] == bpf_htonl(1);
}

static __always_inline void mapped_address(struct in6_addr *a, __u32 ip4)
{
	a->in6_u.u6_addr32[0] = 0;
	a->in6_u.u6_addr32[1] = 0;
	a->in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	a->in6_u.u6_addr32[3] = ip4;
}

/* Does this socket, which has just connected to a port that is ours, speak to our listener? The pair of sequence numbers
 * will tell for sure; this keeps sockets that speak to somebody else's port 1883 out of the map, which changes what
 * their owners see (MSG_WAITALL and the like). */
static __always_inline bool may_be_ours(struct bpf_sock_ops *ctx)
{
	struct in6_addr to = {};

	if (ctx->family == AF_INET) {
		mapped_address(&to, ctx->remote_ip4);
	} else if (ctx->family == AF_INET6) {
		to.in6_u.u6_addr32[0] = ctx->remote_ip6[0];
		to.in6_u.u6_addr32[1] = ctx->remote_ip6[1];
		to.in6_u.u6_addr32[2] = ctx->remote_ip6[2];
		to.in6_u.u6_addr32[3] = ctx->remote_ip6[3];
	} else {
		return false;
	}
	if (is_loopback(&to))
		return bpf_get_netns_cookie(ctx) == control.netns_cookie;
	return bpf_map_lookup_elem(&own_addresses, &to) != NULL;
}

static __always_inline void learn_address(struct bpf_sock_ops *ctx)
{
	struct in6_addr own = {};
	__u8 one = 1;

	if (ctx->family == AF_INET) {
		mapped_address(&own, ctx->local_ip4);
	} else if (ctx->family == AF_INET6) {
		own.in6_u.u6_addr32[0] = ctx->local_ip6[0];
		own.in6_u.u6_addr32[1] = ctx->local_ip6[1];
		own.in6_u.u6_addr32[2] = ctx->local_ip6[2];
		own.in6_u.u6_addr32[3] = ctx->local_ip6[3];
	} else {
		return;
	}
	if (!is_loopback(&own) && !bpf_map_lookup_elem(&own_addresses, &own))
		bpf_map_update_elem(&own_addresses, &own, &one, BPF_ANY);
}

static __always_inline struct shunt_sock *new_sock_state(struct bpf_sock_ops *ctx, __u64 isn_pair, __u32 base_seq,
							 __u32 is_client)
{
	struct bpf_sock *sk = ctx->sk;
	struct shunt_sock *state;

	if (!sk)
		return NULL;
	state = bpf_sk_storage_get(&sock_state, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state)
		return NULL;
	state->isn_pair = isn_pair;
	state->base_seq = base_seq;
	state->slot = 0;
	state->is_client = is_client;
	return state;
}

struct ancestry {
	struct cgroup *at;
	bool excluded;
};

static long look_at_cgroup(__u32 i, void *arg)
{
	struct ancestry *a = arg;
	struct cgroup *at = a->at, *parent;
	struct cgroup_subsys_state *css = BPF_CORE_READ(at, self.parent);
	struct shunt_cgroup key = {};

	if (!css) { /* the root: nothing above is excluded */
		a->excluded = false;
		return 1;
	}
	parent = (void *)css - bpf_core_field_offset(struct cgroup, self);
	key.parent = BPF_CORE_READ(parent, kn, id);
	if (bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(at, kn, name)) < 0 ||
	    bpf_map_lookup_elem(&excluded_cgroups, &key))
		return 1;
	a->at = parent;
	return 0;
}

/* By what the socket itself says: an established connection is told from whatever task the segment interrupted. */
static __always_inline bool is_excluded(struct sock *sk)
{
	__u32 uid = BPF_CORE_READ(sk, sk_uid.val);
	struct ancestry a = {.excluded = true};

	if (!control.excluding)
		return false;
	if (bpf_map_lookup_elem(&excluded_users, &uid))
		return true;
	if (!bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return true;
	a.at = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	bpf_loop(CGROUP_DEPTH_MAX, look_at_cgroup, &a, 0);
	return a.excluded;
}

static __always_inline void client_connected(struct bpf_sock_ops *ctx)
{
	__u64 isn_pair = (__u64)ctx->snd_nxt << 32 | ctx->rcv_nxt;
	struct shunt_local_client client = {.base_seq = ctx->snd_nxt};
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tp;

	if (!sk)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || is_excluded((struct sock *)tp))
		return;
	client.sock = (__u64)tp;
	client.cookie = bpf_get_socket_cookie(ctx);
	if (!new_sock_state(ctx, isn_pair, client.base_seq, 1))
		return;
	if (bpf_map_update_elem(&local_clients, &isn_pair, &client, BPF_NOEXIST))
		return;
	if (bpf_sock_hash_update(ctx, &local_socks, &isn_pair, BPF_NOEXIST)) {
		bpf_map_delete_elem(&local_clients, &isn_pair);
		return;
	}
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* No redirect to this client is to be decided from now on. Returns its target entry if it may have been a receiver. */
static __always_inline struct shunt_local_target *client_dead(__u64 isn_pair)
{
	struct shunt_local_client *client = bpf_map_lookup_elem(&local_clients, &isn_pair);
	struct shunt_local_target *target;
	__u32 slot;

	if (!client)
		return NULL;
	__sync_lock_test_and_set(&client->closing, 1);
	slot = client->slot;
	if (!slot)
		return NULL;
	target = bpf_map_lookup_elem(&local_targets, &slot);
	if (!target || target->cookie != client->cookie)
		return NULL;
	__sync_lock_test_and_set(&target->isn_pair, 0);
	return target;
}

/* Attached to the cgroup of the clients (option fastpath_cgroup). */
SEC("sockops")
int local_sockops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct shunt_sock *state;

	switch (ctx->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		if (control.local && is_our_port(bpf_ntohl(ctx->remote_port)) && may_be_ours(ctx))
			client_connected(ctx);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		/* set on clients' sockets only; any way out of ESTABLISHED ends its life as a receiver */
		if (ctx->args[0] != TCP_ESTABLISHED || !sk)
			break;
		state = bpf_sk_storage_get(&sock_state, sk, NULL, 0);
		if (state)
			client_dead(state->isn_pair);
		break;
	}
	return 1;
}

/* Attached to the root: the daemon's own cgroup may be any. */
SEC("sockops")
int local_accept(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && control.local && is_our_port(ctx->local_port)) {
		learn_address(ctx);
		new_sock_state(ctx, (__u64)ctx->rcv_nxt << 32 | ctx->snd_nxt, ctx->rcv_nxt, 0);
	}
	return 1;
}

/* ---- local road: looking at a receiver -------------------------------------------------------------------------- */

static __always_inline __u32 unread_bytes(__u64 sock)
{
	return (__u32)BPF_CORE_READ((struct sock *)sock, sk_backlog.rmem_alloc.counter);
}

static __always_inline bool same_sock(__u64 sock, __u64 cookie)
{
	return (__u64)BPF_CORE_READ((struct sock *)sock, __sk_common.skc_cookie.counter) == cookie;
}

/* References to the socket beyond its own, its place in the map and its running timers. A redirect on its way holds one, so
 * 0 proves that there is none; more may mean other things, and the caller looks again. */
static __always_inline __u32 references_in_use(__u64 sock)
{
	struct inet_connection_sock *icsk = (void *)sock;
	__s32 known = 2;

	/* Timers first: one that starts meanwhile makes the rest look like more, not like less. */
	if (bpf_core_field_exists(icsk->icsk_retransmit_timer) &&
	    BPF_CORE_READ(icsk, icsk_retransmit_timer.entry.pprev))
		known++;
	if (bpf_core_field_exists(icsk->icsk_delack_timer) && BPF_CORE_READ(icsk, icsk_delack_timer.entry.pprev))
		known++;
	if (bpf_core_field_exists(((struct sock *)0)->sk_timer) &&
	    BPF_CORE_READ((struct sock *)sock, sk_timer.entry.pprev))
		known++;
	barrier();
	/* fewer than we know of: not the kernel we know, and then never 0 */
	return BPF_CORE_READ((struct sock *)sock, __sk_common.skc_refcnt.refs.counter) - known;
}

/* Atomic addition with the ordering of a full barrier, which clang gives only where the old value is used. */
static __always_inline void add_ordered(__u64 *counter, __s64 by)
{
	__u64 before = __sync_fetch_and_add(counter, by);

	barrier_var(before);
}

/* May the CPU's last decision be one to redirect to this client, whose redirect does not hold its reference yet? The
 * publisher's socket is locked from before the decision until after the reference is taken. */
static __always_inline bool still_aims(__u32 cpu, __u64 isn_pair)
{
	struct shunt_aim *aim = bpf_map_lookup_elem(&local_aims, &cpu);
	__u64 sock;

	if (!aim || *(volatile __u64 *)&aim->isn_pair != isn_pair)
		return false;
	sock = aim->sock;
	return BPF_CORE_READ((struct sock *)sock, sk_lock.owned) && same_sock(sock, aim->cookie);
}

struct closing {
	struct shunt_local_target *target;
	__u64 isn_pair, not_after;
	__u32 cpu; /* none below has a decision that matters */
};

static long wait_for_redirects(__u32 i, void *arg)
{
	struct closing *c = arg;

	if (bpf_ktime_get_ns() > c->not_after)
		return 1;
	if (*(volatile __u64 *)&c->target->deciding)
		return 0;
	if (c->cpu < control.ncpus) {
		c->cpu += !still_aims(c->cpu, c->isn_pair);
		return 0;
	}
	return !references_in_use(c->target->sock);
}

/*
 * A redirect that finds its receiver closed gives EPIPE and SIGPIPE to the publisher, who did nothing wrong; and one that is
 * on its way while the receiver closes can leave the kernel with a warning and the receiver's TCP undestroyed
 * (tests/bpf/kernel-notes.md). So a closing receiver waits: for the programs that are deciding, then for the few
 * instructions between the end of a program and the reference that the kernel takes for it, then for these references. All
 * that takes microseconds; the upper bound is there should a reference be something else.
 */
SEC("cgroup/sock_release")
int local_release(struct bpf_sock *ctx)
{
	struct shunt_sock *state = bpf_sk_storage_get(&sock_state, ctx, NULL, 0);
	struct closing c = {};
	__u64 isn_pair;

	if (!state || !state->is_client)
		return 1;
	isn_pair = state->isn_pair;
	c.target = client_dead(isn_pair);
	bpf_map_delete_elem(&local_clients, &isn_pair);
	if (c.target && !(without & SHUNT_WITHOUT_CLOSE_WAIT)) {
		c.isn_pair = isn_pair;
		c.not_after = bpf_ktime_get_ns() + CLOSE_MAX_NS;
		bpf_loop(1 << 23, wait_for_redirects, &c, 0);
	}
	return 1;
}

/* Run by the daemon through BPF_PROG_TEST_RUN. */
SEC("syscall")
int local_look(struct shunt_look *look)
{
	__u64 isn_pair = look->isn_pair;
	__u32 slot = look->slot;
	struct shunt_local_client *client = bpf_map_lookup_elem(&local_clients, &isn_pair);
	struct shunt_local_target *target;

	look->result = -2; /* -ENOENT */
	if (!client)
		return 0;
	if (look->command == SHUNT_LOOK_STATE) {
		if (!same_sock(client->sock, client->cookie))
			return 0;
		look->queued = unread_bytes(client->sock);
		look->in_use = references_in_use(client->sock);
		look->result = 0;
		return 0;
	}
	target = bpf_map_lookup_elem(&local_targets, &slot);
	if (!target || !slot)
		return 0;
	target->sock = client->sock;
	target->cookie = client->cookie;
	__sync_lock_test_and_set(&target->isn_pair, isn_pair);
	client->slot = slot;
	/* it may have begun to close meanwhile, and then did not see its slot */
	if (__sync_fetch_and_add(&client->closing, 0)) {
		__sync_lock_test_and_set(&target->isn_pair, 0);
		return 0;
	}
	look->result = 0;
	return 0;
}

/* ---- local road: what clients send ------------------------------------------------------------------------------ */

/* The publisher's slot; NULL while the daemon has not given it one, or no longer. */
static __always_inline struct shunt_slot *own_slot(struct shunt_sock *own)
{
	struct shunt_slot *mine;
	__u32 index = own->slot;

	if (!index) {
		__u64 isn_pair = own->isn_pair;
		struct shunt_local_client *client = bpf_map_lookup_elem(&local_clients, &isn_pair);

		if (!client)
			return NULL;
		index = client->slot;
		own->slot = index;
	}
	mine = slot_at(index);
	return mine && mine->isn_pair == own->isn_pair ? mine : NULL;
}

/* What was read of a PUBLISH. */
struct publish {
	struct shunt_flow_key key;
	__u32 payload_len;
};

/* The packet at address `at`, of whose bytes `avail` are there: its length if it is a PUBLISH that may be forwarded and all of
 * it is there, with the topic in the key (whose form must be set, and whose topic must be zero before); else 0. In 5.0 one
 * with properties may not: a Topic Alias is the sender's own, and others are to be checked. So the length of properties is
 * read as if it were the topic's last byte: zero, it changes nothing in the key, and otherwise no flow has that key. A
 * global function, so that the verifier looks at it once and not once for each way that leads to it. */
__noinline int read_publish(__u64 at, __u32 avail, struct publish *p)
{
	__u64 header = avail < WIRE_HEADER_MAX ? avail : WIRE_HEADER_MAX, last;
	__u8 h[WIRE_HEADER_MAX] = {}, t[2] = {};
	__u32 header_len = 0, remaining;
	__s32 total;

	barrier_var(header); /* the verifier is to see the bounds on what is passed on */
	if (!p || header < 2 || header > WIRE_HEADER_MAX || bpf_probe_read_kernel(h, header, (void *)at))
		return 0;
	total = wire_header(h, avail, &header_len);
	if (h[0] != WIRE_FAST_PUBLISH || total <= 0 || (__u32)total > avail || (__u32)total > control.max_packet)
		return 0;
	if (!wire_shortest(total, header_len))
		return 0;
	remaining = total - header_len;
	at += header_len;
	if (remaining < 2 || bpf_probe_read_kernel(t, 2, (void *)at))
		return 0;
	p->key.topic_len = wire_topic_len(t, remaining);
	last = p->key.topic_len - 1ULL + !!p->key.form;
	barrier_var(last);
	if (last >= SHUNT_TOPIC_MAX || last + 3 > remaining)
		return 0;
	/* 6.1 learns the bounds of a sum, but not from `!= 0` that a number is at least 1 */
	p->payload_len = remaining - 3 - last;
	return bpf_probe_read_kernel(p->key.topic, last + 1, (void *)(at + 2)) ? 0 : total;
}

static __always_inline bool same_topic(const struct publish *x, const struct publish *y)
{
	const __u64 *a = (const __u64 *)x->key.topic, *b = (const __u64 *)y->key.topic;
	__u64 differ = x->key.topic_len ^ y->key.topic_len;

	for (int w = 0; w < SHUNT_TOPIC_MAX / 8; w++) /* one branch, not one a word: the verifier follows each */
		differ |= a[w] ^ b[w];
	return !differ;
}

/* Packets that lie one behind the other. */
struct run {
	struct __sk_buff *skb; /* remote road */
	__u64 at;	       /* local road: address of the first */
	struct publish *first;
	__u32 off, len;
	__u64 payload; /* bytes of payload in all */
};

static long next_in_msg(__u32 i, void *arg)
{
	struct run *run = arg;
	struct publish next = {};
	__s32 total;

	next.key.form = run->first->key.form;
	total = read_publish(run->at + run->off, run->len - run->off, &next);
	if (total <= 0 || !same_topic(&next, run->first))
		return 1;
	run->off += total;
	run->payload += next.payload_len;
	return run->off == run->len;
}

/*
 * The number of packets in the message if it holds whole forwardable publishes to one topic and nothing else; else 0.
 *
 * All or nothing, because after a redirect the rest of the same message cannot pass any more: the kernel does not clear
 * msg->sk_redir between two runs of the program on one message, and takes SK_PASS for another redirect then.
 * And only what lies in one piece, because that is redirected as a whole or not at all when memory runs out midway.
 */
static __always_inline __u32 fast_msg(struct sk_msg_md *msg, struct publish *first, __u64 *payload)
{
	__u32 len = msg->size, there = (long)msg->data_end - (long)msg->data;
	struct run run = {.first = first, .len = len};
	__s32 total;
	long more;

	if (there < len && (there < 2 || len > SHUNT_PULL_MAX || bpf_msg_pull_data(msg, 0, len, 0)))
		return 0;
	/* as a number: the verifier's bounds on msg->data would have to be proven again for each packet */
	run.at = (__u64)BPF_CORE_READ((struct sk_msg *)(void *)msg, data);
	if (!run.at)
		return 0;
	total = read_publish(run.at, len, first);
	if (total <= 0)
		return 0;
	run.off = total;
	run.payload = *payload = first->payload_len;
	if (run.off == run.len)
		return 1;
	more = bpf_loop(SHUNT_RUN_MAX - 1, next_in_msg, &run, 0);
	*payload = run.payload;
	return run.off == run.len ? 1 + more : 0;
}

static __always_inline bool is_disconnect(struct sk_msg_md *msg)
{
	__u8 *data = (void *)(long)msg->data, *end = (void *)(long)msg->data_end;

	return data + 1 <= end && *data == WIRE_DISCONNECT;
}

/* Redirect to the receiver, if that can take it now: SHUNT_PASS_REASONS, else why not. */
static __always_inline __u32 redirect_if_ready(struct sk_msg_md *msg, __u64 generation, __u64 isn_pair,
					       struct shunt_slot *to, struct shunt_local_target *target)
{
	__u32 queued;

	if (!(without & SHUNT_WITHOUT_GENERATION) &&
	    (to->generation != generation || target->isn_pair != isn_pair || !same_sock(target->sock, target->cookie)))
		return SHUNT_PASS_DEAD;
	if ((to->held || to->diverted != to->returned) && !(without & SHUNT_WITHOUT_HOLD))
		return SHUNT_PASS_HELD;
	queued = unread_bytes(target->sock);
	to->queued = queued;
	if (queued >= control.local_cap && !(without & SHUNT_WITHOUT_CAP))
		return SHUNT_PASS_FULL;
	if (bpf_msg_redirect_hash(msg, &local_socks, &isn_pair, BPF_F_INGRESS) != SK_PASS)
		return SHUNT_PASS_DEAD;
	return SHUNT_PASS_REASONS;
}

/* The same, so that a receiver that closes meanwhile waits for it, see local_release. The verdict is to be left as it is
 * after this. A global function, so that the verifier looks at it once. */
__noinline int redirect_local(struct sk_msg_md *msg, __u64 generation, __u64 isn_pair, __u32 slot)
{
	__u64 sock = (__u64)BPF_CORE_READ((struct sk_msg *)(void *)msg, sk);
	struct shunt_local_target *target = bpf_map_lookup_elem(&local_targets, &slot);
	__u32 cpu = bpf_get_smp_processor_id(), reason;
	struct shunt_aim *aim = bpf_map_lookup_elem(&local_aims, &cpu);
	struct shunt_slot *to = slot_at(slot);

	if (!aim || !to || !target)
		return SHUNT_PASS_DEAD;
	aim->sock = sock;
	aim->cookie = BPF_CORE_READ((struct sock *)sock, __sk_common.skc_cookie.counter);
	__sync_lock_test_and_set(&aim->isn_pair, isn_pair);
	add_ordered(&target->deciding, 1);
	reason = redirect_if_ready(msg, generation, isn_pair, to, target);
	if (reason != SHUNT_PASS_REASONS)
		aim->isn_pair = 0;
	add_ordered(&target->deciding, -1);
	return reason;
}

/* ---- local road: several receivers ------------------------------------------------------------------------------ */

/*
 * A message for several receivers is made longer: a copy for each, one behind the other. The verdict is for one copy only
 * (bpf_msg_apply_bytes), so the kernel runs the program again for the rest. In front of each copy stands who is to get it,
 * which is cut off before the redirect. A copy that cannot go to its receiver now goes with that to the sink of the
 * publisher's worker, and the daemon delivers it.
 *
 * Behind the copies stays the message itself as long as there are receivers for whom there was no room, as a copy for nobody;
 * for the last ones it serves as the last copy. Receivers of another form come last, and the message is changed into their
 * form before.
 *
 * That it is the rest of a message that was redirected, and no new one, can be told from msg->sk_redir, which the kernel
 * clears for a new message only (kernel-notes.md, 1).
 */
struct copying {
	struct sk_msg_md *msg;
	struct shunt_copying *state;
};

enum { COPY_OFFSET_MAX = 0xff00 }; /* the verifier follows 16 bits */

#define COPY_WORD(n) ((__u64 *)to)[n] = ((__u64 *)from)[n]

static long copy_unit(__u32 i, void *arg)
{
	struct shunt_copying *c = ((struct copying *)arg)->state;
	struct sk_msg_md *msg = ((struct copying *)arg)->msg;
	__u64 at = c->at, src, dst, unit = c->unit;
	void *data, *end, *from, *to;

	if (at + unit > c->copy.len)
		at = c->copy.len - unit; /* the last one overlaps the one before */
	src = c->from + at;
	dst = c->to + at;
	barrier_var(src);
	barrier_var(dst);
	if (src > COPY_OFFSET_MAX || dst > COPY_OFFSET_MAX)
		return 1;
	data = (void *)(long)msg->data;
	end = (void *)(long)msg->data_end;
	from = data + src;
	to = data + dst;
	if (unit == 64) {
		if (from + 64 > end || to + 64 > end)
			return 1;
		COPY_WORD(0), COPY_WORD(1), COPY_WORD(2), COPY_WORD(3);
		COPY_WORD(4), COPY_WORD(5), COPY_WORD(6), COPY_WORD(7);
	} else if (unit == 8) {
		if (from + 8 > end || to + 8 > end)
			return 1;
		COPY_WORD(0);
	} else {
		if (from + 1 > end || to + 1 > end)
			return 1;
		*(__u8 *)to = *(__u8 *)from;
	}
	c->at += unit;
	if (c->at >= c->copy.len) {
		c->at = 0;
		c->to += sizeof(c->copy) + c->copy.len;
	}
	return 0;
}

static __always_inline bool put_record(struct sk_msg_md *msg, struct shunt_copying *c, const struct shunt_copy *copy)
{
	__u64 at = c->records;
	struct shunt_copy *to;

	barrier_var(at);
	if (at > COPY_OFFSET_MAX)
		return false;
	to = (void *)(long)msg->data + at;
	if ((void *)(to + 1) > (void *)(long)msg->data_end)
		return false;
	*to = *copy;
	c->records += sizeof(*copy) + c->copy.len;
	return true;
}

static long record_member(__u32 i, void *arg)
{
	struct shunt_copying *c = ((struct copying *)arg)->state;
	__u32 next = c->next;
	struct shunt_member *m = next ? bpf_map_lookup_elem(&members, &next) : NULL;
	bool there = m && m->flow == c->flow; /* else the list ended early: a copy for nobody */

	c->copy.generation = there ? m->generation : 0;
	c->copy.isn_pair = there ? m->isn_pair : 0;
	c->copy.slot = there ? m->slot : 0;
	c->next = there ? m->next : 0;
	return !put_record(((struct copying *)arg)->msg, c, &c->copy);
}

/* ---- from one form to the other: 5.0 has a byte more behind the topic, the length of properties */

struct moving {
	struct sk_msg_md *msg;
	__u32 from, to, len; /* by one byte, to the front or to the back */
};

static long move_byte(__u32 i, void *arg)
{
	struct moving *m = arg;
	__u32 at = m->to < m->from ? i : m->len - 1 - i;
	__u64 src = m->from + at, dst = m->to + at;
	void *data, *end;

	barrier_var(src);
	barrier_var(dst);
	if (src > COPY_OFFSET_MAX || dst > COPY_OFFSET_MAX)
		return 1;
	data = (void *)(long)m->msg->data;
	end = (void *)(long)m->msg->data_end;
	if (data + src + 1 > end || data + dst + 1 > end)
		return 1;
	*(__u8 *)(data + dst) = *(__u8 *)(data + src);
	return 0;
}

static __always_inline bool put_byte(struct sk_msg_md *msg, __u64 at, __u8 byte)
{
	void *data = (void *)(long)msg->data;

	barrier_var(at);
	if (at > COPY_OFFSET_MAX || data + at + 1 > (void *)(long)msg->data_end)
		return false;
	*(__u8 *)(data + at) = byte;
	return true;
}

/* Change the message, which is one packet and ends at `end`, into the other form, where it will have `len` bytes and a fixed
 * header of `header_len`. */
static __always_inline void convert(struct sk_msg_md *msg, struct shunt_copying *c, __u32 end, __u32 len,
				    __u32 header_len)
{
	__u32 start = end - len, rest = len - header_len;
	struct moving m = {
		.msg = msg,
		.from = end - c->copy.len + c->header_len,
		.to = start + header_len,
		.len = 2 + c->topic_len,
	};

	bpf_loop(m.len, move_byte, &m, 0);
	put_byte(msg, start, WIRE_FAST_PUBLISH);
	for (__u32 i = 1; i < 4; i++, rest >>= 7)
		if (i < header_len)
			put_byte(msg, start + i, (rest & 127) | (i + 1 < header_len ? 128 : 0));
	if (!c->form)
		put_byte(msg, m.to + m.len, 0);
	c->form = !c->form;
	c->copy.len = len;
	c->header_len = header_len;
}

/* Make the message longer or shorter at its beginning, and have it in one piece. False: it is as it was. */
static __always_inline bool resize(struct sk_msg_md *msg, __u32 size)
{
	__u32 more = size - msg->size;

	if (size <= msg->size) /* it is in one piece already */
		return size == msg->size || !bpf_msg_pop_data(msg, 0, msg->size - size, 0);
	if (bpf_msg_push_data(msg, 0, more, 0))
		return false;
	if (!bpf_msg_pull_data(msg, 0, size, 0))
		return true;
	bpf_msg_pop_data(msg, 0, more, 0);
	return false;
}

/* Put copies for as many of the next receivers as there is room for in front of the message. 0 when it worked; else the
 * message is as it was. */
static __always_inline int make_copies(struct sk_msg_md *msg, struct shunt_copying *c)
{
	__u32 next = c->next, len = c->copy.len, header_len = c->header_len, size, n, rest, total;
	struct shunt_member *m = bpf_map_lookup_elem(&members, &next);
	struct copying arg = {.msg = msg, .state = c};
	bool other;

	if (!m || m->flow != c->flow)
		return -1;
	other = m->form != c->form;
	if (other) {
		len = c->copy.len - c->header_len + (c->form ? -1 : 1); /* remaining length */
		header_len = len < 128 ? 2 : len < 16384 ? 3 : 4;
		len += header_len;
	}
	size = sizeof(c->copy) + len;
	n = SHUNT_COPIES_AREA / size;
	if (n < 1)
		n = 1;
	if (n > m->same)
		n = m->same;
	if (n > c->left)
		n = c->left;
	rest = n < c->left;
	total = (n + rest) * size;
	if (!resize(msg, total))
		return -1;
	if (other)
		convert(msg, c, total, len, header_len);
	c->from = total - c->copy.len;
	c->to = sizeof(c->copy);
	c->at = 0;
	c->unit = c->copy.len >= 64 ? 64 : c->copy.len >= 8 ? 8 : 1;
	c->records = 0;
	bpf_loop((n + rest - 1) * ((c->copy.len + c->unit - 1) / c->unit), copy_unit, &arg, 0);
	bpf_loop(n, record_member, &arg, 0);
	if (rest) {
		c->copy.slot = 0;
		put_record(msg, c, &c->copy);
	}
	c->left -= n;
	return 0;
}

/* The sink of the publisher's worker, NULL if it has none. */
static __always_inline struct shunt_sink *sink_of(const struct shunt_slot *slot)
{
	__u32 index = slot->sink - 1;

	if (index >= SHUNT_SINKS_MAX)
		return NULL;
	barrier_var(index); /* the verifier is to see the bounds on what is used */
	return &sinks[index % SHUNT_SINKS_MAX];
}

static __always_inline void lose(__u32 deliveries)
{
	__u32 road = SHUNT_ROAD_LOCAL;
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);

	if (c)
		__sync_fetch_and_add(&c->lost, deliveries);
}

/* The copy cannot go to its receiver now: the daemon is to deliver it, and nothing may overtake it. */
static __always_inline void divert(struct sk_msg_md *msg, const struct shunt_copy *copy, struct shunt_slot *mine,
				   struct shunt_slot *to)
{
	__u32 size = sizeof(*copy) + copy->len, road = SHUNT_ROAD_LOCAL, number = mine ? mine->sink - 1 : 0;
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);
	struct shunt_sink *sink = mine ? sink_of(mine) : NULL;

	if (to && to->isn_pair == copy->isn_pair) {
		add_ordered(&to->diverted, 1);
		if (c)
			__sync_fetch_and_add(&c->diverted, 1);
	}
	if (sink)
		__sync_fetch_and_add(&sink->in, size);
	if (bpf_msg_redirect_hash(msg, &sink_socks, &number, BPF_F_INGRESS) == SK_PASS) {
		bpf_msg_apply_bytes(msg, size);
		return;
	}
	/* There is no daemon any more. What SK_PASS does with the copy then hurts nobody, as it is a whole packet. */
	bpf_msg_pop_data(msg, 0, sizeof(*copy), 0);
	bpf_msg_apply_bytes(msg, copy->len);
}

/* The verdict for the next copy; copies are made first when there is none. 0, or -1: nothing was copied yet, and cannot be. A
 * global function, so that the verifier looks at it once. */
__noinline int send_copy(struct sk_msg_md *msg, __u32 begun)
{
	struct bpf_sock *sk = msg->sk;
	struct shunt_copying *c;
	struct shunt_copy copy;
	struct shunt_sock *own;
	struct shunt_slot *to;
	void *data, *end;
	__u32 slot;

	if (!sk)
		return -1;
	own = bpf_sk_storage_get(&sock_state, sk, NULL, 0);
	if (!own)
		return -1;
	c = &own->copying;
	if (!begun) {
		if (make_copies(msg, c))
			return -1;
	} else if (c->left && msg->size == sizeof(copy) + c->copy.len && make_copies(msg, c)) {
		lose(c->left);
		c->left = 0;
	}
	data = (void *)(long)msg->data;
	end = (void *)(long)msg->data_end;
	if (data + sizeof(copy) > end)
		return -1;
	copy = *(struct shunt_copy *)data;
	slot = copy.slot;
	to = slot_at(slot);
	if (redirect_local(msg, copy.generation, copy.isn_pair, slot) == SHUNT_PASS_REASONS &&
	    !bpf_msg_pop_data(msg, 0, sizeof(copy), 0)) {
		bpf_msg_apply_bytes(msg, copy.len);
		if (to)
			count_forwarded(SHUNT_ROAD_LOCAL, to, copy.packets, copy.len, copy.payload);
		return 0;
	}
	divert(msg, &copy, slot_at(own->slot), to);
	return 0;
}

static __always_inline int publish_to_many(struct sk_msg_md *msg, struct shunt_sock *own, struct shunt_slot *mine,
					   struct shunt_flow *flow, struct publish *publish, __u32 packets,
					   __u64 payload)
{
	struct shunt_copying *c = &own->copying;
	struct shunt_sink *sink = sink_of(mine);
	__u32 len = msg->size;

	if (len > SHUNT_COPY_MAX || !sink || (flow->other_form && (packets > 1 || len + 2 > control.max_packet)))
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_SHAPE);
	if (sink->in - sink->out > SHUNT_SINK_CAP)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_FULL);
	c->copy.len = len;
	c->copy.packets = packets;
	c->copy.payload = payload;
	c->flow = flow->id;
	c->next = flow->members;
	c->left = flow->receivers;
	c->form = publish->key.form;
	c->topic_len = publish->key.topic_len;
	c->header_len = len - payload - publish->key.topic_len - 2 - !!publish->key.form;
	if (send_copy(msg, 0)) {
		c->left = 0;
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_FULL);
	}
	count_taken(SHUNT_ROAD_LOCAL, mine, flow, packets, len, payload);
	return SK_PASS;
}

struct turn {
	struct shunt_member *member; /* whose turn it is */
	__u64 flow;
	__u32 next; /* to look at */
	__u32 last; /* place of the one before */
};

static long find_turn(__u32 i, void *arg)
{
	struct turn *turn = arg;
	__u32 index = turn->next;
	struct shunt_member *m = bpf_map_lookup_elem(&members, &index);

	if (!m || m->flow != turn->flow)
		return 1;
	turn->next = m->next;
	if (!i || m->place > turn->last)
		turn->member = m;
	return (turn->last != ~0U && m->place > turn->last) || !turn->next;
}

/* One member of the group gets it: whose turn it is, here as in the daemon, which gets the message if that one is not
 * ready. */
static __always_inline int publish_to_share(struct sk_msg_md *msg, struct shunt_slot *mine, struct shunt_flow *flow,
					    __u32 packets, __u64 payload)
{
	struct turn turn = {.flow = flow->id, .next = flow->members};
	__u32 group = flow->shared - 1, len = msg->size, reason;
	struct shunt_slot *to;

	if (group >= SHUNT_SHARES_MAX)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_FLOW);
	barrier_var(group); /* the verifier is to see the bounds on what is used */
	group %= SHUNT_SHARES_MAX;
	turn.last = share_turns[group];
	bpf_loop(SHUNT_SHARE_MEMBERS_MAX, find_turn, &turn, 0);
	if (!turn.member)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_DEAD);
	reason = redirect_local(msg, turn.member->generation, turn.member->isn_pair, turn.member->slot);
	to = slot_at(turn.member->slot);
	if (reason != SHUNT_PASS_REASONS || !to)
		return pass(SHUNT_ROAD_LOCAL, reason);
	share_turns[group] = turn.member->place;
	count_taken(SHUNT_ROAD_LOCAL, mine, flow, packets, len, payload);
	count_forwarded(SHUNT_ROAD_LOCAL, to, packets, len, payload);
	return SK_PASS;
}

/* ---- local road: PINGREQ ---------------------------------------------------------------------------------------- */

static __always_inline bool is_ping(struct sk_msg_md *msg)
{
	__u8 *data = (void *)(long)msg->data, *end = (void *)(long)msg->data_end;

	return msg->size == 2 && data + 2 <= end && data[0] == WIRE_PINGREQ && !data[1];
}

/* Give the client its PINGRESP, if the daemon is alive. */
static __always_inline int answer_ping(struct sk_msg_md *msg, struct shunt_sock *own, struct shunt_slot *mine)
{
	__u32 road = SHUNT_ROAD_LOCAL, reason;
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);
	__u64 now = bpf_ktime_get_ns();

	if (now - control.heartbeat_ns > control.ping_ns || !mine->generation)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_SHAPE);
	reason = redirect_local(msg, mine->generation, own->isn_pair, own->slot);
	if (reason != SHUNT_PASS_REASONS)
		return pass(SHUNT_ROAD_LOCAL, reason);
	put_byte(msg, 0, WIRE_PINGRESP);
	mine->last_seen_ns = now;
	if (c)
		__sync_fetch_and_add(&c->pings, 1);
	return SK_PASS;
}

SEC("sk_msg")
int local_publish(struct sk_msg_md *msg)
{
	struct publish publish = {.key.road = SHUNT_ROAD_LOCAL};
	__u32 packets, slot, reason, len = msg->size;
	struct bpf_sock *sk = msg->sk;
	struct shunt_slot *mine, *to;
	struct shunt_sock *own;
	struct shunt_flow *flow;
	struct tcp_sock *tp;
	__u64 payload = 0;

	if (BPF_CORE_READ((struct sk_msg *)(void *)msg, sk_redir)) { /* the rest of a message that is being copied */
		send_copy(msg, 1);
		return SK_PASS;
	}
	if (!sk || !control.enabled)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_OFF);
	own = bpf_sk_storage_get(&sock_state, sk, NULL, 0);
	tp = bpf_skc_to_tcp_sock(sk);
	if (!own || !tp || sk->state != TCP_ESTABLISHED)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_OFF);
	mine = own_slot(own);
	if (!mine)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_OFF);
	if (mine->fence != (SHUNT_FENCE_OPEN | (__u32)(tp->write_seq - own->base_seq)) &&
	    !(without & SHUNT_WITHOUT_FENCE))
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_FENCE);

	/* Segments that wait for this socket's lock, the acknowledgement of what it sent before for one, are handled between
	 * the decision and the redirect, and the publisher may be put off the CPU there, for the sake of a closing receiver that
	 * waits for it. */
	if ((tp->snd_una != tp->write_seq || BPF_CORE_READ((struct sock *)tp, sk_backlog.tail)) &&
	    !(without & SHUNT_WITHOUT_CLOSE_WAIT))
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_BUSY);

	/* The fence is open, so the daemon has finished all this socket ever gave it and stands at a packet boundary:
	 * what comes now begins a packet. */
	if (is_ping(msg))
		return answer_ping(msg, own, mine);
	publish.key.ns = mine->ns;
	publish.key.form = mine->form;
	packets = fast_msg(msg, &publish, &payload);
	if (!packets) {
		if (is_disconnect(msg)) /* the close that follows then finds no redirect on its way */
			client_dead(own->isn_pair);
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_SHAPE);
	}
	flow = bpf_map_lookup_elem(&flows, &publish.key);
	if (!flow)
		return pass(SHUNT_ROAD_LOCAL, SHUNT_PASS_FLOW);
	if (flow->shared)
		return publish_to_share(msg, mine, flow, packets, payload);
	if (flow->members)
		return publish_to_many(msg, own, mine, flow, &publish, packets, payload);

	slot = flow->slot;
	reason = redirect_local(msg, flow->generation, flow->isn_pair, slot);
	to = slot_at(slot);
	if (reason != SHUNT_PASS_REASONS || !to)
		return pass(SHUNT_ROAD_LOCAL, reason);
	count_taken(SHUNT_ROAD_LOCAL, mine, flow, packets, len, payload);
	count_forwarded(SHUNT_ROAD_LOCAL, to, packets, len, payload);
	return SK_PASS;
}

/* ---- local road: what the daemon sends -------------------------------------------------------------------------- */

SEC("sk_msg")
int local_deliver(struct sk_msg_md *msg)
{
	struct shunt_local_target *target;
	struct shunt_sock *own;
	struct shunt_slot *to;
	__u64 isn_pair;
	__u32 slot;

	if (!msg->sk || (without & SHUNT_WITHOUT_ONE_WRITER))
		return SK_PASS;
	own = bpf_sk_storage_get(&sock_state, msg->sk, NULL, 0);
	if (!own)
		return SK_PASS;
	slot = own->slot;
	isn_pair = own->isn_pair;
	to = slot_at(slot);
	target = bpf_map_lookup_elem(&local_targets, &slot);
	if (to && target && target->isn_pair == isn_pair)
		to->queued = unread_bytes(target->sock) + msg->size;
	/* Refused only when the client's socket has left the map, which it does by closing: then nobody reads the bytes,
	 * and TCP will tell the daemon so. */
	bpf_msg_redirect_hash(msg, &local_socks, &isn_pair, BPF_F_INGRESS);
	return SK_PASS;
}

/* ---- remote road ------------------------------------------------------------------------------------------------ */

/* Cut `overlap` bytes off the front; 0 when it worked. One call of the helper takes less than 4096. A global function,
 * so that the verifier looks at it once. */
__noinline int trim_front(struct __sk_buff *skb, __u32 overlap)
{
	for (int i = 0; i < 20 && overlap; i++) {
		__u32 step = overlap > 4095 ? 4095 : overlap;

		if (bpf_skb_adjust_room(skb, -(__s32)step, 0, 0))
			return -1;
		overlap -= step;
	}
	return overlap ? -1 : 0;
}

/* The kernel hands an skb over whole even if part of it was read before: after a retransmission that overlaps, or when
 * the socket entered the map with a half-read skb. The sequence number tells how much is old. */
static __always_inline bool correct_overlap(struct __sk_buff *skb, struct shunt_slot *mine)
{
	__u32 seq = skb->cb[0], len = skb->len, overlap;

	if (!mine->seen) {
		struct bpf_sock *sk = skb->sk;
		struct tcp_sock *tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

		if (!tp)
			return false;
		mine->next_seq = tp->copied_seq;
		mine->seen = 1;
	}
	overlap = mine->next_seq - seq;
	mine->next_seq = seq + len;
	if ((__s32)overlap <= 0 || (without & SHUNT_WITHOUT_OVERLAP))
		return true;
	return overlap < len && !trim_front(skb, overlap);
}

static __always_inline __s32 load_header(struct __sk_buff *skb, __u32 off, __u32 avail, __u8 *h)
{
	__u64 len = avail < WIRE_HEADER_MAX ? avail : WIRE_HEADER_MAX;

	barrier_var(len); /* the verifier is to see the bounds on what is passed on */
	if (len < 2 || len > WIRE_HEADER_MAX)
		return -1;
	return bpf_skb_load_bytes(skb, off, h, len);
}

/* read_publish() for the packet at `off` of an skb. */
__noinline int load_publish(struct __sk_buff *skb, __u32 off, struct publish *p)
{
	__u32 avail = skb->len - off, header_len = 0, remaining;
	__u8 h[WIRE_HEADER_MAX] = {}, t[2] = {};
	__s32 total;
	__u64 last;

	if (!p || off >= skb->len || load_header(skb, off, avail, h))
		return 0;
	total = wire_header(h, avail, &header_len);
	if (h[0] != WIRE_FAST_PUBLISH || total <= 0 || (__u32)total > avail || (__u32)total > control.max_packet)
		return 0;
	if (!wire_shortest(total, header_len))
		return 0;
	remaining = total - header_len;
	off += header_len;
	if (remaining < 2 || bpf_skb_load_bytes(skb, off, t, 2))
		return 0;
	p->key.topic_len = wire_topic_len(t, remaining);
	last = p->key.topic_len - 1ULL + !!p->key.form;
	barrier_var(last);
	if (last >= SHUNT_TOPIC_MAX || last + 3 > remaining)
		return 0;
	p->payload_len = remaining - 3 - last;
	return bpf_skb_load_bytes(skb, off + 2, p->key.topic, last + 1) ? 0 : total;
}

static long next_in_skb(__u32 i, void *arg)
{
	struct run *run = arg;
	struct publish next = {};
	__s32 total;

	next.key.form = run->first->key.form;
	total = load_publish(run->skb, run->off, &next);
	if (total <= 0 || !same_topic(&next, run->first))
		return 1;
	run->off += total;
	run->payload += next.payload_len;
	return run->off == run->len;
}

/* The number of packets in the skb if it holds whole forwardable publishes to one topic and nothing else; else 0. */
static __always_inline __u32 fast_skb(struct __sk_buff *skb, struct publish *first, __u64 *payload)
{
	struct run run = {.skb = skb, .first = first, .len = skb->len};
	__s32 total = load_publish(skb, 0, first);
	long more;

	if (total <= 0)
		return 0;
	run.off = total;
	run.payload = *payload = first->payload_len;
	if (run.off == run.len)
		return 1;
	more = bpf_loop(SHUNT_RUN_MAX - 1, next_in_skb, &run, 0);
	*payload = run.payload;
	return run.off == run.len ? 1 + more : 0;
}

struct remote_queue {
	__u32 skbs;   /* waiting for the worker that sends them */
	__u32 queued; /* bytes in the send buffer */
	__u32 sndbuf;
	bool up;
};

static __always_inline void look_at_remote(__u32 slot, struct remote_queue *q)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&remote_socks, &slot);
	struct tcp_sock *tp;

	q->up = false;
	if (!sk)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp) {
		struct sock *s = (struct sock *)tp;
		struct sk_psock *psock = (void *)((unsigned long)s->sk_user_data & ~7UL);

		q->skbs = BPF_CORE_READ(psock, ingress_skb.qlen);
		q->queued = s->sk_wmem_queued;
		q->sndbuf = s->sk_sndbuf;
		q->up = sk->state == TCP_ESTABLISHED;
	}
	bpf_sk_release(sk);
}

/* Does so much arrive in all that the daemon, which then finds many messages at each turn, does it cheaper than a
 * hand-over to a kernel thread for each? What passes counts too, or the load would seem gone as soon as it is left to
 * the daemon; and it has to fall to half before the kernel tries again. */
static __always_inline bool remote_loaded(__u64 now)
{
	bool busy = now < remote_load.busy_until_ns;

	if (now - remote_load.window_ns > SHUNT_LOAD_WINDOW_NS) {
		remote_load.window_ns = now;
		remote_load.skbs = 0;
	}
	remote_load.skbs++;
	if (remote_load.skbs <= (busy ? control.remote_window / 2 : control.remote_window))
		return busy;
	remote_load.busy_until_ns = now + control.busy_ns;
	return true;
}

/* Whether the receiver can take it now, by its queue and by the state of the daemon: SHUNT_PASS_REASONS for yes. */
static __always_inline __u32 remote_ready(struct shunt_slot *to, const struct remote_queue *q, __u64 now, bool loaded,
					  __u32 len, __u32 packets)
{
	bool stopped = now - control.heartbeat_ns > control.stale_ns;

	if (!q->up)
		return SHUNT_PASS_DEAD;
	/* never so much that the send would block: a blocked queue holds up what this client sends, too */
	if ((q->skbs >= control.remote_cap || q->queued + 2 * len > q->sndbuf / 2) && !(without & SHUNT_WITHOUT_CAP))
		return SHUNT_PASS_FULL;
	if (stopped || (without & SHUNT_WITHOUT_BUSY))
		return SHUNT_PASS_REASONS;
	if (q->skbs >= control.busy_skbs || packets > 1) {
		to->busy_until_ns = now + control.busy_ns;
		return SHUNT_PASS_BUSY;
	}
	if (loaded || now < to->busy_until_ns)
		return SHUNT_PASS_BUSY;
	return SHUNT_PASS_REASONS;
}

static __always_inline int pass_remote(struct shunt_slot *mine, __u32 len, __u32 reason)
{
	mine->passed += len;
	return pass(SHUNT_ROAD_REMOTE, reason);
}

SEC("sk_skb")
int remote_verdict(struct __sk_buff *skb)
{
	struct publish publish = {.key.road = SHUNT_ROAD_REMOTE};
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 *index = bpf_map_lookup_elem(&remote_slots, &cookie);
	struct remote_queue q = {};
	struct shunt_slot *mine, *to;
	struct shunt_flow *flow;
	__u32 packets, len, slot, reason;
	__u64 payload = 0, now = bpf_ktime_get_ns();
	bool loaded;

	mine = index ? slot_at(*index) : NULL;
	if (!mine)
		return pass(SHUNT_ROAD_REMOTE, SHUNT_PASS_OFF);
	if (!skb->len) /* FIN */
		return SK_PASS;
	if (!correct_overlap(skb, mine))
		return pass_remote(mine, skb->len, SHUNT_PASS_SHAPE);
	len = skb->len;
	if (!control.enabled)
		return pass_remote(mine, len, SHUNT_PASS_OFF);
	loaded = remote_loaded(now);
	if (mine->fence != (SHUNT_FENCE_OPEN | mine->passed) && !(without & SHUNT_WITHOUT_FENCE))
		return pass_remote(mine, len, SHUNT_PASS_FENCE);

	publish.key.ns = mine->ns;
	publish.key.form = mine->form;
	packets = fast_skb(skb, &publish, &payload);
	if (!packets)
		return pass_remote(mine, len, SHUNT_PASS_SHAPE);
	flow = bpf_map_lookup_elem(&flows, &publish.key);
	if (!flow)
		return pass_remote(mine, len, SHUNT_PASS_FLOW);

	slot = flow->slot;
	to = slot_at(slot);
	if (!to || (to->generation != flow->generation && !(without & SHUNT_WITHOUT_GENERATION)))
		return pass_remote(mine, len, SHUNT_PASS_DEAD);
	if (to->held && !(without & SHUNT_WITHOUT_HOLD))
		return pass_remote(mine, len, SHUNT_PASS_HELD);
	look_at_remote(slot, &q);
	to->queued = q.queued;
	reason = remote_ready(to, &q, now, loaded, len, packets);
	if (reason != SHUNT_PASS_REASONS)
		return pass_remote(mine, len, reason);
	if (bpf_sk_redirect_hash(skb, &remote_socks, &slot, 0) != SK_PASS)
		return pass_remote(mine, len, SHUNT_PASS_DEAD);
	count_taken(SHUNT_ROAD_REMOTE, mine, flow, packets, len, payload);
	count_forwarded(SHUNT_ROAD_REMOTE, to, packets, len, payload);
	return SK_PASS;
}

/* What the daemon injects: the slot of the receiver, then whole packets (or a piece of one that is too large, while no
 * flow to the receiver is open). Whatever cannot be redirected has lost its receiver. */
SEC("sk_skb")
int inject_verdict(struct __sk_buff *skb)
{
	__u32 slot = 0;

	if (bpf_skb_load_bytes(skb, 0, &slot, SHUNT_INJECT_HEADER) ||
	    bpf_skb_adjust_room(skb, -SHUNT_INJECT_HEADER, 0, 0))
		return SK_DROP;
	return bpf_sk_redirect_hash(skb, &remote_socks, &slot, 0);
}
