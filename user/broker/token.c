// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/token.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/acl.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/access.h"
#include "broker/memory.h"

enum { LOOK_MS = 60000 }; /* so often at least: the clock on the wall, which tokens go by, may step */

/* ---- rules -------------------------------------------------------------------------------------------------------- */

struct token_rules {
	unsigned refs; /* atomic */
	struct jwt_keys *keys;
	char *issuer, *audience, *name_claim; /* NULL: none */
	int64_t leeway;
};

struct token_rules *token_rules_ref(struct token_rules *rules)
{
	__atomic_add_fetch(&rules->refs, 1, __ATOMIC_RELAXED);
	return rules;
}

void token_rules_unref(struct token_rules *rules)
{
	if (!rules || __atomic_sub_fetch(&rules->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	jwt_keys_unref(rules->keys);
	free(rules->issuer);
	free(rules->audience);
	free(rules->name_claim);
	free(rules);
}

/* 0, or -1 without memory. */
static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -1 : 0;
}

static int read_rules(struct token_rules *rules, const struct conf_listener *l)
{
	int err = 0;

	rules->keys = jwt_keys_new();
	if (!rules->keys || copy(&rules->issuer, l->jwt_issuer) || copy(&rules->audience, l->jwt_audience) ||
	    copy(&rules->name_claim, l->jwt_username_claim)) {
		log_error("Error: Out of memory.");
		return -1;
	}
	rules->leeway = l->jwt_leeway;
	for (char **key = l->jwt_keys; *key; key++)
		err |= jwt_keys_add(rules->keys, *key, l->where);
	return err;
}

struct token_rules *token_rules_load(const struct conf_listener *l)
{
	struct token_rules *rules = calloc(1, sizeof(*rules));

	if (!rules) {
		log_error("Error: Out of memory.");
		return NULL;
	}
	rules->refs = 1;
	if (!read_rules(rules, l))
		return rules;
	token_rules_unref(rules);
	return NULL;
}

static struct jwt_rules asked(const struct token_rules *rules)
{
	return (struct jwt_rules){.issuer = rules->issuer,
				  .audience = rules->audience,
				  .name_claim = rules->name_claim,
				  .leeway = rules->leeway};
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

/* The clock on the wall. */
static int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / NS_PER_MS;
}

/* What is not counted. */
static void drop(struct token *t)
{
	acl_rights_unref(t->rights);
	jwt_claims_clear(&t->claims);
	free(t);
}

struct token *token_verify(const struct token_rules *rules, struct mqtt_str text, struct mqtt_str client_id,
			   const char **why)
{
	const struct jwt_rules ask = asked(rules);
	struct token *t = calloc(1, sizeof(*t));

	*why = t ? jwt_verify(rules->keys, &ask, text, wall_ms(), &t->claims) : jwt_no_memory;
	if (!*why && t->claims.acl)
		t->rights = jwt_rights(&t->claims, client_id, why);
	if (*why) {
		if (t)
			drop(t);
		return NULL;
	}
	free(t->claims.acl); /* the rights were made of it */
	t->claims.acl = NULL;
	return t;
}

static size_t size_of(const struct token *t)
{
	return sizeof(*t) + strlen(t->claims.name) + strlen(t->claims.all) +
	       (t->rights ? acl_rights_size(t->rights) : 0);
}

void token_count(const struct token *t)
{
	memory_took(size_of(t));
}

void token_free(struct token *t)
{
	if (!t)
		return;
	memory_gave(size_of(t));
	drop(t);
}

/* ---- while it is connected ------------------------------------------------------------------------------------------ */

static int64_t left_ms(const struct token *t)
{
	return t->claims.expires_ms + access_of(t->conn)->tokens->leeway * 1000 - wall_ms();
}

static void look(struct timer *timer)
{
	struct token *t = container_of(timer, struct token, expiry);

	/* Not 0x87: the client is allowed all that it asks for, its time is over, and it may come back with another token. */
	if (left_ms(t) <= 0)
		conn_close(t->conn, CLOSE_TOKEN_EXPIRED);
	else
		token_watch(t->conn);
}

void token_watch(struct conn *c)
{
	struct token *t = c->session->token;
	int64_t left;

	t->conn = c;
	left = left_ms(t);
	loop_after(&c->worker->loop, &t->expiry, left < 0 ? 0 : left > LOOK_MS ? LOOK_MS : (uint64_t)left, look);
}

void token_unwatch(struct session *s)
{
	struct token *t = s->token;

	if (!t || !t->conn)
		return;
	timer_stop(&t->conn->worker->loop.timers, &t->expiry);
	t->conn = NULL;
}

/* ---- a reload ------------------------------------------------------------------------------------------------------- */

bool token_stands(const struct token *t, const struct token_rules *before, const struct token_rules *now)
{
	const struct jwt_rules ask = asked(now);

	if (!jwt_keys_have(now->keys, t->claims.key))
		return false;
	if (before && text_same(before->issuer, now->issuer) && text_same(before->audience, now->audience) &&
	    text_same(before->name_claim, now->name_claim))
		return true;
	return !jwt_recheck(&t->claims, &ask);
}
