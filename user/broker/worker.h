/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A worker: one thread with its loop, its connections and its sessions. A turn of the loop goes
 *
 *	wait, read and handle packets, receive the inbox, timers	(loop.c)
 *	connections with more to read					worker.c
 *	tell the store what changed
 *	send the deliveries for other workers' sessions
 *	write the output of every connection that has some
 *	acknowledge the deliveries received; open fences
 *	close what broke, free what was closed
 *
 * A session lives on the worker that the hash of its client identifier names.
 */
#ifndef SHUNT_WORKER_H
#define SHUNT_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "base/table.h"
#include "broker/counters.h"
#include "broker/session.h"
#include "broker/tree.h"
#include "net/loop.h"

enum {
	WORKERS_MAX = 256,
	READ_SIZE = 65536, /* bytes read from a connection at once */
	BATCH_MAX = 128,
};

struct broker;
struct conn;
struct flow_receivers;
struct worker;

/* A listening socket as a worker sees it. */
struct acceptor {
	struct watch watch;
	struct worker *worker;
	unsigned listener;   /* index in conf */
	struct timer resume; /* runs while out of descriptors */
};

/* A message for a session of another worker. */
struct batch_entry {
	struct session *session; /* NULL: nobody, see worker_fence() */
	struct message *message; /* a reference */
	struct conn *from;	 /* wants to know when it is written; counted in its `pending`. NULL: nobody */
	struct deliver_as as;
	bool diverted;	     /* by the kernel: */
	uint64_t generation; /* it wants to know of this connection, see worker_deliver_diverted() */
};

/* Filled by a worker in a turn, sent to another, and sent back when every entry was written, if somebody wants to
 * know. */
struct batch {
	struct inbox_item item;
	struct batch *next; /* waits to be sent back */
	struct worker *sender;
	bool wanted_back;
	unsigned n;
	struct batch_entry entry[BATCH_MAX];
};

/* What goes to another worker, and what comes from it. */
struct peer {
	struct batch *out;	 /* being filled; NULL: none */
	uint64_t sent, received; /* batches */
	uint64_t written; /* of those received: all in them is written, or its receiver is held; read by the other */
};

struct worker {
	struct loop loop;
	struct broker *broker; /* constant */
	unsigned index;	       /* constant */
	pthread_t thread;
	struct counters counters; /* written by this thread only, read by all */

	/* this thread's only */
	bool draining;			/* no new connections: the broker stops */
	bool stopping;			/* leave the thread after this turn */
	struct table sessions;		/* by client identifier */
	struct list conns;		/* struct conn by `all` */
	struct list ready;		/* more to read; by `ready` */
	struct list dirty;		/* something to write; by `dirty` */
	struct list fence;		/* fp_handled() may be due; by `fence` */
	struct list lingering;		/* closed, but for the socket; by `all` */
	struct list dead;		/* closed; by `all` */
	struct store_client store;	/* its `store` is NULL without persistence */
	struct list committing;		/* wait for the disk; by `committing` */
	struct list replaying;		/* replay.c's */
	struct list waiting;		/* connections whose PUBLISH wait for room, room.c; by `waits_for_room` */
	struct timer room;		/* looks at them */
	struct list loading;		/* wait for their session to be read from the store; by `loading` */
	struct tree_hits hits;		/* of the last match */
	struct flow_receivers *found;	/* flow.c's */
	struct watch sink;		/* of messages that the kernel diverted */
	struct peer *peers;		/* one for each worker */
	struct batch *back, **back_end; /* received in this turn, to be sent back after writing */
	struct tell_group *tell;	/* tell.c's; NULL: each connection is written to on its own */
	uint8_t *scratch;		/* READ_SIZE bytes and a few to look at */
	struct acceptor *acceptors;
	size_t nacceptors;
	struct timer heartbeat;
	struct timer sys;
	struct timer expire;	     /* worker 0 only: retained messages, bans */
	struct sys_state *sys_state; /* worker 0 only, see sys.c */
	uint64_t carried_ns;	     /* when conn_count_carried() was called last */
	uint64_t no_fd_logged_ns, rate_logged_ns;
	struct timer sweep_later; /* banning.c's, as the next */
	uint64_t swept_ns;

	/* from any thread */
	struct inbox_item sweep;
	bool sweep_sent; /* atomic */
};

/* Create the loop and the tables; the thread is started by worker_start(). 0 or -errno. */
int worker_init(struct worker *w, struct broker *b, unsigned index);
int worker_start(struct worker *w);
/* After the threads have ended, in the thread that ends them: receive what is left in the inbox. True if there was
 * any. */
bool worker_drain(struct worker *w);
void worker_destroy(struct worker *w);

/* Run fn(worker, arg) on the worker's thread and wait for it. Not from a worker. */
void worker_call(struct worker *w, void (*fn)(struct worker *, void *), void *arg);

/* The worker a client identifier belongs to, in whatever namespace. */
struct worker *worker_of(struct broker *b, const char *id, size_t len);

/* The session of a client identifier in a namespace, NULL if it has none here. */
struct session *worker_session(struct worker *w, const struct namespace *space, const char *id, size_t len);
/* A new one, in the table; NULL without memory. */
struct session *worker_session_new(struct worker *w, struct namespace *space, const char *id, size_t len);
/* End a session that has no connection: publish its will, remove its subscriptions, give messages of shared subscriptions
 * to other members, free it when nobody can see it. */
void worker_session_end(struct worker *w, struct session *s);

/* End it after so many milliseconds. */
void worker_session_expires(struct worker *w, struct session *s, uint64_t ms);

/* Count it among those that outlive their connections, or not, for max_sessions: its expiry_interval has changed. */
void worker_session_kept(struct session *s);

/* Hand a delivery to the worker of its session; takes what `as` holds. `from` may be NULL. */
void worker_deliver(struct worker *w, struct session *s, struct message *m, struct deliver_as as, struct conn *from);

/* The same for a message of QoS 0 (NULL: it is lost) that the kernel gave back. With generation not 0 it was the last of
 * those that were diverted together on their way to that connection. */
void worker_deliver_diverted(struct worker *w, struct session *s, struct message *m, uint64_t generation);

/* Send now what goes to other workers, instead of at the end of the turn: before an answer that is not in any output. */
void worker_pass_on(struct worker *w);

/* The fence of this new connection stays closed until everything is written that the worker has handed to others before: it
 * may be what an earlier connection of the same client has published, or its will. 0 or -ENOMEM. */
int worker_fence(struct worker *w, struct conn *c);

/* accept.c: watch the listening sockets; stop it. */
int accept_start(struct worker *w);
void accept_stop(struct worker *w);

#endif
