/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * An application message: stored once, shared by all its deliveries, immutable but for message_published(). Kept as the
 * PUBLISH of 3.1.1 with QoS 0 and no flags, so that most deliveries copy or reference its bytes as they are; behind it
 * the properties that 5.0 receivers get with it. Any thread may hold references.
 */
#ifndef SHUNT_MESSAGE_H
#define SHUNT_MESSAGE_H

#include "mqtt/packet.h"

struct message {
	uint32_t refs; /* atomic */
	uint8_t qos;   /* as published */
	bool dollar;   /* the topic begins with '$' */
	bool expires;  /* it has a Message Expiry Interval, section 3.3.2.3.3 of 5.0 */
	uint8_t header_len;
	uint16_t ns; /* number of its namespace; set before anybody else has a reference; 0: the default one */
	uint32_t topic_len;
	uint32_t payload_len;
	uint32_t wire_len;
	uint32_t props_len;
	uint32_t expiry;     /* seconds, the Message Expiry Interval */
	uint64_t expires_ns; /* CLOCK_MONOTONIC, when it has been published; the store's thread reads it atomically */
	uint64_t stored;     /* atomic; its identifier in the store; 0: none yet */
	uint64_t origin;     /* message_origin() of the publisher's client identifier; 0: the broker itself */
	uint8_t wire[];	     /* fixed header, topic length, topic, payload; properties without their length */
};

/* Set the key of message_origin(), which the store has, before there are messages: so that those of earlier runs are known
 * by their publisher, too. */
void message_origin_key(const uint8_t key[16]);
/* A hash of a client identifier. */
uint64_t message_origin(const void *id, size_t len);

/* A copy of the PUBLISH with one reference; NULL without memory. Of the properties (NULL: none) those are kept that
 * belong to the message, in their order; Topic Alias and Will Delay Interval belong to the packet. A message that
 * expires needs message_published(). */
struct message *message_new(const struct mqtt_publish *publish, const struct mqtt_props *props, uint64_t origin);

/* A message of the store, with that identifier; props in wire form. It does not expire. NULL without memory. */
struct message *message_stored(const struct mqtt_publish *publish, struct mqtt_str props, uint64_t origin, uint64_t id);

/* It was published now (CLOCK_MONOTONIC): the Message Expiry Interval begins. Before anybody else has a reference. */
void message_published(struct message *m, uint64_t now_ns);

static inline bool message_expired(const struct message *m, uint64_t now_ns)
{
	return m->expires && now_ns >= m->expires_ns;
}

/* What is left of its Message Expiry Interval [MQTT-3.3.2-6], in seconds, rounded up. */
uint32_t message_expiry_left(const struct message *m, uint64_t now_ns);

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

/* What it counts against limits in bytes: topic, payload and properties. */
static inline uint32_t message_size(const struct message *m)
{
	return m->topic_len + m->payload_len + m->props_len;
}

/* In wire form. */
static inline struct mqtt_str message_props(const struct message *m)
{
	return (struct mqtt_str){m->wire + m->wire_len, m->props_len};
}

#endif
