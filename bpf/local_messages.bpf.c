// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Part of fastpath.bpf.c. Local road: the packets in what a client sends, and its redirect to one receiver. */

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

/* Redirect to the receiver, if that can take it now: SHUNT_PASS_REASONS, else why not. With generation 0 it is the daemon's
 * output, which is in its place, and for which there is room. */
static __always_inline __u32 redirect_if_ready(struct sk_msg_md *msg, __u64 generation, __u64 isn_pair,
					       struct shunt_slot *to, struct shunt_local_target *target)
{
	__u32 queued;

	if (!(without & SHUNT_WITHOUT_GENERATION) &&
	    ((generation && to->generation != generation) || target->isn_pair != isn_pair ||
	     !same_sock(target->sock, target->cookie)))
		return SHUNT_PASS_DEAD;
	if (generation && (to->held || to->diverted != to->returned) && !(without & SHUNT_WITHOUT_HOLD))
		return SHUNT_PASS_HELD;
	queued = unread_bytes(target->sock);
	to->queued = queued;
	if (generation && queued >= control.local_cap && !(without & SHUNT_WITHOUT_CAP))
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
