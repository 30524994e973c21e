// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "broker/memory.h"
#include "mqtt/encode.h"

static uint8_t origin_key[16];

void message_origin_key(const uint8_t key[16])
{
	memcpy(origin_key, key, sizeof(origin_key));
}

uint64_t message_origin(const void *id, size_t len)
{
	return hash_bytes_with(origin_key, id, len);
}

/* The properties that go on to the receivers as they are: sections 3.3.2.3.2 and .5 to .9 of 5.0. */
static const uint64_t forwarded = UINT64_C(1) << MQTT_PROP_PAYLOAD_FORMAT_INDICATOR |
				  UINT64_C(1) << MQTT_PROP_CONTENT_TYPE | UINT64_C(1) << MQTT_PROP_RESPONSE_TOPIC |
				  UINT64_C(1) << MQTT_PROP_CORRELATION_DATA | UINT64_C(1) << MQTT_PROP_USER_PROPERTY;

/* Copy them to `to`, or only count with NULL. Returns the bytes. */
static uint32_t copy_props(const struct mqtt_props *props, uint8_t *to)
{
	struct mqtt_property p;
	uint32_t len = 0, at = 0, begin = 0;

	if (!props || !(props->present & forwarded))
		return 0;
	for (; mqtt_props_next(props, &at, &p); begin = at) {
		if (!(forwarded >> p.id & 1))
			continue;
		if (to)
			memcpy(to + len, props->data + begin, at - begin);
		len += at - begin;
	}
	return len;
}

/* With room for the properties, which are not written yet. */
static struct message *make(const struct mqtt_publish *publish, uint32_t props_len, uint64_t origin)
{
	const struct mqtt_publish plain = {.topic = publish->topic, .payload = publish->payload};
	size_t head = mqtt_encode_publish_header(NULL, 0, MQTT_3_1_1, &plain, plain.payload.len, 0, NULL);
	size_t len = head + plain.payload.len;
	struct message *m = head ? malloc(sizeof(*m) + len + props_len) : NULL;

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
		.props_len = props_len,
		.origin = origin,
	};
	mqtt_encode_publish_header(m->wire, len, MQTT_3_1_1, &plain, plain.payload.len, 0, NULL);
	if (plain.payload.len)
		memcpy(m->wire + head, plain.payload.data, plain.payload.len);
	COUNTER_ADD(stored_messages, 1);
	memory_took(sizeof(*m) + len + props_len);
	COUNTER_ADD(stored_bytes, plain.payload.len);
	return m;
}

struct message *message_new(const struct mqtt_publish *publish, const struct mqtt_props *props, uint64_t origin)
{
	struct message *m = make(publish, copy_props(props, NULL), origin);

	if (!m)
		return NULL;
	copy_props(props, m->wire + m->wire_len);
	if (props && mqtt_props_has(props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL)) {
		m->expires = true;
		m->expiry = mqtt_props_number(props, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, 0);
	}
	return m;
}

struct message *message_stored(const struct mqtt_publish *publish, struct mqtt_str props, uint64_t origin, uint64_t id)
{
	struct message *m = make(publish, props.len, origin);

	if (!m)
		return NULL;
	if (props.len)
		memcpy(m->wire + m->wire_len, props.data, props.len);
	m->stored = id;
	return m;
}

void message_published(struct message *m, uint64_t now_ns)
{
	/* The store's thread may be looking at the will that it was. */
	__atomic_store_n(&m->expires_ns, now_ns + m->expiry * NS_PER_S, __ATOMIC_RELAXED);
}

uint32_t message_expiry_left(const struct message *m, uint64_t now_ns)
{
	return now_ns >= m->expires_ns ? 0 : (uint32_t)((m->expires_ns - now_ns + NS_PER_S - 1) / NS_PER_S);
}

void message_unref(struct message *m)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	COUNTER_ADD(stored_messages, -1);
	memory_gave(sizeof(*m) + m->wire_len + m->props_len);
	COUNTER_ADD(stored_bytes, -(int64_t)m->payload_len);
	free(m);
}
