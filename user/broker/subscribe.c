// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/subscribe.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/mount.h"
#include "broker/replay.h"
#include "mqtt/topic.h"

enum { FILTERS_PER_LOCK = 256 }; /* of one SUBSCRIBE, so that it does not keep others from theirs for long */

static uint64_t node_hash(const struct tree_node *n)
{
	return hash_mix((uintptr_t)n, 2);
}

/* A filter of a SUBSCRIBE or UNSUBSCRIBE, taken apart: ShareName (len 0: none) and what it matches. */
struct parts {
	struct mqtt_str share, inner;
};

/* As topic_share(). */
static int take_apart(struct mqtt_str filter, struct parts *p)
{
	int rc = topic_share(filter, &p->share, &p->inner);

	if (rc == 0)
		*p = (struct parts){.inner = filter};
	return rc;
}

/* Under the lock. */
static struct subscription *find(const struct session *s, const struct parts *p)
{
	struct tree_node *node = tree_find(s->space->tree, p->inner);
	const struct tree_share *share = node && p->share.len ? tree_find_share(node, p->share) : NULL;

	if (!node || (p->share.len && !share))
		return NULL;
	for (struct table_node *n = table_first(&s->subs, node_hash(node)); n; n = table_next(n)) {
		struct subscription *sub = container_of(n, struct subscription, by_node);

		if (sub->in_tree.node == node && sub->in_tree.share == share)
			return sub;
	}
	return NULL;
}

static void subscription_free(struct subscription *sub)
{
	memory_gave(sizeof(*sub) + sub->filter_len);
	free(sub);
}

static void subscription_free_later(struct rcu_later *later)
{
	subscription_free(container_of(later, struct subscription, later));
}

static void count(const struct session *s, const struct subscription *sub, int n)
{
	COUNTER_ADD(subscriptions, n);
	namespace_count(&s->space->subscriptions, n);
	if (!sub->share_len)
		return;
	COUNTER_ADD(shared_subscriptions, n);
	namespace_count(&s->space->shared_subscriptions, n);
}

/* Out of the tree and the session. Under the lock. */
static void drop(struct session *s, struct subscription *sub)
{
	table_remove(&s->subs, &sub->by_node);
	tree_unsubscribe(s->space->tree, &sub->in_tree);
	rcu_call_later(&sub->later, subscription_free_later);
	count(s, sub, -1);
}

static int add(struct session *s, const struct mqtt_filter *f, const struct parts *p, uint8_t options, uint32_t id)
{
	struct subscription *sub = malloc(sizeof(*sub) + f->topic.len);
	int rc;

	if (!sub)
		return -ENOMEM;
	memory_took(sizeof(*sub) + f->topic.len);
	sub->in_tree = (struct tree_sub){.subscriber = s, .options = options, .id = id};
	sub->filter_len = f->topic.len;
	sub->share_len = f->topic.len - p->inner.len;
	memcpy(sub->filter, f->topic.data, f->topic.len);
	rc = tree_subscribe(s->space->tree, p->inner, p->share, &sub->in_tree);
	if (rc) {
		subscription_free(sub);
		return rc;
	}
	if (table_insert(&s->subs, &sub->by_node, node_hash(sub->in_tree.node))) {
		tree_unsubscribe(s->space->tree, &sub->in_tree);
		rcu_call_later(&sub->later, subscription_free_later);
		return -ENOMEM;
	}
	count(s, sub, 1);
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
			log_msg(type, "%s %.*s", s->name, len, filter);
		return;
	}
	if (log_wants(LOG_TYPE_DEBUG))
		log_debug("\t%.*s (QoS %d)", len, filter, f->qos);
	if (log_wants(type))
		log_msg(type, "%s %d %.*s", s->name, f->qos, len, filter);
}

/* What the configuration rules out, section 3.9.3 of 5.0; 0: nothing. */
static uint8_t refused(const struct conf *conf, const struct parts *p, uint32_t id)
{
	if (p->share.len && !conf->shared_subscriptions)
		return MQTT_RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
	if (id && !conf->subscription_identifiers)
		return MQTT_RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
	if (!conf->wildcard_subscriptions && !topic_name_valid(p->inner))
		return MQTT_RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED;
	return 0;
}

/* Option acl_subscribe. */
static bool may_subscribe(const struct conf *conf, const struct session *s, struct mqtt_str filter)
{
	const struct acl_rights *rights = access_rights(s);

	if (!rights || conf->acl_subscribe == CONF_ACL_NEVER)
		return true;
	return conf->acl_subscribe == CONF_ACL_ALL ? acl_may_read_all(rights, filter)
						   : acl_may_read_any(rights, filter);
}

static void invalidate(const struct session *s, struct mqtt_str filter)
{
	fp_flow_invalidate(s->space->number, (const char *)filter.data, filter.len);
}

/* One filter. Under the lock. Returns the reason code. */
static uint8_t subscribe_one(struct broker *b, struct session *s, const struct mqtt_filter *f, uint32_t id,
			     bool *is_new)
{
	uint8_t max_qos = b->conf->listeners[s->conn->listener].max_qos;
	uint8_t qos = f->qos < max_qos ? f->qos : max_qos;
	uint8_t options = (uint8_t)(qos | (f->no_local ? SUB_NO_LOCAL : 0) |
				    (f->retain_as_published ? SUB_RETAIN_AS_PUBLISHED : 0) |
				    f->retain_handling << SUB_RETAIN_HANDLING_SHIFT);
	struct subscription *sub;
	struct parts p;
	uint8_t reason;
	int rc = 0;

	if (take_apart(f->topic, &p) < 0 || topic_depth(p.inner) > topic_levels_max(b->conf))
		return MQTT_RC_TOPIC_FILTER_INVALID;
	reason = refused(b->conf, &p, id);
	if (!reason && !may_subscribe(b->conf, s, p.inner))
		reason = MQTT_RC_NOT_AUTHORIZED;
	if (reason)
		return reason;
	sub = find(s, &p);
	*is_new = !sub;
	memory_look(b); /* a packet may hold thousands of filters, and each of them 200 levels */
	if (!sub && (memory_short() || (b->conf->max_subscriptions && s->subs.count >= b->conf->max_subscriptions)))
		return MQTT_RC_QUOTA_EXCEEDED;
	if (sub)
		tree_set_options(&sub->in_tree, options, id);
	else
		rc = add(s, f, &p, options, id);
	if (rc)
		return rc == -E2BIG ? MQTT_RC_TOPIC_FILTER_INVALID : MQTT_RC_UNSPECIFIED_ERROR;
	durable_subscribe(s->conn->worker, s, f->topic, options, id);
	invalidate(s, p.inner);
	return qos;
}

/* The reason code of mount_filter(). */
static uint8_t mount_reason(int rc)
{
	return rc == -ENOMEM ? MQTT_RC_UNSPECIFIED_ERROR : MQTT_RC_TOPIC_FILTER_INVALID;
}

/* One filter of the client, without its mount point. Likewise. */
static uint8_t subscribe_mounted(struct broker *b, struct session *s, struct mqtt_filter f, uint32_t id, bool *is_new)
{
	uint8_t *made = NULL;
	int rc = mount_filter(s->sink->mount, &f.topic, &made);
	uint8_t code = rc ? mount_reason(rc) : subscribe_one(b, s, &f, id, is_new);

	log_filter(s, &f, LOG_TYPE_SUBSCRIBE);
	free(made);
	return code;
}

/* Not for shared subscriptions, section 3.8.4 of 5.0. */
static bool wants_retained(const struct mqtt_filter *f, uint8_t code, bool is_new)
{
	struct parts p;

	return code < MQTT_RC_UNSPECIFIED_ERROR && take_apart(f->topic, &p) == 0 &&
	       (f->retain_handling == 0 || (f->retain_handling == 1 && is_new));
}

int subscribe(struct broker *b, struct session *s, struct mqtt_packet *packet, uint8_t *codes,
	      struct retained_due **retained)
{
	struct retained_due *due = calloc(mqtt_count_filters(packet), sizeof(*due));
	uint32_t id = mqtt_props_number(&packet->props, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, 0);
	struct mqtt_filter f;
	size_t i = 0;
	bool more = due;

	while (more) {
		subscriptions_lock(b);
		do {
			bool is_new = false;

			more = mqtt_next_filter(packet, &f);
			if (!more)
				break;
			codes[i] = subscribe_mounted(b, s, f, id, &is_new);
			due[i].wanted = wants_retained(&f, codes[i], is_new);
			due[i].seq = tree_seq(s->space->tree);
		} while (++i % FILTERS_PER_LOCK);
		subscriptions_unlock(b);
	}
	*retained = due;
	return due ? 0 : -ENOMEM;
}

int subscription_restore(struct broker *b, struct session *s, struct mqtt_str filter, uint8_t options, uint32_t id)
{
	const struct mqtt_filter f = {.topic = filter};
	struct parts p;
	int rc;

	if (take_apart(filter, &p) < 0)
		return 0;
	subscriptions_lock(b);
	rc = add(s, &f, &p, options, id);
	subscriptions_unlock(b);
	return rc == -E2BIG ? 0 : rc;
}

/* One filter. Under the lock. Returns the reason code. */
static uint8_t unsubscribe_one(struct session *s, struct mqtt_str filter)
{
	struct subscription *sub = NULL;
	struct parts p;

	if (take_apart(filter, &p) >= 0)
		sub = find(s, &p);
	if (!sub)
		return MQTT_RC_NO_SUBSCRIPTION_EXISTED;
	drop(s, sub);
	durable_unsubscribe(s->conn->worker, s, filter);
	invalidate(s, p.inner);
	return MQTT_RC_SUCCESS;
}

/* One filter of the client, without its mount point. Likewise. */
static uint8_t unsubscribe_mounted(struct session *s, struct mqtt_filter f)
{
	uint8_t *made = NULL;
	int rc = mount_filter(s->sink->mount, &f.topic, &made);
	uint8_t code = rc ? mount_reason(rc) : unsubscribe_one(s, f.topic);

	log_filter(s, &f, LOG_TYPE_UNSUBSCRIBE);
	free(made);
	return code;
}

/* No retained messages by these filters any more. */
static void stop_replays(struct session *s, struct mqtt_packet *packet)
{
	struct mqtt_filter f;

	while (s->replays && mqtt_next_filter(packet, &f)) {
		uint8_t *made = NULL;

		if (!mount_filter(s->sink->mount, &f.topic, &made))
			replay_stop(s, f.topic);
		free(made);
	}
}

void unsubscribe(struct broker *b, struct session *s, struct mqtt_packet *packet, uint8_t *codes)
{
	struct mqtt_packet again = *packet;
	struct mqtt_filter f;
	size_t i = 0;
	bool more = true;

	while (more) {
		subscriptions_lock(b);
		do {
			more = mqtt_next_filter(packet, &f);
			if (!more)
				break;
			codes[i] = unsubscribe_mounted(s, f);
		} while (++i % FILTERS_PER_LOCK);
		subscriptions_unlock(b);
	}
	stop_replays(s, &again);
}

void unsubscribe_all(struct broker *b, struct session *s)
{
	size_t bucket = 0;
	struct table_node *n;

	while (s->subs.count) {
		subscriptions_lock(b);
		for (unsigned k = 0; k < FILTERS_PER_LOCK && (n = table_any(&s->subs, &bucket)); k++)
			drop(s, container_of(n, struct subscription, by_node));
		subscriptions_unlock(b);
	}
}

int subscriptions_online(struct broker *b, struct session *s, enum fp_road road, uint8_t form)
{
	int rc;

	subscriptions_lock(b);
	rc = access_set_rights(b, s);
	if (rc)
		goto out;
	__atomic_store_n(&s->road, (uint8_t)road, __ATOMIC_RELAXED);
	__atomic_store_n(&s->form, form, __ATOMIC_RELAXED);
	__atomic_store_n(&s->online, true, __ATOMIC_RELEASE);
	for (size_t i = 0; s->subs.buckets && i <= s->subs.mask; i++)
		for (const struct table_node *n = s->subs.buckets[i]; n; n = n->next) {
			const struct subscription *sub = container_of(n, struct subscription, by_node);

			fp_flow_invalidate(s->space->number, sub->filter + sub->share_len,
					   sub->filter_len - sub->share_len);
		}
out:
	subscriptions_unlock(b);
	return rc;
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
		subscription_free(container_of(n, struct subscription, by_node));
	}
}
