// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sn/topics.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "broker/memory.h"

struct sn_topics {
	struct table by_name, by_id;
};

/* The same in every run, as ids are to be. Nobody gains by two names of his own that come to one. */
static const uint8_t id_key[16] = "MQTT-SN topic";

static size_t size_of(const struct sn_topic *t)
{
	return sizeof(*t) + t->len;
}

static struct sn_topic *by_name(struct table_node *n)
{
	return (struct sn_topic *)((char *)n - offsetof(struct sn_topic, by_name));
}

static struct sn_topic *by_id(struct table_node *n)
{
	return (struct sn_topic *)((char *)n - offsetof(struct sn_topic, by_id));
}

struct sn_topics *sn_topics_new(void)
{
	struct sn_topics *t = calloc(1, sizeof(*t));

	if (t)
		memory_took(sizeof(*t));
	return t;
}

void sn_topics_free(struct sn_topics *t)
{
	size_t bucket = 0;
	struct table_node *n;

	if (!t)
		return;
	while ((n = table_any(&t->by_name, &bucket))) {
		struct sn_topic *topic = by_name(n);

		table_remove(&t->by_name, n);
		memory_gave(size_of(topic));
		free(topic);
	}
	table_free(&t->by_name);
	table_free(&t->by_id);
	memory_gave(sizeof(*t));
	free(t);
}

static uint64_t id_hash(uint16_t id)
{
	return hash_mix(id, 1);
}

struct sn_topic *sn_topics_by_id(const struct sn_topics *t, uint16_t id)
{
	struct table_node *n = table_first(&t->by_id, id_hash(id));

	while (n && by_id(n)->id != id)
		n = table_next(n);
	return n ? by_id(n) : NULL;
}

struct sn_topic *sn_topics_by_name(const struct sn_topics *t, struct mqtt_str name)
{
	uint64_t hash = hash_bytes(name.data, name.len);

	for (struct table_node *n = table_first(&t->by_name, hash); n; n = table_next(n)) {
		if (mqtt_str_eq(sn_topic_name(by_name(n)), name))
			return by_name(n);
	}
	return NULL;
}

/* There is one: fewer than SN_TOPICS_MAX are in use. */
static uint16_t free_id(const struct sn_topics *t, struct mqtt_str name)
{
	uint16_t id = (uint16_t)(1 + hash_bytes_with(id_key, name.data, name.len) % SN_TOPICS_MAX);

	while (sn_topics_by_id(t, id))
		id = (uint16_t)(id % SN_TOPICS_MAX + 1);
	return id;
}

struct sn_topic *sn_topics_add(struct sn_topics *t, struct mqtt_str name, unsigned max)
{
	struct sn_topic *topic = sn_topics_by_name(t, name);

	if (topic)
		return topic;
	if (t->by_id.count >= max || t->by_id.count >= SN_TOPICS_MAX || memory_short())
		return NULL;
	topic = malloc(sizeof(*topic) + name.len);
	if (!topic)
		return NULL;
	topic->told = false;
	topic->len = name.len;
	topic->id = free_id(t, name);
	memcpy(topic->name, name.data, name.len);
	if (table_insert(&t->by_id, &topic->by_id, id_hash(topic->id))) {
		free(topic);
		return NULL;
	}
	if (table_insert(&t->by_name, &topic->by_name, hash_bytes(name.data, name.len))) {
		table_remove(&t->by_id, &topic->by_id);
		free(topic);
		return NULL;
	}
	memory_took(size_of(topic));
	return topic;
}

void sn_topics_untell(struct sn_topics *t)
{
	for (size_t i = 0; t->by_name.buckets && i <= t->by_name.mask; i++)
		for (struct table_node *n = t->by_name.buckets[i]; n; n = n->next)
			by_name(n)->told = false;
}
