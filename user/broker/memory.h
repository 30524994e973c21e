/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The memory that clients take: messages, deliveries, output, packets that are not complete, sessions, connections,
 * subscriptions and topics; not what the daemon takes without clients, nor what the kernel has for sockets. Each thread counts
 * what it takes and gives back in its counters; memory_look() adds up. Above memory_limit memory is short, until an eighth
 * of it is free again: then what would have to be kept is not, while what passes through goes on, and so does whatever
 * makes room. Each connected client may still have a few messages on their way, or who is only a moment late would lose some.
 *
 * Between two looks of a worker there is one read of a socket at most, or what a turn of its loop receives from others. So
 * the limit is passed by that, and what one read can bring into being.
 */
#ifndef SHUNT_MEMORY_H
#define SHUNT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/counters.h"

enum {
	MEMORY_BLOCK = 16,	  /* bytes that malloc() takes for itself, about */
	MEMORY_FEW_BYTES = 4096,  /* what a connected client may have of a kind when memory is short */
	MEMORY_FEW_MESSAGES = 16, /* likewise */
};

/* A block was allocated, or freed. Any thread. */
static inline void memory_took(size_t bytes)
{
	COUNTER_ADD(memory, (int64_t)(bytes + MEMORY_BLOCK));
}

static inline void memory_gave(size_t bytes)
{
	COUNTER_ADD(memory, -(int64_t)(bytes + MEMORY_BLOCK));
}

struct broker;

/* Bytes that may be taken, by the option; 0: no limit. */
uint64_t memory_limit(const struct broker *b);

/* Look whether memory is short; logs when that changes. Any thread. */
void memory_look(const struct broker *b);

/* Was it at the last look? Any thread. */
bool memory_short(void);

/* Memory is short, and a connected client has as much of a kind as it may have then. Any thread. */
static inline bool memory_denies(uint32_t messages, uint64_t bytes)
{
	return memory_short() && (messages >= MEMORY_FEW_MESSAGES || bytes >= MEMORY_FEW_BYTES);
}

#endif
