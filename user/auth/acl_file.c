// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The file of rules: read line by line into drafts, of which trees are made when all lines are good. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/acl_internal.h"
#include "base/hash.h"
#include "base/lines.h"
#include "base/list.h"
#include "base/log.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

static const struct {
	const char *word;
	uint8_t say;
} accesses[] = {
	{"read", ACL_SAY_READ},
	{"write", ACL_SAY_WRITE},
	{"readwrite", ACL_SAY_READ | ACL_SAY_WRITE},
	{"deny", ACL_SAY_NO_READ | ACL_SAY_NO_WRITE},
};

struct acl *acl_ref(struct acl *acl)
{
	__atomic_add_fetch(&acl->refs, 1, __ATOMIC_RELAXED);
	return acl;
}

void acl_unref(struct acl *acl)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!acl || __atomic_sub_fetch(&acl->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < acl->nusers; i++) {
		acl_tree_free(acl->users[i]->tree);
		free(acl->users[i]);
	}
	free(acl->users);
	table_free(&acl->by_name);
	acl_tree_free(acl->general);
	acl_tree_free(acl->patterns);
	acl_draft_free(&acl->with_names);
	free(acl);
}

size_t acl_count(const struct acl *acl)
{
	return acl->nrules;
}

struct acl_user *acl_find_user(const struct acl *acl, struct mqtt_str name, uint64_t hash)
{
	for (struct table_node *n = table_first(&acl->by_name, hash); n; n = table_next(n)) {
		struct acl_user *u = container_of(n, struct acl_user, node);

		if (mqtt_str_eq((struct mqtt_str){.data = u->name, .len = u->name_len}, name))
			return u;
	}
	return NULL;
}

const char *acl_filter_fault(struct mqtt_str filter)
{
	if (filter.len > TOPIC_LEN_MAX)
		return "is longer than 65535 bytes";
	if (!utf8_valid(filter.data, filter.len))
		return "is not UTF-8 as MQTT allows it";
	if (!topic_filter_valid(filter))
		return "has a + or # that is not a whole level, or a # that is not the last one";
	return topic_depth(filter) > ACL_LEVELS_MAX ? "has more than 201 levels" : NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
	struct acl *acl;
	struct acl_draft topics, patterns; /* topics with the number of their user */
	struct lines at;
	uint32_t user; /* whose rules follow */
};

/* Room for one more user. 0 or -1. */
static int reserve(struct acl *acl)
{
	size_t capacity = acl->capacity ? 2 * acl->capacity : 16;
	struct acl_user **users;

	if (acl->nusers < acl->capacity)
		return 0;
	users = realloc(acl->users, capacity * sizeof(*users));
	if (!users)
		return -1;
	acl->users = users;
	acl->capacity = capacity;
	return 0;
}

/* A user may come several times: his rules are added up. */
static int read_user(struct reading *r, char *text)
{
	struct mqtt_str name = mqtt_str(text);
	uint64_t hash = hash_bytes(name.data, name.len);
	struct acl_user *u = acl_find_user(r->acl, name, hash);

	if (!name.len)
		return lines_fault(&r->at, "there is no name behind \"user\"");
	if (!utf8_valid(name.data, name.len))
		return lines_fault(&r->at, "the user name is not UTF-8 as MQTT allows it");
	if (!u) {
		u = malloc(sizeof(*u) + name.len);
		if (!u || reserve(r->acl) || table_insert(&r->acl->by_name, &u->node, hash)) {
			free(u);
			return lines_fault(&r->at, "out of memory");
		}
		r->acl->users[r->acl->nusers++] = u;
		u->tree = NULL;
		u->number = (uint32_t)r->acl->nusers;
		u->name_len = name.len;
		memcpy(u->name, name.data, name.len);
	}
	r->user = u->number;
	return 0;
}

/* Cut off a text's blanks, or what else is not to be seen, in front. The end of the line has none. */
static char *skip_blanks(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* What an access says; 0: there is no such. */
static uint8_t parse_access(const char *word)
{
	for (size_t i = 0; i < sizeof(accesses) / sizeof(*accesses); i++)
		if (!strcmp(accesses[i].word, word))
			return accesses[i].say;
	return 0;
}

static int add_rule(struct reading *r, bool pattern, uint8_t say, struct mqtt_str filter)
{
	struct acl_draft *draft = pattern ? &r->patterns : &r->topics;

	if (pattern && (memmem(filter.data, filter.len, "%c", 2) || memmem(filter.data, filter.len, "%u", 2)))
		draft = &r->acl->with_names;
	else if (pattern)
		log_warning("Warning in %s:%zu: the pattern has neither %%c nor %%u, so it is the same for everybody.",
			    r->at.path, r->at.line);
	if (acl_draft_add(draft, pattern ? 0 : r->user, say, filter))
		return lines_fault(&r->at, "out of memory");
	r->acl->has_patterns |= pattern;
	r->acl->nrules++;
	return 0;
}

/* What stands behind "topic" or "pattern". */
static int read_rule(struct reading *r, bool pattern, char *text)
{
	uint8_t say = ACL_SAY_READ | ACL_SAY_WRITE;
	char *word = text, *end;
	const char *why;

	while (*word == ' ')
		word++;
	if (!*word)
		return lines_fault(&r->at, "there is no topic behind \"%s\"", pattern ? "pattern" : "topic");
	end = strchr(word, ' ');
	if (end) {
		*end = '\0';
		say = parse_access(word);
		if (!say)
			return lines_fault(
				&r->at,
				"the access \"%s\" is none of read, write, readwrite and deny, of which there has to be "
				"one before a topic with blanks",
				word);
		word = skip_blanks(end + 1);
	} else if (parse_access(word)) {
		log_warning("Warning in %s:%zu: this gives the rights to read and write a topic \"%s\".", r->at.path,
			    r->at.line, word);
	}
	why = acl_filter_fault(mqtt_str(word));
	if (why)
		return lines_fault(&r->at, "the topic %s", why);
	return add_rule(r, pattern, say, mqtt_str(word));
}

/* One line of `len` bytes, which is cut into pieces. */
static int read_line(void *arg, char *line, size_t len)
{
	struct reading *r = arg;
	char *word, *rest;

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	word = line + strspn(line, " ");
	if (!*word || line[0] == '#')
		return 0;
	if (*word == '#')
		return lines_fault(&r->at, "a comment begins in the first column: take away what is before the \"#\"");
	rest = word + strcspn(word, " ");
	if (*rest)
		*rest++ = '\0';
	if (!strcmp(word, "topic"))
		return read_rule(r, false, rest);
	if (!strcmp(word, "pattern"))
		return read_rule(r, true, rest);
	if (!strcmp(word, "user"))
		return read_user(r, skip_blanks(rest));
	return lines_fault(&r->at, "the line begins with none of topic, user and pattern, and a blank behind it");
}

static int by_owner(const void *left, const void *right)
{
	const struct acl_rule *a = left, *b = right;

	return a->owner < b->owner ? -1 : a->owner > b->owner;
}

/* A tree for those without a user name, for each user, and of what is the same for everybody. 0 or -1. */
static int plant(struct reading *r)
{
	struct acl_draft *d = &r->topics;
	size_t end;

	if (d->count)
		qsort(d->rules, d->count, sizeof(*d->rules), by_owner);
	for (size_t first = 0; first < d->count; first = end) {
		uint32_t owner = d->rules[first].owner;
		struct acl_tree *tree;

		for (end = first; end < d->count && d->rules[end].owner == owner;)
			end++;
		tree = acl_tree_new(d, first, end - first);
		if (!tree)
			return -1;
		*(owner ? &r->acl->users[owner - 1]->tree : &r->acl->general) = tree;
	}
	r->acl->patterns = acl_tree_new(&r->patterns, 0, r->patterns.count);
	return r->patterns.count && !r->acl->patterns ? -1 : 0;
}

struct acl *acl_read(FILE *f, const char *path)
{
	struct reading r = {.acl = calloc(1, sizeof(*r.acl)), .at.path = path};
	int err = 0;

	if (r.acl) {
		r.acl->refs = 1;
		err = lines_read(&r.at, f, read_line, &r);
	}
	if (!r.acl || (!err && plant(&r))) {
		log_error("Error: Unable to read %s: %s.", path, strerror(ENOMEM));
		err = -1;
	}
	acl_draft_free(&r.topics);
	acl_draft_free(&r.patterns);
	if (!err)
		return r.acl;
	acl_unref(r.acl);
	return NULL;
}

/* Say so when anybody can give himself rights. */
static void check_permissions(FILE *f, const char *path)
{
	struct stat st;

	if (!fstat(fileno(f), &st) && S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH))
		log_warning("Warning: everybody can write to %s: chmod o-w %s.", path, path);
}

struct acl *acl_load(const char *path)
{
	FILE *f = fopen(path, "re");
	struct acl *acl;

	if (!f) {
		log_error("Error: Unable to read %s: %s.", path, strerror(errno));
		return NULL;
	}
	check_permissions(f, path);
	acl = acl_read(f, path);
	fclose(f);
	return acl;
}
