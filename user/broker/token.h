/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * JSON Web Tokens of clients (auth/jwt.h): one is given for a password, says who its client is and perhaps what it may do,
 * and lets it be connected until it expires. The rights in it limit those by acl_file; they stay with the session as its user
 * name does, until its client comes again. The token itself is not kept, but what it says, and by which key that was signed.
 */
#ifndef SHUNT_TOKEN_H
#define SHUNT_TOKEN_H

#include "auth/jwt.h"
#include "broker/conn.h"

struct acl_rights;

/* What a listener asks of tokens. Immutable, with counted references. */
struct token_rules;

/* Reads the keys. NULL after logging what is wrong. Any thread; blocks for file I/O. */
struct token_rules *token_rules_load(const struct conf_listener *l);
struct token_rules *token_rules_ref(struct token_rules *rules);
/* NULL is allowed. */
void token_rules_unref(struct token_rules *rules);

/* One that was right. Its connection's until that has a session, then the session's. */
struct token {
	struct jwt_claims claims;  /* without `acl` */
	struct acl_rights *rights; /* a reference; NULL: it limits nothing */
	struct conn *conn;	   /* while that is connected by it: */
	struct timer expiry;
};

/* Verify it now. NULL: it is refused, *why tells in words why. Any thread. */
struct token *token_verify(const struct token_rules *rules, struct mqtt_str text, struct mqtt_str client_id,
			   const char **why);
/* The memory of a new one is a client's from now on. */
void token_count(const struct token *t);
/* One that was counted, and is not watched. NULL is allowed. */
void token_free(struct token *t);

/* Close the connection when its session's token expires; again when the leeway has changed. On its worker, or while none
 * runs. */
void token_watch(struct conn *c);
/* The connection ends. */
void token_unwatch(struct session *s);

/* Is a token that was right by `before` still right by `now`, but for its times? */
bool token_stands(const struct token *t, const struct token_rules *before, const struct token_rules *now);

#endif
