/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a file of rules comes to, for tests and fuzz targets: written from the description of the file and not from the code
 * under test. It reads the whole file for each question, which must be one that is not refused. */
#ifndef SHUNT_TESTS_ACL_MODEL_H
#define SHUNT_TESTS_ACL_MODEL_H

#include <ctype.h>
#include <stdio.h>

#include "auth/acl.h"
#include "mqtt_model.h"

struct acl_model_client {
	const char *username; /* NULL or empty: none */
	const char *client_id;
};

/* The rules as a C string, as from a file. */
static inline struct acl *acl_of(const char *text)
{
	FILE *f = *text ? fmemopen((void *)text, strlen(text), "r") : fopen("/dev/null", "re");
	struct acl *acl;

	if (!f)
		abort();
	acl = acl_read(f, "acl");
	fclose(f);
	return acl;
}

static inline struct acl_rights *acl_rights_of(struct acl *acl, const struct acl_model_client *who)
{
	struct mqtt_str username = mqtt_str(who->username ? who->username : "");

	return acl_rights_new(acl, who->username ? &username : NULL, mqtt_str(who->client_id));
}

/* A pattern with the names put in; to be freed. NULL: it is not for this client. */
static inline char *acl_model_filter(const char *pattern, const struct acl_model_client *who)
{
	size_t size = 1, len = 0;
	const char *name;
	char *filter;

	for (const char *p = pattern; *p; p++)
		size += 1 + strlen(who->client_id) + (who->username ? strlen(who->username) : 0);
	filter = calloc(1, size);
	if (!filter)
		abort();
	for (const char *p = pattern; *p; p++) {
		if (p[0] != '%' || (p[1] != 'c' && p[1] != 'u')) {
			filter[len++] = *p;
			continue;
		}
		name = p[1] == 'c' ? who->client_id : who->username;
		if (!name || (p[1] == 'u' && !*name)) {
			free(filter);
			return NULL;
		}
		strcpy(filter + len, name);
		len += strlen(name);
		p++;
	}
	if (*filter)
		return filter;
	free(filter);
	return NULL;
}

/* What has been found: by the user's rules, and by patterns. */
struct acl_model_found {
	bool allowed[2], denied[2], patterns;
};

static inline void acl_model_rule(struct acl_model_found *found, bool pattern, char *rest,
				  const struct acl_model_client *who, enum acl_access access, const char *topic)
{
	char *space, *filter, first;
	const char *word = "readwrite";

	while (*rest == ' ')
		rest++;
	space = strchr(rest, ' ');
	if (space) {
		*space = '\0';
		word = rest;
		rest = space + 1;
		while (isspace((unsigned char)*rest))
			rest++;
	}
	first = *rest;
	filter = pattern ? acl_model_filter(rest, who) : strdup(rest);
	if (filter && naive_matches(mqtt_str(filter), mqtt_str(topic))) {
		if (!strcmp(word, "deny"))
			found->denied[pattern] = true;
		else if ((!strcmp(word, "readwrite") || !strcmp(word, access == ACL_READ ? "read" : "write")) &&
			 (first == '$') == (*topic == '$'))
			found->allowed[pattern] = true;
	}
	free(filter);
}

static inline bool acl_model_may(const char *text, const struct acl_model_client *who, enum acl_access access,
				 const char *topic)
{
	char *copy = strdup(text), *user = NULL, *next = copy, *line;
	struct acl_model_found found = {0};

	if (!copy)
		abort();
	while ((line = strsep(&next, "\n"))) {
		for (size_t len = strlen(line); len && isspace((unsigned char)line[len - 1]); len--)
			line[len - 1] = '\0';
		if (*line == '#')
			continue;
		while (*line == ' ')
			line++;
		if (!strncmp(line, "user ", 5)) {
			for (user = line + 5; isspace((unsigned char)*user); user++)
				;
		} else if (!strncmp(line, "pattern ", 8)) {
			found.patterns = true;
			acl_model_rule(&found, true, line + 8, who, access, topic);
		} else if (!strncmp(line, "topic ", 6) &&
			   !strcmp(user ? user : "", who->username ? who->username : "")) {
			acl_model_rule(&found, false, line + 6, who, access, topic);
		}
	}
	free(copy);
	if (found.denied[0] || found.allowed[0])
		return !found.denied[0];
	if (strpbrk(who->client_id, "+#") || (who->username && strpbrk(who->username, "+#")))
		return false;
	return found.allowed[1] && !found.denied[1];
}

/* The rights that a file of this text gives to a client; NULL: it is wrong. */
static inline struct acl_rights *rights_for(const char *text, const char *username, const char *client_id)
{
	struct acl_model_client who = {username, client_id};
	struct acl *acl = acl_of(text);
	struct acl_rights *rights = acl ? acl_rights_of(acl, &who) : NULL;

	acl_unref(acl); /* the rights keep it */
	return rights;
}

#endif
