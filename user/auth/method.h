/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Enhanced authentication, section 4.12 of MQTT 5.0: a method is a conversation in which a client proves who it is. The
 * messages of the conversation travel as Authentication Data of CONNECT, AUTH and CONNACK; their meaning is the method's
 * own. Methods are rows of a table (method.c); nothing but the name tells the connection which one it talks to.
 *
 * How a connection uses it. At a CONNECT with an Authentication Method, store being NULL when nothing is configured:
 *
 *	m = store ? auth_method_find(properties.auth_method) : NULL;
 *	if (!m)
 *		CONNACK 0x8C Bad authentication method, close			[MQTT-4.12.0-1]
 *	conn->auth = auth_begin(m, store);
 *	if (!conn->auth)
 *		CONNACK 0x97 Quota exceeded, close
 *
 * and from there on for this CONNECT, and for each AUTH with reason 0x18 and the same method [MQTT-4.12.0-3]:
 *
 *	switch (auth_step(conn->auth, properties.auth_data, &reply)) {
 *	case AUTH_CONTINUE:
 *		AUTH 0x18 with the method and the reply				[MQTT-4.12.0-2] [MQTT-4.12.0-5]
 *		return;				// the session stays as it is until the client is known
 *	case AUTH_SUCCESS:
 *		name = auth_username(conn->auth);	// copy it
 *		CONNACK 0x00 with the method and the reply			[MQTT-4.12.0-5]
 *		break;
 *	case AUTH_DENIED:
 *		log auth_claimed_username() and auth_why(), CONNACK 0x87 Not authorized, close	[MQTT-4.12.0-4]
 *		break;
 *	case AUTH_NO_MEMORY:
 *		CONNACK 0x97 Quota exceeded, close
 *		break;
 *	}
 *	auth_end(conn->auth);
 *	conn->auth = NULL;
 *
 * Anything but AUTH and DISCONNECT in the meantime is a protocol error. An empty reply is left out of the packet.
 *
 * To authenticate again (AUTH 0x19) is a new exchange with the method of the CONNECT [MQTT-4.12.1-1]. It ends with AUTH
 * 0x00 in place of the CONNACK, or DISCONNECT 0x87 and the end of the connection [MQTT-4.12.1-2]. The caller compares the
 * user name with that of the connection: rights were given to the first.
 */
#ifndef SHUNT_AUTH_METHOD_H
#define SHUNT_AUTH_METHOD_H

#include <stddef.h>

#include "mqtt/str.h"

struct auth_store; /* auth/store.h */
struct auth_exchange;

enum auth_result {
	AUTH_CONTINUE,	/* the client is to answer the reply */
	AUTH_SUCCESS,	/* the client is who auth_username() says */
	AUTH_DENIED,	/* wrong credentials, a malformed message, or one that does not belong here */
	AUTH_NO_MEMORY, /* this server cannot tell now: no memory, or no random numbers */
};

/* ---- for connections --------------------------------------------------------------------------------------------- */

/* The method a client names by its property Authentication Method, compared byte by byte; NULL: there is none such. Any
 * thread. */
const struct auth_method *auth_method_find(struct mqtt_str name);

/*
 * Begin an exchange. It belongs to one thread at a time. It holds a reference to the store until auth_end(), so that a
 * reload may replace the store in the meantime; the caller only sees to it that `store` is valid during this call. NULL:
 * out of memory.
 */
struct auth_exchange *auth_begin(const struct auth_method *method, struct auth_store *store);

/*
 * Give it the client's next message: the Authentication Data, empty if there was none. *reply is what to send as
 * Authentication Data in return; it is the exchange's and valid until the next auth_step() or auth_end(), and empty when
 * there is nothing to send. After AUTH_SUCCESS, AUTH_DENIED and AUTH_NO_MEMORY it is over: every further
 * step is AUTH_DENIED. Never blocks; computes some microseconds.
 */
enum auth_result auth_step(struct auth_exchange *e, struct mqtt_str data, struct mqtt_str *reply);

/* Who the client has proved to be; empty unless the last step was AUTH_SUCCESS. UTF-8 as utf8_valid() has it. The
 * exchange's, until auth_end(). */
struct mqtt_str auth_username(const struct auth_exchange *e);

/* Who it says it is, as soon as it has said so; for the log only. Otherwise as above. */
struct mqtt_str auth_claimed_username(const struct auth_exchange *e);

/* Why it was denied, in words for the log: "the password is wrong". Not for the client, who could learn from it which users
 * there are. Never NULL; a constant. */
const char *auth_why(const struct auth_exchange *e);

/* End it at any stage. NULL is allowed. */
void auth_end(struct auth_exchange *e);

/* ---- for methods ------------------------------------------------------------------------------------------------- */

/* The beginning of every method's own structure. */
struct auth_exchange {
	const struct auth_method *method;
	struct auth_store *store;
	enum auth_result result;  /* of the last step, AUTH_CONTINUE before the first; kept by auth_step() */
	struct mqtt_str username; /* the method sets it, to what is its own, before AUTH_SUCCESS at the latest */
	const char *why;	  /* the method sets it with AUTH_DENIED, to a constant */
};

struct auth_method {
	const char *name; /* as in the property Authentication Method */
	size_t size;	  /* bytes of its structure, which auth_begin() allocates and clears */
	/* As auth_step(), which calls it only while the exchange goes on, with an empty *reply. */
	enum auth_result (*step)(struct auth_exchange *e, struct mqtt_str data, struct mqtt_str *reply);
	/* Free what the structure holds, not the structure. NULL: it holds nothing. */
	void (*end)(struct auth_exchange *e);
};

#endif
