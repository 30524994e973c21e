// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/subscribe.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "mqtt/topic.h"

enum { FILTERS_PER_LOCK = 256 }; /* of one SUBSCRIBE, so that it does not keep others from theirs for long */

/* The retained messages a SUBSCRIBE is due: for the filters that want them, those not newer than the subscription,
 * because newer ones arrive as live ones. */
struct retained_due {
	bool *wanted;	/* by filter */
	uint64_t seq[]; /* of the tree, for each FILTERS_PER_LOCK filters */
};

static struct retained_due *due_new(size_t filters)
{
	size_t groups = filters / FILTERS_PER_LOCK + 1;
	struct retained_due *due = malloc(sizeof(*due) + groups * sizeof(due->seq[0]) + filters);

	if (due)
		due->wanted = (bool *)&due->seq[groups];
	return due;
}

static uint64_t node_hash(const struct tree_node *n)
{
	return hash_mix((uintptr_t)n, 2);
}

static struct subscription *find(const struct session *s, const struct tree_node *node)
{
	for (struct table_node *n = node ? table_first(&s->subs, node_hash(node)) : NULL; n; n = table_next(n)) {
		struct subscription *sub = container_of(n, struct subscription, by_node);

		if (sub->in_tree.node == node)
			return sub;
	}
	return NULL;
}

static void subscription_free_later(struct rcu_later *later)
{
	free(container_of(later, struct subscription, later));
}

/* Out of the tree and the session. Under the lock. */
static void drop(struct broker *b, struct session *s, struct subscription *sub)
{
	table_remove(&s->subs, &sub->by_node);
	tree_unsubscribe(b->tree, &sub->in_tree);
	rcu_call_later(&sub->later, subscription_free_later);
	COUNTER_ADD(subscriptions, -1);
}

static int add(struct broker *b, struct session *s, const struct mqtt_filter *f, uint8_t options)
{
	struct subscription *sub = malloc(sizeof(*sub) + f->topic.len);
	int rc;

	if (!sub)
		return -ENOMEM;
	sub->in_tree = (struct tree_sub){.subscriber = s, .options = options};
	sub->filter_len = f->topic.len;
	memcpy(sub->filter, f->topic.data, f->topic.len);
	rc = tree_subscribe(b->tree, f->topic, &sub->in_tree);
	if (rc) {
		free(sub);
		return rc;
	}
	if (table_insert(&s->subs, &sub->by_node, node_hash(sub->in_tree.node))) {
		tree_unsubscribe(b->tree, &sub->in_tree);
		rcu_call_later(&sub->later, subscription_free_later);
		return -ENOMEM;
	}
	COUNTER_ADD(subscriptions, 1);
	return 0;
}

static void log_filter(const struct session *s, const struct mqtt_filter *f, enum log_type type)
{
	int len = (int)f->topic.len;
	const char *filter = (const char *)f->topic.data;

	if (type == LOG_TYPE_UNSUBSCRIBE) {
		if (log_wants(LOG_TYPE_DEBUG))
			log_debug("\t%.*s", len, filter);
		if (log_wants(type))
			log_msg(type, "%s %.*s", s->id, len, filter);
		return;
	}
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("\t%.*s (QoS %d)", len, filter, f->qos);
	if (log_wants(type))
		log_msg(type, "%s %d %.*s", s->id, f->qos, len, filter);
}

/* One filter. Under the lock. Returns the reason code. */
static uint8_t subscribe_one(struct broker *b, struct session *s, const struct mqtt_filter *f, bool *is_new)
{
	uint8_t max_qos = b->conf->listeners[s->conn->listener].max_qos;
	uint8_t qos = f->qos < max_qos ? f->qos : max_qos;
	uint8_t options = (uint8_t)(qos | (f->no_local ? SUB_NO_LOCAL : 0) |
				    (f->retain_as_published ? SUB_RETAIN_AS_PUBLISHED : 0) |
				    f->retain_handling << SUB_RETAIN_HANDLING_SHIFT);
	struct subscription *sub = find(s, tree_find(b->tree, f->topic));
	struct mqtt_str share, inner;

	*is_new = !sub;
	if (topic_share(f->topic, &share, &inner) != 0)
		return MQTT_RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
	if (sub)
		tree_set_options(&sub->in_tree, options);
	else if (add(b, s, f, options))
		return MQTT_RC_UNSPECIFIED_ERROR;
	fp_flow_invalidate(FLOW_NAMESPACE, (const char *)f->topic.data, f->topic.len);
	return qos;
}

static bool wants_retained(const struct mqtt_filter *f, uint8_t code, bool is_new)
{
	return code < MQTT_RC_UNSPECIFIED_ERROR && (f->retain_handling == 0 || (f->retain_handling == 1 && is_new));
}

int subscribe(struct broker *b, struct session *s, struct mqtt_packet *packet, uint8_t *codes,
	      struct retained_due **retained)
{
	struct retained_due *due = due_new(mqtt_count_filters(packet));
	struct mqtt_filter f;
	size_t i = 0;
	bool more = due;

	while (more) {
		subscriptions_lock(b);
		do {
			bool is_new;

			more = mqtt_next_filter(packet, &f);
			if (!more)
				break;
			codes[i] = subscribe_one(b, s, &f, &is_new);
			due->wanted[i] = wants_retained(&f, codes[i], is_new);
			due->seq[i / FILTERS_PER_LOCK] = tree_seq(b->tree);
			log_filter(s, &f, LOG_TYPE_SUBSCRIBE);
		} while (++i % FILTERS_PER_LOCK);
		subscriptions_unlock(b);
	}
	*retained = due;
	return due ? 0 : -ENOMEM;
}

struct retained_to {
	struct session *session;
	uint8_t qos;
};

static int send_one(struct message *m, void *arg)
{
	const struct retained_to *to = arg;

	session_deliver(to->session, m, m->qos < to->qos ? m->qos : to->qos, DELIVER_RETAINED);
	return 0;
}

void retained_send(struct broker *b, struct session *s, struct mqtt_packet *packet, const uint8_t *codes,
		   struct retained_due *due)
{
	struct mqtt_filter f;

	for (size_t i = 0; mqtt_next_filter(packet, &f); i++)
		if (due->wanted[i])
			tree_retained(b->tree, f.topic, due->seq[i / FILTERS_PER_LOCK], send_one,
				      &(struct retained_to){.session = s, .qos = codes[i]});
	free(due);
}

void unsubscribe(struct broker *b, struct session *s, struct mqtt_packet *packet, uint8_t *codes)
{
	struct mqtt_filter f;
	size_t i = 0;
	bool more = true;

	while (more) {
		subscriptions_lock(b);
		do {
			struct subscription *sub;

			more = mqtt_next_filter(packet, &f);
			if (!more)
				break;
			sub = find(s, tree_find(b->tree, f.topic));
			codes[i] = sub ? MQTT_RC_SUCCESS : MQTT_RC_NO_SUBSCRIPTION_EXISTED;
			if (sub)
				drop(b, s, sub);
			fp_flow_invalidate(FLOW_NAMESPACE, (const char *)f.topic.data, f.topic.len);
			log_filter(s, &f, LOG_TYPE_UNSUBSCRIBE);
		} while (++i % FILTERS_PER_LOCK);
		subscriptions_unlock(b);
	}
}

void unsubscribe_all(struct broker *b, struct session *s)
{
	size_t bucket = 0;
	struct table_node *n;

	while (s->subs.count) {
		subscriptions_lock(b);
		for (unsigned k = 0; k < FILTERS_PER_LOCK && (n = table_any(&s->subs, &bucket)); k++)
			drop(b, s, container_of(n, struct subscription, by_node));
		subscriptions_unlock(b);
	}
}

void subscriptions_online(struct broker *b, struct session *s, enum fp_road road)
{
	subscriptions_lock(b);
	__atomic_store_n(&s->road, (uint8_t)road, __ATOMIC_RELAXED);
	__atomic_store_n(&s->online, true, __ATOMIC_RELEASE);
	for (size_t i = 0; s->subs.buckets && i <= s->subs.mask; i++)
		for (const struct table_node *n = s->subs.buckets[i]; n; n = n->next) {
			const struct subscription *sub = container_of(n, struct subscription, by_node);

			fp_flow_invalidate(FLOW_NAMESPACE, sub->filter, sub->filter_len);
		}
	subscriptions_unlock(b);
}

void subscriptions_offline(struct broker *b, struct session *s)
{
	subscriptions_lock(b);
	__atomic_store_n(&s->online, false, __ATOMIC_RELEASE);
	subscriptions_unlock(b);
}

void subscriptions_free(struct session *s)
{
	size_t bucket = 0;
	struct table_node *n;

	while ((n = table_any(&s->subs, &bucket))) {
		table_remove(&s->subs, n);
		free(container_of(n, struct subscription, by_node));
	}
}
