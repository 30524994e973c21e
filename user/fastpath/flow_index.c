// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "fastpath/flow_index.h"

#include <string.h>

#include "base/hash.h"
#include "mqtt/topic.h"

enum {
	LEVELS_LISTED = 8,	/* deeper ones are rare, and a filter names one of these first ones, too */
	NUMBER_OF_LEVELS = 255, /* the place of the terms that say how many levels there are */
};

/* What a topic can be listed under: a level at a place. */
struct flow_index_term {
	struct table_node by_hash;
	struct list listings;
	size_t count;
	uint32_t place, len;
	uint8_t text[];
};

void flow_index_init(struct flow_index *x)
{
	memset(x, 0, sizeof(*x));
	list_init(&x->entries);
}

void flow_index_free(struct flow_index *x)
{
	table_free(&x->terms);
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

static uint64_t term_hash(uint32_t place, struct mqtt_str text)
{
	return hash_mix(hash_bytes(text.data, text.len), place);
}

static struct flow_index_term *find_term(const struct flow_index *x, uint32_t place, struct mqtt_str text)
{
	for (struct table_node *n = table_first(&x->terms, term_hash(place, text)); n; n = table_next(n)) {
		struct flow_index_term *t = container_of(n, struct flow_index_term, by_hash);

		if (t->place == place && t->len == text.len && !memcmp(t->text, text.data, text.len))
			return t;
	}
	return NULL;
}

static struct flow_index_term *find_or_add_term(struct flow_index *x, uint32_t place, struct mqtt_str text)
{
	struct flow_index_term *t = find_term(x, place, text);

	if (t)
		return t;
	t = malloc(sizeof(*t) + text.len);
	if (!t)
		return NULL;
	list_init(&t->listings);
	t->count = 0;
	t->place = place;
	t->len = text.len;
	memcpy(t->text, text.data, text.len);
	if (table_insert(&x->terms, &t->by_hash, term_hash(place, text))) {
		free(t);
		return NULL;
	}
	return t;
}

/* The number of levels as a text. */
static struct mqtt_str as_text(const uint32_t *levels)
{
	return (struct mqtt_str){.data = (const uint8_t *)levels, .len = sizeof(*levels)};
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static int list_under(struct flow_index *x, struct flow_index_entry *e, uint32_t place, struct mqtt_str text)
{
	struct flow_index_listing *l = &e->listings[e->nlistings];

	l->term = find_or_add_term(x, place, text);
	if (!l->term)
		return -1;
	l->entry = e;
	l->term->count++;
	list_push(&l->term->listings, &l->at);
	e->nlistings++;
	return 0;
}

struct flow_index_entry *flow_index_add(struct flow_index *x, struct mqtt_str topic, void *owner)
{
	struct topic_levels it = topic_levels(topic);
	uint32_t levels = topic_depth(topic), listed = levels < LEVELS_LISTED ? levels : LEVELS_LISTED;
	struct flow_index_entry *e = malloc(sizeof(*e) + (listed + 1) * sizeof(e->listings[0]));
	struct mqtt_str level;
	int err;

	if (!e)
		return NULL;
	e->owner = owner;
	e->topic = topic;
	e->nlistings = 0;
	list_init(&e->found);
	list_push(&x->entries, &e->all);
	err = list_under(x, e, NUMBER_OF_LEVELS, as_text(&levels));
	for (uint32_t place = 0; !err && place < listed && topic_next_level(&it, &level); place++)
		err = list_under(x, e, place, level);
	if (err) {
		flow_index_remove(x, e);
		return NULL;
	}
	return e;
}

void flow_index_remove(struct flow_index *x, struct flow_index_entry *entry)
{
	for (uint32_t i = 0; i < entry->nlistings; i++) {
		struct flow_index_term *t = entry->listings[i].term;

		list_del(&entry->listings[i].at);
		if (--t->count)
			continue;
		table_remove(&x->terms, &t->by_hash);
		free(t);
	}
	list_del(&entry->all);
	list_del(&entry->found);
	free(entry);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

/* The shortest list that every topic is on which the filter matches. False: no topic can match. *shortest NULL: the
 * filter names none. */
static bool find_shortest(const struct flow_index *x, struct mqtt_str filter, const struct flow_index_term **shortest)
{
	struct topic_levels it = topic_levels(filter);
	uint32_t place = 0;
	struct mqtt_str level;
	bool open_end = false;

	*shortest = NULL;
	for (; topic_next_level(&it, &level); place++) {
		const struct flow_index_term *t;

		open_end = topic_level_is(level, '#');
		if (open_end || topic_level_is(level, '+') || place >= LEVELS_LISTED)
			continue;
		t = find_term(x, place, level);
		if (!t)
			return false;
		if (!*shortest || t->count < (*shortest)->count)
			*shortest = t;
	}
	if (!open_end) {
		const struct flow_index_term *t = find_term(x, NUMBER_OF_LEVELS, as_text(&place));

		if (!t)
			return false;
		if (!*shortest || t->count < (*shortest)->count)
			*shortest = t;
	}
	return true;
}

static void match_one(struct flow_index_entry *e, struct mqtt_str filter, struct list *found)
{
	if (topic_matches(filter, e->topic))
		list_push(found, &e->found);
}

void flow_index_match(struct flow_index *x, struct mqtt_str filter, struct list *found)
{
	const struct flow_index_term *shortest;

	if (!find_shortest(x, filter, &shortest))
		return;
	if (shortest) {
		for (struct list *l = shortest->listings.next; l != &shortest->listings; l = l->next)
			match_one(container_of(l, struct flow_index_listing, at)->entry, filter, found);
		return;
	}
	for (struct list *l = x->entries.next; l != &x->entries; l = l->next)
		match_one(container_of(l, struct flow_index_entry, all), filter, found);
}
