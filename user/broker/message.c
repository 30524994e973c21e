// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/message.h"

#include <stdlib.h>

#include "broker/counters.h"
#include "mqtt/encode.h"

struct message *message_new(const struct mqtt_publish *publish)
{
	const struct mqtt_publish plain = {.topic = publish->topic, .payload = publish->payload};
	size_t head = mqtt_encode_publish_header(NULL, 0, MQTT_3_1_1, &plain, plain.payload.len, 0, NULL);
	size_t len = head + plain.payload.len;
	struct message *m = head ? malloc(sizeof(*m) + len) : NULL;

	if (!m)
		return NULL;
	*m = (struct message){
		.refs = 1,
		.qos = publish->qos,
		.dollar = plain.topic.len > 0 && plain.topic.data[0] == '$',
		.header_len = (uint8_t)(head - 2 - plain.topic.len),
		.topic_len = plain.topic.len,
		.payload_len = plain.payload.len,
		.wire_len = (uint32_t)len,
	};
	mqtt_encode_publish_header(m->wire, len, MQTT_3_1_1, &plain, plain.payload.len, 0, NULL);
	if (plain.payload.len)
		memcpy(m->wire + head, plain.payload.data, plain.payload.len);
	COUNTER_ADD(stored_messages, 1);
	COUNTER_ADD(stored_bytes, plain.payload.len);
	return m;
}

void message_unref(struct message *m)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	COUNTER_ADD(stored_messages, -1);
	COUNTER_ADD(stored_bytes, -(int64_t)m->payload_len);
	free(m);
}
