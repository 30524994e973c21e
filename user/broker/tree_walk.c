// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Walks over the retained messages that a filter matches, parents before their children, and children in the order they came
 * to be. So what comes while a walk rests comes behind it, and is later than the walk's `seq` anyway. */
#include <stdlib.h>

#include "broker/memory.h"
#include "broker/tree_node.h"
#include "mqtt/topic.h"

struct tree_walk {
	struct tree *tree;
	struct tree_path path; /* of `filter` */
	uint32_t below;	       /* the index of '#' in it: everything from this depth on matches; else UINT32_MAX */
	uint64_t seq;
	struct tree_node *at, *pin; /* where it is, and where it rests; NULL: it does not */
	uint32_t depth;		    /* of `at` */
	bool fresh;		    /* what is retained at `at` was not looked at yet */
	bool all;		    /* also what is barred */
	uint32_t len;
	uint8_t filter[];
};

struct tree_walk *tree_walk_new(struct tree *t, struct mqtt_str filter, uint64_t seq)
{
	struct tree_walk *w = malloc(sizeof(*w) + filter.len);

	if (!w)
		return NULL;
	*w = (struct tree_walk){.tree = t, .seq = seq, .at = t->root, .fresh = true, .len = filter.len};
	memcpy(w->filter, filter.data, filter.len);
	if (tree_split(tree_walk_filter(w), &w->path)) {
		free(w);
		return NULL;
	}
	w->below = topic_level_is(w->path.level[w->path.n - 1], '#') ? w->path.n - 1 : UINT32_MAX;
	memory_took(sizeof(*w) + filter.len);
	return w;
}

void tree_walk_free(struct tree_walk *w)
{
	if (!w)
		return;
	if (w->pin) {
		w->pin->pins--;
		tree_prune(w->tree, w->pin);
	}
	memory_gave(sizeof(*w) + w->len);
	free(w);
}

void tree_walk_all(struct tree_walk *w)
{
	w->all = true;
}

struct mqtt_str tree_walk_filter(const struct tree_walk *w)
{
	return (struct mqtt_str){w->filter, w->len};
}

/* Children of the root that begin with '$' are hidden from wildcards [MQTT-4.7.2-1]. */
static bool hidden(const struct tree_node *child)
{
	return !child->parent->parent && child->level_len > 0 && child->level[0] == '$';
}

/* It, or the first behind it that a wildcard may go to. */
static struct tree_node *eligible(struct tree_node *n)
{
	while (n && hidden(n))
		n = __atomic_load_n(&n->next_sibling, __ATOMIC_ACQUIRE);
	return n;
}

/* Do all children of a node at this depth match, as far as their own level goes? */
static bool takes_all(const struct tree_walk *w, uint32_t depth)
{
	return depth >= w->below || topic_level_is(w->path.level[depth], '+');
}

/* Where to go on below; NULL: nowhere. */
static struct tree_node *child_of(const struct tree_walk *w)
{
	if (!__atomic_load_n(&w->at->retained_below, __ATOMIC_ACQUIRE) ||
	    (w->below == UINT32_MAX && w->depth == w->path.n))
		return NULL;
	if (takes_all(w, w->depth))
		return eligible(__atomic_load_n(&w->at->first_child, __ATOMIC_ACQUIRE));
	return tree_step(w->tree, w->at, w->path.level[w->depth]);
}

static void go_to(struct tree_walk *w, struct tree_node *n, uint32_t depth)
{
	w->at = n;
	w->depth = depth;
	w->fresh = true;
}

/* To the next one that is not below. False: there is none. */
static bool go_past(struct tree_walk *w)
{
	struct tree_node *n = w->at;

	for (uint32_t depth = w->depth; depth > 0; depth--) {
		struct tree_node *next = NULL;

		if (takes_all(w, depth - 1))
			next = eligible(__atomic_load_n(&n->next_sibling, __ATOMIC_ACQUIRE));
		if (next) {
			go_to(w, next, depth);
			return true;
		}
		n = n->parent;
	}
	return false;
}

static bool go_on(struct tree_walk *w)
{
	struct tree_node *child = child_of(w);

	if (!child)
		return go_past(w);
	go_to(w, child, w->depth + 1);
	return true;
}

static bool matches(const struct tree_walk *w)
{
	return w->depth >= w->below || w->depth == w->path.n;
}

static bool look(struct tree_walk *w, bool (*each)(struct message *m, void *arg), void *arg)
{
	const struct retained *r = matches(w) ? __atomic_load_n(&w->at->retained, __ATOMIC_ACQUIRE) : NULL;

	if (r && r->seq <= w->seq && (w->all || !__atomic_load_n(&r->barred, __ATOMIC_RELAXED)) &&
	    !each(r->message, arg))
		return false;
	w->fresh = false;
	return true;
}

bool tree_walk(struct tree_walk *w, unsigned max, bool (*each)(struct message *m, void *arg), void *arg)
{
	for (; max; max--) {
		if (w->fresh && !look(w, each, arg))
			return true;
		if (!go_on(w))
			return false;
	}
	return true;
}

bool tree_walk_rest(struct tree_walk *w)
{
	struct tree_node *before = w->pin;

	/* Nothing was below what has left the tree, and what was behind it then is still what its link says. */
	while (w->at->gone)
		if (!go_past(w))
			return false;
	w->pin = w->at;
	w->pin->pins++;
	if (before) {
		before->pins--;
		tree_prune(w->tree, before);
	}
	return true;
}
