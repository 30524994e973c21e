// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Looking at the topic tree from outside of the workers: as a reader of its own, whom nobody waits for. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "broker/broker.h"
#include "broker/internal.h"
#include "broker/session.h"
#include "broker/tree_node.h"
#include "mqtt/topic.h"

/* A filter with "$share/NAME/" in front is not longer, either; some room beyond. */
enum { PATH_SIZE = TOPIC_LEN_MAX + 256 };

struct walk {
	const struct namespace *space;
	struct mqtt_str filter;				       /* of what is looked at */
	int (*topic)(const struct broker_topic *t, void *arg); /* one of the two */
	int (*subscription)(const struct broker_subscription *s, void *arg);
	void *arg;
	char path[PATH_SIZE]; /* of the node */
	char full[PATH_SIZE]; /* the same with its ShareName */
};

static uint32_t count_subs(const struct sub_array *a)
{
	uint32_t n = a ? __atomic_load_n(&a->n, __ATOMIC_ACQUIRE) : 0, count = 0;

	for (uint32_t i = 0; i < n; i++)
		count += __atomic_load_n(&a->v[i], __ATOMIC_ACQUIRE) != NULL;
	return count;
}

static const struct sub_array *subs_of(struct sub_array *const *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* ---- topics ------------------------------------------------------------------------------------------------------- */

static int visit_topic(struct walk *w, const struct tree_node *n)
{
	const struct retained *r = __atomic_load_n(&n->retained, __ATOMIC_ACQUIRE);
	struct broker_topic t = {
		.space = w->space->name, .topic = w->path, .subscribers = count_subs(subs_of(&n->subs))};

	for (const struct tree_share *s = __atomic_load_n(&n->shares, __ATOMIC_ACQUIRE); s;
	     s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE))
		t.shared += count_subs(subs_of(&s->subs));
	if (r) {
		t.retained = true;
		t.retained_bytes = r->message->payload_len;
	}
	return t.subscribers || t.shared || t.retained ? w->topic(&t, w->arg) : 0;
}

/* ---- subscriptions ------------------------------------------------------------------------------------------------ */

static int visit_subs(struct walk *w, const char *filter, const struct sub_array *a)
{
	uint32_t n = a ? __atomic_load_n(&a->n, __ATOMIC_ACQUIRE) : 0;
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++) {
		const struct tree_sub *sub = __atomic_load_n(&a->v[i], __ATOMIC_ACQUIRE);
		const struct session *s = sub ? sub->subscriber : NULL;
		uint8_t options = sub ? __atomic_load_n(&sub->options, __ATOMIC_RELAXED) : 0;

		if (s)
			rc = w->subscription(&(struct broker_subscription){.space = w->space->name,
									   .client = s->id,
									   .filter = filter,
									   .qos = options & SUB_QOS_MASK,
									   .no_local = options & SUB_NO_LOCAL},
					     w->arg);
	}
	return rc;
}

static int visit_subscriptions(struct walk *w, const struct tree_node *n)
{
	int rc = visit_subs(w, w->path, subs_of(&n->subs));

	for (const struct tree_share *s = __atomic_load_n(&n->shares, __ATOMIC_ACQUIRE); s && !rc;
	     s = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) {
		struct mqtt_str name = tree_share_name(s);

		char *end = mempcpy(stpcpy(w->full, "$share/"), name.data, name.len);

		*end++ = '/';
		memcpy(end, w->path, strlen(w->path) + 1);
		rc = visit_subs(w, w->full, subs_of(&s->subs));
	}
	return rc;
}

/* ---- the walk ----------------------------------------------------------------------------------------------------- */

/* Is what hangs on the node's path looked at? */
static bool wanted(const struct walk *w, size_t len)
{
	return topic_matches(w->filter, (struct mqtt_str){(const uint8_t *)w->path, (uint32_t)len});
}

static int walk_below(struct walk *w, const struct tree_node *n, size_t len, bool root);

/* The path of the parent has `len` bytes. */
static int walk_node(struct walk *w, const struct tree_node *n, size_t len, bool first)
{
	int rc = 0;

	if (!first)
		w->path[len++] = '/';
	memcpy(w->path + len, n->level, n->level_len);
	len += n->level_len;
	w->path[len] = '\0';
	if (wanted(w, len))
		rc = w->topic ? visit_topic(w, n) : visit_subscriptions(w, n);
	return rc ? rc : walk_below(w, n, len, false);
}

/* Not deeper than TREE_LEVELS_MAX. */
static int walk_below(struct walk *w, const struct tree_node *n, size_t len, bool root)
{
	const struct tree_node *wildcards[] = {__atomic_load_n(&n->plus, __ATOMIC_ACQUIRE),
					       __atomic_load_n(&n->hash, __ATOMIC_ACQUIRE)};
	int rc = 0;

	for (unsigned i = 0; i < 2 && !rc; i++) {
		if (wildcards[i])
			rc = walk_node(w, wildcards[i], len, root);
	}
	for (const struct tree_node *c = __atomic_load_n(&n->first_child, __ATOMIC_ACQUIRE); c && !rc;
	     c = __atomic_load_n(&c->next_sibling, __ATOMIC_ACQUIRE))
		rc = walk_node(w, c, len, root);
	return rc;
}

static struct mqtt_str str_of(const char *text)
{
	return (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static int walk_tree(struct walk *w)
{
	int rc;

	rcu_thread_start();
	rc = walk_below(w, w->space->tree->root, 0, true);
	rcu_thread_end();
	return rc;
}

int broker_topics(const char *space, const char *filter, int (*each)(const struct broker_topic *t, void *arg),
		  void *arg)
{
	const struct namespace *in = namespace_named(&the_broker, space);
	struct walk *w;
	int rc;

	if (!topic_filter_valid(str_of(filter)))
		return -EINVAL;
	if (!in)
		return -ENOENT;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->space = in;
	w->filter = str_of(filter);
	w->topic = each;
	w->arg = arg;
	rc = walk_tree(w);
	free(w);
	return rc;
}

int broker_subscriptions(int (*each)(const struct broker_subscription *s, void *arg), void *arg)
{
	static const char *const all[] = {"#", "$SYS/#"};
	struct walk *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (!w)
		return -ENOMEM;
	w->subscription = each;
	w->arg = arg;
	for (unsigned i = 0; i < 2 * the_broker.nnamespaces && !rc; i++) {
		w->space = &the_broker.namespaces[i / 2];
		w->filter = str_of(all[i % 2]);
		rc = walk_tree(w);
	}
	free(w);
	return rc;
}

/* ---- retained messages -------------------------------------------------------------------------------------------- */

struct retained_look {
	const struct namespace *space;
	int (*each)(const struct broker_retained *r, void *arg);
	void *arg;
	uint64_t now_ns;
	int rc; /* what `each` returned */
};

static bool look_at_retained(struct message *m, void *arg)
{
	struct retained_look *look = arg;
	struct mqtt_str topic = message_topic(m), payload = message_payload(m);

	if (message_expired(m, look->now_ns))
		return true;
	look->rc = look->each(&(struct broker_retained){.space = look->space->name,
							.topic = (const char *)topic.data,
							.topic_len = topic.len,
							.payload = payload.data,
							.payload_len = payload.len,
							.qos = m->qos},
			      look->arg);
	return !look->rc;
}

int broker_retained(const char *space, const char *filter, int (*each)(const struct broker_retained *r, void *arg),
		    void *arg)
{
	struct retained_look look = {
		.space = namespace_named(&the_broker, space), .each = each, .arg = arg, .now_ns = clock_ns()};
	struct tree_walk *walk;

	if (!topic_filter_valid(str_of(filter)))
		return -EINVAL;
	if (!look.space)
		return -ENOENT;
	rcu_thread_start();
	walk = tree_walk_new(look.space->tree, str_of(filter), UINT64_MAX);
	if (walk) {
		tree_walk_all(walk);
		(void)tree_walk(walk, UINT_MAX, look_at_retained, &look);
	} else {
		look.rc = -ENOMEM;
	}
	tree_walk_free(walk);
	rcu_thread_end();
	return look.rc;
}
