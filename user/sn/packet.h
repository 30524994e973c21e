/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Packets of MQTT-SN 1.2, decoded from datagrams and encoded. A struct sn_packet is a view: its string points into the
 * buffer it was decoded from. Sections are those of the specification of MQTT-SN. All functions are pure and may be called
 * from any thread.
 */
#ifndef SHUNT_SN_PACKET_H
#define SHUNT_SN_PACKET_H

#include <stdbool.h>
#include <stddef.h>

#include "mqtt/str.h"

/* Section 5.2.2. */
enum sn_type {
	SN_ADVERTISE = 0x00,
	SN_SEARCHGW = 0x01,
	SN_GWINFO = 0x02,
	SN_CONNECT = 0x04,
	SN_CONNACK = 0x05,
	SN_WILLTOPICREQ = 0x06,
	SN_WILLTOPIC = 0x07,
	SN_WILLMSGREQ = 0x08,
	SN_WILLMSG = 0x09,
	SN_REGISTER = 0x0a,
	SN_REGACK = 0x0b,
	SN_PUBLISH = 0x0c,
	SN_PUBACK = 0x0d,
	SN_PUBCOMP = 0x0e,
	SN_PUBREC = 0x0f,
	SN_PUBREL = 0x10,
	SN_SUBSCRIBE = 0x12,
	SN_SUBACK = 0x13,
	SN_UNSUBSCRIBE = 0x14,
	SN_UNSUBACK = 0x15,
	SN_PINGREQ = 0x16,
	SN_PINGRESP = 0x17,
	SN_DISCONNECT = 0x18,
	SN_WILLTOPICUPD = 0x1a,
	SN_WILLTOPICRESP = 0x1b,
	SN_WILLMSGUPD = 0x1c,
	SN_WILLMSGRESP = 0x1d,
	SN_FORWARDED = 0xfe, /* a packet in an envelope, section 5.5: see sn_unwrap() */
};

/* What a topic id is, section 5.3.4. */
enum sn_topic_type {
	SN_TOPIC_NORMAL,     /* registered; in SUBSCRIBE and UNSUBSCRIBE: there is a name in its place */
	SN_TOPIC_PREDEFINED, /* known to both sides beforehand */
	SN_TOPIC_SHORT,	     /* it is the two bytes of the name */
};

/* Section 5.3.10. */
enum sn_code {
	SN_ACCEPTED,
	SN_CONGESTION,
	SN_INVALID_TOPIC,
	SN_NOT_SUPPORTED,
};

enum {
	SN_QOS_MINUS_ONE = 3, /* in the place of a QoS: without a connection, section 6.8 */
	SN_PROTOCOL = 1,      /* the only Protocol Id */
	SN_HEADER_MAX = 4,    /* length and type */
	SN_FIXED_MAX = 9,     /* bytes of a packet beside its string */
	SN_SIZE_MAX = 65535,  /* bytes of a packet */
	SN_NODE_MAX = 32,     /* bytes of a wireless node id that we take */
	SN_ENVELOPE_MAX = 3 + SN_NODE_MAX,
};

/* A packet; what a type does not have is 0. */
struct sn_packet {
	uint8_t type; /* enum sn_type */
	bool dup, retain, will, clean;
	uint8_t qos;	    /* 0 to 2 or SN_QOS_MINUS_ONE */
	uint8_t topic_type; /* enum sn_topic_type */
	uint8_t code;	    /* enum sn_code, or any other byte */
	uint8_t gateway;    /* gateway id */
	uint8_t radius;
	uint8_t protocol;
	bool empty;	   /* WILLTOPIC, WILLTOPICUPD: there is no will (any more); DISCONNECT: without a duration */
	uint16_t duration; /* seconds */
	uint16_t topic_id;
	uint16_t msg_id;
	struct mqtt_str data; /* client id, topic name, payload of a message or will, or address of a gateway */
};

/* Decode a datagram. False: it is malformed: the length is not the datagram's, fields are missing or too many, a message id
 * is 0 where there has to be one, the type of topic is reserved, or the type of packet. */
bool sn_decode(const uint8_t *data, size_t len, struct sn_packet *out);

/* Bytes of the packet, or 0 when it does not fit into `cap`. With `buf` NULL nothing is written. */
size_t sn_encode(const struct sn_packet *p, uint8_t *buf, size_t cap);

/* The wireless node id of an envelope. */
struct sn_envelope {
	uint8_t radius;
	uint8_t node_len; /* 0: there is no envelope */
	uint8_t node[SN_NODE_MAX];
};

/* Take the packet out of its envelope, if it has one. False: the envelope is malformed, has none or too long a node id, or there
 * is another one in it. */
bool sn_unwrap(const uint8_t **data, size_t *len, struct sn_envelope *e);
/* Write the envelope, without what is in it. Its bytes; buf has SN_ENVELOPE_MAX. */
size_t sn_wrap(const struct sn_envelope *e, uint8_t *buf);

/* The two bytes of a short topic name. */
static inline void sn_short_name(uint16_t id, uint8_t name[2])
{
	name[0] = (uint8_t)(id >> 8);
	name[1] = (uint8_t)id;
}

/* "PUBLISH"; "RESERVED" for what is no type. */
const char *sn_type_name(uint8_t type);

#endif
