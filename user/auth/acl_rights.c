// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The rights of a client, and what may be asked of them. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/acl_internal.h"
#include "base/hash.h"
#include "base/log.h"
#include "mqtt/filter.h"
#include "mqtt/utf8.h"

enum {
	NO_SHIFT = 2,	    /* from what allows an access to what denies it */
	SCRATCH_LEN = 1024, /* bytes of a filter that fit on the stack */
};

static_assert((int)ACL_READ == (int)ACL_SAY_READ && (int)ACL_WRITE == (int)ACL_SAY_WRITE &&
		      ACL_SAY_READ << NO_SHIFT == ACL_SAY_NO_READ && ACL_SAY_WRITE << NO_SHIFT == ACL_SAY_NO_WRITE,
	      "an access and what rules say of it are bits that belong together");

/* The trees, in the order in which they decide: what the user's own say of an access is not asked of the patterns. */
enum {
	OWN,
	PATTERNS, /* that are the same for everybody */
	NAMED,	  /* with this client's names in them */
	TREES,
};

struct acl_rights {
	unsigned refs;	       /* atomic; all else is written before it is shared */
	struct acl *acl;       /* whose other trees these are, with a reference; NULL: there are none */
	struct acl_tree *made; /* the one that goes with the rights */
	const struct acl_tree *trees[TREES];
	struct acl_rights *limit; /* that has to allow it, too, with a reference; NULL: none */
};

size_t acl_rights_size(const struct acl_rights *rights)
{
	return sizeof(*rights) + acl_tree_size(rights->made);
}

struct acl_rights *acl_rights_ref(struct acl_rights *rights)
{
	__atomic_add_fetch(&rights->refs, 1, __ATOMIC_RELAXED);
	return rights;
}

void acl_rights_unref(struct acl_rights *rights)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!rights || __atomic_sub_fetch(&rights->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	acl_rights_unref(rights->limit);
	acl_tree_free(rights->made);
	acl_unref(rights->acl);
	free(rights);
}

void acl_rights_limit(struct acl_rights *rights, struct acl_rights *limit)
{
	rights->limit = acl_rights_ref(limit);
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

/* An empty user name is none, as for mosquitto. */
static const struct mqtt_str *given(const struct mqtt_str *username)
{
	return username && username->len ? username : NULL;
}

/* Are patterns for a client of these names? A wildcard in a name would give rights to the topics of others. */
static bool patterns_are_for(const struct mqtt_str *username, struct mqtt_str client_id)
{
	bool bad_user = username && filter_has_wildcard(*username);
	struct mqtt_str bad = bad_user ? *username : client_id;

	if (!bad_user && !filter_has_wildcard(client_id))
		return true;
	log_notice("ACL denying access to client with dangerous %s \"%.*s\"", bad_user ? "username" : "client id",
		   (int)bad.len, (const char *)bad.data);
	return false;
}

/* The patterns with names, for this client. 0 or -ENOMEM. */
static int name_patterns(struct acl_rights *rights, const struct mqtt_str *username, struct mqtt_str client_id)
{
	const struct acl_draft *patterns = &rights->acl->with_names;
	struct acl_draft d = {0};
	int err = 0;

	for (size_t i = 0; i < patterns->count && !err; i++)
		err = acl_draft_add_pattern(&d, patterns->rules[i].say, acl_draft_filter(patterns, &patterns->rules[i]),
					    username, client_id);
	if (!err && d.count) {
		rights->trees[NAMED] = rights->made = acl_tree_new(&d, 0, d.count);
		err = rights->made ? 0 : -ENOMEM;
	}
	acl_draft_free(&d);
	return err;
}

struct acl_rights *acl_rights_new(struct acl *acl, const struct mqtt_str *username, struct mqtt_str client_id)
{
	struct acl_rights *rights = calloc(1, sizeof(*rights));
	const struct acl_user *user;

	if (!rights)
		return NULL;
	rights->refs = 1;
	rights->acl = acl_ref(acl);
	username = given(username);
	if (username) {
		user = acl_find_user(acl, *username, hash_bytes(username->data, username->len));
		rights->trees[OWN] = user ? user->tree : NULL;
	} else {
		rights->trees[OWN] = acl->general;
	}
	if (!acl->has_patterns || !patterns_are_for(username, client_id))
		return rights;
	rights->trees[PATTERNS] = acl->patterns;
	if (!name_patterns(rights, username, client_id))
		return rights;
	acl_rights_unref(rights);
	return NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/* What their own rules say, for a topic with `more` levels behind it that no rule has by name. */
static bool allow(const struct acl_rights *rights, uint8_t access, struct mqtt_str topic, uint32_t more)
{
	uint8_t no = (uint8_t)(access << NO_SHIFT);
	uint8_t found = acl_tree_find(rights->trees[OWN], topic, more, access | no);

	if (!found) {
		found = acl_tree_find(rights->trees[PATTERNS], topic, more, access | no);
		if (!(found & no))
			found |= acl_tree_find(rights->trees[NAMED], topic, more, access | no);
	}
	return found == access;
}

/* acl_may() for such a topic. */
static bool may(const struct acl_rights *rights, uint8_t access, struct mqtt_str topic, uint32_t more)
{
	return allow(rights, access, topic, more) && (!rights->limit || allow(rights->limit, access, topic, more));
}

bool acl_may(const struct acl_rights *rights, enum acl_access access, struct mqtt_str topic)
{
	return may(rights, (uint8_t)access, topic, 0);
}

/* ---- filters ---------------------------------------------------------------------------------------------------- */

/*
 * Of the topics that a filter matches, those with names that no rule has in the place of the wildcards are samples, one of
 * each depth: what rules match a sample match all topics of its depth that the filter matches. So there is a topic without a
 * rule of some kind exactly if there is such a sample; and for one with a certain rule the samples are of what the filter
 * and that rule have in common. A level that is a wildcard is a name that no rule has.
 *
 * Below what is deeper than the longest row of '+' in a rule, only rules with '#' reach, and those reach all of it.
 *
 * With a limit a topic that may be read has a rule of both, so the samples are of what the filter and the two have in common.
 * One that may not be read, may not by the rules of one of them.
 */
struct samples {
	struct mqtt_str topic;
	uint32_t most; /* levels to come behind it: from none up to so many */
};

static struct samples samples_of(struct mqtt_str filter, uint32_t longest_row)
{
	/* Above "#" and "/#" there is nothing: no name is empty. */
	if (filter.len > 2 && filter.data[filter.len - 1] == '#')
		return (struct samples){.topic = {filter.data, filter.len - 2}, .most = longest_row + 1};
	if (filter.data[filter.len - 1] == '#')
		return (struct samples){.topic = filter, .most = longest_row};
	return (struct samples){.topic = filter};
}

/* The longest row of '+' in a rule. */
static uint32_t longest_row(const struct acl_rights *rights)
{
	uint32_t row = rights->limit ? longest_row(rights->limit) : 0;

	for (int i = 0; i < TREES; i++)
		if (row < acl_tree_longest_row(rights->trees[i]))
			row = acl_tree_longest_row(rights->trees[i]);
	return row;
}

/* What is looked for: a topic that may be read, or may not, among those that the filter has in common with some rule of
 * `rights`, and then with some of the next. */
struct search {
	const struct acl_rights *rights; /* of whom it is asked */
	bool readable;
	uint8_t say; /* of the rules */
	const struct acl_rights *rules[2];
	unsigned n;
};

/* 1, 0 or -ENOMEM, as the next two. */
static int has_sample(const struct search *q, struct mqtt_str filter)
{
	struct samples s = samples_of(filter, longest_row(q->rights));

	for (uint32_t more = 0; more <= s.most; more++)
		if (may(q->rights, ACL_READ, s.topic, more) == q->readable)
			return 1;
	return 0;
}

static int has_common(const struct search *q, struct mqtt_str filter, unsigned depth);

/* The same of what the filter has in common with a rule, and with the next rights. */
static int has_common_with(const struct search *q, struct mqtt_str filter, struct mqtt_str rule, unsigned depth)
{
	uint8_t scratch[SCRATCH_LEN], *out = scratch;
	size_t size = (size_t)filter.len + rule.len;
	struct mqtt_str common;
	int has;

	if (!filter_intersects(filter, rule))
		return 0;
	if (size > sizeof(scratch))
		out = malloc(size);
	if (!out)
		return -ENOMEM;
	common.len = filter_intersection(filter, rule, out);
	common.data = out;
	has = has_common(q, common, depth + 1);
	if (out != scratch)
		free(out);
	return has;
}

/* From the rights number `depth` on. */
static int has_common(const struct search *q, struct mqtt_str filter, unsigned depth)
{
	const struct acl_rights *rights = depth < q->n ? q->rules[depth] : NULL;
	struct mqtt_str rule;
	uint8_t says;
	int has = 0;

	if (!rights)
		return has_sample(q, filter);
	for (int tree = 0; tree < TREES && !has; tree++) {
		if (!(acl_tree_says(rights->trees[tree]) & q->say))
			continue;
		for (size_t i = 0; !has && acl_tree_rule(rights->trees[tree], i, &rule, &says); i++)
			if (says & q->say)
				has = has_common_with(q, filter, rule, depth);
	}
	return has;
}

bool acl_may_read_any(const struct acl_rights *rights, struct mqtt_str filter)
{
	/* The limit's rules first: those of a token are few. */
	const struct search q = {
		.rights = rights,
		.readable = true,
		.say = ACL_SAY_READ,
		.rules = {rights->limit ? rights->limit : rights, rights},
		.n = rights->limit ? 2 : 1,
	};

	if (!filter_has_wildcard(filter))
		return acl_may(rights, ACL_READ, filter);
	return has_common(&q, filter, 0) == 1;
}

bool acl_may_read_all(const struct acl_rights *rights, struct mqtt_str filter)
{
	const struct search any = {.rights = rights},
			    denied = {.rights = rights, .say = ACL_SAY_NO_READ, .rules = {rights}, .n = 1};

	if (rights->limit && !acl_may_read_all(rights->limit, filter))
		return false;
	return has_common(&any, filter, 0) == 0 && has_common(&denied, filter, 0) == 0;
}

/* ---- rights from elsewhere -------------------------------------------------------------------------------------- */

struct acl_builder {
	struct acl_draft rules;
	int err; /* the first one */
};

struct acl_builder *acl_builder_new(void)
{
	return calloc(1, sizeof(struct acl_builder));
}

void acl_builder_free(struct acl_builder *b)
{
	if (b)
		acl_draft_free(&b->rules);
	free(b);
}

static int builder_result(struct acl_builder *b, int err)
{
	if (!b->err)
		b->err = err;
	return err;
}

static uint8_t say_of(bool allow, unsigned access)
{
	return (uint8_t)(allow ? access : access << NO_SHIFT);
}

int acl_builder_add(struct acl_builder *b, bool allow, unsigned access, struct mqtt_str filter)
{
	if (acl_filter_fault(filter))
		return builder_result(b, -EINVAL);
	return builder_result(b, acl_draft_add(&b->rules, 0, say_of(allow, access), filter));
}

int acl_builder_add_pattern(struct acl_builder *b, bool allow, unsigned access, struct mqtt_str pattern,
			    const struct mqtt_str *username, struct mqtt_str client_id)
{
	const struct acl_rule *added;
	size_t count = b->rules.count;
	struct mqtt_str filter;
	int err;

	/* A pattern that denies cannot be left out as in the file, where no other one allows anything then. */
	if (acl_filter_fault(pattern) ||
	    (memmem(pattern.data, pattern.len, "%c", 2) && filter_has_wildcard(client_id)) ||
	    (memmem(pattern.data, pattern.len, "%u", 2) && username && filter_has_wildcard(*username)))
		return builder_result(b, -EINVAL);
	err = acl_draft_add_pattern(&b->rules, say_of(allow, access), pattern, given(username), client_id);
	if (err || b->rules.count == count)
		return builder_result(b, err);
	added = &b->rules.rules[count];
	filter = acl_draft_filter(&b->rules, added);
	return builder_result(b, utf8_valid(filter.data, filter.len) ? 0 : -EINVAL);
}

struct acl_rights *acl_builder_finish(struct acl_builder *b)
{
	struct acl_rights *rights = b->err ? NULL : calloc(1, sizeof(*rights));

	if (rights) {
		rights->refs = 1;
		rights->made = acl_tree_new(&b->rules, 0, b->rules.count);
		rights->trees[OWN] = rights->made;
		if (b->rules.count && !rights->made) {
			free(rights);
			rights = NULL;
		}
	}
	acl_builder_free(b);
	return rights;
}
