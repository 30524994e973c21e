/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Mail to a thread: many senders, one receiver, no lock, no allocation. What one thread sends arrives in its order, and
 * more: when one send happened before another (by whatever synchronisation), it arrives before it.
 */
#ifndef SHUNT_INBOX_H
#define SHUNT_INBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Embedded in what is sent. Whoever sent it does not touch it until it is received. */
struct inbox_item {
	struct inbox_item *next;
	void (*receive)(struct inbox_item *, void *receiver);
};

struct inbox {
	struct inbox_item *head; /* newest first; atomic */
};

/* Any thread. True when the inbox was empty before. Sequentially consistent, because the sender goes on to look whether
 * the receiver sleeps, see loop_wait(). */
static inline bool inbox_push(struct inbox *box, struct inbox_item *item)
{
	struct inbox_item *head = __atomic_load_n(&box->head, __ATOMIC_RELAXED);

	do
		item->next = head;
	while (!__atomic_compare_exchange_n(&box->head, &head, item, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return head == NULL;
}

static inline bool inbox_empty(struct inbox *box)
{
	return __atomic_load_n(&box->head, __ATOMIC_SEQ_CST) == NULL;
}

/* The receiver only. Everything sent so far, oldest first, linked by `next`; NULL when there is nothing. */
static inline struct inbox_item *inbox_take(struct inbox *box)
{
	struct inbox_item *in = NULL;
	struct inbox_item *item;

	if (!__atomic_load_n(&box->head, __ATOMIC_RELAXED))
		return NULL;
	item = __atomic_exchange_n(&box->head, NULL, __ATOMIC_ACQUIRE);
	while (item) {
		struct inbox_item *older = item->next;

		item->next = in;
		in = item;
		item = older;
	}
	return in;
}

#endif
