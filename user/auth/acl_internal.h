/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the reading of the file makes, and the rights of clients are made of. */
#ifndef SHUNT_AUTH_ACL_INTERNAL_H
#define SHUNT_AUTH_ACL_INTERNAL_H

#include "auth/acl.h"
#include "auth/acl_tree.h"
#include "base/table.h"

struct acl {
	unsigned refs; /* atomic; all else is written before it is shared */
	struct table by_name;
	struct acl_user **users; /* by their numbers, from 1 on; number 0 are those without a user name */
	size_t nusers, capacity;
	size_t nrules;
	struct acl_tree *general; /* rules of those without a user name */
	bool has_patterns;
	struct acl_tree *patterns;   /* those that are the same for everybody */
	struct acl_draft with_names; /* and those that are not: the owner is 0, the filter a pattern */
};

struct acl_user {
	struct table_node node;
	struct acl_tree *tree;
	uint32_t number;
	uint32_t name_len;
	uint8_t name[];
};

/* NULL: none has this name. */
struct acl_user *acl_find_user(const struct acl *acl, struct mqtt_str name, uint64_t hash);

/* Why a text cannot be the filter of a rule: what follows "the topic "; NULL: it can. */
const char *acl_filter_fault(struct mqtt_str filter);

#endif
