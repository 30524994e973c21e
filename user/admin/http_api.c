// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* /api/v1/: each resource is a command of the control socket. What stands in the query or in the body is its members. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "admin/answers.h"
#include "admin/http_internal.h"

enum { ARGUMENTS_MAX = 5 };

struct http_resource {
	const char *path;		      /* also with "/..." behind it, if there is `rest` */
	const char *command;		      /* of the control socket */
	const char *rest;		      /* the member that the rest of the path is; NULL: there is none */
	bool post;			      /* it changes something */
	const char *arguments[ARGUMENTS_MAX]; /* members that may be in the query; the body may have any */
};

static const struct http_resource resources[] = {
	{"status", "status", NULL, false, {NULL}},
	{"stats", "stats", NULL, false, {NULL}},
	{"clients", "clients", "client", false, {"client", "namespace"}},
	{"flows", "flows", NULL, false, {NULL}},
	{"guard", "guard", NULL, false, {NULL}},
	{"why", "why", NULL, false, {"topic", "client", "namespace"}},
	{"topics", "topics", NULL, false, {"filter", "limit", "namespace"}},
	{"retained", "retained", NULL, false, {"filter", "limit", "namespace"}},
	{"subscriptions", "subscriptions", NULL, false, {"client", "limit", "namespace"}},
	{"bans", "bans", NULL, false, {NULL}},
	{"kick", "kick", NULL, true, {NULL}},
	{"ban", "ban", NULL, true, {NULL}},
	{"unban", "unban", NULL, true, {NULL}},
	{"publish", "publish", NULL, true, {NULL}},
	{"fastpath", "fastpath", NULL, true, {NULL}},
};

const struct http_resource *http_resource(const char *path)
{
	size_t len = strcspn(path, "/");

	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		const struct http_resource *r = &resources[i];

		if (strlen(r->path) == len && !memcmp(r->path, path, len) && (!path[len] || (r->rest && path[len + 1])))
			return r;
	}
	return NULL;
}

enum http_role http_resource_role(const struct http_resource *r)
{
	return r->post ? HTTP_ADMIN : HTTP_READ;
}

bool http_resource_takes(const struct http_resource *r, const char *method)
{
	if (r->post)
		return !strcmp(method, MHD_HTTP_METHOD_POST);
	return !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

static cJSON *from_query(const struct http_resource *r, const char *path, struct MHD_Connection *c)
{
	cJSON *request = cJSON_CreateObject();
	const char *rest = strchr(path, '/');

	for (size_t i = 0; i < ARGUMENTS_MAX && r->arguments[i]; i++) {
		const char *value = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, r->arguments[i]);

		if (value && !(rest && !strcmp(r->rest, r->arguments[i])))
			cJSON_AddStringToObject(request, r->arguments[i], value);
	}
	if (rest)
		cJSON_AddStringToObject(request, r->rest, rest + 1);
	return request;
}

/* NULL: it is no JSON object. */
static cJSON *from_body(const char *body)
{
	cJSON *request = cJSON_ParseWithOpts(body, NULL, true);

	if (cJSON_IsObject(request)) {
		cJSON_DeleteItemFromObjectCaseSensitive(request, "command");
		return request;
	}
	cJSON_Delete(request);
	return NULL;
}

/* The line of an answer gets its end. */
static struct http_answer end_line(struct http_answer answer)
{
	char *text = answer.text ? realloc(answer.text, answer.len + 1) : NULL;

	if (!text) {
		free(answer.text);
		return (struct http_answer){.status = MHD_HTTP_INTERNAL_SERVER_ERROR};
	}
	text[answer.len++] = '\n';
	answer.text = text;
	return answer;
}

struct http_answer http_use(const struct http_resource *r, const char *path, struct MHD_Connection *c, const char *body)
{
	static const char no_object[] = "{\"error\":\"the body has to be a JSON object\"}";
	static const char error[] = "{\"error\":", nobody[] = "{\"error\":\"there is no client";
	struct http_answer answer = {.status = MHD_HTTP_BAD_REQUEST};
	cJSON *request = body ? from_body(body) : from_query(r, path, c);

	if (request) {
		answer.text = answer_object(r->command, request, &answer.len);
		cJSON_Delete(request);
	} else {
		answer.text = strdup(no_object);
		answer.len = strlen(no_object);
	}
	if (answer.text && !strncmp(answer.text, nobody, strlen(nobody)))
		answer.status = MHD_HTTP_NOT_FOUND;
	else if (answer.text && strncmp(answer.text, error, strlen(error)) != 0)
		answer.status = MHD_HTTP_OK;
	return end_line(answer);
}
