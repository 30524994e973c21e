/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Packets as people write them: hex digits, 'text' for ASCII, spaces to taste, and @ for a string (two length bytes and
 * its bytes) that the caller gives. The Remaining Length is not written: the first byte is followed by the body.
 */
#ifndef SHUNT_TESTS_MQTT_HEX_H
#define SHUNT_TESTS_MQTT_HEX_H

#include <ctype.h>
#include <stdlib.h>

#include "mqtt/str.h"

enum {
	HEX_MAX = 1024,
};

struct hex {
	uint8_t bytes[HEX_MAX];
	size_t len;
};

static inline void hex_put(struct hex *h, uint8_t byte)
{
	if (h->len == sizeof(h->bytes))
		abort();
	h->bytes[h->len++] = byte;
}

static inline uint8_t hex_digit(char c)
{
	if (!isxdigit((unsigned char)c))
		abort();
	return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Append what `text` says; `string` is meant by @. A mistake in the text ends the test program. */
static inline void hex_append(struct hex *h, const char *text, struct mqtt_str string)
{
	while (*text) {
		if (*text == ' ') {
			text++;
		} else if (*text == '\'') {
			for (text++; *text != '\''; text++)
				hex_put(h, (uint8_t)*text);
			text++;
		} else if (*text == '@') {
			hex_put(h, (uint8_t)(string.len >> 8));
			hex_put(h, (uint8_t)string.len);
			for (uint32_t i = 0; i < string.len; i++)
				hex_put(h, string.data[i]);
			text++;
		} else {
			hex_put(h, (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1])));
			text += 2;
		}
	}
}

static inline struct hex hex_parse(const char *text)
{
	struct hex h = {.len = 0};

	hex_append(&h, text, (struct mqtt_str){0});
	return h;
}

#endif
