/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A client's connection: cutting what arrives into packets, writing what the socket takes and keeping the rest. It is
 * opened by handshake.h. A connection and its struct io belong to one thread at a time.
 */
#ifndef SHUNT_BENCH_CONN_H
#define SHUNT_BENCH_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "mqtt/packet.h"

enum { ERRNO_LIMIT = 134 }; /* one more than the greatest errno of Linux */

/* What the connections of one thread share. */
struct io {
	int epoll;
	uint8_t *scratch;  /* what recv() fills */
	size_t packet_max; /* longest packet that may arrive; a longer one is taken for a broken stream */
	bool gather;	   /* answers to what one recv() brought go out together */
	/* counters */
	uint64_t blocked;		      /* the socket was full: EAGAIN, or a part was taken */
	uint64_t send_errors[ERRNO_LIMIT];    /* by errno, EAGAIN not included */
	uint64_t receive_errors[ERRNO_LIMIT]; /* by errno */
	uint64_t closed;		      /* the broker ended the connection */
	uint64_t malformed;		      /* packets that cannot be, or cannot come from a broker */
};

/* Returns 0, or -ENOMEM or what epoll_create1() failed with. io_close() undoes it, also after a failure. */
int io_open(struct io *io, size_t packet_max);
void io_close(struct io *io);

/* Wait for events of the connections, so long at most, and handle them. */
void io_wait(struct io *io, uint64_t timeout_ns);

struct conn;
/* A packet has arrived; now_ns is when. It may write to the connection. Negative: the packet is not right, close. */
typedef int conn_packet_fn(struct conn *c, const struct mqtt_packet *packet, uint64_t now_ns);

struct bytes {
	uint8_t *data;
	size_t len, cap;
};

struct conn {
	int fd; /* -1: closed */
	struct io *io;
	conn_packet_fn *on_packet;
	void (*on_writable)(struct conn *c); /* all that was kept has been written; may be NULL */
	struct bytes in;		     /* the beginning of a packet */
	struct bytes out;		     /* what the socket did not take */
	bool corked;			     /* conn_write() only keeps */
	bool watching_output;
	uint64_t last_sent_ns;
	int answer;	 /* see handshake.c */
	uint8_t version; /* enum mqtt_version */
};

/* Have io_wait() look after the connection. 0 or a negative errno. */
int conn_watch(struct conn *c);

/* Do what epoll's events say; io_wait() calls it. */
void conn_event(struct conn *c, uint32_t events);

/* Write whole packets, or keep them until the socket takes them. False: the connection is broken and closed. */
bool conn_write(struct conn *c, const void *data, size_t len);

/* Is everything written? Nothing more should be, until on_writable. */
static inline bool conn_clear(const struct conn *c)
{
	return c->fd >= 0 && c->out.len == 0;
}

/* Send a PINGREQ if nothing was sent since `before_ns`. */
void conn_keep_alive(struct conn *c, uint64_t before_ns);

/* Close and free the buffers; conn_finish() says DISCONNECT before. Idempotent. */
void conn_close(struct conn *c);
void conn_finish(struct conn *c);
#endif
