/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Encoding control packets, from the same layouts (layout.c) that decoding uses. All functions write to the caller's
 * buffer and return the bytes of the packet, or 0 when it does not fit in `cap` (nothing may then be used of the
 * buffer) or cannot be expressed: longer than MQTT allows, a string above 65,535 bytes, a CONNACK reason without a
 * return code in this version. With `buf` NULL nothing is written and `cap` is ignored: the size is returned.
 *
 * Fields that a version does not have are left out: properties and reasons may be given whatever the version is. What
 * is encoded is not validated otherwise; that is for the caller (and lets tests build bad packets).
 */
#ifndef SHUNT_MQTT_ENCODE_H
#define SHUNT_MQTT_ENCODE_H

#include "mqtt/packet.h"

enum {
	MQTT_SHORT_MAX = 5, /* bytes: any of PUBACK to PUBCOMP, PINGRESP, DISCONNECT without properties fits */
};

/* Any packet; CONNECT takes the version from p->connect.version, all others from p->version. */
size_t mqtt_encode(const struct mqtt_packet *p, uint8_t *buf, size_t cap);

/* ---- what a server sends --------------------------------------------------------------------------------------- */

/* props NULL: none. */
size_t mqtt_encode_connack(uint8_t *buf, size_t cap, uint8_t version, bool session_present, uint8_t reason,
			   const struct mqtt_props *props);

/* A PUBLISH up to its payload, of which payload_len bytes must follow. The identifier of QoS 1 and 2 stands 2 bytes in
 * front of the header's end before 5.0. Both sides' packet. */
size_t mqtt_encode_publish_header(uint8_t *buf, size_t cap, uint8_t version, const struct mqtt_publish *publish,
				  size_t payload_len, uint16_t pid, const struct mqtt_props *props);

/* PUBACK, PUBREC, PUBREL or PUBCOMP; both sides'. */
size_t mqtt_encode_ack(uint8_t *buf, size_t cap, uint8_t version, uint8_t type, uint16_t pid, uint8_t reason);

/* One reason for each filter of the SUBSCRIBE, in its order [MQTT-3.8.4-5]: granted QoS or a failure. */
size_t mqtt_encode_suback(uint8_t *buf, size_t cap, uint8_t version, uint16_t pid, const uint8_t *reasons, size_t n);
/* The reasons are sent in 5.0 only. */
size_t mqtt_encode_unsuback(uint8_t *buf, size_t cap, uint8_t version, uint16_t pid, const uint8_t *reasons, size_t n);

size_t mqtt_encode_pingresp(uint8_t *buf, size_t cap);

/* Both sides'. A server sends it in 5.0 only. */
size_t mqtt_encode_disconnect(uint8_t *buf, size_t cap, uint8_t version, uint8_t reason);

/* ---- what a client sends --------------------------------------------------------------------------------------- */

/* connect->version is the version; props NULL: none. */
size_t mqtt_encode_connect(uint8_t *buf, size_t cap, const struct mqtt_connect *connect,
			   const struct mqtt_props *props);

size_t mqtt_encode_publish(uint8_t *buf, size_t cap, uint8_t version, const struct mqtt_publish *publish, uint16_t pid,
			   const struct mqtt_props *props);

/* SUBSCRIBE or UNSUBSCRIBE of n filters; props NULL: none. */
size_t mqtt_encode_filters(uint8_t *buf, size_t cap, uint8_t version, uint8_t type, uint16_t pid,
			   const struct mqtt_filter *filters, size_t n, const struct mqtt_props *props);

size_t mqtt_encode_pingreq(uint8_t *buf, size_t cap);

#endif
