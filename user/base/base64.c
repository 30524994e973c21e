// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *out, const void *data, size_t len)
{
	const uint8_t *p = data;
	char *o = out;

	for (; len; p += 3) {
		size_t n = len < 3 ? len : 3;
		uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

		*o++ = alphabet[bits >> 18];
		*o++ = alphabet[bits >> 12 & 63];
		*o++ = n > 1 ? alphabet[bits >> 6 & 63] : '=';
		*o++ = n > 2 ? alphabet[bits & 63] : '=';
		len -= n;
	}
	*o = '\0';
	return (size_t)(o - out);
}

/* The six bits of a character, or -1. */
static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, the last ones perhaps padding, into one to three bytes. Returns their number or -1. */
static int decode_group(const char *text, uint8_t bytes[3])
{
	int n = text[3] != '=' ? 3 : text[2] != '=' ? 2 : 1, value;
	uint32_t bits = 0;

	for (int i = 0; i < 4; i++) {
		value = i <= n ? sextet(text[i]) : 0;
		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	/* What is below the last byte must be zero. */
	if (bits & ((UINT32_C(1) << (24 - 8 * n)) - 1))
		return -1;
	for (int i = 0; i < n; i++)
		bytes[i] = (uint8_t)(bits >> (16 - 8 * i));
	return n;
}

ssize_t base64_decode(void *out, size_t max, const char *text, size_t len)
{
	uint8_t bytes[3], *o = out;
	size_t used = 0;
	int n;

	if (len % 4)
		return -1;
	for (; len; text += 4, len -= 4) {
		n = decode_group(text, bytes);
		if (n < 0 || (n < 3 && len > 4) || (size_t)n > max - used)
			return -1;
		memcpy(o + used, bytes, (size_t)n);
		used += (size_t)n;
	}
	return (ssize_t)used;
}
