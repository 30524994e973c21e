// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Part of fastpath.bpf.c. Local road: several receivers, those of another form, and shared subscriptions. */

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
