/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the answers of the control socket are made with. Any thread that is not a worker. */
#ifndef SHUNT_ANSWER_H
#define SHUNT_ANSWER_H

#include <cjson/cJSON.h>

#include "admin/json.h"

/* The answer that says what is wrong. */
void answer_error(struct json *j, const char *text);
void answer_no_client(struct json *j, const char *id);

/* The namespace that the request is about, "": the default one. NULL: there is no such one, which the answer says. */
const char *answer_namespace(struct json *j, const cJSON *request);
/* A member with the name of a namespace, if it is not the default one. */
void answer_in(struct json *j, const char *space);

/* A member of the request that is a string; NULL: there is none. */
const char *answer_text(const cJSON *request, const char *name);

/* answer_topics.c: what there is in the topic tree. */
void answer_topics(struct json *j, const cJSON *request);
void answer_retained(struct json *j, const cJSON *request);
void answer_subscriptions(struct json *j, const cJSON *request);

/* answer_act.c: what an administrator does. */
void answer_kick(struct json *j, const cJSON *request);
void answer_publish(struct json *j, const cJSON *request);

#endif
