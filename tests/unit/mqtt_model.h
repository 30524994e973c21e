/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the tests and fuzz targets of the codec share: naive models to compare with, written from the standard and not from
 * the code under test, and small helpers. A check returns NULL, or what is wrong.
 */
#ifndef SHUNT_TESTS_MQTT_MODEL_H
#define SHUNT_TESTS_MQTT_MODEL_H

#include <stdlib.h>

#include "mqtt/encode.h"
#include "mqtt/topic.h"
#include "wire.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A reproducible random number generator (xorshift64*); the state must not be 0. */
static inline uint32_t rng_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

static inline uint32_t rng_below(uint64_t *state, uint32_t limit)
{
	return rng_next(state) % limit;
}

/* Copy into a block of exactly that size, so that AddressSanitizer sees every byte read beyond it. */
static inline uint8_t *exact_copy(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, data, len);
	return copy;
}

/* ---- framing --------------------------------------------------------------------------------------------------- */

struct naive_header {
	int64_t total; /* of the packet; 0 more bytes are needed, -1 malformed */
	unsigned header_len;
};

/* The algorithm of section 2.2.3 as the standard prints it, on the bytes that are there. */
static inline struct naive_header naive_header(const uint8_t *b, size_t avail)
{
	uint64_t multiplier = 1, value = 0;
	size_t at = 1;
	uint8_t encoded;

	do {
		if (at >= avail)
			return (struct naive_header){.total = 0};
		encoded = b[at++];
		value += (encoded & 127) * multiplier;
		multiplier *= 128;
		if (at == 5 && (encoded & 128))
			return (struct naive_header){.total = -1};
	} while (encoded & 128);
	return (struct naive_header){.total = (int64_t)(value + at), .header_len = (unsigned)at};
}

/* Does wire_header() say the same, whatever stands behind the bytes that are there? */
static inline const char *check_header(const uint8_t *b, size_t avail)
{
	static const uint8_t behind[] = {0x00, 0x7f, 0x80, 0xff};
	struct naive_header want = naive_header(b, avail);
	uint8_t padded[WIRE_HEADER_MAX];
	uint32_t header_len;

	for (size_t i = 0; i < sizeof(behind); i++) {
		memset(padded, behind[i], sizeof(padded));
		if (avail)
			memcpy(padded, b, avail < sizeof(padded) ? avail : sizeof(padded));
		header_len = 0;
		if (wire_header(padded, (uint32_t)avail, &header_len) != want.total)
			return "the length differs from the model's";
		if (want.total > 0 && header_len != want.header_len)
			return "the header's length differs from the model's";
	}
	return NULL;
}

/* ---- topics ---------------------------------------------------------------------------------------------------- */

/* Section 4.7, character by character and by recursion. */
static inline bool naive_tail_matches(const char *filter, const char *filter_end, const char *name,
				      const char *name_end)
{
	if (filter == filter_end)
		return name == name_end;
	if (*filter == '#')
		return true;
	if (*filter == '+') {
		if (name == name_end || *name == '/')
			return naive_tail_matches(filter + 1, filter_end, name, name_end);
		return naive_tail_matches(filter, filter_end, name + 1, name_end);
	}
	if (name == name_end) /* "a/#" is for "a", too */
		return filter_end - filter == 2 && filter[0] == '/' && filter[1] == '#';
	return *filter == *name && naive_tail_matches(filter + 1, filter_end, name + 1, name_end);
}

static inline bool naive_matches(struct mqtt_str filter, struct mqtt_str name)
{
	const char *f = (const char *)filter.data, *n = (const char *)name.data;

	if (*n == '$' && (*f == '+' || *f == '#'))
		return false;
	return naive_tail_matches(f, f + filter.len, n, n + name.len);
}

/* May the ASCII text be a filter? Every '#' and '+' is looked at with its neighbours. */
static inline bool naive_filter_valid(struct mqtt_str filter)
{
	for (uint32_t i = 0; i < filter.len; i++) {
		bool starts = i == 0 || filter.data[i - 1] == '/';
		bool last = i + 1 == filter.len;

		if (filter.data[i] == '#' && !(starts && last))
			return false;
		if (filter.data[i] == '+' && !(starts && (last || filter.data[i + 1] == '/')))
			return false;
	}
	return filter.len > 0;
}

/* ---- packets --------------------------------------------------------------------------------------------------- */

static inline bool same_props(const struct mqtt_props *a, const struct mqtt_props *b)
{
	return a->len == b->len && a->present == b->present && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static inline bool same_connect(const struct mqtt_connect *a, const struct mqtt_connect *b)
{
	return a->version == b->version && a->clean_start == b->clean_start && a->will == b->will &&
	       a->has_username == b->has_username && a->has_password == b->has_password && a->will_qos == b->will_qos &&
	       a->will_retain == b->will_retain && a->keep_alive == b->keep_alive &&
	       mqtt_str_eq(a->client_id, b->client_id) && mqtt_str_eq(a->will_topic, b->will_topic) &&
	       mqtt_str_eq(a->will_payload, b->will_payload) && mqtt_str_eq(a->username, b->username) &&
	       mqtt_str_eq(a->password, b->password) && same_props(&a->will_props, &b->will_props);
}

static inline bool same_packet(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
	if (a->type != b->type || a->version != b->version || a->reason != b->reason || a->pid != b->pid ||
	    !same_props(&a->props, &b->props))
		return false;
	switch (a->type) {
	case MQTT_CONNECT:
		return same_connect(&a->connect, &b->connect);
	case MQTT_CONNACK:
		return a->session_present == b->session_present;
	case MQTT_PUBLISH:
		return a->publish.qos == b->publish.qos && a->publish.dup == b->publish.dup &&
		       a->publish.retain == b->publish.retain && mqtt_str_eq(a->publish.topic, b->publish.topic) &&
		       mqtt_str_eq(a->publish.payload, b->publish.payload);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return mqtt_str_eq(a->filters, b->filters);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return mqtt_str_eq(a->codes, b->codes);
	default:
		return true;
	}
}

static inline int decode_as(bool from_server, uint8_t version, uint8_t first, const uint8_t *body, size_t len,
			    struct mqtt_packet *out)
{
	return (from_server ? mqtt_decode_from_server : mqtt_decode)(version, first, body, len, out);
}

/* Decode a whole packet, framing included; what is left over is an error. */
static inline int decode_whole(bool from_server, uint8_t version, const uint8_t *bytes, size_t len,
			       struct mqtt_packet *out)
{
	struct naive_header h = naive_header(bytes, len);

	if (h.total <= 0 || (size_t)h.total != len)
		return MQTT_RC_MALFORMED_PACKET;
	return decode_as(from_server, version, bytes[0], bytes + h.header_len, len - h.header_len, out);
}

/* Does it survive encoding and decoding, and is the room it needs known exactly? */
static inline const char *check_round_trip(bool from_server, const struct mqtt_packet *p, uint8_t *bytes, size_t size)
{
	uint8_t *again = malloc(size ? size : 1);
	const char *wrong = NULL;
	struct mqtt_packet copy;
	size_t header;

	if (!again)
		abort();
	if (!size)
		wrong = "it cannot be encoded";
	else if (mqtt_encode(p, bytes, size - 1) != 0)
		wrong = "encoding takes more room than there is";
	else if (mqtt_encode(p, bytes, size) != size)
		wrong = "the announced size is wrong";
	else if (decode_whole(from_server, p->version, bytes, size, &copy) != 0)
		wrong = "it cannot be decoded again";
	else if (!same_packet(p, &copy))
		wrong = "it changed on the way";
	else if (mqtt_encode(&copy, again, size) != size || memcmp(bytes, again, size) != 0)
		wrong = "encoding is not stable";
	if (!wrong && p->type == MQTT_PUBLISH) {
		header = mqtt_encode_publish_header(again, size, p->version, &p->publish, p->publish.payload.len,
						    p->pid, &p->props);
		if (header + p->publish.payload.len != size || memcmp(bytes, again, header) != 0)
			wrong = "the header of the PUBLISH is another";
	}
	free(again);
	return wrong;
}

/* Are the properties that are returned those that are marked as present? */
static inline const char *check_props(const struct mqtt_props *props)
{
	struct mqtt_property p;
	uint64_t seen = 0;
	uint32_t at = 0;

	while (mqtt_props_next(props, &at, &p))
		seen |= UINT64_C(1) << p.id;
	if (at != props->len)
		return "not all properties are returned";
	return seen == props->present ? NULL : "other properties are there than are marked as present";
}

static inline const char *check_filters(const struct mqtt_packet *p)
{
	uint32_t left = mqtt_count_filters(p);
	struct mqtt_packet rest = *p;
	struct mqtt_filter filter;

	while (mqtt_next_filter(&rest, &filter)) {
		left--;
		if (!topic_filter_valid(filter.topic))
			return "a bad filter is returned";
	}
	return left || rest.filters.len ? "not all filters are returned" : NULL;
}

/* Everything that must hold of a packet that was decoded. */
static inline const char *check_decoded(bool from_server, const struct mqtt_packet *p)
{
	size_t size = mqtt_encode(p, NULL, 0);
	uint8_t *bytes = malloc(size ? size : 1);
	const char *wrong;

	if (!bytes)
		abort();
	wrong = check_round_trip(from_server, p, bytes, size);
	free(bytes);
	if (!wrong)
		wrong = check_props(&p->props);
	if (!wrong && (p->type == MQTT_SUBSCRIBE || p->type == MQTT_UNSUBSCRIBE))
		wrong = check_filters(p);
	return wrong;
}

#endif
