// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Groups of shared subscriptions in the topic tree, section 4.8.2 of 5.0. */
#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "broker/tree_node.h"

/* ---- changing ---------------------------------------------------------------------------------------------------- */

struct tree_share *tree_find_share(struct tree_node *n, struct mqtt_str name)
{
	struct tree_share *s = n->shares;

	while (s && !(s->name_len == name.len && memcmp(s->name, name.data, name.len) == 0))
		s = s->next;
	return s;
}

static struct tree_share *share_new(struct mqtt_str name, struct mqtt_str filter)
{
	struct tree_share *s = calloc(1, sizeof(*s) + name.len + filter.len);

	if (!s)
		return NULL;
	s->refs = 1;
	s->own_last = UINT32_MAX;
	s->last = &s->own_last;
	s->name_len = name.len;
	s->filter_len = filter.len;
	memcpy(s->name, name.data, name.len);
	memcpy(s->name + name.len, filter.data, filter.len);
	return s;
}

static void share_unlink(struct tree_node *n, const struct tree_share *s)
{
	struct tree_share **p = &n->shares;

	while (*p != s)
		p = &(*p)->next;
	__atomic_store_n(p, s->next, __ATOMIC_RELEASE);
}

static void share_free_later(struct rcu_later *later)
{
	tree_share_unref(container_of(later, struct tree_share, later));
}

struct mqtt_str tree_share_name(const struct tree_share *s)
{
	return (struct mqtt_str){s->name, s->name_len};
}

struct mqtt_str tree_share_filter(const struct tree_share *s)
{
	return (struct mqtt_str){s->name + s->name_len, s->filter_len};
}

int tree_share_add(struct tree_node *n, struct mqtt_str name, struct mqtt_str filter, struct tree_sub *sub)
{
	struct tree_share *s = tree_find_share(n, name);
	bool is_new = !s;
	int rc;

	if (is_new)
		s = share_new(name, filter);
	if (!s)
		return -ENOMEM;
	rc = tree_array_add(&s->subs, sub);
	if (rc && is_new)
		free(s);
	if (rc)
		return rc;
	sub->share = s;
	if (is_new) {
		s->next = n->shares;
		__atomic_store_n(&n->shares, s, __ATOMIC_RELEASE);
	}
	return 0;
}

/* How many members stand at places up to this one. */
static uint32_t members_until(const struct sub_array *a, uint32_t last)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < a->n && i <= last; i++)
		count += a->v[i] != NULL;
	return count;
}

void tree_share_remove(struct tree_node *n, struct tree_sub *sub)
{
	struct tree_share *s = sub->share;
	uint32_t last = __atomic_load_n(s->last, __ATOMIC_RELAXED);
	uint32_t before = last == UINT32_MAX ? 0 : members_until(s->subs, last) - (sub->index <= last);

	sub->share = NULL;
	/* Where the next turn is stays right, but for a choice that is made at this moment. */
	if (tree_array_remove(&s->subs, sub))
		__atomic_store_n(s->last, before - 1, __ATOMIC_RELAXED);
	if (s->subs->n > s->subs->dead)
		return;
	share_unlink(n, s);
	rcu_call_later(&s->later, share_free_later);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The Subscription Identifier itself in `ids`. */
static struct tree_hit hit_of(const struct tree_sub *sub)
{
	return (struct tree_hit){
		.subscriber = sub->subscriber,
		.ids = __atomic_load_n(&sub->id, __ATOMIC_RELAXED),
		.options = __atomic_load_n(&sub->options, __ATOMIC_RELAXED),
	};
}

struct tree_share *tree_share_ref(struct tree_share *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void tree_share_unref(struct tree_share *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (s->release)
		s->release(s->last);
	free(s->subs);
	free(s);
}

uint32_t *tree_share_turn(const struct tree_share *s)
{
	return s->release ? s->last : NULL;
}

void tree_share_keep_turn(struct tree_share *s, uint32_t *where, void (*release)(uint32_t *where))
{
	__atomic_store_n(where, __atomic_load_n(s->last, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
	__atomic_store_n(&s->last, where, __ATOMIC_RELEASE);
	s->release = release;
}

bool tree_share_member(const struct tree_share *s, uint32_t *at, uint32_t *place, struct tree_hit *out)
{
	const struct sub_array *a = __atomic_load_n(&s->subs, __ATOMIC_ACQUIRE);
	uint32_t n = __atomic_load_n(&a->n, __ATOMIC_ACQUIRE);

	while (*at < n) {
		const struct tree_sub *sub = __atomic_load_n(&a->v[*at], __ATOMIC_ACQUIRE);

		*place = (*at)++;
		if (!sub)
			continue;
		*out = hit_of(sub);
		return true;
	}
	return false;
}

/* The first usable member behind the place `last`, around the end; its place, or UINT32_MAX. */
static uint32_t next_member(const struct sub_array *a, uint32_t last,
			    bool (*usable)(const void *subscriber, const void *arg), const void *arg,
			    struct tree_hit *out)
{
	uint32_t n = __atomic_load_n(&a->n, __ATOMIC_ACQUIRE);
	uint32_t at = last + 1; /* 0 after UINT32_MAX */

	for (uint32_t k = 0; k < n; k++, at++) {
		const struct tree_sub *sub;

		if (at >= n)
			at = 0;
		sub = __atomic_load_n(&a->v[at], __ATOMIC_ACQUIRE);
		if (!sub || !usable(sub->subscriber, arg))
			continue;
		*out = hit_of(sub);
		return at;
	}
	return UINT32_MAX;
}

bool tree_share_next(struct tree_share *s, bool (*usable)(const void *subscriber, const void *arg), const void *arg,
		     struct tree_hit *out)
{
	const struct sub_array *a = __atomic_load_n(&s->subs, __ATOMIC_ACQUIRE);
	uint32_t *turn = __atomic_load_n(&s->last, __ATOMIC_ACQUIRE);
	uint32_t last = __atomic_load_n(turn, __ATOMIC_RELAXED);
	uint32_t at;

	do {
		at = next_member(a, last, usable, arg, out);
		if (at == UINT32_MAX)
			return false;
		/* Another worker may have chosen meanwhile: then it is the turn of the next one. */
	} while (!__atomic_compare_exchange_n(turn, &last, at, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}
