/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Access control: which topics a client may publish to, and of which it may receive messages.
 *
 * A file of rules, mosquitto's acl_file, is read into a struct acl. Of it, or of rules from elsewhere, the struct
 * acl_rights of a client is made when it connects, which answers for each message. Both are immutable, and shared by all
 * threads by counted references; a reload makes a new struct acl, and new rights for who is connected.
 *
 * The file has a line for each rule:
 *
 *	topic [read|write|readwrite|deny] FILTER	of the user named above, or of clients without a user name
 *	user NAME					what follows is this user's
 *	pattern [read|write|readwrite|deny] FILTER	of everybody, with %c and %u for the client identifier and user name
 *
 * FILTER may have blanks when the word before it is there, which is "readwrite" when it is not. Words are separated by
 * blanks, not by tabs. Empty lines and lines that begin with # count for nothing; lines may end with CR LF.
 *
 * What is not allowed is denied, so an empty file denies everything. Rules are asked in this order, and the first that says
 * something of the access decides: the user's deny, the user's others, patterns that deny, other patterns. So a pattern
 * denies nothing that the user is allowed by a rule of his own. Filters do not match topics that begin with '$' unless they
 * begin so themselves. When there are patterns, clients with a '+' or '#' in their name or identifier have none of their
 * rights. All this is as with mosquitto 2.0, but that a pattern without a '$' in front does not come to allow topics that
 * begin with one by what a client calls itself.
 *
 * What nobody may do, rules or not, is not asked here: to publish below $SYS, say.
 */
#ifndef SHUNT_AUTH_ACL_H
#define SHUNT_AUTH_ACL_H

#include <stdio.h>

#include "mqtt/str.h"

enum {
	ACL_LEVELS_MAX = 201, /* of a rule's filter, and of topics; mosquitto takes no more, either */
};

enum acl_access {
	ACL_READ = 1 << 0,  /* to receive messages of a topic */
	ACL_WRITE = 1 << 1, /* to publish to it */
};

/* ---- the file --------------------------------------------------------------------------------------------------- */

struct acl;

/* Read the file, with one reference. NULL after logging all that is wrong, with file and line: a file is taken as a whole or
 * not at all. What is only unwise is logged as a warning. Blocks for file I/O. Any thread, after hash_init() of
 * base/hash.h. */
struct acl *acl_load(const char *path);

/* The same from an open stream; `path` is for messages, permissions are not looked at. */
struct acl *acl_read(FILE *f, const char *path);

/* References: one more, one less; the last one frees it. NULL is allowed for the latter. Any thread. */
struct acl *acl_ref(struct acl *acl);
void acl_unref(struct acl *acl);

/* Number of rules. */
size_t acl_count(const struct acl *acl);

/* ---- the rights of a client ------------------------------------------------------------------------------------- */

struct acl_rights;

/* The rights that a file gives to a client, with one reference; they hold one of the file. `username` is NULL for a client
 * without; an empty one is none, too. The names are copied. NULL: no memory; such a client must not be served. */
struct acl_rights *acl_rights_new(struct acl *acl, const struct mqtt_str *username, struct mqtt_str client_id);

/* What `rights` allow is from now on only allowed if `limit` allows it, too, which has no limit itself and of which they keep a
 * reference. Before they are shared, once. */
void acl_rights_limit(struct acl_rights *rights, struct acl_rights *limit);

/* References, as above. */
struct acl_rights *acl_rights_ref(struct acl_rights *rights);
void acl_rights_unref(struct acl_rights *rights);

/* Bytes that they take, beside what all clients of the file share, and beside their limit. */
size_t acl_rights_size(const struct acl_rights *rights);

/* May the client have this access, one of the two, to a topic, which is a valid name of ACL_LEVELS_MAX levels at most? Allocates nothing, waits for nothing.
 * Any thread. */
bool acl_may(const struct acl_rights *rights, enum acl_access access, struct mqtt_str topic);

/* Is there a topic that the filter matches and that may be read? If not, a subscription to it is in vain. The filter is a
 * valid one, without "$share/NAME/". The answer is exact; but when filters are longer than some hundred bytes memory is
 * needed, and without it the answer is no. Any thread. */
bool acl_may_read_any(const struct acl_rights *rights, struct mqtt_str filter);

/* May all topics be read that the filter matches? Otherwise as above. */
bool acl_may_read_all(const struct acl_rights *rights, struct mqtt_str filter);

/* ---- rights from elsewhere -------------------------------------------------------------------------------------- */

/* Rules being collected, by one thread. What denies comes before what allows, in whatever order they are added, and may
 * deny one access only. What none allows is denied. */
struct acl_builder;

/* NULL: no memory. */
struct acl_builder *acl_builder_new(void);

/* Add a rule: `access` (one or both, added up) to the topics that the filter matches is allowed, or denied. 0, -EINVAL (not
 * a filter, or too deep) or -ENOMEM. An error is remembered: rights that miss a rule would be others than were meant. */
int acl_builder_add(struct acl_builder *b, bool allow, unsigned access, struct mqtt_str filter);

/* The same with a pattern, for %c and %u as in the file. -EINVAL also when a name has a '+' or '#' that would come into it,
 * or what comes of it is not UTF-8. */
int acl_builder_add_pattern(struct acl_builder *b, bool allow, unsigned access, struct mqtt_str pattern,
			    const struct mqtt_str *username, struct mqtt_str client_id);

/* Make rights of the rules, with one reference, and free the builder. NULL: there was an error, or no memory. */
struct acl_rights *acl_builder_finish(struct acl_builder *b);

/* Free it without. NULL is allowed. */
void acl_builder_free(struct acl_builder *b);

#endif
