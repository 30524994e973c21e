// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The nodes of the topic tree and their edges. What hangs on the nodes is in tree_subs.c and tree_retained.c. */
#include "broker/tree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "broker/memory.h"
#include "broker/source.h"
#include "broker/tree_node.h"
#include "mqtt/topic.h"

enum { EDGES_MIN = 64 };

int tree_split(struct mqtt_str topic, struct tree_path *path)
{
	struct topic_levels it = topic_levels(topic);

	path->n = 0;
	while (topic_next_level(&it, &path->level[path->n]))
		if (++path->n == TREE_LEVELS_MAX)
			return it.done ? 0 : -E2BIG;
	return 0;
}

/* ---- the edge table ---------------------------------------------------------------------------------------------- */

static struct edges *edges_new(struct tree *t, size_t size, unsigned link)
{
	struct edges *e = calloc(1, sizeof(*e) + size * sizeof(e->buckets[0]));

	if (!e)
		return NULL;
	e->tree = t;
	e->mask = size - 1;
	e->link = link;
	return e;
}

static void edges_link(struct edges *e, struct tree_node *n)
{
	struct tree_node **bucket = &e->buckets[n->edge_hash & e->mask];

	__atomic_store_n(&n->edge[e->link], *bucket, __ATOMIC_RELEASE);
	__atomic_store_n(bucket, n, __ATOMIC_RELEASE);
}

static void edges_unlink(struct edges *e, struct tree_node *n)
{
	struct tree_node **p = &e->buckets[n->edge_hash & e->mask];

	while (*p != n)
		p = &(*p)->edge[e->link];
	__atomic_store_n(p, n->edge[e->link], __ATOMIC_RELEASE);
}

static void edges_free_later(struct rcu_later *later)
{
	struct edges *old = container_of(later, struct edges, later);

	__atomic_store_n(&old->tree->resizing, false, __ATOMIC_RELEASE);
	free(old);
}

/* Double the table if it is full. Without memory it only gets slower. */
static void edges_grow(struct tree *t)
{
	struct edges *old = t->edges;
	struct edges *e;

	/* Acquire: pairs with edges_free_later(); no reader walks the other links after it. */
	if (t->nodes <= old->mask || __atomic_load_n(&t->resizing, __ATOMIC_ACQUIRE))
		return;
	e = edges_new(t, (old->mask + 1) * 2, !old->link);
	if (!e)
		return;
	for (size_t i = 0; i <= old->mask; i++)
		for (struct tree_node *n = old->buckets[i]; n; n = n->edge[old->link])
			edges_link(e, n);
	__atomic_store_n(&t->resizing, true, __ATOMIC_RELAXED);
	__atomic_store_n(&t->edges, e, __ATOMIC_RELEASE);
	rcu_call_later(&old->later, edges_free_later);
}

struct tree_node *tree_child(struct tree *t, const struct tree_node *parent, struct mqtt_str level, uint64_t level_hash)
{
	const struct edges *e = __atomic_load_n(&t->edges, __ATOMIC_ACQUIRE);
	uint64_t hash = hash_mix(level_hash, parent->id);
	struct tree_node *n = __atomic_load_n(&e->buckets[hash & e->mask], __ATOMIC_ACQUIRE);

	while (n) {
		if (n->edge_hash == hash && n->parent == parent && n->level_len == level.len &&
		    (level.len == 0 || memcmp(n->level, level.data, level.len) == 0))
			return n;
		n = __atomic_load_n(&n->edge[e->link], __ATOMIC_ACQUIRE);
	}
	return NULL;
}

struct tree_node *tree_step(struct tree *t, struct tree_node *parent, struct mqtt_str level)
{
	if (topic_level_is(level, '+'))
		return __atomic_load_n(&parent->plus, __ATOMIC_ACQUIRE);
	if (topic_level_is(level, '#'))
		return __atomic_load_n(&parent->hash, __ATOMIC_ACQUIRE);
	return tree_child(t, parent, level, hash_bytes(level.data, level.len));
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static struct tree_node *node_new(struct tree *t, struct tree_node *parent, struct mqtt_str level)
{
	struct tree_node *n = calloc(1, sizeof(*n) + level.len);

	if (!n)
		return NULL;
	memory_took(sizeof(*n) + level.len);
	n->parent = parent;
	n->id = ++t->next_id;
	n->level_len = level.len;
	if (level.len)
		memcpy(n->level, level.data, level.len);
	return n;
}

static void node_free_later(struct rcu_later *later)
{
	struct tree_node *n = container_of(later, struct tree_node, later);

	free(n->subs);
	memory_gave(sizeof(*n) + n->level_len);
	free(n);
}

/* At the end: a walk gives the oldest topics first. */
static void add_child(struct tree *t, struct tree_node *parent, struct tree_node *n)
{
	n->edge_hash = hash_mix(hash_bytes(n->level, n->level_len), parent->id);
	edges_grow(t);
	edges_link(t->edges, n);
	n->prev_sibling = parent->last_child;
	parent->last_child = n;
	if (n->prev_sibling)
		__atomic_store_n(&n->prev_sibling->next_sibling, n, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&parent->first_child, n, __ATOMIC_RELEASE);
	t->nodes++;
}

/* A walk that stands on the node goes on from it: its own pointers stay. What is added behind it meanwhile is retained
 * later than the walk began, and no business of it. */
static void remove_child(struct tree *t, struct tree_node *parent, struct tree_node *n)
{
	edges_unlink(t->edges, n);
	if (n->prev_sibling)
		__atomic_store_n(&n->prev_sibling->next_sibling, n->next_sibling, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&parent->first_child, n->next_sibling, __ATOMIC_RELEASE);
	if (n->next_sibling)
		n->next_sibling->prev_sibling = n->prev_sibling;
	else
		parent->last_child = n->prev_sibling;
	t->nodes--;
}

static struct tree_node *make_step(struct tree *t, struct tree_node *parent, struct mqtt_str level)
{
	struct tree_node *n = node_new(t, parent, level);

	if (!n)
		return NULL;
	if (topic_level_is(level, '+'))
		__atomic_store_n(&parent->plus, n, __ATOMIC_RELEASE);
	else if (topic_level_is(level, '#'))
		__atomic_store_n(&parent->hash, n, __ATOMIC_RELEASE);
	else
		add_child(t, parent, n);
	parent->children++;
	return n;
}

struct tree_node *tree_make(struct tree *t, const struct tree_path *path)
{
	struct tree_node *n = t->root;

	for (uint32_t i = 0; i < path->n; i++) {
		struct tree_node *next = tree_step(t, n, path->level[i]);

		if (!next)
			next = make_step(t, n, path->level[i]);
		if (!next) {
			tree_prune(t, n);
			return NULL;
		}
		n = next;
	}
	return n;
}

void tree_prune(struct tree *t, struct tree_node *n)
{
	while (n->parent && !n->children && !n->pins && !n->retained && !n->shares &&
	       (!n->subs || n->subs->n == n->subs->dead)) {
		struct tree_node *parent = n->parent;

		if (parent->plus == n)
			__atomic_store_n(&parent->plus, NULL, __ATOMIC_RELEASE);
		else if (parent->hash == n)
			__atomic_store_n(&parent->hash, NULL, __ATOMIC_RELEASE);
		else
			remove_child(t, parent, n);
		parent->children--;
		n->gone = true;
		rcu_call_later(&n->later, node_free_later);
		n = parent;
	}
}

struct tree_node *tree_find(struct tree *t, struct mqtt_str filter)
{
	struct topic_levels it = topic_levels(filter);
	struct tree_node *n = t->root;
	struct mqtt_str level;

	while (n && topic_next_level(&it, &level))
		n = tree_step(t, n, level);
	return n;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

struct tree *tree_new(void)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->edges = edges_new(t, EDGES_MIN, 0);
	t->root = node_new(t, NULL, (struct mqtt_str){NULL, 0});
	if (!t->edges || !t->root) {
		free(t->edges);
		free(t->root);
		free(t);
		return NULL;
	}
	return t;
}

static void free_one(struct tree_node *n)
{
	if (n->retained) {
		message_unref(n->retained->message);
		source_unref(n->retained->source);
	}
	free(n->retained);
	for (struct tree_share *s = n->shares, *next; s; s = next) {
		next = s->next;
		free(s->subs);
		free(s);
	}
	free(n->subs);
	free(n);
}

void tree_free(struct tree *t)
{
	struct tree_node *n = t->root;

	rcu_wait();
	/* Always a leaf next; parents after their children. */
	while (n) {
		struct tree_node *parent = n->parent;

		if (n->plus) {
			n = n->plus;
		} else if (n->hash) {
			n = n->hash;
		} else if (n->first_child) {
			n = n->first_child;
		} else {
			if (parent && parent->plus == n)
				parent->plus = NULL;
			else if (parent && parent->hash == n)
				parent->hash = NULL;
			else if (parent)
				parent->first_child = n->next_sibling;
			free_one(n);
			n = parent;
		}
	}
	free(t->expiring);
	free(t->edges);
	free(t);
}

uint64_t tree_seq(const struct tree *t)
{
	return t->seq;
}
