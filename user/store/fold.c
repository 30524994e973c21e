// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A message that is delivered and acknowledged while the disk writes what was before it need never be written. */
#include "base/hash.h"
#include "store/batch.h"

static uint64_t key_of(const struct store_op *op)
{
	bool held = op->kind == STORE_HELD || op->kind == STORE_HELD_OVER;

	return hash_mix(op->session, held ? op->pid : op->id << 16);
}

static struct store_entry *find(const struct store_fold *fold, enum store_kind kind, const struct store_op *op)
{
	struct table_node *n = table_first(&fold->table, key_of(op));

	for (; n; n = table_next(n)) {
		struct store_entry *e = container_of(n, struct store_entry, by_key);

		if (e->op.kind == kind && e->op.session == op->session &&
		    (kind == STORE_HELD ? e->op.pid == op->pid : e->op.id == op->id))
			return e;
	}
	return NULL;
}

/* Both are as if they had never been. */
static void undo(struct store_fold *fold, struct store_entry *first, struct store_op *last)
{
	table_remove(&fold->table, &first->by_key);
	first->op.kind = STORE_NOTHING;
	last->kind = STORE_NOTHING;
}

/* It was on disk before, was sent and is over: then nobody needs to know with which packet identifier. */
static void forget_sent(struct store_fold *fold, const struct store_op *over)
{
	struct store_entry *sent = find(fold, STORE_SENT, over);

	if (!sent)
		return;
	table_remove(&fold->table, &sent->by_key);
	sent->op.kind = STORE_NOTHING;
}

static void fold_one(struct store_fold *fold, struct store_entry *e)
{
	struct store_op *op = &e->op;
	struct store_entry *first;

	switch (op->kind) {
	case STORE_DELIVERY:
	case STORE_HELD:
		/* Without memory it is written. */
		(void)!table_insert(&fold->table, &e->by_key, key_of(op));
		break;
	case STORE_SENT:
		first = find(fold, STORE_DELIVERY, op);
		if (first) {
			first->op.pid = op->pid;
			first->op.order = op->order;
			op->kind = STORE_NOTHING;
		} else {
			(void)!table_insert(&fold->table, &e->by_key, key_of(op));
		}
		break;
	case STORE_DELIVERED:
		first = find(fold, STORE_DELIVERY, op);
		if (first)
			undo(fold, first, op);
		else
			forget_sent(fold, op);
		break;
	case STORE_HELD_OVER:
		first = find(fold, STORE_HELD, op);
		if (first)
			undo(fold, first, op);
		break;
	default:
		break;
	}
}

void store_fold(struct store_fold *fold, struct store_batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		fold_one(fold, &b->entry[i]);
}

void store_fold_forget(struct store_fold *fold)
{
	if (fold->table.buckets)
		for (size_t i = 0; i <= fold->table.mask; i++)
			fold->table.buckets[i] = NULL;
	fold->table.count = 0;
}
