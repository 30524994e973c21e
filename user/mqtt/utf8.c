// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Every topic of every PUBLISH comes through here, and nearly all are ASCII: eight bytes at a time as long as they are. */
#include "mqtt/utf8.h"

#include <string.h>

enum {
	WORD = sizeof(uint64_t),
};

static const uint64_t HIGH_BITS = 0x8080808080808080;
static const uint64_t LOW_BITS = 0x0101010101010101;

/* Are all eight bytes 0x20 to 0x7e? With no high bit set, one of a byte comes up in `w - 0x20...` for those below 0x20 (a
 * borrow from them may spoil others, but the answer is no already), and in `w + 0x01...` for 0x7f. */
static bool all_printable(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, WORD);
	return !((w | (w - LOW_BITS * ' ') | (w + LOW_BITS)) & HIGH_BITS);
}

/* C1 control characters and non-characters (section 23.7 of the Unicode standard) among the well-formed sequences. */
static bool refused(const uint8_t *p, size_t len)
{
	if (len == 2)
		return p[0] == 0xc2 && p[1] <= 0x9f;
	if (len == 3)
		return p[0] == 0xef &&
		       ((p[1] == 0xb7 && p[2] >= 0x90 && p[2] <= 0xaf) || (p[1] == 0xbf && p[2] >= 0xbe));
	return (p[1] & 0x0f) == 0x0f && p[2] == 0xbf && p[3] >= 0xbe;
}

/* Length of the well-formed sequence of two to four bytes at `p` (table 3-7 of the Unicode standard), 0 if there is none. */
static size_t multibyte(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf; /* range of the second byte */
	size_t len;

	switch (p[0]) {
	case 0xc2 ... 0xdf:
		len = 2;
		break;
	case 0xe0 ... 0xef:
		len = 3;
		if (p[0] == 0xe0)
			low = 0xa0; /* below: overlong */
		if (p[0] == 0xed)
			high = 0x9f; /* above: surrogates */
		break;
	case 0xf0 ... 0xf4:
		len = 4;
		if (p[0] == 0xf0)
			low = 0x90; /* below: overlong */
		if (p[0] == 0xf4)
			high = 0x8f; /* above: beyond U+10FFFF */
		break;
	default:
		return 0;
	}
	if (left < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool utf8_valid(const uint8_t *data, size_t len)
{
	size_t i = 0, step;

	while (i < len) {
		if (len - i >= WORD && all_printable(data + i))
			step = WORD;
		else if (data[i] < 0x80)
			step = data[i] >= ' ' && data[i] != 0x7f;
		else
			step = multibyte(data + i, len - i);
		if (!step || (step > 1 && step < WORD && refused(data + i, step)))
			return false;
		i += step;
	}
	return true;
}

bool utf8_well_formed(const uint8_t *data, size_t len)
{
	size_t i = 0, step;

	while (i < len) {
		step = data[i] < 0x80 ? 1 : multibyte(data + i, len - i);
		if (!step)
			return false;
		i += step;
	}
	return true;
}
