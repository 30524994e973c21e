/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * An application message: stored once, shared by all its deliveries, immutable. Kept as the PUBLISH of 3.1.1 with QoS 0
 * and no flags, so that most deliveries copy or reference its bytes as they are. Any thread may hold references.
 */
#ifndef SHUNT_MESSAGE_H
#define SHUNT_MESSAGE_H

#include "mqtt/packet.h"

struct message {
	uint32_t refs; /* atomic */
	uint8_t qos;   /* as published */
	bool dollar;   /* the topic begins with '$' */
	uint8_t header_len;
	uint32_t topic_len;
	uint32_t payload_len;
	uint32_t wire_len;
	uint8_t wire[]; /* fixed header, topic length, topic, payload */
};

/* A copy of the PUBLISH, with one reference; NULL without memory. */
struct message *message_new(const struct mqtt_publish *publish);

static inline struct message *message_ref(struct message *m)
{
	__atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

/* Frees with the last reference. */
void message_unref(struct message *m);

/* The same for a reference that may be NULL, and is then. */
static inline void message_drop(struct message **m)
{
	if (*m)
		message_unref(*m);
	*m = NULL;
}

static inline struct mqtt_str message_topic(const struct message *m)
{
	return (struct mqtt_str){m->wire + m->header_len + 2, m->topic_len};
}

static inline struct mqtt_str message_payload(const struct message *m)
{
	return (struct mqtt_str){m->wire + m->header_len + 2 + m->topic_len, m->payload_len};
}

#endif
