/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the files of user/fastpath share. One fast path a process: the BPF programs and maps are the process's, too.
 *
 * Written by the main thread in fp_open() and fp_close(), before the workers start and after they end; fields that change
 * meanwhile say how.
 */
#ifndef SHUNT_FASTPATH_INTERNAL_H
#define SHUNT_FASTPATH_INTERNAL_H

#include <pthread.h>

#include "fastpath/fastpath.h"
#include "fastpath/pins.h"
#include "maps.h"

struct fastpath_bpf;

enum {
	/* What one sk_msg carries whole whatever the state of memory: 16 page fragments, of which the first may be short. A
	 * local client's output is handed over in pieces of at most this, so that nothing can get between. */
	FP_LOCAL_WHOLE = 15 * 4096,
	/* Pieces for a remote receiver: small against its send buffer, so that a slow one does not fill the injector. */
	FP_REMOTE_WHOLE = 16384,
	FP_LOCAL_FLOW_CAP = 64 * 1024,	  /* bytes unread at a local client from which on flows pass to the daemon */
	FP_LOCAL_DAEMON_CAP = 512 * 1024, /* and from which on the daemon waits */
	FP_REMOTE_FLOW_CAP = 32,	  /* skbs queued in front of a remote client */
	FP_STALE_MS = 350,		  /* a heartbeat older than this is that of a stopped daemon */
	FP_PING_STALE_MS = 2500,	  /* nor is a PINGREQ answered for one whose heartbeat is older than this */
	FP_BUSY_SKBS = 4,		  /* so many of them mean load */
	FP_REMOTE_RATE_PER_CPU = 20000,	  /* packets a second on the remote road, above which the daemon is cheaper */
	FP_BUSY_MS = 20,		  /* a remote receiver under load stays with the daemon so long */
	FP_LOADED_MS = 100,		  /* load that lasts so long is no burst: */
	FP_YIELD_MS = 1000,		  /* those the daemon writes to then are no receivers for so long */
	FP_LARGE_LINGER_MS = 1000,	  /* after a large packet its receiver takes no flows for so long */
	FP_GOODBYE_MS = 1000,		  /* at the end local clients have so long to read what is in their queues */
	FP_HEARD_MS = 250,		  /* a remote receiver may send once in so long, */
	FP_HEARD_MAX = 32,		  /* and so much more at times */
	FP_REST_MS = 10000,	 /* else it is no receiver for so long, twice as long the next time, and so on */
	FP_REST_DOUBLE_MAX = 6,	 /* so many times */
	FP_DRAIN_MAX_MS = 10000, /* a receiver whose queue cannot be proven drained by then is cut off */
};

struct fastpath {
	struct fastpath_bpf *bpf; /* NULL: not loaded */
	bool local, remote;	  /* roads that passed the probe */
	bool taking;		  /* connections are given their road, see fp_taking() */
	uint32_t flows_max;	  /* flows there may be */
	bool many;		  /* on the local road flows may have several receivers, and of another form */
	bool tells;		  /* the daemon can write to several local clients at once */
	bool pings[SHUNT_ROADS];  /* PINGREQ can be answered on this road */
	char reason[200];
	struct pins pins;
	struct shunt_slot *slots;      /* mapped; see maps.h for who writes what */
	struct shunt_member *members;  /* mapped */
	struct shunt_sink *sinks;      /* mapped */
	uint32_t *turns;	       /* mapped */
	struct shunt_herald *heralds;  /* mapped */
	const struct shunt_load *load; /* mapped; of the remote road */
	volatile struct shunt_control
		*control; /* mapped; the main thread, but for heartbeat_ns: any worker, atomically */
	int flows_fd, counters_fd, sock_state_fd, local_clients_fd, broker_socks_fd, remote_socks_fd, remote_slots_fd,
		injectors_fd, sink_socks_fd, herald_socks_fd, look_fd;
};

extern struct fastpath fp;

/* Protections to be taken out by the next fp_open(), a mask of enum shunt_without: for the tests that show that they are
 * needed. */
extern uint32_t fp_without;

/* clients.c: attach the programs of the local road, for the probe to the root of cgroup v2; later restrict it to the clients
 * that the configuration lets. fp_clients_size() comes before loading. 0 or -errno. */
int fp_clients_size(const struct fp_config *cfg);
int fp_clients_attach(void);
int fp_clients_restrict(const struct fp_config *cfg);

/* probe.c: try each road on sockets of our own. Sets fp.local and fp.remote; `why` says what failed. */
void fp_probe(bool want_local, char *why, size_t size);

/* slots.c: slot numbers. A freed one is used again only after a grace period, when no program can still hold it. */
uint32_t fp_slot_alloc(void);
void fp_slot_free(uint32_t slot);
uint64_t fp_slots_used(void);
static inline struct shunt_slot *fp_slot(uint32_t slot)
{
	return &fp.slots[slot];
}

/* grace.c: when every BPF program that ran at the time of the request has ended. Any thread, but for the start and the
 * stop of the thread that waits; before its start no period passes. */
int fp_grace_check(void); /* can this kernel do it? 0 or -errno */
int fp_grace_start(void);
void fp_grace_stop(void);
uint64_t fp_grace_request(void);
bool fp_grace_passed(uint64_t ticket);
void fp_grace_wait(void); /* until one that begins now has passed */

/* Remove the flows that are the slot's own. */
void fp_flows_forget(uint32_t slot);

/* look.c: the state of a local client's socket. 0 or -errno (-ENOENT: it closed). */
int fp_look_bind(uint64_t isn_pair, uint32_t slot);
int fp_look(uint64_t isn_pair, uint32_t *queued, uint32_t *in_use);

/* Does any local client still have something to read in its queue? */
bool fp_look_unread(void);

/* inject.c: the way of the daemon's packets to remote receivers. */
int fp_inject_ready(void); /* for the calling thread; 0 or -errno */
ssize_t fp_inject(uint32_t slot, const struct iovec *iov, int iovcnt);
void fp_inject_stop(void);

/* send.c: from now on all output of this remote client is injected. 0 or -errno. */
int fp_inject_from(struct fp_link *link, int fd);
/* Has TCP got all that was put into the queue of a remote receiver? */
bool fp_arrived(const struct fp_link *link, int fd);

/* sink.c: 1 + the number of the calling thread's sink; 0: it has none. */
uint32_t fp_sink_number(void);
void fp_sink_stop(void);

/* herald.c */
uint64_t fp_told(void);
void fp_herald_stop(void);

/* members.c: lists of receivers for `flow`, in this order; the index of the first, 0 when there is no room. */
void fp_members_start(void); /* with a new map */
uint32_t fp_members_alloc(uint64_t flow, const struct fp_receiver *to, size_t n, bool shared);
void fp_members_free(uint32_t first);

/* flows.c */
uint64_t fp_flows_count(void);
uint64_t fp_flows_evicted(void);

/* Any thread; the switch itself is one thread's at a time, see fp_enable(). */
static inline bool fp_switched_on(void)
{
	return __atomic_load_n(&fp.control->enabled, __ATOMIC_RELAXED);
}

/* From the first time that it is switched on, and while it is switched off after that: a socket can be put on its road only
 * when it connects, and is to have it when forwarding is switched on again. Any thread. */
static inline bool fp_taking(void)
{
	return __atomic_load_n(&fp.taking, __ATOMIC_RELAXED);
}

static inline uint64_t load64(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store64(__u64 *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

#endif
