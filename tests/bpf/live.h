/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the live tests of the fast path share: a listener of our own and connections to it whose both ends we hold, a small
 * daemon in a thread that routes every PUBLISH to one receiver as the broker would, publishers and a reader that checks
 * each byte.
 *
 * A test first shows that an invariant holds, then opens the fast path again with its protection taken out
 * (enum shunt_without) and shows that the same scenario notices.
 */
#ifndef SHUNT_TESTS_LIVE_H
#define SHUNT_TESTS_LIVE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fastpath/internal.h"

enum {
	LIVE_NS = 3,	      /* namespace of everything that is published */
	LIVE_PUBLISHERS = 16, /* numbers of publishers that a reader tells apart */
	LIVE_OWN = 0,	      /* the number of the daemon itself */
	LIVE_CONNS = 64,      /* that a daemon serves */
	LIVE_PAYLOAD_MAX = 1 << 21,
	LIVE_PAYLOAD_MIN = 8, /* number of the publisher, number of the message */
};

#define LIVE_TOPIC "live/topic"

/* ---- the fast path */

struct live {
	int listener;
	uint16_t port;
	enum fp_road road;
	char pins[64];
};

/* Open the fast path for one road with protections taken out, and a listener. A road that this kernel does not have skips
 * the test. */
void live_open(struct live *l, enum fp_road road, uint32_t without);
/* The same, with the pins given to a user. */
void live_open_as(struct live *l, enum fp_road road, uint32_t without, uid_t uid);
/* The same, with the pins at a place of the caller's. */
void live_open_at(struct live *l, enum fp_road road, const char *pins);
/* Open the local road for the clients that these fields of a configuration tell: cgroup, exclude_uids, exclude_cgroups. */
void live_open_for(struct live *l, const struct fp_config *clients);
void live_close(struct live *l);

/* A cmocka test for each road: `run` gets a pointer to the road as its state. */
extern enum fp_road live_roads[SHUNT_ROADS];
#define LIVE_TEST(run, name, road)                       \
	{                                                \
		name, run, NULL, NULL, &live_roads[road] \
	}
#define LIVE_BOTH_ROADS(run) \
	LIVE_TEST(run, #run "_local", FP_ROAD_LOCAL), LIVE_TEST(run, #run "_remote", FP_ROAD_REMOTE)

/* main() of a test program; its argument says which tests, with wildcards. */
#define LIVE_MAIN(tests)                                          \
	int main(int argc, char **argv)                           \
	{                                                         \
		if (argc > 1)                                     \
			cmocka_set_test_filter(argv[1]);          \
		return cmocka_run_group_tests(tests, NULL, NULL); \
	}
static inline enum fp_road live_road(void **state)
{
	return *(const enum fp_road *)*state;
}

/* ---- connections */

struct live_buffer {
	uint8_t *data;
	size_t at, len, size; /* data[at..len) is what is there */
};

struct live_conn {
	int client, broker; /* both ends */
	struct fp_link link;
	uint8_t form; /* set it between live_connect_plain() and live_attach() */
	char name[32];
	uint64_t received; /* by the broker's end */
	struct live_buffer in, out;
	size_t large; /* bytes still to go of the packet at the head of `out`, of which a part has gone */
	bool broken;  /* the connection failed or ended */
};

/* Connect, as a client that the fast path does not know yet; attach with `received` as the daemon has it; or both. */
void live_connect_plain(struct live *l, struct live_conn *c, const char *name);
void live_attach(struct live *l, struct live_conn *c);
void live_connect(struct live *l, struct live_conn *c, const char *name);
void live_subscribe(struct live *l, struct live_conn *c, const char *name); /* connect, and become a target */
void live_target(struct live_conn *c);
void live_disconnect(struct live_conn *c); /* as the broker does; either end may be closed already (-1) */
int live_flow(struct live_conn *publisher, const char *topic, const struct live_conn *receiver);

/* fp_send() of one buffer, tried again for up to a second while the receiver is full. */
ssize_t live_send(struct live_conn *c, const void *data, size_t len);

/* ---- packets */

/* Write a PUBLISH of message `seq` of `publisher` into `b`; its payload has `payload` bytes. Returns its length. */
size_t live_publish(uint8_t *b, const char *topic, uint32_t publisher, uint32_t seq, size_t payload);
/* Room that a PUBLISH needs beside its payload and topic. */
enum { LIVE_OVERHEAD = 8 };

void live_append(struct live_buffer *b, const void *data, size_t len);
void live_free(struct live_buffer *b);

/* ---- a reader that checks */

struct live_reader {
	int fd;
	pthread_t thread;
	bool running, stop, pause; /* stop, pause: atomic */
	struct live_buffer in;
	uint32_t next[LIVE_PUBLISHERS];
	/* atomic */
	uint64_t messages, bytes, own;
	uint64_t pings;	    /* PINGRESP */
	uint64_t gaps;	    /* messages left out */
	uint64_t reordered; /* messages behind a later one, or twice */
	uint64_t broken;    /* bytes that are no message of ours; nothing is read behind them */
	char what[120];	    /* the first that was broken */
};

void live_check(struct live_reader *r, const uint8_t *data, size_t len);
void live_reader_start(struct live_reader *r, int fd);
void live_reader_stop(struct live_reader *r);
static inline uint64_t live_load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}
/* Wait until so many messages have come, or none for `quiet_ms`. Whether they have come. */
bool live_reader_wait(struct live_reader *r, uint64_t messages, unsigned quiet_ms);
uint64_t live_violations(const struct live_reader *r);
#define live_assert_intact(r)                                                                             \
	do {                                                                                              \
		if (live_violations(r))                                                                   \
			fail_msg("%lu gaps, %lu reordered, %lu broken after %lu messages: %s", (r)->gaps, \
				 (r)->reordered, (r)->broken, (r)->messages, (r)->what);                  \
	} while (0)

/* ---- a daemon */

struct live_daemon {
	struct live_conn *conns[LIVE_CONNS];
	size_t nconns;
	struct live_conn *receiver; /* of every PUBLISH; NULL: they are counted and gone */
	unsigned delay_us;	    /* between reading and routing */
	size_t queue_max; /* bytes in the receiver's queue from which on a PUBLISH is dropped; 0: reading waits */
	size_t own_min, own_max; /* payloads of messages of its own to the receiver; 0: none */
	uint32_t own_count;	 /* how many */
	unsigned own_every_us;	 /* one in so long; 0: as fast as they are taken */
	bool stopped;		 /* atomic: as by SIGSTOP */
	/* results, atomic */
	uint64_t routed, dropped, own_sent;
	pthread_t thread;
	bool running, stop;
	uint32_t own_seq;
	uint64_t own_next_ns, rng;
};

void live_daemon_add(struct live_daemon *d, struct live_conn *c);
void live_daemon_start(struct live_daemon *d);
void live_daemon_stop(struct live_daemon *d);

/* ---- publishers */

struct live_publisher {
	struct live_conn *conn;
	const char *topic; /* NULL: LIVE_TOPIC */
	uint32_t id;
	uint32_t count;	   /* of messages; 0: until stopped */
	size_t min, max;   /* payload */
	unsigned every_us; /* pause after each */
	uint32_t first;	   /* number of the first */
	/* results, atomic */
	uint64_t sent, errors;
	int error; /* the first errno */
	pthread_t thread;
	bool stop;
};

void live_publisher_start(struct live_publisher *p);
void live_publisher_wait(struct live_publisher *p); /* until all is sent */
void live_publisher_stop(struct live_publisher *p);

/* ---- odds and ends */

uint32_t live_random(uint64_t *state);
/* All of it, on a blocking socket; 0 or -errno. SIGPIPE is on: see live_sigpipes. */
int live_send_all(int fd, const void *data, size_t len);
/* Something can be read from one of two sockets; other: -1 for none. */
void live_await(int fd, int other);
/* Exactly these bytes come within two seconds. */
bool live_expect(int fd, const void *data, size_t len);
bool live_expect_nothing(int fd);
/* SIGPIPEs seen since live_open(). */
uint64_t live_sigpipes(void);
void live_sleep_us(unsigned us);
void live_stats(enum fp_road road, struct fp_road_stats *out);

#endif
