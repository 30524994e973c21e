// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/alias.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"

struct alias_topic {
	struct table_node by_topic; /* ours */
	uint16_t alias;
	uint16_t len;
	uint8_t topic[];
};

static struct alias_topic *topic_new(uint16_t alias, struct mqtt_str topic)
{
	struct alias_topic *t = calloc(1, sizeof(*t) + topic.len);

	if (!t)
		return NULL;
	t->alias = alias;
	t->len = (uint16_t)topic.len;
	memcpy(t->topic, topic.data, topic.len);
	return t;
}

int alias_in_set(struct alias_in *a, uint16_t alias, struct mqtt_str topic)
{
	struct alias_topic *t = topic_new(alias, topic);

	if (t && alias > a->n) {
		struct alias_topic **topics = realloc(a->topics, alias * sizeof(struct alias_topic *));

		if (!topics) {
			free(t);
			return -ENOMEM;
		}
		memset(topics + a->n, 0, (size_t)(alias - a->n) * sizeof(struct alias_topic *));
		a->topics = topics;
		a->n = alias;
	}
	if (!t)
		return -ENOMEM;
	free(a->topics[alias - 1]);
	a->topics[alias - 1] = t;
	return 0;
}

bool alias_in_get(const struct alias_in *a, uint16_t alias, struct mqtt_str *topic)
{
	const struct alias_topic *t = alias && alias <= a->n ? a->topics[alias - 1] : NULL;

	if (t)
		*topic = (struct mqtt_str){t->topic, t->len};
	return t;
}

void alias_in_clear(struct alias_in *a)
{
	for (unsigned i = 0; i < a->n; i++)
		free(a->topics[i]);
	free(a->topics);
	*a = (struct alias_in){0};
}

uint16_t alias_out_get(const struct alias_out *a, struct mqtt_str topic, bool *known)
{
	struct table_node *n = a->used ? table_first(&a->by_topic, hash_bytes(topic.data, topic.len)) : NULL;

	for (; n; n = table_next(n)) {
		const struct alias_topic *t = container_of(n, struct alias_topic, by_topic);

		if (t->len == topic.len && memcmp(t->topic, topic.data, topic.len) == 0) {
			*known = true;
			return t->alias;
		}
	}
	*known = false;
	return a->used < a->max ? a->used + 1 : 0;
}

void alias_out_add(struct alias_out *a, struct mqtt_str topic)
{
	struct alias_topic *t = topic_new(a->used + 1, topic);

	if (!t)
		return;
	if (table_insert(&a->by_topic, &t->by_topic, hash_bytes(topic.data, topic.len))) {
		free(t);
		return;
	}
	a->used++;
}

void alias_out_clear(struct alias_out *a)
{
	size_t bucket = 0;
	struct table_node *n;

	while ((n = table_any(&a->by_topic, &bucket))) {
		table_remove(&a->by_topic, n);
		free(container_of(n, struct alias_topic, by_topic));
	}
	table_free(&a->by_topic);
	*a = (struct alias_out){0};
}
