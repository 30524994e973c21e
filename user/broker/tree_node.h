/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Inside of the topic tree, for tree*.c only.
 *
 * A node is found from its parent through one hash table of all edges {parent, level}, or, for the levels '+' and '#',
 * by a pointer. The table grows while readers are in it: every node has two links, and a new table is chained through
 * the one that the current table does not use. The old link can be used again when no reader is in the old table any
 * more; until then the table does not grow.
 *
 * "atomic": stored with release by writers under the subscription lock, loaded with acquire by readers.
 */
#ifndef SHUNT_TREE_NODE_H
#define SHUNT_TREE_NODE_H

#include "base/rcu.h"
#include "broker/tree.h"

/* The subscriptions of a node or a share, in the order they came. Grown by copying; entries are appended and cleared in
 * place. */
struct sub_array {
	struct rcu_later later;
	uint32_t cap;
	uint32_t n;	      /* atomic; entries used, cleared ones included */
	uint32_t dead;	      /* cleared; writers only */
	struct tree_sub *v[]; /* atomic; NULL: cleared */
};

/* The shared subscriptions of a node that have one ShareName. */
struct tree_share {
	struct rcu_later later;
	uint32_t refs;	   /* atomic; one of the tree's, dropped a grace period after it left the tree */
	uint32_t *last;	   /* atomic, and what it points to, too: place of the member that was last chosen */
	uint32_t own_last; /* where that is until tree_share_keep_turn() */
	void (*release)(uint32_t *last); /* NULL before */
	struct tree_share *next;	 /* atomic; at the same node */
	struct sub_array *subs;		 /* atomic */
	uint32_t name_len, filter_len;
	uint8_t name[]; /* and the filter behind it */
};

struct retained {
	struct rcu_later later;
	struct message *message; /* a reference */
	struct tree_node *node;
	uint64_t seq;
	size_t heap_index;     /* in tree->expiring, if the message expires */
	struct source *source; /* a reference; writers only; NULL: unknown, or the broker */
	bool barred;	       /* atomic; its source may not publish it any more */
};

struct tree_node {
	/* constant */
	struct tree_node *parent;
	uint64_t id;
	uint64_t edge_hash;
	/* atomic */
	struct tree_node *edge[2]; /* next in the edge table's chain */
	struct tree_node *plus, *hash;
	struct tree_node *first_child, *next_sibling; /* without '+' and '#' */
	struct sub_array *subs;
	struct tree_share *shares;
	struct retained *retained;
	uint32_t retained_below; /* retained messages here and below: how a walk skips what has none */
	/* writers only */
	struct tree_node *prev_sibling, *last_child;
	uint32_t children; /* with '+' and '#' */
	uint32_t pins;	   /* walks that rest here: it stays in the tree */
	bool gone;	   /* it left the tree */
	struct rcu_later later;
	uint32_t level_len;
	uint8_t level[];
};

struct edges {
	struct rcu_later later;
	struct tree *tree;
	size_t mask;
	unsigned link;		     /* which of a node's links chains it here */
	struct tree_node *buckets[]; /* atomic */
};

struct tree {
	struct edges *edges;	/* atomic */
	struct tree_node *root; /* constant */
	/* writers only */
	uint64_t next_id;
	uint64_t seq;
	size_t nodes;
	struct tree_retained_sum retained;
	bool resizing; /* atomic: readers may still be in the table before this one */
	/* retained messages that expire, a binary heap by expires_ns */
	struct retained **expiring;
	size_t nexpiring, expiring_cap;
};

/* A topic or filter, taken apart. */
struct tree_path {
	uint32_t n;
	struct mqtt_str level[TREE_LEVELS_MAX];
};

/* 0 or -E2BIG. */
int tree_split(struct mqtt_str topic, struct tree_path *path);

/* The child for a level that is no wildcard, whose hash_bytes() is level_hash. Readers and writers. */
struct tree_node *tree_child(struct tree *t, const struct tree_node *parent, struct mqtt_str level,
			     uint64_t level_hash);

/* The child for any level, wildcards included. Readers and writers. */
struct tree_node *tree_step(struct tree *t, struct tree_node *parent, struct mqtt_str level);

/* Add to an array, which is made or grown. 0 or -ENOMEM. Writers. */
int tree_array_add(struct sub_array **subs, struct tree_sub *sub);
/* Take out of it; true if the others now have other places. Writers. */
bool tree_array_remove(struct sub_array **subs, const struct tree_sub *sub);

/* The same for the group of that name at a node, which is made with its first member and goes with its last. Writers. */
int tree_share_add(struct tree_node *n, struct mqtt_str name, struct mqtt_str filter, struct tree_sub *sub);
void tree_share_remove(struct tree_node *n, struct tree_sub *sub);

/* Find or make the node of a path; NULL without memory. Writers. */
struct tree_node *tree_make(struct tree *t, const struct tree_path *path);

/* Remove the node, and then its parents, as far as nothing hangs on them. Writers. */
void tree_prune(struct tree *t, struct tree_node *n);

#endif
