/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Rules about topics: a draft, to which they are added one by one, and a tree made of it, which never changes and tells
 * fast what rules say of a topic: it has a node for each different beginning of filters, so what a topic costs depends on
 * its levels, and on the rules only where they have '+' beside other names.
 */
#ifndef SHUNT_AUTH_ACL_TREE_H
#define SHUNT_AUTH_ACL_TREE_H

#include "mqtt/str.h"

/* What a rule says of the topics that its filter matches. A bit each, several may be said. */
enum acl_say {
	ACL_SAY_READ = 1 << 0,
	ACL_SAY_WRITE = 1 << 1,
	ACL_SAY_NO_READ = 1 << 2,
	ACL_SAY_NO_WRITE = 1 << 3,
};

struct acl_rule {
	size_t at; /* where its filter begins in the draft's text */
	uint32_t len;
	uint32_t owner; /* the number of a user, for who wants to have several in one draft */
	uint8_t say;
};

/* Zero-initialised it is empty. One thread's. */
struct acl_draft {
	struct acl_rule *rules;
	size_t count, capacity;
	uint8_t *text;
	size_t len, size;
};

/* Add a rule; the filter is copied, and must be valid and not empty when a tree is made. 0 or -ENOMEM: then nothing was
 * added. */
int acl_draft_add(struct acl_draft *d, uint32_t owner, uint8_t say, struct mqtt_str filter);

/* The same for a pattern, with the client identifier for each "%c" and the user name for each "%u", whatever these have in
 * them; they must have no wildcards. Nothing is added (0) when it has "%u" and `username` is NULL, when it is too long or
 * too deep then for any topic, when nothing is left, and when it allows something and begins with '$' only by a name that
 * was put in. */
int acl_draft_add_pattern(struct acl_draft *d, uint8_t say, struct mqtt_str pattern, const struct mqtt_str *username,
			  struct mqtt_str client_id);

static inline struct mqtt_str acl_draft_filter(const struct acl_draft *d, const struct acl_rule *r)
{
	return (struct mqtt_str){.data = d->text + r->at, .len = r->len};
}

/* Free what it holds; it is empty then. */
void acl_draft_free(struct acl_draft *d);

/* ---- the tree --------------------------------------------------------------------------------------------------- */

/* Immutable: any thread. NULL is a tree without rules, for the functions below, too. */
struct acl_tree;

/* A tree of `count` rules of a draft, from number `first` on; it has its own copy of them. NULL: no memory, or none. */
struct acl_tree *acl_tree_new(const struct acl_draft *d, size_t first, size_t count);
void acl_tree_free(struct acl_tree *t);

/* Bytes that it takes. */
size_t acl_tree_size(const struct acl_tree *t);

/* What the rules that match a topic say, all of them together, as far as `wanted` asks; when something of ACL_SAY_NO_* was
 * wanted and found, the rest may be missing. The topic is `topic` with `more` levels behind it which no rule has by name; a
 * level "+" or "#" in `topic` is such a one, too. Allocates nothing. */
uint8_t acl_tree_find(const struct acl_tree *t, struct mqtt_str topic, uint32_t more, uint8_t wanted);

/* What its rules say, of whatever topics. */
uint8_t acl_tree_says(const struct acl_tree *t);

/* The longest row of levels "+" in one rule. */
uint32_t acl_tree_longest_row(const struct acl_tree *t);

/* One rule after the other: the filter, and what it says. false: there is no rule with this number. */
bool acl_tree_rule(const struct acl_tree *t, size_t index, struct mqtt_str *filter, uint8_t *say);

#endif
