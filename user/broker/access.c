// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/access.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "auth/hook.h"
#include "auth/password.h"
#include "auth/scram.h"
#include "auth/store.h"
#include "base/log.h"
#include "broker/asking.h"
#include "broker/authenticate.h"
#include "broker/checker.h"
#include "broker/gate.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/token.h"
#include "broker/transport.h"
#include "net/tls_tickets.h"

/* ---- the files ---------------------------------------------------------------------------------------------------- */

static bool same_path(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* What the listener is now in the new configuration; as it was if that does not have it any more. */
static const struct conf_listener *next_of(const struct conf *live, const struct conf *next, size_t i)
{
	const struct conf_listener *l = &live->listeners[i], *other = conf_same_listener(next, l);

	return other ? other : l;
}

/* The files of one listener. */
struct paths {
	const char *passwords, *acl; /* NULL: none */
	const char *url;	     /* of a hook, likewise */
};

static struct paths paths_of(const struct conf *live, const struct conf *next, size_t i)
{
	const struct conf_listener *l = next_of(live, next, i);

	return (struct paths){l->own_password_file ? l->own_password_file : next->password_file,
			      l->own_acl_file ? l->own_acl_file : next->acl_file,
			      l->own_auth_http_url ? l->own_auth_http_url : next->auth_http_url};
}

/* The gate of a listener. Whether it has one, and TLS, is fixed, because the fast path was told: then it stays as it is. 0
 * or -1. */
static int load_gate(struct access_rules *rules, const struct conf *live, const struct conf *next, size_t i)
{
	const struct conf_listener *l = next_of(live, next, i), *old = &live->listeners[i];
	const char *psk_file = l->own_psk_file ? l->own_psk_file : next->psk_file;
	const struct access *before = the_broker.access;

	if (before && (conf_has_tls(l) != conf_has_tls(old) || l->protocol != old->protocol ||
		       l->proxy_protocol != old->proxy_protocol)) {
		if (conf_has_tls(l) != conf_has_tls(old))
			log_warning("Warning: Whether the listener in %s has TLS is changed when the broker is started "
				    "again.",
				    l->where);
		rules->gate = gate_ref(before->rules[i].gate);
		return 0;
	}
	if (conf_is_plain(l))
		return 0;
	if (conf_has_tls(l) && !the_broker.tickets)
		the_broker.tickets = tls_tickets_new();
	rules->gate = gate_load(l, psk_file, the_broker.tickets);
	return rules->gate ? 0 : -1;
}

static struct hook *load_hook(const struct conf *next, const char *url)
{
	return hook_load(&(struct hook_config){
		.url = url,
		.cafile = next->auth_http_cafile,
		.timeout_s = next->auth_http_timeout,
		.cache_s = next->auth_http_cache,
		.max_pending = next->auth_http_max_pending,
	});
}

/* A file is read once, however many listeners have it. 0 or -1. */
static int load_rules(struct access *a, const struct conf *live, const struct conf *next, size_t i)
{
	const struct conf_listener *l = next_of(live, next, i);
	struct access_rules *rules = &a->rules[i];
	struct paths own = paths_of(live, next, i);

	for (size_t k = 0; k < i; k++) {
		struct paths other = paths_of(live, next, k);

		if (!rules->passwords && same_path(own.passwords, other.passwords))
			rules->passwords = password_file_ref(a->rules[k].passwords);
		if (!rules->acl && same_path(own.acl, other.acl))
			rules->acl = acl_ref(a->rules[k].acl);
		if (!rules->hook && same_path(own.url, other.url))
			rules->hook = hook_ref(a->rules[k].hook);
	}
	if (own.passwords && !rules->passwords)
		rules->passwords = password_file_load(own.passwords);
	if (own.acl && !rules->acl)
		rules->acl = acl_load(own.acl);
	if (own.url && !rules->hook)
		rules->hook = load_hook(next, own.url);
	if ((own.passwords && !rules->passwords) || (own.acl && !rules->acl) || (own.url && !rules->hook))
		return -1;
	if (l->jwt_keys) {
		rules->tokens = token_rules_load(l);
		if (!rules->tokens)
			return -1;
	}
	return load_gate(rules, live, next, i);
}

struct access *access_load(const struct conf *live, const struct conf *next)
{
	struct access *a = calloc(1, sizeof(*a) + live->nlisteners * sizeof(a->rules[0]));
	int err = 0;

	if (!a) {
		log_error("Error: Out of memory.");
		return NULL;
	}
	a->n = live->nlisteners;
	if (next->scram_file) {
		a->users = auth_store_load(next->scram_file);
		err = a->users ? 0 : -1;
	}
	for (size_t i = 0; i < a->n && !err; i++)
		err = load_rules(a, live, next, i);
	if (!err)
		return a;
	access_free(a);
	return NULL;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	auth_store_unref(a->users);
	for (size_t i = 0; i < a->n; i++) {
		password_file_unref(a->rules[i].passwords);
		acl_unref(a->rules[i].acl);
		token_rules_unref(a->rules[i].tokens);
		hook_unref(a->rules[i].hook);
		gate_unref(a->rules[i].gate);
	}
	free(a);
}

bool access_has_hook(const struct access *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->rules[i].hook)
			return true;
	return false;
}

const struct access_rules *access_of(const struct conn *c)
{
	return &c->worker->broker->access->rules[c->listener];
}

/* ---- coming in ---------------------------------------------------------------------------------------------------- */

/* A check of a client's password, and what is to be known when it is done. */
struct login {
	struct check check;
	struct conn *conn;
	size_t len;
	char bytes[]; /* user name, password, client identifier */
};

static size_t login_size(const struct login *l)
{
	return sizeof(*l) + l->len;
}

static void login_free(struct login *l)
{
	memory_gave(login_size(l));
	OPENSSL_cleanse(l->bytes, l->len);
	password_file_unref(l->check.passwords);
	token_rules_unref(l->check.tokens);
	token_free(l->check.token);
	free(l);
}

static int log_refused(const struct conn *c, struct mqtt_str username, const char *why)
{
	log_notice("Client %s [%s] is not let in: %s (u'%.*s').", c->client_name, c->peer, why, (int)username.len,
		   (const char *)username.data);
	return MQTT_RC_NOT_AUTHORIZED;
}

static int mqtt_refusal(int result)
{
	return result == -ENOMEM ? MQTT_RC_SERVER_UNAVAILABLE : MQTT_RC_NOT_AUTHORIZED;
}

static void login_done(struct inbox_item *item, void *worker)
{
	struct login *l = container_of(item, struct login, check.item);
	struct conn *c = l->conn;
	bool there = c->state != CONN_CLOSED;

	(void)worker;
	c->pending--;
	if (l->check.token)
		token_count(l->check.token);
	if (there) {
		c->login = NULL;
		token_free(c->token);
		c->token = l->check.token;
		l->check.token = NULL;
		if (l->check.why)
			log_notice("Client %s [%s] is not let in by its token: %s.", c->client_name, c->peer,
				   l->check.why);
		c->login_result = l->check.result ? mqtt_refusal(l->check.result) : 0;
		c->login_known = true;
		conn_await_connect(c);
	}
	login_free(l);
	if (there)
		conn_read(c);
}

/* The next of the login's bytes. */
static struct mqtt_str keep(struct login *l, struct mqtt_str s)
{
	struct mqtt_str kept = {.data = (uint8_t *)l->bytes + l->len, .len = s.len};

	if (s.len)
		memcpy(l->bytes + l->len, s.data, s.len);
	l->len += s.len;
	return kept;
}

/* By the passwords, or by the tokens. */
static int begin_login(struct conn *c, const struct mqtt_connect *connect, struct password_file *passwords,
		       struct token_rules *tokens)
{
	struct mqtt_str id = mqtt_str(c->client_id);
	struct login *l = malloc(sizeof(*l) + connect->username.len + connect->password.len + id.len);

	if (!l)
		return MQTT_RC_SERVER_UNAVAILABLE;
	l->len = 0;
	l->check = (struct check){
		.item.receive = login_done,
		.from = &c->worker->loop,
		.passwords = passwords ? password_file_ref(passwords) : NULL,
		.tokens = tokens ? token_rules_ref(tokens) : NULL,
		.username = keep(l, connect->username),
		.password = keep(l, connect->password),
		.client_id = keep(l, id),
	};
	memory_took(login_size(l));
	l->conn = c;
	c->login = l;
	timer_stop(&c->worker->loop.timers, &c->deadline); /* that it takes long is not the client's fault */
	c->pending++;
	checker_submit(&l->check);
	return ACCESS_LATER;
}

bool access_waits(const struct conn *c)
{
	return c->login || c->asking;
}

static int take_username(struct conn *c, struct mqtt_str name)
{
	c->username = mqtt_str_dup(name);
	if (!c->username)
		return MQTT_RC_SERVER_UNAVAILABLE;
	memory_took(name.len + 1);
	return 0;
}

void access_forget_username(char **name)
{
	if (*name)
		memory_gave(strlen(*name) + 1);
	free(*name);
	*name = NULL;
}

static bool same_hash(const struct password_hash *a, const struct password_hash *b)
{
	char text[2][PASSWORD_TEXT_MAX];

	if (!a || !b)
		return false;
	password_hash_format(a, text[0]);
	password_hash_format(b, text[1]);
	return strcmp(text[0], text[1]) == 0;
}

static bool same_verifier(const struct scram_verifier *a, const struct scram_verifier *b)
{
	char text[2][SCRAM_VERIFIER_TEXT_MAX];

	if (!a || !b)
		return false;
	scram_verifier_format(a, text[0]);
	scram_verifier_format(b, text[1]);
	return strcmp(text[0], text[1]) == 0;
}

/* Has the user in both stores what proves it is the same? */
static bool same_user(struct mqtt_str name, const struct auth_store *a, const struct auth_store *b)
{
	return a == b || (a && b && same_verifier(auth_store_find(a, name), auth_store_find(b, name)));
}

/* Does the listener go by certificates and keys for who its clients are? */
static bool asks_identity(const struct conn *c)
{
	const struct gate *gate = access_of(c)->gate;

	return gate && gate->identity;
}

/* Is what it gives for its password a token? Without a user name it can only be one; with one it may be a password of the
 * file or for a hook, if there is one, unless it looks like a token. */
static bool gives_token(const struct access_rules *rules, const struct mqtt_connect *connect)
{
	if (!rules->tokens || !connect->has_password)
		return false;
	return (!rules->passwords && !rules->hook) || !connect->username.len || jwt_looks_like(connect->password);
}

/* access_check() of who gives one. */
static int check_token(struct conn *c, const struct mqtt_connect *connect)
{
	const struct token *t = c->token;

	if (!c->login_known || (!c->login_result && !t)) /* or it was a password, before a reload */
		return begin_login(c, connect, NULL, access_of(c)->tokens);
	if (c->login_result)
		return c->login_result;
	if (connect->username.len && !mqtt_str_eq(connect->username, mqtt_str(t->claims.name)))
		return log_refused(c, connect->username, "its token is for another user");
	return take_username(c, mqtt_str(t->claims.name));
}

/* Is the user one of the file? */
static bool in_file(const struct access_rules *rules, struct mqtt_str name)
{
	return rules->passwords && password_file_find(rules->passwords, name);
}

/* By the word of a hook. */
static int check_by_hook(struct conn *c, const struct mqtt_connect *connect, struct hook *hook)
{
	int rc = c->login_known ? c->login_result : asking_begin(c, connect, hook);

	return rc ? rc : take_username(c, connect->username);
}

int access_check(struct conn *c, const struct mqtt_connect *connect)
{
	const struct conf_listener *l = &c->worker->broker->conf->listeners[c->listener];
	const struct access *access = c->worker->broker->access;
	struct password_file *passwords = access_of(c)->passwords;
	struct mqtt_str proved = authenticate_username(c);

	if (c->transport && !transport_stands(c->transport, access_of(c)->gate)) /* since a reload */
		return log_refused(c, connect->username, "its certificate or key is not valid any more");
	if (asks_identity(c)) { /* by its certificate or key: what it says of itself does not count */
		if (c->identity)
			return take_username(c, mqtt_str(c->identity));
		return log_refused(c, connect->username,
				   c->lacks ? c->lacks : "since a reload a certificate or key has to say who it is");
	}
	if (proved.len) /* maybe before a reload */
		return same_user(proved, authenticate_users(c), access->users)
			       ? take_username(c, proved)
			       : log_refused(c, connect->username, "its user has changed meanwhile");
	if (gives_token(access_of(c), connect))
		return check_token(c, connect);
	if (!connect->has_username) {
		if (l->allow_anonymous)
			return 0;
		log_notice("Client %s [%s] is not let in: it gave no user name.", c->client_name, c->peer);
		return MQTT_RC_NOT_AUTHORIZED;
	}
	if (access_of(c)->hook && !in_file(access_of(c), connect->username))
		return check_by_hook(c, connect, access_of(c)->hook);
	if (!passwords && access_of(c)->tokens)
		return log_refused(c, connect->username, "it gave no token");
	if (!passwords)
		return l->allow_anonymous ? take_username(c, connect->username)
					  : log_refused(c, connect->username, "there is no password file");
	/* Without a password no name is worth anything; nor is it told whether there is such a user. */
	if (!connect->has_password)
		return log_refused(c, connect->username, "it gave no password");
	if (!c->login_known)
		return begin_login(c, connect, passwords, NULL);
	if (c->login_result == MQTT_RC_NOT_AUTHORIZED)
		return log_refused(c, connect->username, "unknown user or wrong password");
	return c->login_result ? c->login_result : take_username(c, connect->username);
}

void access_anew(struct conn *c)
{
	c->login_known = false;
	token_free(c->token);
	c->token = NULL;
	access_forget_username(&c->username);
}

void access_done(struct conn *c)
{
	if (c->login)
		__atomic_store_n(&c->login->check.given_up, true, __ATOMIC_RELAXED);
	c->login = NULL;
	asking_end(c);
}

/* ---- a reload ------------------------------------------------------------------------------------------------------ */

/* Would the client still be let in? Its password was right, and is not known any more: so it is while the user has the
 * same. */
static bool still_welcome(const struct conn *c, const struct access *before)
{
	const struct access *now = c->worker->broker->access;
	const struct access_rules *rules = &now->rules[c->listener], *old = &before->rules[c->listener];
	struct mqtt_str name = mqtt_str(c->session->username ? c->session->username : "");

	if (c->transport && !transport_stands(c->transport, rules->gate))
		return false;
	if (asks_identity(c) || c->identity)
		return asks_identity(c) && c->identity;
	if (authenticate_username(c).len)
		return same_user(name, before->users, now->users);
	if (c->session->token)
		return rules->tokens && token_stands(c->session->token, old->tokens, rules->tokens);
	/* Who came by the word of a hook cannot be asked for anew, as its password is not known any more. */
	if (c->session->username && (rules->hook || old->hook) && !in_file(rules, name) && !in_file(old, name))
		return hook_same(rules->hook, old->hook);
	if (!c->session->username || !rules->passwords)
		return c->worker->broker->conf->listeners[c->listener].allow_anonymous &&
		       !(c->session->username && rules->tokens);
	return old->passwords &&
	       same_hash(password_file_find(old->passwords, name), password_file_find(rules->passwords, name));
}

static void apply_to(struct broker *b, struct session *s, const struct access *before)
{
	struct conn *c = s->conn;
	int rc = access_set_rights(b, s);

	if (!c)
		return;
	c->unwelcome = rc || !still_welcome(c, before);
	if (c->unwelcome) {
		conn_dirty(c);
		token_unwatch(s); /* there may be no leeway to go by any more */
	} else if (s->token) {
		token_watch(c); /* it may be another */
	}
	fp_publish_alone(&c->link, s->rights);
}

void access_apply(struct broker *b, const struct access *before)
{
	for (unsigned i = 0; i < b->nworkers; i++) {
		const struct table *all = &b->workers[i].sessions;

		for (size_t k = 0; all->buckets && k <= all->mask; k++)
			for (struct table_node *n = all->buckets[k]; n; n = n->next)
				apply_to(b, container_of(n, struct session, by_id), before);
	}
}
