// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Part of fastpath.bpf.c. Remote road: the programs on the daemon's sockets of remote clients and on the injectors. */

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
	if (!busy)
		remote_load.busy_since_ns = now;
	remote_load.busy_until_ns = now + control.busy_ns;
	return true;
}

/* Never so much that the send would block: a blocked queue holds up what this client sends, and takes it without end. Those
 * in front of it are taken to be as long as this one; each was looked at in the same way. */
static __always_inline bool remote_full(const struct remote_queue *q, __u32 len)
{
	__u64 more = 2ULL * len * (q->skbs + 1);

	return (q->skbs >= control.remote_cap || q->queued + more > q->sndbuf / 2) && !(without & SHUNT_WITHOUT_CAP);
}

/* Whether the receiver can take it now, by its queue and by the state of the daemon: SHUNT_PASS_REASONS for yes. */
static __always_inline __u32 remote_ready(struct shunt_slot *to, const struct remote_queue *q, __u64 now, bool loaded,
					  __u32 len, __u32 packets)
{
	bool stopped = now - control.heartbeat_ns > control.stale_ns;

	if (!q->up)
		return SHUNT_PASS_DEAD;
	if (remote_full(q, len))
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

static __always_inline bool is_remote_ping(struct __sk_buff *skb)
{
	__u8 b[2];

	return skb->len == 2 && !bpf_skb_load_bytes(skb, 0, b, 2) && b[0] == WIRE_PINGREQ && !b[1];
}

/* Give the client its PINGRESP, if the daemon is alive: the same skb, in the queue of the socket it came from, which is the
 * only way to a client that has a generation. Writing makes the two bytes this skb's own; what the sender may have to
 * send again does not change. */
static __always_inline int answer_remote_ping(struct __sk_buff *skb, struct shunt_slot *mine, __u32 slot, __u64 now)
{
	const __u8 answer = WIRE_PINGRESP, question = WIRE_PINGREQ;
	__u32 road = SHUNT_ROAD_REMOTE;
	struct shunt_counters *c = bpf_map_lookup_elem(&counters, &road);
	struct remote_queue q = {};

	if (now - control.heartbeat_ns > control.ping_ns[SHUNT_ROAD_REMOTE] || !mine->generation)
		return pass_remote(mine, 2, SHUNT_PASS_SHAPE);
	if (mine->held && !(without & SHUNT_WITHOUT_HOLD))
		return pass_remote(mine, 2, SHUNT_PASS_HELD);
	look_at_remote(slot, &q);
	if (!q.up)
		return pass_remote(mine, 2, SHUNT_PASS_DEAD);
	if (remote_full(&q, 2))
		return pass_remote(mine, 2, SHUNT_PASS_FULL);
	if (bpf_skb_store_bytes(skb, 0, &answer, 1, 0))
		return pass_remote(mine, 2, SHUNT_PASS_SHAPE);
	if (bpf_sk_redirect_hash(skb, &remote_socks, &slot, 0) != SK_PASS) {
		bpf_skb_store_bytes(skb, 0, &question, 1, 0); /* cannot fail: it is writable now */
		return pass_remote(mine, 2, SHUNT_PASS_DEAD);
	}
	mine->last_seen_ns = now;
	mine->pings++; /* one skb of a socket at a time */
	if (c)
		__sync_fetch_and_add(&c->pings, 1);
	return SK_PASS;
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

	/* The fence is open, so what comes now begins a packet. */
	if (is_remote_ping(skb))
		return answer_remote_ping(skb, mine, *index, now);
	publish.key.ns = mine->ns;
	publish.key.publisher = mine->publisher;
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
