// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/payload.h"

#include <string.h>

enum { WORD = sizeof(uint64_t) };

static const uint64_t MASK48 = (1ULL << 48) - 1;

/* The pattern is an arithmetic progression of words; it begins with the header scrambled (the finisher of MurmurHash3),
 * so that no two messages have it in common. */
static const uint64_t PATTERN_STEP = 0x9e3779b97f4a7c15ULL;

static uint64_t pattern_start(const uint64_t header[2])
{
	uint64_t x = header[0] ^ (header[1] << 1 | header[1] >> 63);

	x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

void payload_write(uint8_t *buf, size_t size, const struct payload *p)
{
	const uint64_t header[2] = {
		(uint64_t)p->tag << 48 | (p->due_ns & MASK48),
		(uint64_t)p->publisher << 48 | (p->sequence & MASK48),
	};
	uint64_t word = pattern_start(header);
	size_t at = sizeof(header);

	memcpy(buf, header, sizeof(header));
	for (; at + WORD <= size; at += WORD, word += PATTERN_STEP)
		memcpy(buf + at, &word, WORD);
	memcpy(buf + at, &word, size - at);
}

bool payload_read(const uint8_t *buf, size_t len, size_t size, uint16_t tag, struct payload *out)
{
	uint64_t header[2], word, differences = 0, found;
	size_t at = sizeof(header);

	if (len != size)
		return false;
	memcpy(header, buf, sizeof(header));
	out->tag = (uint16_t)(header[0] >> 48);
	out->publisher = (uint16_t)(header[1] >> 48);
	out->due_ns = header[0] & MASK48;
	out->sequence = header[1] & MASK48;
	word = pattern_start(header);
	for (; at + WORD <= size; at += WORD, word += PATTERN_STEP) {
		memcpy(&found, buf + at, WORD);
		differences |= found ^ word;
	}
	return out->tag == tag && differences == 0 && memcmp(buf + at, &word, size - at) == 0;
}
