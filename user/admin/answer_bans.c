// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "admin/answer_bans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/answer.h"
#include "base/clock.h"
#include "broker/bans.h"
#include "broker/broker.h"

#define SECONDS_MAX 3.2e9 /* a hundred years */

static const char *string_of(const cJSON *request, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request, name));
}

/* Bits behind the prefix are an error: one who bans too much by a slip locks himself out. */
static const char *take_network(struct ban_subject *who, const char *text)
{
	const char *why = network_parse(text, &who->network);

	return why || who->network.address.family != AF_UNIX ? why
							     : "an address is banned, not who comes by a Unix socket";
}

/* Exactly one of the members that name somebody. */
static const char *take_subject(struct ban_subject *who, const cJSON *request)
{
	const char *name = NULL;

	memset(who, 0, sizeof(*who));
	for (int kind = 0; kind < BAN_KINDS; kind++) {
		const char *text = string_of(request, ban_kind_names[kind]);

		if (text && name)
			return "either a \"client\", a \"user\" or an \"address\"";
		if (!text)
			continue;
		name = text;
		who->kind = (enum ban_kind)kind;
	}
	if (!name || !*name)
		return "it needs a \"client\", a \"user\" or an \"address\"";
	if (who->kind == BAN_ADDRESS)
		return take_network(who, name);
	who->name = mqtt_str(name);
	who->space = broker_namespace(string_of(request, "namespace"));
	return who->space ? NULL : "there is no such namespace";
}

/* Its end, 0 for none. */
static const char *take_end(uint64_t *until_ns, uint64_t now_ns, const cJSON *request)
{
	const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(request, "seconds");

	*until_ns = 0;
	if (!seconds)
		return NULL;
	if (!cJSON_IsNumber(seconds) || !(seconds->valuedouble >= 1 && seconds->valuedouble <= SECONDS_MAX))
		return "\"seconds\" is a number from 1 to 3200000000";
	*until_ns = now_ns + (uint64_t)seconds->valuedouble * NS_PER_S;
	return NULL;
}

static int add_ban(const struct ban *ban, void *arg)
{
	struct json *j = arg;
	uint64_t now = clock_ns();
	char name[NETWORK_NAME_MAX], *text = NULL;

	if (ban->who.kind == BAN_ADDRESS) {
		network_name(&ban->who.network, name);
	} else {
		text = mqtt_str_dup(ban->who.name);
		j->failed |= !text;
	}
	json_open_object(j, NULL);
	json_string(j, ban_kind_names[ban->who.kind], text ? text : name);
	answer_in(j, ban->who.space ? ban->who.space : "");
	json_uint(j, "age_seconds", (now - ban->since_ns) / NS_PER_S);
	if (ban->until_ns) /* rounded up: 0 would be none */
		json_uint(j, "seconds", (ban->until_ns - now + NS_PER_S - 1) / NS_PER_S);
	json_bool(j, "automatic", ban->automatic);
	json_string(j, "reason", ban->reason);
	json_close_object(j);
	free(text);
	return j->failed;
}

const char *answer_ban(struct json *j, const cJSON *request)
{
	const char *reason = string_of(request, "reason"), *why;
	struct ban ban = {.since_ns = clock_ns(), .reason = reason ? reason : ""};
	int rc;

	why = take_subject(&ban.who, request);
	if (!why)
		why = take_end(&ban.until_ns, ban.since_ns, request);
	if (why)
		return why;
	rc = broker_ban(&ban);
	if (rc)
		return rc == -ENOSPC ? "there are too many bans" : "out of memory";
	json_open_object(j, NULL);
	json_open_array(j, "banned");
	add_ban(&ban, j);
	json_close_array(j);
	json_close_object(j);
	return NULL;
}

const char *answer_unban(struct json *j, const cJSON *request)
{
	struct ban_subject who;
	const char *why = take_subject(&who, request);

	if (why)
		return why;
	if (broker_unban(&who))
		return "there is no such ban";
	json_open_object(j, NULL);
	json_bool(j, "unbanned", true);
	json_close_object(j);
	return NULL;
}

const char *answer_bans(struct json *j)
{
	json_open_object(j, NULL);
	json_open_array(j, "bans");
	bans_each(broker_bans(), clock_ns(), add_ban, j);
	json_close_array(j);
	json_close_object(j);
	return NULL;
}
