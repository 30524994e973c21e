// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "auth/acl.h"
#include "auth/acl_tree.h"
#include "mqtt/topic.h"

enum {
	RULES_MIN = 16, /* room for the first ones */
	TEXT_MIN = 512,
	/* A longer filter matches no topic, not even with nothing in the place of each '+'. */
	SIZE_MAX_OF_USE = 2 * TOPIC_LEN_MAX,
};

void acl_draft_free(struct acl_draft *d)
{
	free(d->rules);
	free(d->text);
	*d = (struct acl_draft){0};
}

/* Room for one more rule with so many bytes of text. */
static int reserve(struct acl_draft *d, size_t len)
{
	size_t capacity = d->capacity ? d->capacity : RULES_MIN, size = d->size ? d->size : TEXT_MIN;
	struct acl_rule *rules;
	uint8_t *text;

	while (capacity <= d->count)
		capacity *= 2;
	while (size < d->len + len)
		size *= 2;
	if (capacity != d->capacity) {
		rules = realloc(d->rules, capacity * sizeof(*rules));
		if (!rules)
			return -ENOMEM;
		d->rules = rules;
		d->capacity = capacity;
	}
	if (size != d->size) {
		text = realloc(d->text, size);
		if (!text)
			return -ENOMEM;
		d->text = text;
		d->size = size;
	}
	return 0;
}

/* Bytes behind the draft's text, for which there is room. */
static void append(struct acl_draft *d, struct mqtt_str s)
{
	if (s.len)
		memcpy(d->text + d->len, s.data, s.len);
	d->len += s.len;
}

/* The text from `at` on is the filter of a new rule. */
static void finish_rule(struct acl_draft *d, size_t at, uint32_t owner, uint8_t say)
{
	d->rules[d->count++] = (struct acl_rule){.at = at, .len = (uint32_t)(d->len - at), .owner = owner, .say = say};
}

int acl_draft_add(struct acl_draft *d, uint32_t owner, uint8_t say, struct mqtt_str filter)
{
	if (reserve(d, filter.len))
		return -ENOMEM;
	append(d, filter);
	finish_rule(d, d->len - filter.len, owner, say);
	return 0;
}

/* ---- patterns --------------------------------------------------------------------------------------------------- */

/* The next piece of a pattern: what stands before "%c" or "%u" (*which is 'c' or 'u'), or the rest (0). */
static struct mqtt_str next_piece(struct mqtt_str *rest, char *which)
{
	struct mqtt_str piece = *rest;

	*which = 0;
	for (uint32_t i = 0; i + 1 < rest->len && !*which; i++) {
		if (rest->data[i] == '%' && (rest->data[i + 1] == 'c' || rest->data[i + 1] == 'u')) {
			piece.len = i;
			*which = (char)rest->data[i + 1];
		}
	}
	rest->data += *which ? piece.len + 2 : rest->len;
	rest->len -= *which ? piece.len + 2 : rest->len;
	return piece;
}

/* What comes of a pattern in bytes, SIZE_MAX: it is not for those without a user name. */
static size_t pattern_size(struct mqtt_str pattern, const struct mqtt_str *username, struct mqtt_str client_id)
{
	struct mqtt_str rest = pattern;
	size_t size = 0;
	char which;

	do {
		size += next_piece(&rest, &which).len;
		if (which == 'u' && !username)
			return SIZE_MAX;
		size += which == 'u' ? username->len : which == 'c' ? client_id.len : 0;
	} while (which);
	return size;
}

/* "%c/#" does not give $SYS to a client that calls itself so. */
static bool brings_dollar(struct mqtt_str pattern, struct mqtt_str filter, uint8_t say)
{
	return filter.data[0] == '$' && pattern.data[0] != '$' && (say & (ACL_SAY_READ | ACL_SAY_WRITE));
}

int acl_draft_add_pattern(struct acl_draft *d, uint8_t say, struct mqtt_str pattern, const struct mqtt_str *username,
			  struct mqtt_str client_id)
{
	size_t at = d->len, size = pattern_size(pattern, username, client_id);
	struct mqtt_str rest = pattern, filter;
	char which;

	if (!size || size > SIZE_MAX_OF_USE)
		return 0;
	if (reserve(d, size))
		return -ENOMEM;
	do {
		append(d, next_piece(&rest, &which));
		if (which)
			append(d, which == 'u' ? *username : client_id);
	} while (which);
	filter = (struct mqtt_str){.data = d->text + at, .len = (uint32_t)size};
	/* A name of nothing but '/' would have a node for each, and a client may call itself so. */
	if (brings_dollar(pattern, filter, say) || topic_depth(filter) > ACL_LEVELS_MAX + 1)
		d->len = at;
	else
		finish_rule(d, at, 0, say);
	return 0;
}
