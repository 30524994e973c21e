// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Part of fastpath.bpf.c. Local road: the programs that see what clients and the daemon send. */

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

	if (now - control.heartbeat_ns > control.ping_ns[SHUNT_ROAD_LOCAL] || !mine->generation)
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
	publish.key.publisher = mine->publisher;
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

/*
 * The daemon's output for several clients: copies, one behind the other, and the program runs for each. One that cannot go to
 * its receiver goes back to the socket it comes from. A copy lies in one piece, or it could be queued in part when memory
 * runs out; should that fail, it and all behind it go back.
 */
SEC("sk_msg")
int local_herald(struct sk_msg_md *msg)
{
	struct shunt_herald_copy *copy;
	struct shunt_herald *herald;
	struct shunt_sock *own;
	__u32 number, slot, len;
	__u64 i, isn_pair;

	if (!msg->sk)
		return SK_PASS;
	own = bpf_sk_storage_get(&sock_state, msg->sk, NULL, 0);
	if (!own)
		return SK_PASS;
	number = own->slot;
	herald = bpf_map_lookup_elem(&heralds, &number);
	if (!herald)
		return SK_PASS;
	i = herald->next;
	len = herald->len;
	barrier_var(i); /* the verifier is to see the bounds on what is used */
	if (i >= herald->copies || i >= SHUNT_HERALD_COPIES || msg->size < len ||
	    ((long)msg->data_end - (long)msg->data < len && bpf_msg_pull_data(msg, 0, len, 0))) {
		herald->copies = 0;
	} else {
		herald->next = i + 1;
		copy = &herald->copy[i];
		slot = copy->slot;
		isn_pair = copy->isn_pair;
		bpf_msg_apply_bytes(msg, len);
		if (redirect_local(msg, 0, isn_pair, slot) == SHUNT_PASS_REASONS) {
			copy->done = 1;
			return SK_PASS;
		}
	}
	/* SK_DROP when the socket has left the map: it is of no use any more, and SK_PASS might mean the receiver before. */
	return bpf_msg_redirect_hash(msg, &herald_socks, &number, BPF_F_INGRESS);
}
