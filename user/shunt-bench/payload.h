/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a message carries: 16 bytes that say which message it is, and a pattern made from them up to its length, so that
 * the receiver can tell any changed byte.
 */
#ifndef SHUNT_BENCH_PAYLOAD_H
#define SHUNT_BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PAYLOAD_MIN = 16,		/* bytes */
	PAYLOAD_PUBLISHERS_MAX = 65535, /* the publisher takes 16 bits */
	PAYLOAD_SECONDS_MAX = 281474,	/* the time takes 48 bits */
};

struct payload {
	uint16_t tag;	    /* of the run */
	uint16_t publisher; /* from 0 */
	uint64_t due_ns;    /* when the message had to be sent, since the start of the run; 48 bits */
	uint64_t sequence;  /* of the publisher, from 0; 48 bits */
};

/* Write a payload of `size` bytes, at least PAYLOAD_MIN. */
void payload_write(uint8_t *buf, size_t size, const struct payload *p);

/* Read it back; false when it is not one of this `tag` and size, or the pattern is not intact. */
bool payload_read(const uint8_t *buf, size_t len, size_t size, uint16_t tag, struct payload *out);

#endif
