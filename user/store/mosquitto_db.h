/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The file in which mosquitto keeps what outlives it, mosquitto.db: formats 2 to 6, of which 2.0 writes the last. A file
 * is a head and chunks, each of a kind. Numbers are in network order, but identifiers of messages and times are in the order
 * of the machine that wrote it, which is taken to be one like this.
 *
 * Pure functions of their arguments; everything they tell is borrowed from the file.
 */
#ifndef SHUNT_MOSQUITTO_DB_H
#define SHUNT_MOSQUITTO_DB_H

#include "mqtt/props.h"

/* A message that deliveries and retained messages name by its identifier. */
struct mosquitto_message {
	uint64_t id;
	int64_t expires;	  /* seconds since 1970; 0: never */
	struct mqtt_str source;	  /* client identifier of the publisher; empty: the broker */
	struct mqtt_str username; /* of the publisher; empty: none, or unknown */
	uint16_t port;		  /* of the listener it came in by; 0: unknown */
	struct mqtt_str topic, payload;
	struct mqtt_props props;
	uint8_t qos;
};

/* A session. */
struct mosquitto_client {
	struct mqtt_str id;
	int64_t expires,
		away;	 /* seconds since 1970: when the session ends, since when it has no connection; 0: unknown */
	uint32_t expiry; /* Session Expiry Interval in seconds; UINT32_MAX: never */
};

/* How far a delivery was. Numbers of the file. */
enum mosquitto_state {
	MOSQUITTO_PUBLISH_QOS_1 = 2, /* to be sent, or sent again if dup */
	MOSQUITTO_WAIT_PUBACK = 3,
	MOSQUITTO_PUBLISH_QOS_2 = 4, /* as QOS_1 */
	MOSQUITTO_WAIT_PUBREC = 5,
	MOSQUITTO_RESEND_PUBREL = 6,
	MOSQUITTO_WAIT_PUBREL = 7,
	MOSQUITTO_RESEND_PUBCOMP = 8,
	MOSQUITTO_WAIT_PUBCOMP = 9,
	MOSQUITTO_SEND_PUBREC = 10,
	MOSQUITTO_QUEUED = 11,
};

/* A message on its way to or from a client; they come in the order they were or are to be sent. */
struct mosquitto_delivery {
	uint64_t message;
	struct mqtt_str client;
	struct mqtt_props props; /* Subscription Identifiers */
	uint16_t pid;
	uint8_t qos, state;
	bool to_client, retain, dup;
};

struct mosquitto_subscription {
	struct mqtt_str client, filter;
	uint32_t identifier; /* 0: none */
	uint8_t options;     /* as in SUBSCRIBE of 5.0 */
};

/* Who is told of the chunks, in their order. Each returns 0, or an error that ends it. */
struct mosquitto_reader {
	int (*message)(void *arg, const struct mosquitto_message *m);
	int (*client)(void *arg, const struct mosquitto_client *c);
	int (*delivery)(void *arg, const struct mosquitto_delivery *d);
	int (*subscription)(void *arg, const struct mosquitto_subscription *s);
	int (*retained)(void *arg, uint64_t message);
	int (*unknown)(void *arg, uint32_t kind);
};

/* What is wrong in a file, and where. */
struct mosquitto_fault {
	size_t offset;
	const char *what; /* "ends within a chunk" */
	uint32_t version; /* of the file, 0 if it did not get so far */
};

/* Read a file that is in memory; `reader` NULL: only look whether it is good. 0; -EBADMSG with *fault; or what the reader
 * returned. */
int mosquitto_read(const uint8_t *data, size_t len, const struct mosquitto_reader *reader, void *arg,
		   struct mosquitto_fault *fault);

#endif
