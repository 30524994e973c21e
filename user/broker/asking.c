// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/asking.h"

#include <openssl/crypto.h>

#include "auth/hook.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/transport.h"
#include "net/tls_stream.h"

/* A question of a client, and whose it is. */
struct asking {
	struct hook_question question;
	struct conn *conn;
};

static size_t asking_size(const struct asking *a)
{
	return sizeof(*a) + a->question.len;
}

static void asking_free(struct asking *a)
{
	memory_gave(asking_size(a));
	OPENSSL_cleanse(a->question.form, a->question.len);
	free(a->question.form);
	hook_unref(a->question.hook);
	free(a);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static int take_answer(const struct conn *c, const struct hook_question *q)
{
	switch (q->answer) {
	case HOOK_ALLOWED:
		COUNTER_ADD(hook_allowed, 1);
		return 0;
	case HOOK_REFUSED:
		COUNTER_ADD(hook_refused, 1);
		log_notice("Client %s [%s] is not let in: the server of auth_http_url refuses it.", c->client_name,
			   c->peer);
		return MQTT_RC_NOT_AUTHORIZED;
	default:
		COUNTER_ADD(hook_failed, 1);
		log_notice("Client %s [%s] is not let in: asking the server of auth_http_url failed: %s.",
			   c->client_name, c->peer, q->why);
		return MQTT_RC_SERVER_UNAVAILABLE;
	}
}

static void answered(struct inbox_item *item, void *worker)
{
	struct asking *a = container_of(item, struct asking, question.item);
	struct conn *c = a->conn;
	bool there = c->state != CONN_CLOSED;

	(void)worker;
	c->pending--;
	if (there) {
		c->asking = NULL;
		c->login_result = take_answer(c, &a->question);
		c->login_known = true;
		conn_await_connect(c);
	}
	asking_free(a);
	if (there)
		conn_read(c);
}

/* ---- the question ------------------------------------------------------------------------------------------------ */

static struct mqtt_str address_of(const struct conn *c, char text[NETWORK_NAME_MAX])
{
	enum { IPV4_BITS = 32, IPV6_BITS = 128 };
	const struct net_address a = net_address_of_peer(c->peer);
	struct network n = {.address = a};

	if (a.family == AF_UNSPEC)
		return (struct mqtt_str){0};
	if (a.family != AF_UNIX)
		n = network_of(&a, a.family == AF_INET ? IPV4_BITS : IPV6_BITS);
	return mqtt_str(network_name(&n, text));
}

/* Everything that is known of it, so that an answer that is kept is one to the same. NULL without memory. */
static char *form_of(const struct conn *c, const struct mqtt_connect *connect, size_t *len)
{
	const struct tls_stream *tls = c->transport ? transport_tls(c->transport) : NULL;
	const char *why;
	char *name = tls ? tls_stream_common_name(tls, &why) : NULL, address[NETWORK_NAME_MAX], *form;

	form = hook_form(
		&(struct hook_client){
			.client_id = mqtt_str(c->client_id),
			.username = connect->username,
			.password = connect->has_password ? connect->password : (struct mqtt_str){0},
			.address = address_of(c, address),
			.port = c->worker->broker->conf->listeners[c->listener].port,
			.certificate = name ? mqtt_str(name) : (struct mqtt_str){0},
		},
		len);
	free(name);
	return form;
}

/* NULL without memory. */
static struct asking *make(struct conn *c, const struct mqtt_connect *connect, struct hook *hook)
{
	struct asking *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->question.form = form_of(c, connect, &a->question.len);
	if (!a->question.form) {
		free(a);
		return NULL;
	}
	a->conn = c;
	a->question.item.receive = answered;
	a->question.from = &c->worker->loop;
	a->question.hook = hook_ref(hook);
	a->question.cacheable = hook_cache_digest(&hook->cache, a->question.form, a->question.len, a->question.digest);
	memory_took(asking_size(a));
	return a;
}

static int ask(struct conn *c, struct asking *a)
{
	if (hook_submit(&a->question)) {
		COUNTER_ADD(hook_busy, 1);
		log_notice("Client %s [%s] is not let in: too many wait for the server of auth_http_url.",
			   c->client_name, c->peer);
		return MQTT_RC_SERVER_BUSY;
	}
	c->asking = a;
	timer_stop(&c->worker->loop.timers, &c->deadline); /* that it takes long is not the client's fault */
	c->pending++;
	return ACCESS_LATER;
}

int asking_begin(struct conn *c, const struct mqtt_connect *connect, struct hook *hook)
{
	struct asking *a = make(c, connect, hook);
	int rc = 0;

	if (!a)
		return MQTT_RC_SERVER_UNAVAILABLE;
	if (a->question.cacheable && hook_cache_has(&hook->cache, a->question.digest, c->worker->loop.now_ns))
		COUNTER_ADD(hook_cached, 1);
	else
		rc = ask(c, a);
	if (rc != ACCESS_LATER)
		asking_free(a);
	return rc;
}

void asking_end(struct conn *c)
{
	if (c->asking)
		hook_give_up(&c->asking->question);
	c->asking = NULL;
}
