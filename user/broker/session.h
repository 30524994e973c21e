/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The session of a client, section 4.1: what outlives its network connection. It belongs to the worker that
 * hash(client id) names, its owner; only the members marked "any thread" are touched by others.
 *
 * Life: other workers find sessions through the topic tree, under RCU, and send deliveries to the owner's inbox before
 * their next quiescent state. A session that ended is freed by the owner on receiving an item that was sent after a
 * grace period: every delivery to it was received before.
 *
 * The functions below are the QoS state machines of section 4.3. They write packets to the connection's output and know
 * nothing of sockets.
 */
#ifndef SHUNT_SESSION_H
#define SHUNT_SESSION_H

#include "base/list.h"
#include "base/rcu.h"
#include "base/table.h"
#include "broker/alias.h"
#include "broker/counters.h"
#include "broker/namespace.h"
#include "broker/output.h"
#include "broker/pid_map.h"
#include "broker/tree.h"
#include "conf/conf.h"
#include "fastpath/fastpath.h"
#include "net/inbox.h"
#include "net/timer.h"
#include "store/store.h"

struct conn;
struct sn_topics;

enum {
	/* Retained messages that a subscription may bring beyond the queue limits: references only, 2.5 MiB. */
	SESSION_RETAINED_MAX = 65536,
	/* Bytes of QoS 2 messages that a client may keep waiting for its PUBREL. */
	SESSION_HELD_MAX = 1 << 20,
	/* Messages and their bytes that a session of the store keeps in memory; what is behind them is on disk only. */
	SESSION_QUEUE_MAX = 2 * STORE_PAGE,
	SESSION_QUEUE_BYTES = 1 << 20,
};

/* Session Expiry Interval of one that does not expire, section 3.1.2.11.2 of 5.0. */
#define SESSION_NEVER_EXPIRES UINT32_MAX

/* The connection as its session sees it; embedded in struct conn. */
struct session_sink {
	struct output out;
	uint8_t version;	  /* enum mqtt_version */
	bool failed;		  /* something could not be appended: the connection must be closed */
	bool behind;		  /* a queue is full, and queue_policy says to close the connection then */
	const char *peer;	  /* its address, for the log; NULL in tests */
	uint16_t receive_max;	  /* of the client; 65535 before 5.0 */
	uint32_t max_packet;	  /* of the client; 0: no limit */
	struct alias_out aliases; /* of ours */
	struct mqtt_str mount;	  /* of the listener; mount.h */
	/* Something was appended: write it at the end of the turn. NULL in tests. */
	void (*dirty)(struct session_sink *);
	/* The output is full: try to write now. NULL in tests. */
	void (*flush)(struct session_sink *);
	/* Something waits for the disk: call session_stored() when it has got on. */
	void (*waits)(struct session_sink *);
	/* What comes next is in the store: call session_ask(). */
	void (*more)(struct session_sink *);
};

/* What happens to a flow's receiver; see flow.c. */
enum flow_target {
	FLOW_TARGET_NONE,
	FLOW_TARGET_ASKED,  /* the owner was or will be asked to make the connection a target */
	FLOW_TARGET_READY,  /* `receiver` is set */
	FLOW_TARGET_RESTS,  /* until rests_until_ns: it sends too much itself, */
	FLOW_TARGET_YIELDS, /* or the road is loaded */
};

/* What a session has in the store and not in memory. A delivery gets its identifier before it comes here, so it may be
 * in the store already, be read from there, and come here later, or the other way round. */
struct session_tail {
	bool active;		  /* there may be deliveries that are only in the store */
	bool cold;		  /* nothing is in memory: read it before the session goes on */
	struct store_page *asked; /* waits for this page */
	unsigned n;
	uint64_t *known;  /* by the low 8 bits of identifiers: the last one that came into memory, */
	uint64_t *passed; /* and the last that came and was left in the store */
};

struct session {
	/* constant, any thread */
	uint64_t stored;	 /* its identifier in the store; 0: it is not there, and ends with the daemon */
	struct namespace *space; /* NULL in tests, as the default one */
	char *name;		 /* for the log: namespace_client() */
	char *id;		 /* the end of it */
	size_t id_len;
	uint64_t id_hash; /* hash_bytes() of it */
	uint64_t origin;  /* message_origin() of it */
	unsigned worker;
	const struct conf *conf;

	/* any thread: written by the owner under the subscription lock, read under it; the bytes also without, as
	 * hints */
	struct fp_receiver receiver;   /* generation 0: no target */
	uint64_t generation;	       /* atomic; of `receiver` */
	uint64_t stored_bytes;	       /* atomic; in the store, of stored_messages */
	uint32_t stored_messages;      /* atomic */
	uint64_t refusals;	       /* atomic; messages for which its queue was full, since it was said in the log */
	bool store_full;	       /* atomic; said so in the log */
	struct access_rights *rights;  /* atomic; changes under the lock; NULL: it may do everything */
	bool online;		       /* atomic */
	uint8_t road;		       /* atomic; enum fp_road of the connection */
	uint8_t form;		       /* atomic; flow_form() of the connection */
	uint8_t target;		       /* atomic; enum flow_target; NONE or RESTS to ASKED by any thread */
	uint64_t rests_until_ns;       /* atomic; clock_ns() */
	struct inbox_item target_item; /* its own while ASKED, else nobody's */
	bool asked_alone;	       /* while ASKED: its publisher has flows of its own */
	struct message *asked;	       /* while ASKED: the message whose topic is to get the first flow; a reference */
	uint64_t dropped[DROP_REASONS]; /* atomic */
	bool dropping;			/* atomic; said so in the log, and not yet that it is over */

	/* the owner's from here on */
	struct table_node by_id;
	struct conn *conn; /* NULL: offline */
	struct session_sink *sink;
	uint32_t expiry_interval; /* seconds after its connection; 0: it ends with it; SESSION_NEVER_EXPIRES */
	bool ended;		  /* waits to be freed */
	bool kept;		  /* counted for max_sessions */
	bool said_too_large;	  /* in the log, of this connection */
	uint16_t last_pid;
	struct message *will; /* a reference; waits for its delay or for the end of the session; NULL: none */
	bool will_retain;
	struct timer will_delay;
	bool came; /* its client was there since the daemon started; else its rights are not known, and looked at when it comes */
	char *username;		     /* of its client; NULL: none */
	struct token *token;	     /* by which it came in; NULL: none */
	unsigned listener;	     /* where it came in */
	struct sn_topics *sn_topics; /* ids of MQTT-SN; NULL: none */

	struct table subs; /* struct subscription by node; changed under the subscription lock */

	/* to the client */
	struct list inflight;	 /* struct delivery with a packet identifier, in the order first sent */
	struct list *resend;	 /* the next of them to send again after a reconnect; &inflight: none */
	struct pid_map sent;	 /* packet identifier -> struct delivery */
	uint32_t unacked;	 /* PUBLISH of this connection that count against the client's Receive Maximum */
	uint64_t inflight_bytes; /* payload */
	struct list queue;	 /* struct delivery of QoS 1 and 2 that wait for the window or for the output */
	struct list backlog;	 /* struct delivery of QoS 0 that wait for the output */
	struct replays *replays; /* retained messages that it still gets, replay.c; NULL: none */
	uint32_t queued, backlogged;
	uint64_t queued_bytes, backlog_bytes;
	/* from the client */
	struct pid_map received; /* QoS 2 that wait for PUBREL -> struct held; section 4.3.3, method A */
	struct list held;	 /* those of them that were not delivered yet, in the order published */
	struct list released;	 /* the others */
	uint64_t held_bytes;

	/* only with `stored` */
	struct store_client *store; /* the owner's */
	struct session_tail tail;
	struct list committing; /* struct delivery that are sent when their packet identifier is on disk */
	bool will_stored;

	uint64_t dropped_said[DROP_REASONS]; /* `dropped` when the log last said how many */
	uint64_t messages_in, messages_out;  /* PUBLISH */

	struct timer expiry;
	struct rcu_later later;
	struct inbox_item free_item;
};

/* NULL without memory. */
struct session *session_new(struct namespace *space, const char *id, size_t id_len, unsigned worker,
			    const struct conf *conf);
/* Drop all messages and identifiers. */
void session_clear(struct session *s);
/* Free it and all messages; it has no subscriptions, no connection and no timer any more. */
void session_free(struct session *s);

/* A connection now writes for the session: send again what was not acknowledged [MQTT-4.4.0-1] and go on with the
 * queue. Call after the CONNACK was appended. */
void session_online(struct session *s, struct session_sink *sink);
void session_offline(struct session *s);

/* How a message goes to one session. Zero-initialised: QoS 0, nothing special. */
struct deliver_as {
	uint8_t qos;
	bool retain;		  /* RETAIN is set */
	bool subscribed;	  /* it is a retained message that a new subscription brings */
	struct sub_ids *ids;	  /* malloc()ed; NULL: none */
	struct tree_share *share; /* a reference: where else it may go; NULL: nowhere */
	uint64_t stored;	  /* its identifier in the store; 0: it is not there */
};

/* Free what it holds. */
void deliver_as_clear(struct deliver_as *as);

/* Deliver a message; takes what `as` holds. What cannot be sent or queued is dropped and counted, as queue_policy says; a
 * delivery that is in the store is never dropped for want of room. */
void session_deliver(struct session *s, struct message *m, struct deliver_as as);

/* At the end of the session: take out a message of QoS 1 that came by a shared subscription and was not acknowledged,
 * which another member of the group should get, section 4.8.2 of 5.0. The references are the caller's. False: none is
 * left. */
bool session_take_shared(struct session *s, struct message **m, struct tree_share **share);

/* ---- what it does not get: session_drop.c ------------------------------------------------------------------------- */

/* Count a message that it does not get. The log says that a client is behind. */
void session_drop(struct session *s, enum drop_reason reason);
/* The same in any thread, of a session that is in the store; under RCU. */
void session_drop_elsewhere(struct session *s, enum drop_reason reason);
/* It is not behind any more, or it ends: the log says how many messages it did not get. */
void session_drops_end(struct session *s);
/* How many until now. Any thread. */
uint64_t session_dropped(const struct session *s, enum drop_reason reason);

/* ---- sessions of the store: session_store.c ----------------------------------------------------------------------- */

/* It is in the store from now on, as this. 0 or -ENOMEM. Before anybody finds it. */
int session_store(struct session *s, uint64_t id, struct store_client *store);

/* Write a delivery of QoS 1 or 2 to the store of `client`, before session_deliver() or the way there; *as gets its
 * identifier. Any thread, with its own client; under RCU. 0 or -ENOMEM. */
int session_store_delivery(struct session *s, struct store_client *client, struct message *m, struct deliver_as *as);

/* Has the queue of the session room for a delivery of QoS 1 or 2, by its limit in bytes (and in messages, if those above
 * are dropped)? Always, if it is not in the store, or if it is empty. Any thread, under RCU. It is a look at counters that
 * others change at the same time: so the queue can get above its limit by what the workers are handling at the moment, a
 * message each. */
bool session_has_room(const struct session *s, const struct message *m);
/* A publisher waits, or was refused, because it has none: count it, and say so in the log once until the queue is
 * empty. The same. */
void session_refused(struct session *s);

/* Say a change of the session's to its store. */
void session_tell(struct session *s, enum store_kind kind, uint64_t id, uint16_t pid);

/* It is being sent with this packet identifier, after those of which that was said before. */
void session_store_sent(struct session *s, uint64_t id, uint16_t pid);

/* PUBREC came for the delivery: its message is not needed any more. */
void session_stored_released(struct session *s, const struct message *m, uint64_t id);

/* The delivery is over, for good; without a message since that. */
void session_stored_over(struct session *s, const struct message *m, uint64_t id);

/* A delivery came: is it to be handled here? If not, it is in memory already, or left in the store. */
bool session_takes(struct session *s, uint64_t id);
/* There is no memory for what it was to take: it is left in the store, to be read from there. */
void session_leaves(struct session *s, uint64_t id);

/* Read on from the store, unless an answer is awaited. `receive` gets the page. */
void session_ask(struct session *s, void (*receive)(struct inbox_item *, void *worker));

/* The answer will find nobody. */
void session_ask_no_more(struct session *s);

/* A delivery with this identifier came from the store. 0 or -ENOMEM. */
int session_knows(struct session *s, uint64_t id);

/* All of the page was taken. */
void session_answered(struct session *s, const struct store_page *page);

/* Take a delivery, or a held message, that was read from the store: takes its message, and the reference to `share`. 0 or
 * -ENOMEM. session.c, session_in.c */
int session_take_row(struct session *s, struct store_row *r, struct tree_share *share);
int session_take_held(struct session *s, struct store_row *r);

/* What waited for the disk and needs not any more goes out. */
void session_stored(struct session *s);

/* Free what is in memory: it is all in the store. The session is offline. */
void session_cool(struct session *s);

/* ---- */

/* There may be room in the output again: send what waits. */
void session_pump(struct session *s);

/* Does anything wait for nothing but room in the output? */
bool session_waits(const struct session *s);

/* Is there nothing, neither sent and not acknowledged nor waiting, that its client has to get? */
bool session_done(const struct session *s);

/* Is there room in the output for another message? Its client is connected. */
bool session_output_free(const struct session *s);

/* Does something wait that must go out before anything later of QoS 0? */
static inline bool session_backlogged(const struct session *s)
{
	return s->backlogged > 0 || s->replays;
}

/* Acknowledgements from the client. They return
 *	MQTT_RC_SUCCESS
 *	MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND	nothing in flight has the identifier
 *	MQTT_RC_PROTOCOL_ERROR			the delivery does not expect this packet */
int session_puback(struct session *s, uint16_t pid);
/* Then send PUBREL, also if not found, unless the reason was an error: the message is gone then [MQTT-4.3.3-4]. */
int session_pubrec(struct session *s, uint16_t pid, uint8_t reason);
int session_pubcomp(struct session *s, uint16_t pid);

/* A message of QoS 2 from the client, before its PUBREL. */
struct held_message {
	struct message *message; /* a reference of the caller's; NULL: none */
	bool retain;
};

/* A PUBLISH of QoS 2 with this identifier: 1 it is new and must be held, 0 it is known already [MQTT-4.3.3-2], -EPROTO it
 * came again and again without DUP. */
int session_receive(struct session *s, uint16_t pid, bool dup);
/* Hold a new one until its PUBREL, taking a reference; with NULL only its identifier. 0 or -ENOMEM. */
int session_hold(struct session *s, uint16_t pid, struct message *m, bool retain);
/* While more is held than SESSION_HELD_MAX: the first of them, to be delivered now; its PUBREL will find nothing. */
struct held_message session_overheld(struct session *s);
/* What waits for this PUBREL; NULL: nothing, or no message. Until the next of these calls. */
const struct held_message *session_held(struct session *s, uint16_t pid);
/* The PUBREL: *out gets what was held, with the reference; then send PUBCOMP with the reason returned, in any case [MQTT-4.3.3-2]. */
int session_pubrel(struct session *s, uint16_t pid, struct held_message *out);

/* Drop all of them: the session ends. */
void session_forget_received(struct session *s);

static inline bool session_is_online(const struct session *s)
{
	return s->sink != NULL;
}

static inline bool session_ends_with_connection(const struct session *s)
{
	return s->expiry_interval == 0;
}

#endif
