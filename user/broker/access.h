/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who may come in, and what they may do there: what the files of the configuration say of it, which are read when the
 * daemon starts and again at each reload. A struct access is immutable; the broker's is replaced while no worker runs.
 */
#ifndef SHUNT_ACCESS_H
#define SHUNT_ACCESS_H

#include "auth/acl.h"
#include "auth/password_file.h"
#include "base/rcu.h"
#include "broker/conn.h"

struct auth_store;
struct hook;
struct token_rules;

/* Of one listener. */
struct access_rules {
	struct password_file *passwords; /* a reference; NULL: none, user names are not checked */
	struct hook *hook;	    /* a reference; who is asked of users that are not in `passwords`; NULL: nobody */
	struct acl *acl;	    /* a reference; NULL: everybody may do everything */
	struct token_rules *tokens; /* a reference; NULL: none, a password is no token */
	struct gate *gate;	    /* a reference; NULL: a connection begins with MQTT */
};

struct access {
	struct auth_store *users;    /* of enhanced authentication; NULL: there is none */
	size_t n;		     /* listeners */
	struct access_rules rules[]; /* by listener */
};

/* Read all files that `next` names, for the listeners of `live`; both are the same when the daemon starts. NULL after
 * logging what is wrong. Any thread, after hash_init(). */
struct access *access_load(const struct conf *live, const struct conf *next);
/* NULL is allowed. */
void access_free(struct access *a);

/* Is there a hook that may be asked? */
bool access_has_hook(const struct access *a);

/* The rules for this connection. On its worker. */
const struct access_rules *access_of(const struct conn *c);

/* ---- coming in ---------------------------------------------------------------------------------------------------- */

enum { ACCESS_LATER = -2 };

/* May the client of this CONNECT come in, which has not proved who it is in another way? 0; ACCESS_LATER: its password is being
 * checked, the CONNECT stays where it is, and conn_read() will be called when that is done; or an enum mqtt_reason. With 0 the
 * connection has its user name. */
int access_check(struct conn *c, const struct mqtt_connect *connect);

/* The rules have changed since access_check() said 0: it has to be asked again. */
void access_anew(struct conn *c);

/* Free a user name, and forget it. */
void access_forget_username(char **name);

/* Is its password being checked, or a hook asked? Then nothing is read. */
bool access_waits(const struct conn *c);

/* The connection ends, or its client is known: forget what was only for that. */
void access_done(struct conn *c);

/* ---- rights ------------------------------------------------------------------------------------------------------- */

/* Of a session; immutable, freed after a grace period of RCU. */
struct access_rights {
	struct acl_rights *acl;
	struct rcu_later later;
};

/* Give the session the rights of its client, by its user name, its token and the rules of its listener. 0 or -ENOMEM, then it
 * has what it had. By the owner under the subscription lock, or while no worker runs. */
int access_set_rights(struct broker *b, struct session *s);

/* The session's; NULL: it may do everything. Any thread, under RCU. */
static inline const struct acl_rights *access_rights(const struct session *s)
{
	const struct access_rights *r = __atomic_load_n(&s->rights, __ATOMIC_ACQUIRE);

	return r ? r->acl : NULL;
}

/* May the client of the session publish to the topic; get messages of it? Likewise. */
static inline bool access_may_write(const struct session *s, struct mqtt_str topic)
{
	const struct acl_rights *rights = access_rights(s);

	return !rights || acl_may(rights, ACL_WRITE, topic);
}

static inline bool access_may_read(const struct session *s, struct mqtt_str topic)
{
	const struct acl_rights *rights = access_rights(s);

	return !rights || acl_may(rights, ACL_READ, topic);
}

/* For who frees a session that nobody can see any more. */
void access_rights_free(struct access_rights *rights);

/* The rules have changed, from `before`, while no worker runs: all sessions get the rights of today, and who would not be let
 * in any more is disconnected. */
void access_apply(struct broker *b, const struct access *before);

#endif
