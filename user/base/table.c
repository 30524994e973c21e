// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/table.h"

enum { BUCKETS_MIN = 8 };

static void link_node(struct table *t, struct table_node *n)
{
	struct table_node **bucket = &t->buckets[n->hash & t->mask];

	n->next = *bucket;
	*bucket = n;
}

static int grow(struct table *t)
{
	size_t size = t->buckets ? (t->mask + 1) * 2 : BUCKETS_MIN;
	struct table bigger = {.buckets = calloc(size, sizeof(*bigger.buckets)), .mask = size - 1, .count = t->count};

	if (!bigger.buckets)
		return t->buckets ? 0 : -1;
	for (size_t i = 0; t->buckets && i <= t->mask; i++)
		for (struct table_node *n = t->buckets[i], *next; n; n = next) {
			next = n->next;
			link_node(&bigger, n);
		}
	free(t->buckets);
	*t = bigger;
	return 0;
}

int table_insert(struct table *t, struct table_node *n, uint64_t hash)
{
	if ((!t->buckets || t->count > t->mask) && grow(t))
		return -1;
	n->hash = hash;
	link_node(t, n);
	t->count++;
	return 0;
}

void table_remove(struct table *t, struct table_node *n)
{
	struct table_node **p = &t->buckets[n->hash & t->mask];

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	t->count--;
}

void table_free(struct table *t)
{
	free(t->buckets);
	*t = (struct table){0};
}
