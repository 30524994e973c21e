// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The rights that a token gives. What is not understood may be meant to limit them, so it is refused, not passed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "auth/acl.h"
#include "auth/jwt.h"

static const struct {
	const char *name;
	enum acl_access access;
} kinds[] = {
	{"publish", ACL_WRITE},
	{"subscribe", ACL_READ},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Whom they are for. */
struct client {
	struct mqtt_str username, id;
};

/* NULL, or why not; so the next ones. */
static const char *add_filter(struct acl_builder *b, const struct client *c, enum acl_access access,
			      const cJSON *filter)
{
	int err;

	if (!cJSON_IsString(filter))
		return "its rights have something that is no text";
	err = acl_builder_add_pattern(b, true, access, mqtt_str(filter->valuestring), &c->username, c->id);
	if (!err)
		return NULL;
	return err == -ENOMEM ? jwt_no_memory : "its rights have something that is no topic filter for this client";
}

static const char *add_kind(struct acl_builder *b, const struct client *c, const cJSON *list, bool seen[KINDS])
{
	const char *why = NULL;
	unsigned i = 0;

	while (i < KINDS && strcmp(kinds[i].name, list->string) != 0)
		i++;
	if (i == KINDS)
		return "its rights have something other than publish and subscribe";
	if (seen[i])
		return "its rights have something twice";
	seen[i] = true;
	if (!cJSON_IsArray(list))
		return "its rights have something that is no array";
	for (const cJSON *filter = list->child; filter && !why; filter = filter->next)
		why = add_filter(b, c, kinds[i].access, filter);
	return why;
}

static const char *add_all(struct acl_builder *b, const struct client *c, const cJSON *acl)
{
	bool seen[KINDS] = {false};
	const char *why = NULL;

	if (!cJSON_IsObject(acl))
		return "its rights are no JSON object";
	for (const cJSON *list = acl->child; list && !why; list = list->next)
		why = add_kind(b, c, list, seen);
	return why;
}

struct acl_rights *jwt_rights(const struct jwt_claims *claims, struct mqtt_str client_id, const char **why)
{
	const struct client c = {.username = mqtt_str(claims->name), .id = client_id};
	cJSON *acl = cJSON_Parse(claims->acl);
	struct acl_builder *b = acl ? acl_builder_new() : NULL;
	struct acl_rights *rights = NULL;

	*why = b ? add_all(b, &c, acl) : jwt_no_memory;
	if (!*why) {
		rights = acl_builder_finish(b);
		*why = rights ? NULL : jwt_no_memory;
	} else {
		acl_builder_free(b);
	}
	cJSON_Delete(acl);
	return rights;
}
