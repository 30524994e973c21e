/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Keys and values of the BPF maps: what the daemon (user/fastpath) and the BPF programs (bpf/fastpath.bpf.c) share.
 * Fixed-width fields only; `bpftool map dump pinned /sys/fs/bpf/shunt/NAME` prints them by these names through BTF.
 *
 * Ownership is per field and stated at the field: "daemon" is the worker thread that owns the connection, "kernel" the
 * BPF programs.
 */
#ifndef SHUNT_MAPS_H
#define SHUNT_MAPS_H

#include "wire.h"

enum {
	SHUNT_TOPIC_MAX = 128,	   /* longest topic a flow can have, bytes; longer ones stay with the daemon */
	SHUNT_NAME_MAX = 32,	   /* of a client identifier, what fits is shown in the maps, with a NUL */
	SHUNT_SLOTS_MAX = 16384,   /* connections the fast path can know at once; the others stay with the daemon */
	SHUNT_FLOWS_MAX = 65536,   /* flows at once, unless option fastpath_flows says otherwise */
	SHUNT_CLIENTS_MAX = 32768, /* sockets of local clients at once, connected to any listener */
	SHUNT_INJECT_HEADER = 4,   /* bytes in front of an injected packet: the slot of its receiver, native order */
	SHUNT_PORTS_MAX = 64,
	SHUNT_LOAD_WINDOW_NS = 10000000,
	SHUNT_RUN_MAX = 32,	      /* packets in one send or skb that are forwarded together */
	SHUNT_PULL_MAX = 65536,	      /* a longer message that is not in one piece is not copied into one */
	SHUNT_MEMBERS_MAX = 131072,   /* receivers of all flows with several receivers together */
	SHUNT_RECEIVERS_MAX = 1024,   /* of one flow; a topic with more stays with the daemon */
	SHUNT_COPY_MAX = 16384,	      /* bytes of a message that is copied to several receivers; longer ones pass */
	SHUNT_COPIES_AREA = 32768,    /* bytes of copies made at once */
	SHUNT_SHARES_MAX = 4096,      /* groups of shared subscriptions with flows at once */
	SHUNT_SHARE_MEMBERS_MAX = 64, /* connected members of such a group */
	SHUNT_SINKS_MAX = 256,	      /* workers; the others' publishers have flows with one receiver only */
	SHUNT_SINK_CAP = 1 << 20,     /* bytes that wait in a sink, from which on messages to several receivers pass */
	SHUNT_HERALDS_MAX = 256,      /* workers; the others write to each client on its own */
	SHUNT_HERALD_COPIES = 512,    /* in one message of a herald */
};

enum shunt_road {
	SHUNT_ROAD_NONE = 0,
	SHUNT_ROAD_LOCAL = 1,
	SHUNT_ROAD_REMOTE = 2,
	SHUNT_ROADS = 3,
};

/* Why the kernel gave data to the daemon instead of forwarding it. */
enum shunt_pass {
	SHUNT_PASS_OFF,	  /* switched off, or the connection has no slot yet */
	SHUNT_PASS_FENCE, /* the daemon has not finished what it was given before (invariant 2) */
	SHUNT_PASS_SHAPE, /* not one whole plain QoS 0 PUBLISH */
	SHUNT_PASS_FLOW,  /* no flow for the topic */
	SHUNT_PASS_DEAD,  /* the receiver of the flow is gone or going */
	SHUNT_PASS_HELD,  /* the daemon has output that must go first */
	SHUNT_PASS_FULL,  /* the queue in front of the receiver is at its cap (invariant 4) */
	SHUNT_PASS_BUSY, /* load at the receiver: the daemon batches better (invariant 5); local road: at the publisher */
	SHUNT_PASS_REASONS,
};

/* Protections that the tests can take out, one bit each; see tests/bpf. */
enum shunt_without {
	SHUNT_WITHOUT_FENCE = 1 << 0,	   /* forward though the daemon has not finished (invariant 2) */
	SHUNT_WITHOUT_ONE_WRITER = 1 << 1, /* the daemon's output beside the kernel's, not in its queue (3) */
	SHUNT_WITHOUT_CAP = 1 << 2,	   /* no bound on the queue in front of a receiver (4) */
	SHUNT_WITHOUT_BUSY = 1 << 3,	   /* take the fast road under load, too (5) */
	SHUNT_WITHOUT_HOLD = 1 << 4,	   /* overtake what the daemon holds for the receiver (2) */
	SHUNT_WITHOUT_GENERATION = 1 << 5, /* forward to whoever has the slot now (2) */
	SHUNT_WITHOUT_CLOSE_WAIT = 1 << 6, /* a closing receiver does not wait for redirects on their way (1) */
	SHUNT_WITHOUT_OVERLAP = 1 << 7,	   /* no correction by sequence number (8) */
	SHUNT_WITHOUT_DRAIN = 1 << 8,	   /* large packets go in pieces while flows are open (3) */
	SHUNT_WITHOUT_ROOM = 1 << 9,	   /* inject whether or not the receiver's TCP has room (4) */
};

/* Map `flows`: exact topic in a namespace -> the one receiver. */
struct shunt_flow_key {
	__u16 ns;  /* number of the namespace; 0: the default one */
	__u8 form; /* wire form of publisher and receiver: 0 versions 3.1 and 3.1.1, 1 version 5.0, no properties */
	__u8 road; /* enum shunt_road of the publisher */
	__u16 publisher; /* slot of the only one that may use it; 0: everybody who may publish to all topics */
	__u16 topic_len; /* bytes of topic */
	char topic[SHUNT_TOPIC_MAX]; /* zero-filled */
};

struct shunt_flow {
	/* daemon, once, at installation */
	__u64 generation;	       /* of the receiver; the flow is void when its slot has another */
	__u64 isn_pair;		       /* of the receiver: its key in local_socks (local road) */
	__u32 slot;		       /* of the receiver: its index in slots and key in remote_socks */
	char receiver[SHUNT_NAME_MAX]; /* its client identifier, or the first one's, for people */
	__u32 members;		       /* list of receivers; 0: there is the one above, in the publisher's form */
	__u64 id;		       /* never used twice */
	__u32 receivers;	       /* in the list */
	__u16 other_form;	       /* some of them have another form than the publisher */
	__u16 shared;		       /* one of them gets each message, in turn: 1 + index in share_turns; 0: no */
	/* kernel, any CPU, atomically */
	__u64 messages, bytes; /* taken by this flow */
	__u64 last_ns;	       /* CLOCK_MONOTONIC of the last one */
};

/* Map `members`: the receivers of a flow that has several, or one of another form (local road); a list, those of the
 * publisher's form first. BPF_F_MMAPABLE. Daemon; one that left a list is used again when no copy for it can be on its
 * way. */
struct shunt_member {
	__u64 flow; /* its id */
	__u64 generation, isn_pair;
	__u32 slot;
	__u32 next; /* 0: the last */
	__u32 form;
	union {
		__u32 same;  /* so many in the list have this form from here on */
		__u32 place; /* in the group, if the flow is shared: its list is in that order */
	};
};

/* In front of each copy as long as it lies in the publisher's message, and in front of what goes to a sink. */
struct shunt_copy {
	__u64 generation, isn_pair; /* of the receiver, */
	__u32 slot;		    /* 0: nobody */
	__u32 len;		    /* of the copy, bytes */
	__u32 packets, payload;	    /* in it; bytes */
};

/* Map `slots`: one connection. BPF_F_MMAPABLE: the daemon reads and writes without system calls, always with atomic loads
 * and stores. One cache line a writer, so that neither side slows the other. */
struct shunt_slot {
	/* daemon */
	__u64 fence;	  /* bit 32: open; low 32 bits: count of bytes the daemon has finished, at a packet boundary */
	__u64 generation; /* of the connection while it may receive by a flow, else 0; never used twice */
	__u64 isn_pair;	  /* local road: which socket this slot speaks of */
	__u64 returned;	  /* of `diverted`, those that the daemon has in its output for this client, or has written */
	__u32 held;	  /* 1: the daemon has output for this client that must go first */
	__u16 ns;	  /* namespace of what this connection publishes */
	__u8 form, road;
	__u32 sink;	 /* local road: 1 + the number of the sink of its worker; 0: none */
	__u16 publisher; /* its flows: the slot's own number, or 0 for those of everybody */
	__u16 padding[9];
	/* kernel */
	__u64 last_seen_ns; /* CLOCK_MONOTONIC of the last packet forwarded for this publisher: its keepalive */
	__u64 sent_messages, sent_bytes; /* forwarded from this client; one writer, it holds the socket's lock */
	__u64 received_messages, received_bytes; /* forwarded to this client; any CPU, atomically */
	__u64 diverted;				 /* messages for this client that went to a sink; any CPU, atomically */
	__u32 queued;				 /* bytes in front of this client when last looked at */
	__u32 passed;	     /* remote road: low 32 bits of the count of bytes given to the daemon */
	__u32 next_seq;	     /* remote road: TCP sequence number expected next (overlap correction) */
	__u32 seen;	     /* remote road: 1 once next_seq is set */
	__u64 busy_until_ns; /* remote road: load was seen at this receiver, flows to it pass until then */
	__u64 pings;	     /* remote road: PINGREQ of this client answered; one writer */
	/* daemon, once */
	char name[SHUNT_NAME_MAX];
	__u64 spare[2];
};

#define SHUNT_FENCE_OPEN (1ULL << 32)

/* Variable `remote_load`. Kernel. */
struct shunt_load {
	__u64 window_ns, skbs; /* what arrived since */
	__u64 busy_since_ns, busy_until_ns;
};

/* Map `local_clients`: sockets of clients on this host by the pair of initial sequence numbers, which both ends of a
 * connection know and nobody can choose (addresses and ports repeat across network namespaces). Kernel. */
struct shunt_local_client {
	__u64 sock;	/* address of the client's tcp_sock */
	__u64 cookie;	/* of that socket: an address alone may be used again */
	__u32 slot;	/* 0 until the daemon has accepted its CONNECT */
	__u32 base_seq; /* sequence number of the client's first byte */
	__u64 closing;	/* 1: the connection is not ESTABLISHED any more */
};

/* Map `local_targets`, by slot: what the kernel needs to look at a receiver. Not mapped by the daemon. Kernel. */
struct shunt_local_target {
	__u64 isn_pair; /* 0 as soon as the client's socket begins to close */
	__u64 sock;
	__u64 cookie;
	__u64 deciding; /* programs that may be about to redirect to it */
};

/* Map `local_aims`, by CPU: a redirect on the local road that was decided there last. Kernel. */
struct shunt_aim {
	__u64 isn_pair;	    /* of the receiver; 0: the message was passed in the end */
	__u64 sock, cookie; /* of the publisher */
};

/* A publisher's message that is being copied to several receivers. Kernel, under the lock of its socket. */
struct shunt_copying {
	struct shunt_copy copy; /* what is the same for the next copies */
	__u64 flow;
	__u32 left; /* receivers that have no copy yet, */
	__u32 next; /* the first of them in members */
	/* the message in its present form */
	__u32 form;
	__u32 header_len; /* bytes of the fixed header and, */
	__u32 topic_len;  /* if it is one packet, of the topic */
	/* while copies are made: offsets */
	__u32 from;    /* of the message, */
	__u32 to;      /* of the copy that is being made, */
	__u32 at;      /* of the next byte in it, */
	__u32 unit;    /* bytes that are copied at once: 64, 8 or 1 */
	__u32 records; /* of the next record */
};

/* Storage of a socket of a connection to a listener, both ends. Kernel; the daemon looks it up by file descriptor. */
struct shunt_sock {
	__u64 isn_pair;
	__u32 base_seq; /* of the client's first byte */
	__u32 slot;	/* client's end: cached from local_clients; broker's end: set by the daemon */
	__u32 is_client;
	__u32 reserved;
	struct shunt_copying copying; /* client's end */
};

/* Variable `control`: the daemon's side of the bargain, mapped by it. Daemon. */
struct shunt_control {
	__u64 heartbeat_ns;	    /* CLOCK_MONOTONIC when a worker last said that it is alive */
	__u64 netns_cookie;	    /* of the daemon: whose loopback the listeners are on */
	__u64 stale_ns;		    /* a heartbeat older than this is that of a stopped daemon */
	__u64 busy_ns;		    /* how long a receiver under load stays with the daemon */
	__u64 ping_ns[SHUNT_ROADS]; /* PINGREQ are answered if the heartbeat is not older; 0: never */
	__u32 enabled;		    /* forward at all */
	__u32 local;		    /* take up new local clients */
	__u32 local_cap;	    /* bytes unread at a local client, from which on flows to it pass */
	__u32 remote_cap;	    /* skbs queued in front of a remote client, likewise */
	__u32 busy_skbs;	    /* so many of them mean load */
	__u32 remote_window;	    /* packets on the remote road in SHUNT_LOAD_WINDOW_NS that mean load */
	__u32 max_packet; /* longest packet a client may send (option max_packet_size); the daemon refuses longer ones */
	__u32 ncpus;	  /* entries of local_aims */
	__u32 excluding;  /* there is something in excluded_users or excluded_cgroups */
	__u32 nports;
	__u16 ports[SHUNT_PORTS_MAX]; /* of listeners whose clients may take the local road */
};

enum { SHUNT_CGROUP_NAME_MAX = 128 }; /* of a cgroup whose clients are excluded, with the NUL */

/* Map `excluded_cgroups`: clients in these, or below, stay off the local road. By the name in the cgroup around it, which
 * is the same when a service starts again; a number is not. Daemon. */
struct shunt_cgroup {
	__u64 parent;			  /* its inode */
	char name[SHUNT_CGROUP_NAME_MAX]; /* zero-filled */
};

/* Variable `sinks`: bytes that went into the sink of a worker (kernel, any CPU, atomically), and that it has taken out. */
struct shunt_sink {
	__u64 in, out;
};

/* Map `heralds`, one a worker: to whom the copies go that lie one behind the other in its message. BPF_F_MMAPABLE. */
struct shunt_herald {
	/* daemon, before it sends */
	__u32 copies;
	__u32 len; /* of a copy, bytes */
	/* kernel */
	__u32 next; /* daemon: 0 */
	__u32 padding;
	struct shunt_herald_copy {
		/* daemon */
		__u64 isn_pair; /* of the receiver */
		__u32 slot;
		/* kernel */
		__u32 done; /* 1: it goes to the receiver; daemon: 0 */
	} copy[SHUNT_HERALD_COPIES];
};

/* Map `counters`, per CPU, by road. */
struct shunt_counters {
	__u64 taken, taken_bytes, taken_payload; /* PUBLISH packets from publishers that the daemon did not see */
	__u64 forwarded, forwarded_bytes;	 /* PUBLISH packets delivered by the kernel, one for each receiver */
	__u64 forwarded_payload;		 /* bytes of payload in them */
	__u64 pings;				 /* PINGREQ answered */
	__u64 diverted;				 /* deliveries that went to a sink */
	__u64 lost;				 /* deliveries that could not be made */
	__u64 passed[SHUNT_PASS_REASONS];	 /* by enum shunt_pass; times, not packets */
};

/* Argument and result of the program that the daemon runs to look at sockets it has no descriptor of. */
struct shunt_look {
	__u64 isn_pair;
	__u32 slot;
	__u32 command; /* enum shunt_look_command */
	__s32 result;  /* 0 or -errno */
	__u32 queued;  /* bytes unread in front of the client */
	__u32 in_use;  /* references to the client's socket beyond its own: a redirect may be on its way */
	__u32 pad;
};

enum shunt_look_command {
	SHUNT_LOOK_BIND,  /* tie slot to the client's socket isn_pair */
	SHUNT_LOOK_STATE, /* fill in queued and in_use */
};

_Static_assert(sizeof(struct shunt_flow_key) == 136, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_flow) == 96, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_member) == 40, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_copy) == 32, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_slot) == 192, "cache lines");
_Static_assert(sizeof(struct shunt_local_client) == 32, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_cgroup) == 136, "layout shared with the kernel");
_Static_assert(sizeof(struct shunt_look) == 32, "layout shared with the kernel");

#endif
