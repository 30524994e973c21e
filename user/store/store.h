/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The store: what has to outlive the daemon, in an SQLite database that a thread of its own writes.
 *
 * A worker says what changes as operations, through the store_client that is its own. Operations are applied in the order
 * in which they were sent, also those of different workers when one was sent after the other (by whatever
 * synchronisation). A unit is on disk as a whole or not at all. Whatever came while the disk was busy is committed
 * together.
 *
 * When the disk fails, nothing is lost: operations are kept, and tried again each second, until they are on disk;
 * store_done() says so by not moving.
 *
 * There is a row for each delivery that waits. The session's worker has the first of them in memory; the others it reads
 * as pages. Identifiers (store_new_id()) of deliveries grow with time, by each client strictly, so that both sides can say
 * which are meant.
 */
#ifndef SHUNT_STORE_H
#define SHUNT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/message.h"
#include "net/inbox.h"
#include "net/loop.h"
#include "store/durability.h"

enum {
	STORE_BATCH = 64, /* operations */
	STORE_PAGE = 256, /* rows; a page may have more of those that are not queued */
};

struct store_config {
	const char *path; /* of the database; files beside it have suffixes */
	enum store_durability durability;
	uint32_t batch_ms;
	bool refuse_damaged; /* do not set a damaged file aside and begin anew */
};

enum store_kind {
	STORE_NOTHING,
	/* id: session; ns: number of its namespace; text: client identifier; expiry; away: is not connected any more. New, or its new times. */
	STORE_SESSION,
	/* id: session. With all that is its own. */
	STORE_SESSION_END,
	/* session; message or NULL for none; retain; delay (seconds). Takes the place of the one before. */
	STORE_WILL,
	/* session; text: filter; options; number: Subscription Identifier. Takes the place of one with the same filter. */
	STORE_SUBSCRIBE,
	/* session; text: filter */
	STORE_UNSUBSCRIBE,
	/* session; id; message; qos, retain, subscribed; ids, text: share or NULL */
	STORE_DELIVERY,
	/* session; id; pid; order: it was sent with this packet identifier, in the order of these numbers */
	STORE_SENT,
	/* session; id: PUBREC came, the message is not needed any more */
	STORE_RELEASED,
	/* session; id: the delivery is over */
	STORE_DELIVERED,
	/* session; pid; id; message or NULL; retain: QoS 2 that waits for PUBREL */
	STORE_HELD,
	/* session; pid: its message was delivered early */
	STORE_HELD_EARLY,
	/* session; pid: PUBREL came */
	STORE_HELD_OVER,
	/* message: retain it for its topic; text, username, listener: its publisher's identifier, user name and where it came in,
	 * as far as they are known */
	STORE_RETAIN,
	/* ns; text: topic */
	STORE_FORGET,
	/* number: kind of subject; text: who; order, id: CLOCK_MONOTONIC since when and until, 0 for ever; retain: automatic; ids: the
	 * reason as text. A ban, in place of one of the same. */
	STORE_BAN,
	/* number, text: likewise */
	STORE_UNBAN,
	/* session; page: answer it */
	STORE_READ,
};

/* Counted bytes, from malloc(). */
struct store_bytes {
	uint8_t *data; /* NULL: none */
	uint32_t len;
};

/* A change; its members as its kind says. */
struct store_op {
	enum store_kind kind;
	uint64_t session, id, order;
	struct message *message; /* a reference */
	struct store_page *page;
	struct store_bytes text, ids, username, listener;
	uint32_t expiry, delay, number;
	uint16_t pid, ns;
	uint8_t qos, options;
	bool retain, subscribed, away;
};

/* Free what it holds. */
void store_op_clear(struct store_op *op);

/* How far a stored delivery is. */
enum store_state {
	STORE_QUEUED,	  /* not sent */
	STORE_WAITS_ACK,  /* sent: PUBACK or PUBREC is missing */
	STORE_WAITS_COMP, /* PUBCOMP is missing; there is no message any more */
	STORE_IS_HELD,	  /* from the client, waits for PUBREL; message may be NULL */
};

/* A delivery read from the store. */
struct store_row {
	enum store_state state;
	uint64_t id, order;
	struct message *message; /* a reference or NULL */
	struct store_bytes text; /* share */
	struct store_bytes ids;
	uint16_t pid;
	uint8_t qos;
	bool retain, subscribed;
};

/* A question for what a session has in the store, and the answer. */
struct store_page {
	struct inbox_item item; /* receive: called in the asker's thread, with the page ours again */
	/* the question */
	void *asker;
	bool all;	       /* also what was sent, and held: the session was not in memory */
	bool shared;	       /* only what came by shared subscriptions, for others: the session ends */
	unsigned nknown;       /* entries of known */
	const uint64_t *known; /* by client: deliveries up to this identifier are in memory or over; borrowed until
					the answer */
	/* the answer */
	int error; /* -EIO, -ENOMEM: ask again later */
	bool more; /* there were more queued */
	unsigned n;
	struct store_row *rows; /* malloc()ed: held, sent, queued, each in their order */
};

/* Free the answer and what it holds. */
void store_page_clear(struct store_page *page);

struct store;

/* One thread's way to the store; belongs to it. */
struct store_client {
	struct store *store;
	struct loop *loop;		       /* of the thread */
	void (*notice)(struct store_client *); /* called by the loop: `done` has moved */
	unsigned index;			       /* below 256, of no other client */
	struct store_batch *batch;	       /* being filled */
	uint64_t operations;		       /* so far */
	uint64_t failures;		       /* what could not be said, or done, for want of memory */
	uint64_t sent, done;		       /* batches */
	uint64_t pending;		       /* bytes of memory in what was sent and is not done */
	bool in_unit, unit_sent;	       /* a unit has begun; in a batch that was sent */
	bool open_unit;			       /* the store's thread's: in the last batch that it received */
};

/* ---- life: main thread ------------------------------------------------------------------------------------------- */

/* Open or make the database; logs what is wrong. 0 or -errno. */
int store_open(struct store **out, const struct store_config *config);

/* 16 bytes that are the same in every run. */
const uint8_t *store_key(const struct store *s);

/* Call `each` for the namespaces that have a number, but the default one, 0, in the order of the numbers, until it returns
 * non-zero; returns that, or 0 or -errno after logging. */
int store_namespaces(struct store *s, int (*each)(void *arg, uint64_t number, struct store_bytes name), void *arg);
/* Give this namespace this number, which none has. Before store_load(). 0, or -errno after logging. */
int store_namespace(struct store *s, uint16_t number, const char *name);

/* What is told at the start. Each returns 0 or -errno, which ends it. Strings and messages are borrowed. */
struct store_reader {
	int (*session)(void *arg, const struct store_op *session, uint64_t away_ms, const struct store_op *will,
		       uint32_t deliveries, uint64_t bytes);
	int (*subscription)(void *arg, uint16_t ns, struct store_bytes client, const struct store_op *subscription);
	int (*retained)(void *arg, const struct store_op *retained);
	int (*ban)(void *arg, const struct store_op *ban);
};
/* Read sessions (away_ms ago their connection ended; so many deliveries that have a message, of so many bytes), then
 * subscriptions in the order they were made, then retained messages, then bans that are not over. Logs progress and errors. -EBADMSG: the file is
 * damaged, which was not seen when it was opened; it will be when it is closed and opened again. */
int store_load(struct store *s, const struct store_reader *reader, void *arg);

/* Start the thread. 0 or -errno. */
int store_start(struct store *s);

/* Commit what was sent, end the thread, close. The clients' threads have ended. */
void store_close(struct store *s);

/* Does anybody have to wait for store_done()? Not if the durability is less than STORE_SYNC. */
bool store_waits(const struct store *s);

/* ---- use: the client's thread ------------------------------------------------------------------------------------ */

/* An identifier larger than all before it of this client; its low 8 bits are the client's index. */
uint64_t store_new_id(struct store_client *c);

/* Give a message an identifier, unless it has one: before it is put into an operation. */
void store_name_message(struct store_client *c, struct message *m);

/* Room for one more operation, zeroed, to be filled at once; it takes what is put in. NULL without memory, which counts
 * as a failure. */
struct store_op *store_op(struct store_client *c, enum store_kind kind);

/* There is no memory for what is to be confirmed: whoever sees `failures` grow does not confirm it. */
static inline void store_failed(struct store_client *c)
{
	c->failures++;
}

/* The operations from now on, until store_unit(false), belong together. */
void store_unit(struct store_client *c, bool begin);

/* Send what there is. */
void store_flush(struct store_client *c);

/* What has to be done for all operations so far to be on disk, in the order of batches. */
static inline uint64_t store_ticket(const struct store_client *c)
{
	return c->sent + (c->batch != NULL);
}

static inline bool store_done(const struct store_client *c, uint64_t ticket)
{
	return c->done >= ticket;
}

/* ---- looking: any thread ----------------------------------------------------------------------------------------- */

struct store_stats {
	uint64_t commits, operations;
	uint64_t failures;   /* of commits */
	uint64_t waiting;    /* operations that are not on disk */
	uint64_t slowest_us; /* commit */
	bool failing;
	char error[128]; /* why, the last time */
};
void store_stats(struct store *s, struct store_stats *out);

#endif
