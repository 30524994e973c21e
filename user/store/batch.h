/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Operations on their way. For the store's files only. */
#ifndef SHUNT_STORE_BATCH_H
#define SHUNT_STORE_BATCH_H

#include "base/list.h"
#include "base/table.h"
#include "store/store.h"

/* An operation that a later one may undo before either was written. */
struct store_entry {
	struct store_op op;
	struct table_node by_key;
};

/* Filled by a client, applied by the store's thread, freed by the client when it is on disk. */
struct store_batch {
	struct inbox_item item;
	struct list link; /* in the group */
	struct store_client *client;
	uint64_t bytes;
	bool in_unit; /* goes on in the next one of this client */
	unsigned n;
	struct store_entry entry[STORE_BATCH];
};

void store_batch_free(struct store_batch *b);

/* What is in the group and may be undone: deliveries, that they were sent, and held messages, by a hash of what they are
 * called. fold.c */
struct store_fold {
	struct table table;
};

/* Look at the operations of a batch that joins the group: what one of them ends that began in the group is not written
 * at all, nor is that something was sent which is over. */
void store_fold(struct store_fold *fold, struct store_batch *b);
/* The group is on disk. */
void store_fold_forget(struct store_fold *fold);

#endif
