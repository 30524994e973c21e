/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The clients of a chaos run: publishers that look at the result of every send, subscribers that look at every byte.
 *
 * Every message carries who sent it, two sequence numbers, its length, the time and a body that is known from its number.
 * What must hold, whatever happens to clients, daemon and network:
 *  - a subscriber's stream consists of whole packets, each as it was published, on topics it has subscribed to; after
 *    UNSUBACK nothing comes that was published later, nor on a topic that nobody may read any more;
 *  - of each publisher they come in the order it sent them, none twice, whatever their topics and whatever connection
 *    of either side they came by;
 *  - between two messages that came on one subscription none is missing, but for those the daemon counts as dropped;
 *  - no send fails and no connection ends unless this program ended it, or the daemon was killed.
 *
 * Lives in memory shared with forked children (struct world); counters are atomic, any thread or process adds to them.
 */
#ifndef SHUNT_CHAOS_H
#define SHUNT_CHAOS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PUBLISHERS_MAX = 32,
	SUBSCRIBERS_MAX = 160,
	SHARED_TOPICS = 6,
	CROWD_TOPICS = 2,
	TOPICS_MAX = SUBSCRIBERS_MAX + SHARED_TOPICS + CROWD_TOPICS,
	TOPIC_LEN_MAX = 200,
	PAYLOAD_MAX = 110000,
	PACKET_MAX = PAYLOAD_MAX + TOPIC_LEN_MAX + 16,
	INPUT_MAX = 2 * PACKET_MAX,
	FAILURES_KEPT = 24,
	FAILURE_LEN = 320,
	EVENTS_KEPT = 512, /* a power of two */
	EVENT_LEN = 112,
	DAEMONS = 1024,
	PATIENCE_MS = 60000, /* what must come must come within this time, the daemon's stops not counted */
};

/* What is checked all the time; `storm` tells their names. */
enum check {
	STREAMS, /* whole packets, as published */
	TOPICS,	 /* only what is subscribed */
	ORDER,	 /* per publisher, none twice */
	SENDS,	 /* no send fails, no connection ends */
	ANSWERS, /* what is asked is answered in time */
	LAST,	 /* what was published in the calm at the end has come */
	CLIENTS, /* this program itself */
	CHECKS,
};

/* What one subscriber is at the moment, for the account of gaps; its thread writes it. */
struct seat {
	char id[32];
	uint32_t connection; /* how many it has had; 0 in between */
	uint32_t generation; /* of the daemon it is to: what a dead one sent can be read for long */
	uint64_t gaps;	     /* messages missing on this connection */
};

struct world {
	uint32_t generation; /* of the daemon: odd while it is dead or about to be killed */
	uint32_t stopped;    /* by SIGSTOP */
	uint32_t calm;	     /* nobody leaves any more and everybody reads */
	uint32_t silent;     /* publishers send no more */
	uint32_t denied;     /* 1 + the topic that nobody may read, 0: none */
	uint64_t denied_ns;  /* since when */
	uint32_t end;
	uint32_t resting;	/* publishers that have sent their last */
	uint32_t settled;	/* subscribers that have looked whether they got it */
	uint32_t running;	/* publishers and subscribers that have not ended */
	uint64_t gaps[DAEMONS]; /* by the daemon that the subscriber was connected to, the later ones in turn */
	uint64_t sent, sent_bytes, received, connects, cut, pings;
	uint64_t leaves[8]; /* by enum way */
	uint64_t events;
	uint32_t failures, failed[CHECKS];
	char failure[FAILURES_KEPT][FAILURE_LEN];
	char event[EVENTS_KEPT][EVENT_LEN];
	struct seat seats[SUBSCRIBERS_MAX];
	/* of each publisher on each topic its last message of the calm; valid once all publishers rest */
	struct last {
		uint64_t on_topic; /* 0: none */
		uint64_t time;
	} last[PUBLISHERS_MAX][TOPICS_MAX];
};

/* How a client leaves. */
enum way { CLOSE, RESET, HALF_CLOSE, DISCONNECT, DIE, TAKE_OVER, WAYS };

struct settings {
	struct sockaddr_in address;
	uint64_t seed;
	int publishers, subscribers, crowd; /* the last `crowd` subscribers listen to the same topics */
};

extern struct world *world;
extern struct settings settings;

/* What kind of subscriber a thread is, from its number. */
enum kind {
	STEADY,
	RESTLESS,   /* comes, subscribes, unsubscribes and leaves */
	SLOW,	    /* its queue is now full, now not */
	MORTAL,	    /* a process that is killed */
	TAKEN,	    /* all of them have the same client identifier */
	HUNTED,	    /* leaves after a moment, in the middle of a stream of its own */
	ALL_SHARED, /* by wildcard */
	CROWD,
};

enum kind kind_of(int subscriber);

/* ---- world.c ---------------------------------------------------------------------------------------------------- */

int world_open(void);
uint64_t now_ns(void);
void count(uint64_t *counter, uint64_t n);
uint32_t look(const uint32_t *flag);
/* What is wrong; the first FAILURES_KEPT are kept. */
void fail(enum check check, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What was done, for the story of a failure. */
void event(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t rng_next(uint64_t *rng);
/* 0 .. n - 1 */
uint32_t rng_below(uint64_t *rng, uint32_t n);
void pause_us(uint32_t us);

/* ---- topics.c --------------------------------------------------------------------------------------------------- */

/* How many there are: first one of each subscriber outside the crowd, then the shared ones, then those of the crowd. */
int topics(void);
/* Subscribers outside the crowd, the first ones. */
int owners(void);
bool is_crowd(int topic);
const char *topic_name(int topic);
/* Its number, or -1. */
int topic_find(const uint8_t *name, size_t len);
void topics_open(void);

/* ---- letter.c: the payload -------------------------------------------------------------------------------------- */

struct letter {
	uint32_t check; /* of the rest of the structure */
	uint16_t publisher, topic;
	uint32_t life;	   /* which connection of the publisher */
	uint32_t len;	   /* of the payload */
	uint64_t number;   /* of the publisher's messages */
	uint64_t on_topic; /* of its messages on this topic */
	uint64_t time;	   /* before it was sent */
};

void letters_open(void);
/* Write a payload of letter->len bytes, at least sizeof(struct letter); sets the check. */
void letter_write(struct letter *letter, uint8_t *to);
/* NULL if the payload is a letter as written, else what is wrong. */
const char *letter_read(const uint8_t *payload, size_t len, struct letter *letter);

/* ---- conn.c ----------------------------------------------------------------------------------------------------- */

struct conn {
	int fd;
	uint32_t generation; /* of the daemon it was made to */
	uint8_t level;	     /* protocol version */
	bool excused;	     /* its end is our own doing */
	const char *id;
	uint8_t *input; /* INPUT_MAX bytes */
	size_t start, end;
};

struct packet {
	uint8_t first;
	const uint8_t *body;
	size_t len;
};

/* How a publisher writes. */
enum writing { WHOLE, CUT_IN_TWO, BYTES, PIECES, GATHERED, MORE, WRITINGS };

int conn_new(struct conn *c);
/* Connect and CONNECT until accepted; false when the run ends or after a failure. `level` 4 or 5. */
bool conn_open(struct conn *c, const char *id, uint8_t level);
/* Write all of it. False: the connection is gone; a failure was told if it may not be. */
bool conn_send(struct conn *c, const void *data, size_t len, enum writing writing, uint64_t *rng);
/* Read at most `most` bytes within a time: 1 something came, 0 nothing, -1 the connection is gone (as above). */
int conn_read(struct conn *c, int timeout_ms, size_t most);
/* The next whole packet of what was read. False: there is none, or the stream is broken, which was told and c->fd is -1. */
bool conn_next(struct conn *c, struct packet *packet);
void conn_leave(struct conn *c, enum way way);
/* Is this connection's end no failure? */
bool conn_excused(const struct conn *c);
/* Bytes of the packet; `id` 0: QoS 0, else 1. */
size_t publish_write(uint8_t *to, uint8_t level, int topic, struct letter *letter, uint16_t id, bool retain);
size_t subscribe_write(uint8_t *to, uint8_t level, uint16_t id, const char *filter, bool unsubscribe);

/* ---- the clients ------------------------------------------------------------------------------------------------- */

void *publisher(void *number);
void *subscriber(void *number);
/* Only connects `count` clients and keeps them until standard input ends: 0 if all are still there then. */
int idle(int count);

#endif
