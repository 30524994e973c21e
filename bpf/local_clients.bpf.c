// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Part of fastpath.bpf.c. Local road: which sockets are clients on this host, looking at one, and its end. */

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
