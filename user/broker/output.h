/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is to be written to a connection: a queue of whole packets. Small packets are copied together into chunks, large
 * messages are referenced. Belongs to the worker of the connection; knows nothing of sockets.
 */
#ifndef SHUNT_OUTPUT_H
#define SHUNT_OUTPUT_H

#include <stdbool.h>
#include <sys/uio.h>

#include "broker/message.h"

struct output_item;

/* Zero-initialised it is empty and holds no memory. */
struct output {
	struct output_item *head, *tail;
	uint64_t bytes;	   /* not written yet */
	uint32_t messages; /* PUBLISH packets among them; those of a chunk count until all of it is written */
	uint64_t control;  /* bytes of other packets among `bytes`, counted likewise */
	size_t torn;	   /* bytes left of a packet that was written in part, while whole packets are wanted */
};

static inline bool output_empty(const struct output *o)
{
	return o->bytes == 0;
}

/* Append a packet that is no PUBLISH. 0 or -ENOMEM. */
int output_packet(struct output *o, const uint8_t *packet, size_t len);

/* The Subscription Identifiers of a delivery. */
struct sub_ids {
	uint32_t n;
	uint32_t id[];
};

/* Room for n, to be free()d; NULL without memory. */
struct sub_ids *sub_ids_new(uint32_t n);
struct sub_ids *sub_ids_one(uint32_t id);

struct output_publish {
	uint8_t version; /* the receiver's, enum mqtt_version */
	uint8_t qos;	 /* of this delivery */
	bool retain, dup;
	uint32_t mount; /* bytes of the topic that are left out, fewer than it has: mount.h */
	uint16_t pid;	/* with QoS 1 and 2 */
	/* 5.0 only */
	uint16_t alias;		   /* Topic Alias; 0: none */
	bool alias_only;	   /* the receiver knows it: the topic is left out */
	const struct sub_ids *ids; /* NULL: none */
	uint32_t max_packet;	   /* of the receiver; 0: no limit */
};

/* Append a PUBLISH of `m`, taking a reference if it is not copied. 0, -ENOMEM, or -EMSGSIZE (larger than
 * max_packet). */
int output_publish(struct output *o, struct message *m, const struct output_publish *p);

/* Describe the next bytes to write in at most `max` iovecs; returns how many, *len gets their sum. With `whole` not 0
 * they obey fp_send()'s rule: whole packets of at most `whole` bytes in all, or one larger packet, or what is left of
 * it. */
int output_gather(const struct output *o, struct iovec *iov, int max, size_t whole, size_t *len);

/* `n` of the `len` bytes that were gathered (with the same `whole`) have been written. */
void output_written(struct output *o, size_t n, size_t len, size_t whole);

/* Drop everything. */
void output_clear(struct output *o);

#endif
