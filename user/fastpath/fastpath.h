/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The fast path as the broker sees it. Everything that talks to libbpf is behind this header; built without BPF, or on a
 * kernel that cannot, the same functions do nothing and every byte goes through the daemon.
 *
 * Threads: open, start and close are the main thread's; enable is called by one thread at a time, between them (by the control
 * socket's). A struct fp_link belongs to the worker that owns its connection,
 * and the functions that take one are that worker's only. Flow functions may be called from any thread; the caller
 * serialises them with its changes of subscriptions (the broker's subscription lock), so that an install cannot slip in
 * behind an invalidation. The stats functions may be called from any thread.
 */
#ifndef SHUNT_FASTPATH_H
#define SHUNT_FASTPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum fp_mode { FP_MODE_OFF, FP_MODE_ON, FP_MODE_REQUIRE };
enum { FP_CGROUP_NAME_MAX = 127 }; /* characters in the name of a cgroup that is excluded */
enum fp_road { FP_ROAD_NONE = 0, FP_ROAD_LOCAL = 1, FP_ROAD_REMOTE = 2 };

struct fp_config {
	enum fp_mode mode;	      /* option fastpath */
	bool local;		      /* option fastpath_local */
	const char *pin_path;	      /* option bpf_pin_path */
	const char *cgroup;	      /* option fastpath_cgroup: full path; NULL: the root of cgroup v2 */
	char *const *exclude_uids;    /* option fastpath_exclude_uid: in decimal, NULL at the end; NULL: none */
	char *const *exclude_cgroups; /* option fastpath_exclude_cgroup: full paths, likewise */
	uint32_t flows;		      /* option fastpath_flows; 0: its default */
	uint32_t max_packet_size;     /* option max_packet_size: longer packets pass to the daemon; 0: no limit */
	const uint16_t *ports;	      /* TCP ports of plain MQTT listeners */
	size_t nports;
	uid_t uid; /* the daemon's user after it dropped root: gets the pins; (uid_t)-1 if it keeps its own */
	gid_t gid;
};

/* Load, attach, probe the kernel and pin. Needs privileges; the descriptors outlive them. Returns 0 also when the kernel
 * refuses (fp_status() says why); -ENOTSUP only with FP_MODE_REQUIRE. Call before the listeners accept. */
int fp_open(const struct fp_config *cfg);
void fp_close(void);

/* Start the thread that works for the fast path. Not done by fp_open(): a thread keeps the privileges it was started with.
 * Before the first fp_attach(). 0 or -errno. */
int fp_start(void);

/* A TCP listener is open on `fd`: clients on this host are known by its address from the first one on. Other addresses that
 * clients reach it by are learned from their connections. Main thread, after fp_open(), before it accepts. */
void fp_listening(int fd);

/* Switch forwarding on or off at run time. Connections keep their roads for the daemon's own output, and those that are made
 * while it is off get theirs, so that all have it when it is on again; only those from before it was on for the first time
 * (FP_MODE_OFF) never do. Returns 0, or -ENOTSUP when the fast path could not be loaded. */
int fp_enable(bool on);

struct fp_status {
	bool loaded, enabled;
	bool local, remote; /* which roads passed the probe */
	char reason[200];   /* why it is off; empty when it is on */
	char pin_path[200]; /* where the maps are pinned; empty when they are not */
};
void fp_status(struct fp_status *out);

/* ---- one connection -------------------------------------------------------------------------------------------- */

/* Zero-initialised by its owner. The fields are private to user/fastpath, but `road`, `no_road`, `target`, `whole_max`,
 * `leaving`, `yields`, `rests_until_ns`, and `slot`, `generation` and `isn_pair` (to make a struct fp_receiver), may be read. */
struct fp_link {
	enum fp_road road;
	bool target;   /* may receive by flows */
	bool draining; /* a packet too large for one hand-over is on its way out, or was lately: no flows */
	bool alone;    /* fp_publish_alone() */
	bool leaving;  /* fp_rest() was called, and what is on its way has not arrived */
	bool yields;   /* rests_until_ns is fp_yield()'s, or the road was loaded: not fp_rest()'s */
	uint8_t rests; /* times */
	uint32_t slot;
	size_t whole_max;    /* see fp_send(); 0: no rule */
	uint64_t generation; /* 0: not a target */
	uint64_t isn_pair;
	uint64_t cookie;     /* of the socket (remote road) */
	const char *no_road; /* while road is FP_ROAD_NONE: why, for people; a constant */
	uint64_t base;	     /* bytes read from the socket before the kernel began to count (remote road) */
	uint64_t ticket;     /* grace period waited for while draining, or after fp_retire() */
	uint64_t drain_ns;   /* when draining began, later when the last large packet went out */
	size_t large_left;   /* bytes of a large packet still to go */
	uint64_t injected;   /* bytes, by fp_send() (remote road) */
	uint64_t settled;    /* of them and of what flows brought, bytes that TCP had when last looked (remote road) */
	uint64_t tcp_base;   /* what tcp_has() said before these */
	uint64_t heard_ns, heard; /* when the daemon read something last; how much too often it did */
	uint64_t rests_until_ns;  /* no target before */
	uint32_t known[16]; /* topics a flow was installed for, by hash: what fp_flow_wanted() need not ask again */
	uint32_t known_version;
};

/* Give the connection a road, after its CONNECT was accepted and before its CONNACK is queued. `fd` is its socket (one
 * that is not plain TCP gets no road), ns the namespace of its topics, form 0 for MQTT 3.1 and 3.1.1 and 1 for 5.0,
 * received the bytes read from fd so far. From here on every write to fd goes through fp_send(). Failure is not an error:
 * the road is then FP_ROAD_NONE. */
void fp_attach(struct fp_link *link, int fd, uint16_t ns, uint8_t form, const char *client_id, uint64_t received);

/* The client may not publish to all topics: no flow that was installed for others is to carry its messages. Flows are for a
 * topic, whoever publishes; with `alone` those installed for this publisher carry its messages only, and no others do. Right
 * after fp_attach(), or while no worker runs and before fp_flows_clear(). */
void fp_publish_alone(struct fp_link *link, bool alone);

/* The handover fence (invariant 2). `received` = bytes read from fd in all. Call when every one of them has been
 * consumed (nothing of a packet is left in the input buffer) and every delivery they caused, on whatever worker, has been
 * written to its receiver's socket (accepted by fp_send) or that receiver is held (fp_hold); and so has every delivery that
 * earlier connections of the client caused. The kernel forwards for this publisher only after that. Cheap: a store. No-op
 * for FP_ROAD_NONE. */
void fp_handled(struct fp_link *link, uint64_t received);

/* Hold the receiver: the daemon has output queued for it that could not be written yet, so flows to it pass to the
 * daemon. fp_hold(true) when a flush leaves something in the queue, fp_hold(false) when a flush has emptied it. */
void fp_hold(struct fp_link *link, bool held);

/* Write to the connection. Like sendmsg(MSG_NOSIGNAL|MSG_DONTWAIT), returns the bytes taken or a negative errno:
 *   -EAGAIN  the socket is full; EPOLLOUT will tell
 *   -EBUSY   the queue in front of the client is full and nothing will tell: try again after a millisecond or more
 *            (back off to 64 ms while it lasts)
 *   other    the connection is broken
 * When link->whole_max is not 0 the iovec must hold whole MQTT packets, in all at most whole_max bytes, or exactly one
 * packet when that is larger: all of it is taken, or -EBUSY; only of the one larger packet a part may be taken, and the
 * caller goes on with its rest and nothing else. Look at whole_max before each call. */
ssize_t fp_send(struct fp_link *link, int fd, const struct iovec *iov, int iovcnt);

/* Make the calling worker's herald, with which it writes the same to many local clients at once. 0, or -errno: it writes to
 * each on its own. */
int fp_herald_open(void);

/* To so many connections fp_tell() can write `len` bytes at once, at most FP_TELL_MAX. 0: there is no herald. */
size_t fp_tell_max(size_t len);
enum { FP_TELL_MAX = 512 };

/* Can the connection be one of them now? */
bool fp_tell_fits(const struct fp_link *link);

/* Write the same `len` bytes, whole MQTT packets, to these n <= fp_tell_max(len) different connections, as fp_send() to each
 * would. told[i] says whether to[i] got them, the result how many did; for the others nothing has happened, and fp_send()
 * is to be called. */
size_t fp_tell(struct fp_link *const *to, size_t n, const void *bytes, size_t len, bool *told);

/* Make the connection a possible receiver of flows, unless it rests (see fp_rest() and fp_yield()). Call from the owner when the output queue is empty and
 * no packet is partly written (the way of writing changes here). After it link->generation is not 0. Idempotent. */
void fp_make_target(struct fp_link *link, int fd, const char *client_id);

/* The daemon has read something from the connection. True: it is a remote receiver that sends so much that it must not stay
 * one: fp_rest(). What a socket's client sends and what is redirected to it make the kernel miscount the socket's memory when
 * they meet (tests/bpf/kernel-notes.md). */
bool fp_heard(struct fp_link *link, uint64_t now_ns);

/* No flow is for the connection any more, and fp_make_target() does nothing until link->rests_until_ns (clock_ns()), longer
 * each time. Its output becomes plain TCP again in fp_leave(). */
void fp_rest(struct fp_link *link, uint64_t now_ns);

/* There has been so much on the remote road for some time that the daemon carries it cheaper than the kernel, by batches.
 * Any thread. */
bool fp_loaded(uint64_t now_ns);

/* The connection is a receiver on the remote road, and fp_loaded(): the daemon carries what is for it, and had better write
 * that to plain TCP: fp_yield(). To be asked before output. */
bool fp_burdens(const struct fp_link *link, uint64_t now_ns);

/* As fp_rest(), but for a second only; and again if there still is the load then. */
void fp_yield(struct fp_link *link, uint64_t now_ns);

/* After fp_rest() or fp_yield(), before link->whole_max is looked at for output. False: what is on its way must arrive
 * first, try again after a millisecond or more. */
bool fp_leave(struct fp_link *link, int fd);

/* The kernel may answer PINGREQ of this client from now on, where the daemon would not log it. When its output is empty. On
 * the remote road, as with fp_make_target(), the daemon's own output then costs more: for clients that get little. */
void fp_answer_pings(struct fp_link *link, int fd, const char *client_id);
/* Whether it does at all; for all clients. Any thread. */
void fp_let_pings(bool on);

/* No flow may reach the connection any more, and none is for it: what it publishes from now on passes to the daemon. Call
 * before a new CONNACK on takeover, before shutdown() or close(). */
void fp_retire(struct fp_link *link);

/* After fp_retire(): has everything for the client reached its TCP connection, what fp_send() took and what the kernel
 * forwarded? Closing before would lose the rest. Never false for long, but for a client that does not read. */
bool fp_drained(struct fp_link *link, int fd);

/* Forget the connection; call after close(fd). Its slot may be used again. */
void fp_detach(struct fp_link *link);

/* CLOCK_MONOTONIC nanoseconds of the last packet that only the kernel saw from this publisher; 0 if none. */
uint64_t fp_last_seen_ns(const struct fp_link *link);

/* What the kernel forwarded from (sent) and to (received) this client; for lists of clients. */
struct fp_client_counters {
	uint64_t sent_messages, sent_bytes, received_messages, received_bytes;
};
void fp_client_counters(const struct fp_link *link, struct fp_client_counters *out);

/* The daemon is alive: each worker calls it at least every 100 ms while fp_wants_heartbeat(), from a timer. */
void fp_heartbeat(unsigned worker);
bool fp_wants_heartbeat(void);

/* ---- flows ----------------------------------------------------------------------------------------------------- */

/* A receiver as a publisher's worker knows it: copied out of the link under the subscription lock, or kept in atomics by
 * the session. generation 0: not a target. */
struct fp_receiver {
	enum fp_road road;
	uint8_t form;
	uint32_t slot;
	uint64_t generation;
	uint64_t isn_pair;
	uint32_t place; /* in the group, if the flow is shared */
};

/* Does the fast path forward at all? Any thread. */
bool fp_is_on(void);
/* Can a flow have a topic of this length, for publishers of this form? */
bool fp_topic_fits(uint8_t form, size_t topic_len);

/* Would a flow from this publisher for this topic be of use (road, topic length, switched on, not installed already)?
 * Lock-free; the first test on the publish path. The publisher's worker only. */
bool fp_flow_wanted(struct fp_link *publisher, const char *topic, size_t topic_len);

/* Install the flow (namespace, form, the receivers' road; topic) -> n receivers of one road: at most fp_receivers_max(), and
 * of the publisher's form unless fp_forms_mix(). The caller holds the subscription lock and has matched under it: these
 * receivers are all there are. They are put into another order. With `turn` the flow is shared: one of the receivers, which
 * are in the order of their places, at most FP_SHARE_MAX and of the publisher's form, gets each message: the one behind the
 * place *turn, or the first one. It comes from fp_turn_new(), and the daemon uses it for its own choices. `publisher` is the caller's own link, which then need not
 * ask again, or NULL; receiver_id names one of the receivers. 0, or -errno (map full). */
int fp_flow_install(struct fp_link *publisher, uint16_t ns, uint8_t form, const char *topic, size_t topic_len,
		    struct fp_receiver *to, size_t n, uint32_t *turn, const char *receiver_id);

/* Any thread. NULL: there can be no shared flow. Free it when nobody uses it any more; before fp_close(). */
uint32_t *fp_turn_new(void);
void fp_turn_free(uint32_t *turn);

/* Can the kernel change a message into the receiver's form on this road? */
bool fp_forms_mix(enum fp_road road);

/* Receivers that a flow of the road can have; 0: none. */
size_t fp_receivers_max(enum fp_road road);

/* Remove the flows whose topic matches the filter (of namespace ns). Before SUBACK and UNSUBACK, under the lock. */
void fp_flow_invalidate(uint16_t ns, const char *filter, size_t filter_len);
/* Remove all flows: what allowed them may have changed. When it returns no message that one of them carried is on its way
 * into a queue any more. Nobody may be about to install one. */
void fp_flows_clear(void);
/* Remove the flows to a receiver that is gone or no target any more; slot 0 is nobody. */
void fp_flow_remove_receiver(uint32_t slot);

/* What is known of a flow. */
struct fp_flow_info {
	uint16_t ns;
	uint8_t form;
	char publisher[32]; /* client identifier of the only one that uses it; "": there may be others */
	enum fp_road road;
	char topic[129];
	char receiver[32]; /* client identifier of one of them */
	uint32_t receivers;
	uint64_t messages, bytes, last_ns;
};
/* The flow of publishers on this road and of this form, if there is one; `publisher`: whose own flow it would be if it is
 * alone, NULL: that of all others. Any thread. */
bool fp_flow_find(const struct fp_link *publisher, uint16_t ns, uint8_t form, enum fp_road road, const char *topic,
		  size_t topic_len, struct fp_flow_info *out);
/* Call `each` for every flow that is installed all the time; stops when it returns non-zero. Any thread; `each` must not
 * call back. */
int fp_flow_each(int (*each)(const struct fp_flow_info *, void *), void *arg);

/* ---- deliveries that come back --------------------------------------------------------------------------------- */

/*
 * When one of several receivers of a flow cannot take a message now (its queue is full, or the daemon has output for it that
 * must go first), the kernel gives the daemon its copy: it comes through the sink of the publisher's worker. Until the
 * daemon has said with fp_returned() that such a message is in the receiver's output, all later ones come this way, too.
 *
 * A publisher's copies in the sink are older than what is read from its connection afterwards, so whoever reads from a
 * connection with FP_ROAD_LOCAL looks into the sink between reading and handling (fp_sink_waits() says if need be).
 */
struct fp_diverted {
	uint32_t slot;		/* of the receiver, */
	uint64_t generation;	/* and which connection it was then */
	const uint8_t *packets; /* whole PUBLISH packets of QoS 0 to one topic, in the receiver's form; borrowed */
	size_t len;
};

enum {
	FP_SLOTS = 16384, /* slots are below this */
	FP_SHARE_MAX = 64,
	FP_RECEIVERS_MAX = 1024, /* fp_receivers_max() is not greater */
};

/* Make the calling worker's sink; before its first fp_attach(). Returns a descriptor that is readable when something is in
 * it, not the caller's to close; or -errno: its publishers have flows with one receiver only. */
int fp_sink_open(void);
bool fp_sink_waits(void);
/* Take out what is in the calling worker's sink. */
void fp_sink_read(void (*each)(const struct fp_diverted *, void *), void *arg);
/* So many diverted messages are written to this receiver, or in its output and it is held. Its owner. */
void fp_returned(struct fp_link *link, uint64_t messages);

/* ---- counters --------------------------------------------------------------------------------------------------- */

struct fp_road_stats {
	uint64_t taken, taken_bytes, taken_payload; /* PUBLISH packets from publishers that the daemon did not see */
	uint64_t forwarded, forwarded_bytes;	    /* PUBLISH packets the kernel delivered, one for each receiver */
	uint64_t pings;				    /* PINGREQ the kernel answered; they are in none of the others */
	uint64_t forwarded_payload;		    /* bytes of payload in them */
	uint64_t
		diverted; /* deliveries of messages taken that came back to the daemon, because the receiver was not ready */
	uint64_t passed; /* times the kernel gave data to the daemon */
	uint64_t passed_fence, passed_no_flow, passed_full, passed_held, passed_busy, passed_shape, passed_dead,
		passed_off; /* by reason; they add up to passed */
};
struct fp_stats {
	struct fp_road_stats local, remote;
	uint64_t flows, slots;
	uint64_t flows_max; /* there may be */
	uint64_t evicted;   /* flows that made room for others */
	uint64_t told;	    /* times that one of several connections was written to by fp_tell() */
	uint64_t dropped;   /* messages lost in the kernel, by any reason */
};
void fp_stats(struct fp_stats *out);

#endif
