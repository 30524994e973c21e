// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/source.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/session.h"

static struct mqtt_str name_of(const struct source *s)
{
	return s->username ? mqtt_str(s->username) : (struct mqtt_str){0};
}

static size_t size_of(const struct source *s)
{
	return sizeof(*s) + strlen(s->id) + 1 + (s->username ? strlen(s->username) + 1 : 0);
}

static bool is(const struct source *s, uint32_t listener, struct mqtt_str id, const struct mqtt_str *username)
{
	return s->listener == listener && mqtt_str_eq(mqtt_str(s->id), id) && !s->username == !username &&
	       (!username || mqtt_str_eq(name_of(s), *username));
}

static struct source *find(const struct table *all, uint64_t hash, uint32_t listener, struct mqtt_str id,
			   const struct mqtt_str *username)
{
	for (struct table_node *n = table_first(all, hash); n; n = table_next(n)) {
		struct source *s = container_of(n, struct source, node);

		if (is(s, listener, id, username))
			return s;
	}
	return NULL;
}

static struct source *make(uint32_t listener, struct mqtt_str id, const struct mqtt_str *username)
{
	size_t name_len = username ? username->len + 1 : 0;
	struct source *s = calloc(1, sizeof(*s) + id.len + 1 + name_len);

	if (!s)
		return NULL;
	s->refs = 1;
	s->listener = listener;
	memcpy(s->id, id.data, id.len);
	if (username) {
		memcpy(s->id + id.len + 1, username->data, username->len);
		s->username = s->id + id.len + 1;
	}
	return s;
}

static int get(struct broker *b, uint32_t listener, struct mqtt_str id, const struct mqtt_str *username,
	       struct source **out)
{
	uint64_t hash = hash_mix(hash_bytes(id.data, id.len), listener);
	struct source *s = find(&b->sources, hash, listener, id, username);

	*out = s;
	if (s) {
		s->refs++;
		return 0;
	}
	s = make(listener, id, username);
	if (!s || table_insert(&b->sources, &s->node, hash)) {
		free(s);
		return -ENOMEM;
	}
	memory_took(size_of(s));
	*out = s;
	return 0;
}

int source_of(struct broker *b, const struct session *s, struct source **out)
{
	struct mqtt_str name = mqtt_str(s->username ? s->username : "");

	*out = NULL;
	return s->came ? get(b, s->listener, mqtt_str(s->id), s->username ? &name : NULL, out) : 0;
}

void source_unref(struct source *s)
{
	struct broker *b = &the_broker;

	if (!s || --s->refs)
		return;
	table_remove(&b->sources, &s->node);
	if (!b->sources.count)
		table_free(&b->sources);
	memory_gave(size_of(s));
	free(s);
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static int copy(struct store_bytes *to, const char *text)
{
	*to = (struct store_bytes){(uint8_t *)strdup(text), (uint32_t)strlen(text)};
	return to->data ? 0 : -ENOMEM;
}

int source_store(const struct broker *b, const struct source *s, struct store_op *op)
{
	char name[CONF_LISTENER_NAME_MAX];

	if (copy(&op->text, s->id) || (s->username && copy(&op->username, s->username)))
		return -ENOMEM;
	if (s->listener == SOURCE_NO_LISTENER)
		return 0;
	return copy(&op->listener, conf_listener_name(&b->conf->listeners[s->listener], name, sizeof(name)));
}

static uint32_t find_listener(const struct conf *c, struct mqtt_str name)
{
	char other[CONF_LISTENER_NAME_MAX];

	for (uint32_t i = 0; i < c->nlisteners; i++)
		if (mqtt_str_eq(mqtt_str(conf_listener_name(&c->listeners[i], other, sizeof(other))), name))
			return i;
	return SOURCE_NO_LISTENER;
}

static struct mqtt_str str_of(struct store_bytes b)
{
	return (struct mqtt_str){b.data, b.len};
}

int source_restore(struct broker *b, const struct store_op *op, struct source **out)
{
	struct mqtt_str name = str_of(op->username);

	*out = NULL;
	if (!op->text.data)
		return 0;
	return get(b, find_listener(b->conf, str_of(op->listener)), str_of(op->text), name.data ? &name : NULL, out);
}
