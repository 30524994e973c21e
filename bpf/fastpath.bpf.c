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
 * never a per-CPU map; SK_DROP from sk_msg would poison the sender's socket and is never returned to a client.
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

/* The daemon's sockets that say the same to many, one a worker; program local_herald. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, SHUNT_HERALDS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} herald_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_HERALDS_MAX);
	__type(key, __u32);
	__type(value, struct shunt_herald);
} heralds SEC(".maps");

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

/* One object: the programs share maps, and functions that the verifier is to look at once. In this order. */
#include "local_clients.bpf.c"
#include "local_messages.bpf.c"

#include "local_copies.bpf.c"
#include "local_road.bpf.c"

#include "remote_road.bpf.c"
