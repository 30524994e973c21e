// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/answer.h"
#include "base/number.h"
#include "broker/broker.h"
#include "broker/tree.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

enum {
	LIMIT_DEFAULT = 1000,
	LIMIT_MAX = 1000000,
	PREVIEW = 256, /* bytes of a payload that are shown */
};

/* A list that grows to a limit. */
struct listing {
	struct json *j;
	const char *client; /* whose subscriptions; NULL: all */
	const char *space;  /* likewise, in which namespace */
	uint64_t n, limit;
	bool more;
};

/* Numbers come as such, or as text of a query. */
static bool take_limit(const cJSON *request, uint64_t *limit)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(request, "limit");

	*limit = LIMIT_DEFAULT;
	if (!item)
		return true;
	if (cJSON_IsString(item))
		return !number_parse(item->valuestring, LIMIT_MAX, limit);
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > LIMIT_MAX)
		return false;
	*limit = (uint64_t)item->valuedouble;
	return true;
}

/* May one more be added? If not, the walk ends. */
static bool room(struct listing *l)
{
	l->more = l->n == l->limit;
	l->n += !l->more;
	return !l->more && !l->j->failed;
}

/* False: the answer says what is wrong. */
static bool begin(struct listing *l, struct json *j, const cJSON *request, const char *name)
{
	*l = (struct listing){.j = j};
	if (!take_limit(request, &l->limit)) {
		answer_error(j, "\"limit\" is a number from 0 to 1000000");
		return false;
	}
	json_open_object(j, NULL);
	json_open_array(j, name);
	return true;
}

static void end(struct listing *l, int rc)
{
	json_close_array(l->j);
	json_bool(l->j, "more", l->more);
	json_close_object(l->j);
	if (rc == -ENOMEM)
		l->j->failed = true;
}

static bool has_too_many_levels(const char *filter)
{
	size_t levels = 1;

	for (; *filter; filter++)
		levels += *filter == '/';
	return levels > TREE_LEVELS_MAX;
}

/* The filter that is asked for; NULL: it is none, which the answer says. */
static const char *take_filter(struct json *j, const cJSON *request)
{
	const char *filter = answer_text(request, "filter");

	if (!filter)
		return "#";
	if (topic_filter_valid((struct mqtt_str){(const uint8_t *)filter, (uint32_t)strlen(filter)}) &&
	    !has_too_many_levels(filter))
		return filter;
	answer_error(j, "\"filter\" is no topic filter");
	return NULL;
}

/* ---- topics ------------------------------------------------------------------------------------------------------- */

static int add_topic(const struct broker_topic *t, void *arg)
{
	struct listing *l = arg;

	if (!room(l))
		return 1;
	json_open_object(l->j, NULL);
	json_string(l->j, "topic", t->topic);
	answer_in(l->j, t->space);
	json_uint(l->j, "subscribers", t->subscribers);
	json_uint(l->j, "shared", t->shared);
	json_bool(l->j, "retained", t->retained);
	if (t->retained)
		json_uint(l->j, "retained_bytes", t->retained_bytes);
	json_close_object(l->j);
	return 0;
}

void answer_topics(struct json *j, const cJSON *request)
{
	const char *space = answer_namespace(j, request), *filter = space ? take_filter(j, request) : NULL;
	struct listing l;

	if (filter && begin(&l, j, request, "topics"))
		end(&l, broker_topics(space, filter, add_topic, &l));
}

/* ---- retained messages -------------------------------------------------------------------------------------------- */

/* The beginning of the payload: as text if it is one, else in hexadecimal. */
static void add_preview(struct json *j, const uint8_t *payload, size_t len)
{
	char text[2 * PREVIEW + 1];
	size_t n = len < PREVIEW ? len : PREVIEW;

	/* Not in the middle of a character. */
	while (n && n < len && (payload[n] & 0xc0) == 0x80)
		n--;
	if (utf8_well_formed(payload, n) && !memchr(payload, 0, n)) {
		memcpy(text, payload, n);
		text[n] = '\0';
		json_string(j, "text", text);
		return;
	}
	n = len < PREVIEW ? len : PREVIEW;
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", payload[i]);
	json_string(j, "hex", text);
}

static int add_retained(const struct broker_retained *r, void *arg)
{
	struct listing *l = arg;
	char topic[TOPIC_LEN_MAX + 1];

	if (!room(l))
		return 1;
	memcpy(topic, r->topic, r->topic_len);
	topic[r->topic_len] = '\0';
	json_open_object(l->j, NULL);
	json_string(l->j, "topic", topic);
	answer_in(l->j, r->space);
	json_uint(l->j, "qos", r->qos);
	json_uint(l->j, "bytes", r->payload_len);
	add_preview(l->j, r->payload, r->payload_len);
	json_close_object(l->j);
	return 0;
}

void answer_retained(struct json *j, const cJSON *request)
{
	const char *space = answer_namespace(j, request), *filter = space ? take_filter(j, request) : NULL;
	struct listing l;

	if (filter && begin(&l, j, request, "retained"))
		end(&l, broker_retained(space, filter, add_retained, &l));
}

/* ---- subscriptions ------------------------------------------------------------------------------------------------ */

static int add_subscription(const struct broker_subscription *s, void *arg)
{
	struct listing *l = arg;

	if ((l->client && strcmp(l->client, s->client) != 0) || (l->space && strcmp(l->space, s->space) != 0))
		return 0;
	if (!room(l))
		return 1;
	json_open_object(l->j, NULL);
	json_string(l->j, "client", s->client);
	answer_in(l->j, s->space);
	json_string(l->j, "filter", s->filter);
	json_uint(l->j, "qos", s->qos);
	json_bool(l->j, "no_local", s->no_local);
	json_close_object(l->j);
	return 0;
}

void answer_subscriptions(struct json *j, const cJSON *request)
{
	struct listing l;

	if (!begin(&l, j, request, "subscriptions"))
		return;
	l.client = answer_text(request, "client");
	l.space = answer_text(request, "namespace");
	if (l.client && !l.space)
		l.space = "";
	end(&l, broker_subscriptions(add_subscription, &l));
}
