// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/authenticate.h"

#include <stdlib.h>

#include "auth/method.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/internal.h"
#include "mqtt/encode.h"

/* What a connection has that gave an Authentication Method, all its life. */
struct connect_auth {
	const struct auth_method *method;
	struct auth_exchange *exchange; /* NULL: none goes on */
	struct mqtt_str reply;		/* the exchange's, for the next packet */
	char *username;			/* proved; NULL: not yet */
	uint8_t *connect;		/* until the client is known: the CONNECT */
	size_t connect_len;
};

static void end_exchange(struct connect_auth *a)
{
	auth_end(a->exchange);
	a->exchange = NULL;
	a->reply = (struct mqtt_str){0};
}

static int begin(struct connect_auth *a)
{
	end_exchange(a);
	a->exchange = auth_begin(a->method, the_broker.access->users);
	return a->exchange ? 0 : -1;
}

static struct mqtt_str data_of(const struct mqtt_packet *p)
{
	struct mqtt_str data = {0};

	mqtt_props_str(&p->props, MQTT_PROP_AUTHENTICATION_DATA, &data);
	return data;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

size_t authenticate_props_len(const struct conn *c)
{
	return c->auth ? strlen(c->auth->method->name) + c->auth->reply.len + 6 : 0;
}

void authenticate_props(const struct conn *c, struct mqtt_props_writer *w)
{
	if (!c->auth)
		return;
	mqtt_props_put_str(w, MQTT_PROP_AUTHENTICATION_METHOD, mqtt_str(c->auth->method->name));
	if (c->auth->reply.len)
		mqtt_props_put_str(w, MQTT_PROP_AUTHENTICATION_DATA, c->auth->reply);
}

static void send_auth(struct conn *c, enum mqtt_reason reason)
{
	size_t cap = authenticate_props_len(c);
	uint8_t *props = malloc(cap);
	uint8_t *packet = malloc(cap + 16);
	struct mqtt_props_writer w = {.buf = props, .cap = cap};
	size_t len = 0;

	authenticate_props(c, &w);
	if (props && packet && !w.failed)
		len = mqtt_encode(
			&(struct mqtt_packet){
				.type = MQTT_AUTH, .version = MQTT_5_0, .reason = (uint8_t)reason, .props = w.props},
			packet, cap + 16);
	if (len && c->sink.max_packet && len > c->sink.max_packet) /* [MQTT-3.1.2-24] */
		conn_break(c, CLOSE_OVERSIZE);
	else if (len)
		conn_send(c, packet, len);
	else
		conn_break(c, CLOSE_NO_MEMORY);
	free(props);
	free(packet);
}

/* ---- an exchange ------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct conn *c)
{
	return c->session ? c->session->name : c->client_name ? c->client_name : "<unknown>";
}

/* Keep who it is. False: without memory, or another user than at first, whose rights were given. */
static bool take_username(struct connect_auth *a)
{
	struct mqtt_str name = auth_username(a->exchange);

	if (a->username)
		return strlen(a->username) == name.len && memcmp(a->username, name.data, name.len) == 0;
	a->username = mqtt_str_dup(name);
	return a->username;
}

/* 0 done, AUTHENTICATE_MORE, or an enum mqtt_reason. */
static int step(struct conn *c, struct mqtt_str data)
{
	struct connect_auth *a = c->auth;

	switch (auth_step(a->exchange, data, &a->reply)) {
	case AUTH_CONTINUE:
		send_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION);
		return AUTHENTICATE_MORE;
	case AUTH_SUCCESS:
		return take_username(a) ? 0 : MQTT_RC_NOT_AUTHORIZED;
	case AUTH_DENIED:
		log_notice("Client %s [%s] is not authenticated: %s.", name_of(c), c->peer, auth_why(a->exchange));
		return MQTT_RC_NOT_AUTHORIZED;
	default:
		return MQTT_RC_SERVER_UNAVAILABLE;
	}
}

static bool same_method(const struct connect_auth *a, const struct mqtt_packet *p)
{
	struct mqtt_str name;

	return mqtt_props_str(&p->props, MQTT_PROP_AUTHENTICATION_METHOD, &name) &&
	       mqtt_str_eq(name, mqtt_str(a->method->name));
}

/* ---- CONNECT ----------------------------------------------------------------------------------------------------- */

static bool keep_connect(struct connect_auth *a, const uint8_t *body, size_t len)
{
	a->connect = malloc(len);
	if (!a->connect)
		return false;
	memcpy(a->connect, body, len);
	a->connect_len = len;
	return true;
}

int authenticate_connect(struct conn *c, const struct mqtt_packet *connect, const uint8_t *body, size_t len)
{
	const struct auth_method *method = NULL;
	struct mqtt_str name;

	if (!mqtt_props_str(&connect->props, MQTT_PROP_AUTHENTICATION_METHOD, &name))
		return 0;
	if (the_broker.access->users)
		method = auth_method_find(name);
	if (!method) /* 5.0 [MQTT-4.12.0-1] */
		return MQTT_RC_BAD_AUTHENTICATION_METHOD;
	c->auth = calloc(1, sizeof(*c->auth));
	if (!c->auth)
		return MQTT_RC_SERVER_UNAVAILABLE;
	c->auth->method = method;
	if (begin(c->auth) || !keep_connect(c->auth, body, len))
		return MQTT_RC_SERVER_UNAVAILABLE;
	return step(c, data_of(connect));
}

int authenticate_go_on(struct conn *c, const struct mqtt_packet *auth)
{
	if (auth->reason != MQTT_RC_CONTINUE_AUTHENTICATION || !same_method(c->auth, auth))
		return MQTT_RC_PROTOCOL_ERROR;
	return step(c, data_of(auth));
}

bool authenticate_waits(const struct conn *c)
{
	return c->auth && c->auth->connect;
}

const uint8_t *authenticate_connect_body(const struct conn *c, size_t *len)
{
	*len = c->auth ? c->auth->connect_len : 0;
	return c->auth ? c->auth->connect : NULL;
}

struct mqtt_str authenticate_username(const struct conn *c)
{
	return c->auth && c->auth->username ? mqtt_str(c->auth->username) : (struct mqtt_str){0};
}

const struct auth_store *authenticate_users(const struct conn *c)
{
	return c->auth && c->auth->exchange ? c->auth->exchange->store : NULL;
}

void authenticate_done(struct conn *c)
{
	if (!c->auth)
		return;
	end_exchange(c->auth);
	free(c->auth->connect);
	c->auth->connect = NULL;
}

void authenticate_end(struct conn *c)
{
	authenticate_done(c);
	if (c->auth)
		free(c->auth->username);
	free(c->auth);
	c->auth = NULL;
}

/* ---- again, section 4.12.1 ------------------------------------------------------------------------------------------- */

int authenticate_again(struct conn *c, const struct mqtt_packet *auth)
{
	struct connect_auth *a = c->auth;
	int rc;

	/* Without a method in the CONNECT there is no AUTH [MQTT-4.12.0-6]; nor with another one [MQTT-4.12.1-1]. */
	if (!a || !same_method(a, auth))
		return conn_fail(CLOSE_PROTOCOL);
	if (auth->reason == MQTT_RC_REAUTHENTICATE) {
		if (a->exchange)
			return conn_fail(CLOSE_PROTOCOL);
		if (begin(a))
			return conn_fail(CLOSE_NO_MEMORY);
	} else if (auth->reason != MQTT_RC_CONTINUE_AUTHENTICATION || !a->exchange) {
		return conn_fail(CLOSE_PROTOCOL);
	}
	rc = step(c, data_of(auth));
	if (rc == AUTHENTICATE_MORE)
		return 0;
	if (rc) /* [MQTT-4.12.1-2] */
		return conn_fail(rc == MQTT_RC_NOT_AUTHORIZED ? CLOSE_NOT_AUTHORISED : CLOSE_NO_MEMORY);
	send_auth(c, MQTT_RC_SUCCESS);
	end_exchange(a);
	return 0;
}
