// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "admin/answer.h"
#include "base/log.h"
#include "broker/broker.h"
#include "mqtt/packet.h"

static void done(struct json *j, const char *what, const char *space, const char *name, const char *value)
{
	json_open_object(j, NULL);
	json_open_object(j, what);
	json_string(j, name, value);
	answer_in(j, space);
	json_close_object(j);
	json_close_object(j);
}

void answer_kick(struct json *j, const cJSON *request)
{
	const char *id = answer_text(request, "client"), *space = answer_namespace(j, request);

	if (!space)
		return;
	if (!id) {
		answer_error(j, "the command kick needs a \"client\"");
		return;
	}
	switch (broker_kick(space, id)) {
	case -ENOENT:
		answer_no_client(j, id);
		break;
	case -ENOTCONN:
		answer_error(j, "the client is not connected");
		break;
	default:
		log_notice("Client %s%s%s is disconnected by an administrator.", space, *space ? "/" : "", id);
		done(j, "kick", space, "client", id);
	}
}

/* ---- publish ------------------------------------------------------------------------------------------------------ */

static const char *fault_of(int rc)
{
	switch (rc) {
	case -EINVAL:
		return "\"topic\" is no topic that can be published to; those that begin with $ are the broker's";
	case -E2BIG:
		return "the topic has too many levels";
	case -EPERM:
		return "nothing can be retained, see retain_available";
	case -EMSGSIZE:
		return "the message is larger than message_size_limit or max_packet_size";
	case -EDQUOT:
		return "the queue of a client is full";
	}
	return "out of memory";
}

/* The payload is a text, so that it has no NUL. */
void answer_publish(struct json *j, const cJSON *request)
{
	const char *topic = answer_text(request, "topic"), *payload = answer_text(request, "payload");
	const cJSON *qos = cJSON_GetObjectItemCaseSensitive(request, "qos");
	const cJSON *retain = cJSON_GetObjectItemCaseSensitive(request, "retain");
	struct mqtt_publish p = {0};
	const char *space = answer_namespace(j, request);
	int rc;

	if (!space)
		return;
	if (!topic || !payload) {
		answer_error(j, "the command publish needs a \"topic\" and a \"payload\", which are texts");
		return;
	}
	if ((qos && !cJSON_IsNumber(qos)) || (qos && qos->valueint != 0 && qos->valueint != 1 && qos->valueint != 2) ||
	    (retain && !cJSON_IsBool(retain))) {
		answer_error(j, "\"qos\" is 0, 1 or 2, \"retain\" is true or false");
		return;
	}
	p.topic = (struct mqtt_str){(const uint8_t *)topic, (uint32_t)strlen(topic)};
	p.payload = (struct mqtt_str){(const uint8_t *)payload, (uint32_t)strlen(payload)};
	p.qos = qos ? (uint8_t)qos->valueint : 0;
	p.retain = cJSON_IsTrue(retain);
	rc = broker_publish(space, &p);
	if (rc)
		answer_error(j, fault_of(rc));
	else
		done(j, "publish", space, "topic", topic);
}
