// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/method.h"

#include <stdlib.h>

#include "auth/scram.h"
#include "auth/store.h"

static const struct auth_method *const methods[] = {&scram_sha_256};

const struct auth_method *auth_method_find(struct mqtt_str name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (mqtt_str_eq(mqtt_str(methods[i]->name), name))
			return methods[i];
	}
	return NULL;
}

struct auth_exchange *auth_begin(const struct auth_method *method, struct auth_store *store)
{
	struct auth_exchange *e = calloc(1, method->size);

	if (!e)
		return NULL;
	e->method = method;
	e->store = auth_store_ref(store);
	e->result = AUTH_CONTINUE;
	e->why = "it is not finished";
	return e;
}

enum auth_result auth_step(struct auth_exchange *e, struct mqtt_str data, struct mqtt_str *reply)
{
	*reply = (struct mqtt_str){0};
	if (e->result == AUTH_CONTINUE) {
		e->result = e->method->step(e, data, reply);
	} else {
		e->result = AUTH_DENIED;
		e->why = "a message came after the last one";
	}
	return e->result;
}

struct mqtt_str auth_username(const struct auth_exchange *e)
{
	return e->result == AUTH_SUCCESS ? e->username : (struct mqtt_str){0};
}

struct mqtt_str auth_claimed_username(const struct auth_exchange *e)
{
	return e->username;
}

const char *auth_why(const struct auth_exchange *e)
{
	return e->why;
}

void auth_end(struct auth_exchange *e)
{
	if (!e)
		return;
	if (e->method->end)
		e->method->end(e);
	auth_store_unref(e->store);
	free(e);
}
