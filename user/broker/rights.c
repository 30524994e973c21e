// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What clients may do: by acl_file, and by their tokens. */
#include <errno.h>
#include <stdlib.h>

#include "broker/access.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/token.h"

static size_t rights_size(const struct access_rights *rights)
{
	return sizeof(*rights) + acl_rights_size(rights->acl);
}

void access_rights_free(struct access_rights *rights)
{
	if (!rights)
		return;
	memory_gave(rights_size(rights));
	acl_rights_unref(rights->acl);
	free(rights);
}

static void free_later(struct rcu_later *later)
{
	access_rights_free(container_of(later, struct access_rights, later));
}

/* Of a file, of a token, or of both. NULL without memory. */
static struct access_rights *make_rights(struct acl *acl, struct acl_rights *limit, const struct session *s)
{
	struct mqtt_str name = mqtt_str(s->username ? s->username : "");
	struct access_rights *rights = malloc(sizeof(*rights));

	if (!rights)
		return NULL;
	rights->acl = acl ? acl_rights_new(acl, s->username ? &name : NULL, mqtt_str(s->id)) : acl_rights_ref(limit);
	if (!rights->acl) {
		free(rights);
		return NULL;
	}
	if (acl && limit)
		acl_rights_limit(rights->acl, limit);
	memory_took(rights_size(rights));
	return rights;
}

int access_set_rights(struct broker *b, struct session *s)
{
	struct acl *acl = s->came ? b->access->rules[s->listener].acl : NULL;
	struct acl_rights *limit = s->token ? s->token->rights : NULL;
	struct access_rights *before = s->rights, *rights = acl || limit ? make_rights(acl, limit, s) : NULL;

	if ((acl || limit) && !rights)
		return -ENOMEM;
	__atomic_store_n(&s->rights, rights, __ATOMIC_RELEASE);
	if (before)
		rcu_call_later(&before->later, free_later);
	return 0;
}
