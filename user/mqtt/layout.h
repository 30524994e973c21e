/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Private to user/mqtt: what each control packet consists of, in each version. Decoder and encoder walk the same table.
 */
#ifndef SHUNT_MQTT_LAYOUT_H
#define SHUNT_MQTT_LAYOUT_H

#include "mqtt/cursor.h"
#include "mqtt/packet.h"

enum field_kind {
	FIELD_END,
	FIELD_PROTOCOL,	     /* Protocol Name and Protocol Level; sets the version */
	FIELD_CONNECT_FLAGS, /* which of the fields behind it are there */
	FIELD_KEEP_ALIVE,
	FIELD_CLIENT_ID,
	FIELD_WILL,
	FIELD_USERNAME,
	FIELD_PASSWORD,
	FIELD_CONNACK_FLAGS,
	FIELD_CONNACK_CODE,
	FIELD_TOPIC,
	FIELD_PID,
	FIELD_QOS_PID, /* packet identifier of a PUBLISH, unless QoS 0 */
	FIELD_REASON,
	FIELD_PROPS,
	FIELD_FILTERS,
	FIELD_CODES,
	FIELD_PAYLOAD,
	FIELD_KINDS,
};

struct field {
	uint8_t kind;	    /* enum field_kind */
	uint8_t since;	    /* first version that has it */
	bool may_be_absent; /* and all behind it, when all have their default, section 3.4.2.1 of 5.0 */
};

enum sender { SENT_BY_CLIENT, SENT_BY_SERVER, SENDERS };

enum {
	LAYOUT_TYPES = 16,
	LAYOUT_FIELDS = 9,
};

struct layout {
	const char *name;
	uint8_t since[SENDERS]; /* first version in which this side may send it; 0 none */
	uint8_t flags;		/* low half of the first byte [MQTT-2.2.2-1] */
	uint8_t unused_in_3_1;	/* those of the four flags that 3.1 gives no meaning here, or DUP */
	struct field fields[LAYOUT_FIELDS];
};

extern const struct layout layouts[LAYOUT_TYPES];

struct version {
	const char *name;     /* of the standard */
	const char *protocol; /* Protocol Name [MQTT-3.1.2-1] */
};

enum {
	VERSION_COUNT = MQTT_5_0 + 1,
};
extern const struct version versions[VERSION_COUNT];

/* Properties of a will have a column of their own in the property table, where no packet type is. */
enum {
	PROPS_OF_WILL = 0,
};

/* Read and check a property length and the properties, section 2.2.2 of 5.0. 0 or enum mqtt_reason. */
int props_read(struct reader *r, uint8_t where, enum sender sender, struct mqtt_props *out);

static inline void put_props(struct writer *w, const struct mqtt_props *props)
{
	put_varint(w, props->len);
	put_bytes(w, props->data, props->len);
}

/* DUP, QoS and RETAIN in the first byte of a PUBLISH, section 3.3.1. */
enum {
	PUBLISH_RETAIN = 0x01,
	PUBLISH_QOS_SHIFT = 1,
	PUBLISH_DUP = 0x08,
};

/* Connect Flags, section 3.1.2.3. */
enum {
	CONNECT_RESERVED = 0x01,
	CONNECT_CLEAN = 0x02,
	CONNECT_WILL = 0x04,
	CONNECT_WILL_QOS_SHIFT = 3,
	CONNECT_WILL_RETAIN = 0x20,
	CONNECT_OF_WILL = 0x38, /* its QoS and RETAIN */
	CONNECT_PASSWORD = 0x40,
	CONNECT_USERNAME = 0x80,
};

/* Subscription Options, section 3.8.3.1 of 5.0; before, only the QoS. */
enum {
	OPTION_NO_LOCAL = 0x04,
	OPTION_RETAIN_AS_PUBLISHED = 0x08,
	OPTION_RETAIN_HANDLING_SHIFT = 4,
	OPTION_RESERVED = 0xc0,
	OPTION_RESERVED_BEFORE_5_0 = 0xfc,
	QOS_MASK = 0x03,
	QOS_INVALID = 3,
};

#endif
