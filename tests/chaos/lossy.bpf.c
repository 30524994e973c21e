// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A bad link, for the egress of a veth: some packets are dropped, some doubled, and some left to the next filter, which
 * sends them a slower way, so that they come late and behind others. Shares are of 65536.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

enum { OK = 0, SHOT = 2, NEXT_FILTER = -1 };

struct shares {
	__u32 dropped, doubled, late;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shares);
} lossy_shares SEC(".maps");

SEC("tc")
int lossy(struct __sk_buff *skb)
{
	__u32 zero = 0, dice = bpf_get_prandom_u32() & 0xffff;
	struct shares *s = bpf_map_lookup_elem(&lossy_shares, &zero);

	if (!s)
		return OK;
	if (dice < s->dropped)
		return SHOT;
	dice -= s->dropped;
	if (dice < s->doubled) {
		bpf_clone_redirect(skb, skb->ifindex, 0);
		return OK;
	}
	dice -= s->doubled;
	return dice < s->late ? NEXT_FILTER : OK;
}
