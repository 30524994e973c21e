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

/* Replace an array by one with room for `cap`, without the cleared entries. */
static int array_copy(struct sub_array **subs, uint32_t cap)
{
	struct sub_array *old = *subs;
	struct sub_array *a = malloc(sizeof(*a) + cap * sizeof(a->v[0]));

	if (!a)
		return -ENOMEM;
	*a = (struct sub_array){.cap = cap};
	for (uint32_t i = 0; old && i < old->n; i++)
		if (old->v[i]) {
			old->v[i]->index = a->n;
			a->v[a->n++] = old->v[i];
		}
	__atomic_store_n(subs, a, __ATOMIC_RELEASE);
	if (old)
		rcu_call_later(&old->later, array_free_later);
	return 0;
}

int tree_array_add(struct sub_array **subs, struct tree_sub *sub)
{
	struct sub_array *a = *subs;

	if (!a || a->n == a->cap) {
		uint32_t live = a ? a->n - a->dead : 0;
		int rc = array_copy(subs, live < SUBS_MIN ? SUBS_MIN : live * 2);

		if (rc)
			return rc;
		a = *subs;
	}
	sub->index = a->n;
	__atomic_store_n(&a->v[a->n], sub, __ATOMIC_RELEASE);
	__atomic_store_n(&a->n, a->n + 1, __ATOMIC_RELEASE);
	return 0;
}

bool tree_array_remove(struct sub_array **subs, const struct tree_sub *sub)
{
	struct sub_array *a = *subs;

	__atomic_store_n(&a->v[sub->index], NULL, __ATOMIC_RELEASE);
	a->dead++;
	/* Half of it cleared: copying now costs each removal a constant on average. Without memory, another time. */
	if (a->dead > SUBS_MIN && a->dead > a->n / 2 && a->dead < a->n)
		return array_copy(subs, (a->n - a->dead) * 2) == 0;
	return false;
}

int tree_subscribe(struct tree *t, struct mqtt_str filter, struct mqtt_str share, struct tree_sub *sub)
{
	struct tree_path path;
	struct tree_node *n;
	int rc = tree_split(filter, &path);

	if (rc)
		return rc;
	n = tree_make(t, &path);
	if (!n)
		return -ENOMEM;
	sub->node = n;
	rc = share.len ? tree_share_add(n, share, filter, sub) : tree_array_add(&n->subs, sub);
	if (rc) {
		sub->node = NULL;
		tree_prune(t, n);
	}
	return rc;
}

void tree_unsubscribe(struct tree *t, struct tree_sub *sub)
{
	struct tree_node *n = sub->node;

	if (sub->share)
		tree_share_remove(n, sub);
	else
		tree_array_remove(&n->subs, sub);
	sub->node = NULL;
	tree_prune(t, n);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

void tree_hits_free(struct tree_hits *hits)
{
	free(hits->v);
	free(hits->shares);
	free(hits->ids);
	free(hits->seen);
	*hits = (struct tree_hits){0};
}

/* Room for `more` behind the `n` elements of `size` bytes; the array is moved if need be. */
static int reserve(void *array, size_t size, size_t n, size_t *cap, size_t more)
{
	size_t wanted = *cap ? *cap : HITS_MIN;
	void **p = array;
	void *v;

	if (n + more <= *cap)
		return 0;
	while (wanted < n + more)
		wanted *= 2;
	v = realloc(*p, wanted * size);
	if (!v)
		return -ENOMEM;
	*p = v;
	*cap = wanted;
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
	hit->options |= options & SUB_RETAIN_AS_PUBLISHED;
}

/* One more Subscription Identifier of a hit, behind those it has. */
static int add_id(struct tree_hits *hits, struct tree_hit *hit, uint32_t id)
{
	uint32_t *end = &hit->ids;

	if (reserve(&hits->ids, sizeof(*hits->ids), hits->nids, &hits->ids_cap, 1))
		return -ENOMEM;
	while (*end)
		end = &hits->ids[*end - 1].next;
	hits->ids[hits->nids++] = (struct tree_hit_id){.id = id};
	*end = (uint32_t)hits->nids;
	return 0;
}

/* The hit of a subscription: a new one, or with `overlap` the one that its subscriber has already. */
static struct tree_hit *hit_of(struct tree_hits *hits, void *subscriber, uint8_t options, bool overlap)
{
	uint32_t *place = overlap ? seen_place(hits, subscriber) : NULL;

	if (place && *place) {
		merge_options(&hits->v[*place - 1], options);
		return &hits->v[*place - 1];
	}
	hits->v[hits->n] = (struct tree_hit){.subscriber = subscriber, .options = options};
	if (place)
		*place = (uint32_t)hits->n + 1;
	return &hits->v[hits->n++];
}

static int collect_shares(struct tree_hits *hits, const struct tree_node *n)
{
	struct tree_share *s = __atomic_load_n(&n->shares, __ATOMIC_ACQUIRE);

	for (; s; s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) {
		if (reserve(&hits->shares, sizeof(struct tree_share *), hits->nshares, &hits->shares_cap, 1))
			return -ENOMEM;
		hits->shares[hits->nshares++] = s;
		hits->any = true;
	}
	return 0;
}

static int collect_subs(struct tree_hits *hits, const struct sub_array *a)
{
	uint32_t count = a ? __atomic_load_n(&a->n, __ATOMIC_ACQUIRE) : 0;
	/* A client is at a node only once: what comes from a single node needs no looking for doubles. */
	bool overlap = hits->n > 0 && !hits->duplicates;
	int rc = count ? reserve(&hits->v, sizeof(*hits->v), hits->n, &hits->cap, count) : 0;

	if (!rc && count && overlap)
		rc = seen_prepare(hits, count);
	for (uint32_t i = 0; i < count && !rc; i++) {
		const struct tree_sub *sub = __atomic_load_n(&a->v[i], __ATOMIC_ACQUIRE);
		struct tree_hit *hit;
		uint8_t options;
		uint32_t id;

		if (!sub)
			continue;
		hits->any = true;
		options = __atomic_load_n(&sub->options, __ATOMIC_RELAXED);
		if (options & SUB_NO_LOCAL && sub->subscriber == hits->publisher) /* 5.0 [MQTT-3.8.3-3] */
			continue;
		hit = hit_of(hits, sub->subscriber, options, overlap);
		id = __atomic_load_n(&sub->id, __ATOMIC_RELAXED);
		if (id)
			rc = add_id(hits, hit, id);
	}
	return rc;
}

/* Add a node's subscriptions to the hits. */
static int collect(struct tree_hits *hits, const struct tree_node *n)
{
	int rc = collect_subs(hits, __atomic_load_n(&n->subs, __ATOMIC_ACQUIRE));

	return rc ? rc : collect_shares(hits, n);
}

static void hits_clear(struct tree_hits *hits)
{
	hits->any = false;
	hits->n = hits->nshares = hits->nids = 0;
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

	hits_clear(hits);
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
		hits_clear(hits);
	return rc;
}
