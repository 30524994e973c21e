// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A configuration that is read again: what is different in it, and taking that over. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "conf/option.h"

static bool same_list(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && text_same(*a, *b))
		a++, b++;
	return *a == *b;
}

static bool same_field(const struct conf_option *o, const void *a, const void *b)
{
	if (o->type == CONF_ACTION)
		return true;
	if (o->type == CONF_STRING)
		return text_same(*(char *const *)a, *(char *const *)b);
	if (o->type == CONF_LIST)
		return same_list(*(char **const *)a, *(char **const *)b);
	return !memcmp(a, b, o->size);
}

/* The same listener in another configuration; NULL: it has none like it. */
static struct conf_listener *find_same(const struct conf *c, const struct conf_listener *l)
{
	for (size_t i = 0; i < c->nlisteners; i++) {
		if (conf_same_place(&c->listeners[i], l))
			return &c->listeners[i];
	}
	return NULL;
}

const struct conf_listener *conf_same_listener(const struct conf *next, const struct conf_listener *l)
{
	return find_same(next, l);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* Log that the option is different, in `place` if that is not NULL. 1 if it can be changed now. */
static size_t report(const struct conf_option *o, const char *place)
{
	const char *of = place ? " of the listener at " : "";

	if (!place)
		place = "";
	if (o->restart) {
		log_warning("Warning: A change of %s%s%s counts when the broker is started again.", o->name, of, place);
		return 0;
	}
	log_notice("Changed: %s%s%s.", o->name, of, place);
	return 1;
}

static size_t compare_scope(enum conf_scope scope, const void *a, const void *b, const char *place)
{
	size_t n = 0;

	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope == scope && !same_field(o, (const char *)a + o->offset, (const char *)b + o->offset))
			n += report(o, place);
	}
	return n;
}

size_t conf_compare(const struct conf *live, const struct conf *next)
{
	size_t n = compare_scope(CONF_GLOBAL, live, next, NULL);
	char name[CONF_LISTENER_NAME_MAX];

	/* The file is what can differ in a log_dest line without its mask. */
	if (live->log_dests == next->log_dests && !text_same(live->log_file, next->log_file)) {
		log_notice("Changed: log_dest file.");
		n++;
	}
	for (size_t i = 0; i < live->nlisteners; i++) {
		const struct conf_listener *l = &live->listeners[i], *other = find_same(next, l);

		conf_listener_name(l, name, sizeof(name));
		if (!other) {
			log_warning(
				"Warning: The listener at %s is not in the configuration any more; it goes on as it is "
				"until the broker is started again.",
				name);
			continue;
		}
		n += compare_scope(CONF_LISTENER, l, other, name);
		if (l->own_allow_zero_length_clientid != other->own_allow_zero_length_clientid) {
			log_notice("Changed: allow_zero_length_clientid of the listener at %s.", name);
			n++;
		}
	}
	for (size_t i = 0; i < next->nlisteners; i++) {
		if (!find_same(live, &next->listeners[i]))
			log_warning("Warning: The new listener at %s is opened when the broker is started again.",
				    conf_listener_name(&next->listeners[i], name, sizeof(name)));
	}
	return n;
}

/* ---- taking over ------------------------------------------------------------------------------------------------- */

/* Fields are of eight bytes at most; a string's owner changes with it. */
static void swap(void *a, void *b, size_t size)
{
	char spare[sizeof(uint64_t)];

	memcpy(spare, a, size);
	memcpy(a, b, size);
	memcpy(b, spare, size);
}

static void swap_scope(enum conf_scope scope, void *a, void *b)
{
	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope == scope && o->type != CONF_ACTION && !o->restart)
			swap((char *)a + o->offset, (char *)b + o->offset, o->size);
	}
}

void conf_update(struct conf *live, struct conf *next)
{
	swap_scope(CONF_GLOBAL, live, next);
	swap(&live->log_file, &next->log_file, sizeof(live->log_file));
	for (size_t i = 0; i < live->nlisteners; i++) {
		struct conf_listener *l = &live->listeners[i], *other = find_same(next, l);

		if (!other)
			continue;
		swap_scope(CONF_LISTENER, l, other);
		/* This one has no option of the listener's, but with per_listener_settings. */
		swap(&l->own_allow_zero_length_clientid, &other->own_allow_zero_length_clientid, sizeof(int));
		swap(&l->where, &other->where, sizeof(l->where));
	}
	conf_resolve(live);
}
