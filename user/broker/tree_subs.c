// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Subscriptions in the topic tree: adding, removing, and finding those that match a topic. */
#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "broker/tree_node.h"
#include "mqtt/topic.h"

enum {
	SUBS_MIN = 4,
	HITS_MIN = 64,
};

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static void array_free_later(struct rcu_later *later)
{
	free(container_of(later, struct sub_array, later));
}

/* Replace the node's array by one with room for `cap`, without the cleared entries. */
static int array_copy(struct tree_node *n, uint32_t cap)
{
	struct sub_array *old = n->subs;
	struct sub_array *a = malloc(sizeof(*a) + cap * sizeof(a->v[0]));

	if (!a)
		return -ENOMEM;
	*a = (struct sub_array){.cap = cap};
	for (uint32_t i = 0; old && i < old->n; i++)
		if (old->v[i]) {
			old->v[i]->index = a->n;
			a->v[a->n++] = old->v[i];
		}
	__atomic_store_n(&n->subs, a, __ATOMIC_RELEASE);
	if (old)
		rcu_call_later(&old->later, array_free_later);
	return 0;
}

static int array_add(struct tree_node *n, struct tree_sub *sub)
{
	struct sub_array *a = n->subs;

	if (!a || a->n == a->cap) {
		uint32_t live = a ? a->n - a->dead : 0;
		int rc = array_copy(n, live < SUBS_MIN ? SUBS_MIN : live * 2);

		if (rc)
			return rc;
		a = n->subs;
	}
	sub->node = n;
	sub->index = a->n;
	__atomic_store_n(&a->v[a->n], sub, __ATOMIC_RELEASE);
	__atomic_store_n(&a->n, a->n + 1, __ATOMIC_RELEASE);
	return 0;
}

int tree_subscribe(struct tree *t, struct mqtt_str filter, struct tree_sub *sub)
{
	struct tree_path path;
	struct tree_node *n;
	int rc = tree_split(filter, &path);

	if (rc)
		return rc;
	n = tree_make(t, &path);
	if (!n)
		return -ENOMEM;
	rc = array_add(n, sub);
	if (rc)
		tree_prune(t, n);
	return rc;
}

void tree_unsubscribe(struct tree *t, struct tree_sub *sub)
{
	struct tree_node *n = sub->node;
	struct sub_array *a = n->subs;

	__atomic_store_n(&a->v[sub->index], NULL, __ATOMIC_RELEASE);
	a->dead++;
	sub->node = NULL;
	/* Half of it cleared: copying now costs each removal a constant on average. Without memory, another time. */
	if (a->dead > SUBS_MIN && a->dead > a->n / 2 && a->dead < a->n)
		(void)array_copy(n, (a->n - a->dead) * 2);
	tree_prune(t, n);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

void tree_hits_free(struct tree_hits *hits)
{
	free(hits->v);
	free(hits->seen);
	*hits = (struct tree_hits){0};
}

static int hits_reserve(struct tree_hits *hits, size_t more)
{
	size_t cap = hits->cap ? hits->cap : HITS_MIN;
	struct tree_hit *v;

	if (hits->n + more <= hits->cap)
		return 0;
	while (cap < hits->n + more)
		cap *= 2;
	v = realloc(hits->v, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	hits->v = v;
	hits->cap = cap;
	return 0;
}

/* The place in `seen` of a subscriber: where it stands, or the free place where it belongs. */
static uint32_t *seen_place(struct tree_hits *hits, const void *subscriber)
{
	size_t i = hash_mix((uintptr_t)subscriber, 1) & hits->seen_mask;

	while (hits->seen[i] && hits->v[hits->seen[i] - 1].subscriber != subscriber)
		i = (i + 1) & hits->seen_mask;
	return &hits->seen[i];
}

/* Make `seen` ready for all hits and `more` others. */
static int seen_prepare(struct tree_hits *hits, size_t more)
{
	size_t size = HITS_MIN;

	while (size < (hits->n + more) * 2)
		size *= 2;
	if (size > hits->seen_cap) {
		uint32_t *seen = realloc(hits->seen, size * sizeof(*seen));

		if (!seen)
			return -ENOMEM;
		hits->seen = seen;
		hits->seen_cap = size;
	}
	memset(hits->seen, 0, size * sizeof(*hits->seen));
	hits->seen_mask = size - 1;
	for (size_t i = 0; i < hits->n; i++)
		*seen_place(hits, hits->v[i].subscriber) = (uint32_t)i + 1;
	return 0;
}

static void merge_options(struct tree_hit *hit, uint8_t options)
{
	if ((options & SUB_QOS_MASK) > (hit->options & SUB_QOS_MASK))
		hit->options = (uint8_t)((hit->options & ~SUB_QOS_MASK) | (options & SUB_QOS_MASK));
}

/* Add a node's subscriptions to the hits. */
static int collect(struct tree_hits *hits, const struct tree_node *n)
{
	const struct sub_array *a = __atomic_load_n(&n->subs, __ATOMIC_ACQUIRE);
	uint32_t count = a ? __atomic_load_n(&a->n, __ATOMIC_ACQUIRE) : 0;
	bool overlap = hits->n > 0;
	int rc;

	if (!count)
		return 0;
	rc = hits_reserve(hits, count);
	if (!rc && overlap)
		rc = seen_prepare(hits, count);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < count; i++) {
		const struct tree_sub *sub = __atomic_load_n(&a->v[i], __ATOMIC_ACQUIRE);
		struct tree_hit hit;

		if (!sub)
			continue;
		hit.subscriber = sub->subscriber;
		hit.options = __atomic_load_n(&sub->options, __ATOMIC_RELAXED);
		/* A client is at a node only once: what comes from a single node needs no looking for doubles. */
		if (overlap) {
			uint32_t *place = seen_place(hits, hit.subscriber);

			if (*place) {
				merge_options(&hits->v[*place - 1], hit.options);
				continue;
			}
			*place = (uint32_t)hits->n + 1;
		}
		hits->v[hits->n++] = hit;
	}
	return 0;
}

/* A node that was reached and the level of the topic that comes next. */
struct reached {
	struct tree_node *node;
	uint32_t at;
};

int tree_match(struct tree *t, struct mqtt_str topic, struct tree_hits *hits)
{
	/* Depth first: every level leaves at most one node waiting while the other branch is followed. */
	struct reached stack[TREE_LEVELS_MAX + 1];
	uint64_t hash[TREE_LEVELS_MAX];
	struct tree_path path;
	unsigned depth = 0;
	int rc = tree_split(topic, &path);

	hits->n = 0;
	if (rc)
		return rc;
	for (uint32_t i = 0; i < path.n; i++)
		hash[i] = hash_bytes(path.level[i].data, path.level[i].len);
	stack[depth++] = (struct reached){t->root, 0};
	while (depth && !rc) {
		struct reached r = stack[--depth];
		/* Wildcards in the first level do not match topics that begin with '$' [MQTT-4.7.2-1]. */
		bool wild = r.at > 0 || topic.len == 0 || topic.data[0] != '$';
		struct tree_node *next;

		/* '#' is for the level above it, too: section 4.7.1.2. */
		if (wild && (next = __atomic_load_n(&r.node->hash, __ATOMIC_ACQUIRE)))
			rc = collect(hits, next);
		if (r.at == path.n) {
			if (!rc)
				rc = collect(hits, r.node);
			continue;
		}
		if (wild && (next = __atomic_load_n(&r.node->plus, __ATOMIC_ACQUIRE)))
			stack[depth++] = (struct reached){next, r.at + 1};
		next = tree_child(t, r.node, path.level[r.at], hash[r.at]);
		if (next)
			stack[depth++] = (struct reached){next, r.at + 1};
	}
	if (rc)
		hits->n = 0;
	return rc;
}
