/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* An intrusive hash table of one thread: chains in a power of two of buckets, doubled as it fills. Keys are the owner's
 * business: it walks the chain of a hash with table_next() and compares. */
#ifndef SHUNT_TABLE_H
#define SHUNT_TABLE_H

#include <stdint.h>
#include <stdlib.h>

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

/* Zero-initialised it is empty and holds no memory. */
struct table {
	struct table_node **buckets;
	size_t mask;
	size_t count;
};

/* The first node with this hash, and the next one after it. */
static inline struct table_node *table_same(struct table_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

static inline struct table_node *table_first(const struct table *t, uint64_t hash)
{
	return t->buckets ? table_same(t->buckets[hash & t->mask], hash) : NULL;
}

static inline struct table_node *table_next(const struct table_node *n)
{
	return table_same(n->next, n->hash);
}

/* 0, or -1 when there is no memory for the first buckets. Later it only gets slower. */
int table_insert(struct table *t, struct table_node *n, uint64_t hash);
void table_remove(struct table *t, struct table_node *n);
/* Free the buckets, not what is in them. */
void table_free(struct table *t);

/* Any node, NULL when it is empty: to take a table apart. *bucket: where the last call found one, 0 at first. */
static inline struct table_node *table_any(const struct table *t, size_t *bucket)
{
	for (; t->count && *bucket <= t->mask; ++*bucket)
		if (t->buckets[*bucket])
			return t->buckets[*bucket];
	return NULL;
}

#endif
