/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Private to user/mqtt: reading and writing the data representations of section 1.5. A reader returns false when the
 * bytes run out or are not what was asked for, which is always a malformed packet. A writer without a buffer only counts;
 * one whose buffer is full sets `failed` and writes nothing more.
 */
#ifndef SHUNT_MQTT_CURSOR_H
#define SHUNT_MQTT_CURSOR_H

#include "mqtt/str.h"
#include "mqtt/utf8.h"

struct reader {
	const uint8_t *at;
	uint32_t left;
};

static inline bool read_bytes(struct reader *r, uint32_t len, struct mqtt_str *out)
{
	if (r->left < len)
		return false;
	out->data = r->at;
	out->len = len;
	/* at may be NULL in an empty body, to which even 0 must not be added before C2y */
	if (len) {
		r->at += len;
		r->left -= len;
	}
	return true;
}

static inline bool read_u8(struct reader *r, uint8_t *out)
{
	struct mqtt_str s;

	if (!read_bytes(r, 1, &s))
		return false;
	*out = s.data[0];
	return true;
}

/* Section 1.5.2. */
static inline bool read_u16(struct reader *r, uint16_t *out)
{
	struct mqtt_str s;

	if (!read_bytes(r, 2, &s))
		return false;
	*out = (uint16_t)(s.data[0] << 8 | s.data[1]);
	return true;
}

/* 5.0 section 1.5.3. */
static inline bool read_u32(struct reader *r, uint32_t *out)
{
	struct mqtt_str s;

	if (!read_bytes(r, 4, &s))
		return false;
	*out = (uint32_t)s.data[0] << 24 | (uint32_t)s.data[1] << 16 | (uint32_t)s.data[2] << 8 | s.data[3];
	return true;
}

/* Variable Byte Integer of the fewest possible bytes, 5.0 [MQTT-1.5.5-1]. */
static inline bool read_varint(struct reader *r, uint32_t *out)
{
	uint32_t value = 0;
	uint8_t byte;

	for (unsigned shift = 0; shift < 28; shift += 7) {
		if (!read_u8(r, &byte))
			return false;
		value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return byte || !shift;
		}
	}
	return false;
}

/* Binary Data: a length of two bytes and that many. */
static inline bool read_binary(struct reader *r, struct mqtt_str *out)
{
	uint16_t len;

	return read_u16(r, &len) && read_bytes(r, len, out);
}

/* UTF-8 Encoded String [MQTT-1.5.3-1] [MQTT-1.5.3-2]. */
static inline bool read_utf8(struct reader *r, struct mqtt_str *out)
{
	return read_binary(r, out) && utf8_valid(out->data, out->len);
}

struct writer {
	uint8_t *buf; /* NULL: count only */
	size_t cap;
	size_t len; /* written, or counted */
	bool failed;
};

static inline void put_bytes(struct writer *w, const uint8_t *data, size_t len)
{
	if (w->buf) {
		w->failed |= w->cap - w->len < len;
		if (w->failed)
			return;
		if (len)
			memcpy(w->buf + w->len, data, len);
	}
	w->len += len;
}

static inline void put_u8(struct writer *w, uint8_t value)
{
	put_bytes(w, &value, 1);
}

static inline void put_u16(struct writer *w, uint16_t value)
{
	put_bytes(w, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static inline void put_u32(struct writer *w, uint32_t value)
{
	put_u16(w, (uint16_t)(value >> 16));
	put_u16(w, (uint16_t)value);
}

/* `value` is at most 268,435,455. */
static inline void put_varint(struct writer *w, uint32_t value)
{
	while (value >= 0x80) {
		put_u8(w, (uint8_t)(value | 0x80));
		value >>= 7;
	}
	put_u8(w, (uint8_t)value);
}

/* UTF-8 Encoded String or Binary Data. */
static inline void put_str(struct writer *w, struct mqtt_str s)
{
	w->failed |= s.len > UINT16_MAX;
	put_u16(w, (uint16_t)s.len);
	put_bytes(w, s.data, s.len);
}

#endif
