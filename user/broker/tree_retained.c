// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Retained messages in the topic tree, section 3.3.1.3 of 3.1.1. */
#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "broker/memory.h"
#include "broker/source.h"
#include "broker/tree_node.h"

enum { HEAP_MIN = 64 };

static void retained_free_later(struct rcu_later *later)
{
	struct retained *r = container_of(later, struct retained, later);

	message_unref(r->message);
	memory_gave(sizeof(*r));
	free(r);
}

/* The broker's own are no matter of limits. */
static void add_to_sum(struct tree *t, const struct message *m)
{
	if (!m->origin)
		return;
	t->retained.messages++;
	t->retained.bytes += message_size(m);
}

static void take_from_sum(struct tree *t, const struct message *m)
{
	if (!m->origin)
		return;
	t->retained.messages--;
	t->retained.bytes -= message_size(m);
}

struct tree_retained_sum tree_retained_sum(const struct tree *t)
{
	return t->retained;
}

const struct message *tree_retained_of(struct tree *t, struct mqtt_str topic)
{
	const struct tree_node *n = tree_find(t, topic);

	return n && n->retained ? n->retained->message : NULL;
}

/* Count up or down from the node to the root. */
static void count_below(struct tree_node *n, int by)
{
	for (; n; n = n->parent)
		__atomic_store_n(&n->retained_below, n->retained_below + (uint32_t)by, __ATOMIC_RELEASE);
}

/* ---- expiry: a binary heap by the time of expiry, under the subscription lock ----------------------------------------- */

static void heap_put(struct tree *t, size_t i, struct retained *r)
{
	t->expiring[i] = r;
	r->heap_index = i;
}

static bool earlier(const struct retained *a, const struct retained *b)
{
	return a->message->expires_ns < b->message->expires_ns;
}

static void heap_up(struct tree *t, size_t i, struct retained *r)
{
	while (i > 0 && earlier(r, t->expiring[(i - 1) / 2])) {
		heap_put(t, i, t->expiring[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(t, i, r);
}

static void heap_down(struct tree *t, size_t i, struct retained *r)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < t->nexpiring && earlier(t->expiring[child + 1], t->expiring[child]))
			child++;
		if (child >= t->nexpiring || !earlier(t->expiring[child], r))
			break;
		heap_put(t, i, t->expiring[child]);
		i = child;
	}
	heap_put(t, i, r);
}

static int heap_reserve(struct tree *t)
{
	size_t cap = t->expiring_cap ? t->expiring_cap * 2 : HEAP_MIN;
	struct retained **v;

	if (t->nexpiring < t->expiring_cap)
		return 0;
	v = realloc(t->expiring, cap * sizeof(struct retained *));
	if (!v)
		return -ENOMEM;
	t->expiring = v;
	t->expiring_cap = cap;
	return 0;
}

static void heap_remove(struct tree *t, const struct retained *r)
{
	struct retained *moved = t->expiring[--t->nexpiring];
	size_t i = r->heap_index;

	if (moved == r)
		return;
	if (i > 0 && earlier(moved, t->expiring[(i - 1) / 2]))
		heap_up(t, i, moved);
	else
		heap_down(t, i, moved);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* It left its node. */
static void discard(struct tree *t, struct retained *r)
{
	if (r->message->expires)
		heap_remove(t, r);
	take_from_sum(t, r->message);
	source_unref(r->source);
	rcu_call_later(&r->later, retained_free_later);
}

static struct retained *retained_new(struct tree *t, struct message *m)
{
	struct retained *r = m->expires && heap_reserve(t) ? NULL : malloc(sizeof(*r));

	if (!r)
		return NULL;
	memory_took(sizeof(*r));
	*r = (struct retained){.message = message_ref(m), .seq = t->seq + 1};
	return r;
}

int tree_retain(struct tree *t, struct message *m, struct source *source, bool barred, bool *added)
{
	struct retained *r, *old;
	struct tree_path path;
	struct tree_node *n;
	int rc = tree_split(message_topic(m), &path);

	if (rc)
		return rc;
	r = retained_new(t, m);
	n = r ? tree_make(t, &path) : NULL;
	if (!n) {
		if (r) {
			message_unref(m);
			memory_gave(sizeof(*r));
		}
		free(r);
		return -ENOMEM;
	}
	t->seq++;
	r->node = n;
	r->source = source;
	r->barred = barred;
	old = n->retained;
	*added = !old;
	/* A walk that comes between the two stores may miss the message: its subscriber then gets it as a live one or
	 * is later than the store of the pointer. So the count goes up first. */
	if (!old)
		count_below(n, 1);
	if (m->expires)
		heap_up(t, t->nexpiring++, r);
	add_to_sum(t, m);
	__atomic_store_n(&n->retained, r, __ATOMIC_RELEASE);
	if (old)
		discard(t, old);
	return 0;
}

static void forget(struct tree *t, struct tree_node *n)
{
	struct retained *old = n->retained;

	__atomic_store_n(&n->retained, NULL, __ATOMIC_RELEASE);
	count_below(n, -1);
	discard(t, old);
	tree_prune(t, n);
}

bool tree_forget(struct tree *t, struct mqtt_str topic)
{
	struct tree_node *n = tree_find(t, topic);

	if (!n || !n->retained)
		return false;
	forget(t, n);
	return true;
}

unsigned tree_expire(struct tree *t, uint64_t now_ns, unsigned max, void (*gone)(struct message *m, void *arg),
		     void *arg)
{
	unsigned n = 0;

	for (; n < max && t->nexpiring && message_expired(t->expiring[0]->message, now_ns); n++) {
		gone(t->expiring[0]->message, arg);
		forget(t, t->expiring[0]->node);
	}
	return n;
}

/* ---- looking at all of them -------------------------------------------------------------------------------------- */

/* The one behind it, its children left out; NULL: it was the last. */
static struct tree_node *past(struct tree_node *n)
{
	while (n && !n->next_sibling)
		n = n->parent;
	return n ? n->next_sibling : NULL;
}

uint64_t tree_retained_review(struct tree *t, bool (*may)(struct source *source, struct mqtt_str topic, void *arg),
			      void *arg)
{
	struct tree_node *n = t->root;
	uint64_t barred = 0;

	while (n) {
		struct retained *r = n->retained;

		if (r && r->source) {
			bool bar = !may(r->source, message_topic(r->message), arg);

			__atomic_store_n(&r->barred, bar, __ATOMIC_RELAXED);
			barred += bar;
		}
		n = n->retained_below && n->first_child ? n->first_child : past(n);
	}
	return barred;
}
