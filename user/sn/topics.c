// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "sn/topics.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "broker/memory.h"

struct sn_topics {
	struct table by_name;
	struct sn_topic **by_id; /* [id - 1] */
	unsigned n, cap;
};

static size_t size_of(const struct sn_topic *t)
{
	return sizeof(*t) + t->len;
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
	if (!t)
		return;
	for (unsigned i = 0; i < t->n; i++) {
		memory_gave(size_of(t->by_id[i]));
		free(t->by_id[i]);
	}
	memory_gave(sizeof(*t) + t->cap * sizeof(t->by_id[0]));
	free(t->by_id);
	table_free(&t->by_name);
	free(t);
}

struct sn_topic *sn_topics_by_id(const struct sn_topics *t, uint16_t id)
{
	return id && id <= t->n ? t->by_id[id - 1] : NULL;
}

struct sn_topic *sn_topics_by_name(const struct sn_topics *t, struct mqtt_str name)
{
	uint64_t hash = hash_bytes(name.data, name.len);

	for (struct table_node *n = table_first(&t->by_name, hash); n; n = table_next(n)) {
		struct sn_topic *topic = (struct sn_topic *)((char *)n - offsetof(struct sn_topic, by_name));

		if (mqtt_str_eq(sn_topic_name(topic), name))
			return topic;
	}
	return NULL;
}

static bool grow(struct sn_topics *t)
{
	unsigned cap = t->cap ? 2 * t->cap : 4;
	struct sn_topic **by_id = realloc(t->by_id, cap * sizeof(by_id[0]));

	if (!by_id)
		return false;
	memory_took((cap - t->cap) * sizeof(by_id[0]));
	t->by_id = by_id;
	t->cap = cap;
	return true;
}

struct sn_topic *sn_topics_add(struct sn_topics *t, struct mqtt_str name, unsigned max)
{
	struct sn_topic *topic = sn_topics_by_name(t, name);

	if (topic)
		return topic;
	if (t->n >= max || t->n >= SN_TOPICS_MAX || memory_short() || (t->n == t->cap && !grow(t)))
		return NULL;
	topic = malloc(sizeof(*topic) + name.len);
	if (!topic)
		return NULL;
	topic->told = false;
	topic->len = name.len;
	topic->id = (uint16_t)(t->n + 1);
	memcpy(topic->name, name.data, name.len);
	if (table_insert(&t->by_name, &topic->by_name, hash_bytes(name.data, name.len))) {
		free(topic);
		return NULL;
	}
	memory_took(size_of(topic));
	t->by_id[t->n++] = topic;
	return topic;
}

void sn_topics_untell(struct sn_topics *t)
{
	for (unsigned i = 0; i < t->n; i++)
		t->by_id[i]->told = false;
}
