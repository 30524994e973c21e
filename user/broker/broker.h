/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The broker as the daemon's main() and the control socket see it. There is one in a process.
 *
 *	broker_prepare(conf)	as root: read the users, open the Unix sockets
 *	fp_open(...)		as root
 *	broker_listen()		as root: open the other sockets
 *	(drop privileges)
 *	fp_start()
 *	broker_start()		start the workers
 *	...
 *	broker_stop()
 *	fp_close()
 *	broker_free()
 */
#ifndef SHUNT_BROKER_H
#define SHUNT_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/counters.h"
#include "conf/conf.h"
#include "store/store.h"

struct access; /* broker/access.h */

/* Read the users, and open the Unix sockets, where clients can connect from now on; the files are given to uid and gid,
 * unless uid is -1. `conf` must live until broker_free(). Returns 0, or -errno after logging what is wrong. */
int broker_prepare(const struct conf *conf, uid_t uid, gid_t gid);

/* Open the listening sockets of TCP. After the fast path, which would never see a client that connected before. 0, or
 * -errno after logging. */
int broker_listen(void);

/* The number of workers there will be. After broker_prepare(). */
unsigned broker_workers(void);

/* Start the workers; from then on clients are served. 0, or -errno after logging. Main thread. */
int broker_start(void);

/* Call fn(arg) while every worker waits between two packets; for a change of the configuration. Workers must not have
 * pointers into the configuration that outlive a packet, but for the configuration itself and its listeners. fn must
 * be short and must not wait for workers or for RCU. Main thread, between broker_start() and broker_stop(). */
void broker_while_stopped(void (*fn)(void *), void *arg);

/* Let clients in, and let them do, by these rules from now on; also those that are connected. Takes them. During
 * broker_while_stopped(). */
void broker_set_access(struct access *access);

/* Publish the wills, write what can be written at once, close all connections, end the threads. Does nothing when it
 * was not started. Nobody may be in one of the functions below, or call them from then on. Main thread. */
void broker_stop(void);

/* Close the sockets and free everything. Main thread, after broker_stop(). */
void broker_free(void);

/* ---- looking: any thread that is not a worker, between broker_start() and broker_stop() -------------------------- */

struct broker_stats {
	uint64_t uptime_ms;
	unsigned workers;
	uint64_t memory_limit; /* bytes that clients may take; 0: no limit */
	bool memory_short;
	uint64_t clients_maximum; /* the most connected at once, as seen each second */
	/* Since the start; with what the kernel forwarded. Names of drops and closes: drop_names, close_texts. */
	struct counters sum;
	struct fp_stats fastpath;
	size_t bans;	  /* that hold now */
	bool persistence; /* there is a store: */
	struct store_stats store;
};
void broker_stats(struct broker_stats *out);

/* Namespaces have names; NULL and "" is the default one's. What is asked for in one that there is not is not there. */

/* The broker's own copy of the name, valid until broker_stop(); NULL: there is no such one. */
const char *broker_namespace(const char *space);
/* The name of the one with this number; "", too, if there is none. Likewise. */
const char *broker_namespace_name(uint16_t number);

/* A client: connected, or a session that waits for it. */
struct broker_client {
	const char *space; /* its namespace */
	const char *id;
	const char *username; /* NULL: none, or it was not there since the daemon started */
	const char *address;  /* "ADDRESS:PORT"; "" when it is not connected */
	bool connected;
	bool clean;	       /* its session ends with the connection */
	uint8_t version;       /* enum mqtt_version; 0 when it is not connected */
	uint16_t keep_alive;   /* seconds; 0 off */
	uint64_t connected_ms; /* for how long */
	uint32_t subscriptions;
	uint32_t inflight;     /* QoS 1 and 2 sent and not acknowledged */
	uint32_t queued;       /* messages that wait in the session */
	uint64_t queued_bytes; /* of their topics, payloads and properties; on disk, also of those in flight */
	uint64_t output_bytes; /* that wait for the socket */
	uint64_t dropped[DROP_REASONS];
	uint64_t messages_in, messages_out; /* PUBLISH packets that went through the daemon, of this session */
	uint64_t bytes_in, bytes_out;	    /* of this connection, through the daemon */
	const char *
		transport; /* "tcp", "unix", "tls", "websockets", "websockets over tls", "mqtt-sn"; static; NULL: it is away */
	const char *tls; /* "TLSv1.3"; NULL: none */
	enum fp_road road;
	bool target;			/* the kernel may deliver to it */
	bool held;			/* it has output that must go first */
	struct fp_client_counters fast; /* what the kernel forwarded from and to this connection */
};

/* Call `each` for every client, in no order, until it returns non-zero; returns that, or 0, or -ENOMEM. It is called in
 * the caller's thread from a snapshot of each worker's clients; the strings are valid during the call. */
int broker_clients(int (*each)(const struct broker_client *c, void *arg), void *arg);

/* The same for the client with this identifier in this namespace, if there is one: else -ENOENT. */
int broker_client(const char *space, const char *id, int (*each)(const struct broker_client *c, void *arg), void *arg);

struct broker_listener {
	const char *path;    /* of a Unix socket; NULL: TCP */
	const char *address; /* as configured; NULL: all */
	uint16_t port;
	const char *space; /* the namespace of its clients */
	bool websockets, tls;
	uint32_t connections; /* open */
};
/* Call `each` for every listener, in the order of the configuration, until it returns non-zero; returns that, or 0. */
int broker_listeners(int (*each)(const struct broker_listener *l, void *arg), void *arg);

/* What is known of a topic or filter: it is subscribed to or something is retained there. Strings are valid during the
 * call. look_tree.c */
struct broker_topic {
	const char *space; /* where, as in the next two */
	const char *topic;
	uint32_t subscribers; /* subscriptions to exactly this, */
	uint32_t shared;      /* and shared ones */
	bool retained;
	uint32_t retained_bytes; /* payload */
};
/* Call `each` for those of a namespace that the filter matches, as if they were topics, in no order, until it returns non-zero;
 * returns that, or 0, -EINVAL: no filter, -ENOENT: no such namespace, or -ENOMEM. It keeps nobody waiting, but memory is
 * not freed meanwhile. */
int broker_topics(const char *space, const char *filter, int (*each)(const struct broker_topic *t, void *arg),
		  void *arg);

struct broker_subscription {
	const char *space;
	const char *client, *filter;
	uint8_t qos;
	bool no_local;
};
/* The same for every subscription in all namespaces. */
int broker_subscriptions(int (*each)(const struct broker_subscription *s, void *arg), void *arg);

struct broker_retained {
	const char *space;
	const char *topic; /* without a NUL */
	size_t topic_len;
	const uint8_t *payload;
	size_t payload_len;
	uint8_t qos;
};
/* The same for the retained messages that the filter matches. */
int broker_retained(const char *space, const char *filter, int (*each)(const struct broker_retained *r, void *arg),
		    void *arg);

/* ---- bans, broker/bans.h: likewise ------------------------------------------------------------------------------- */

struct ban;
struct ban_subject;

/* Ban somebody, or ban him otherwise than he is. When it returns he is cut off, too. 0 or as bans_add(). */
int broker_ban(const struct ban *ban);
/* 0, or -ENOENT. */
int broker_unban(const struct ban_subject *who);

/* The table, to look into or to observe: from broker_prepare() to broker_free(). Any thread. */
struct bans *broker_bans(void);

/* ---- why --------------------------------------------------------------------------------------------------------- */

/* By which way plain messages on a topic go: of QoS 0, not retained, without properties. */
struct broker_why {
	const char *reason, *text; /* why the kernel does not carry them: a name and a clause; constants */
	char detail[256];	   /* more of it, or "" */
	char session[128];	   /* the client identifier it is about, as far as it fits, or "" */
	size_t nflows;
	struct fp_flow_info flows[4]; /* of the topic: by these the kernel carries them; none: it does not */
};
/* For what `client` of this namespace publishes; NULL: for clients on whatever road the receiver is. 0, -EINVAL when it is no
 * topic name, or -ENOENT: there is no such namespace. why.c */
int broker_why(const char *space, const char *topic, const char *client, struct broker_why *out);

/* ---- acting: as looking; act.c ------------------------------------------------------------------------------------ */

/* Disconnect a client of this namespace. 0, -ENOENT: there is no such client, -ENOTCONN: there is, but it is not connected. */
int broker_kick(const char *space, const char *id);

/* Publish a message in this namespace, as nobody's. 0; -ENOENT: there is no such namespace; -EINVAL: no topic, or one with a $ in front; -E2BIG: it has too many levels; -EPERM:
 * nothing may be retained; -EMSGSIZE; -EDQUOT: a session has no room; -ENOMEM. */
struct mqtt_publish;
int broker_publish(const char *space, const struct mqtt_publish *p);

/* Log the tree of subscriptions, a line each level, as notices. tree_dump.c */
void broker_log_tree(void);

#endif
