// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <string.h>

#include "chaos.h"

enum { OFFSETS = 4099 }; /* a prime: bodies that are a packet too early or too late differ */

static uint8_t noise[PAYLOAD_MAX + OFFSETS];

void letters_open(void)
{
	uint64_t rng = 1;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)rng_next(&rng);
}

static uint32_t checksum(const struct letter *letter)
{
	const uint8_t *at = (const uint8_t *)letter + sizeof(letter->check);
	uint32_t h = 2166136261;

	for (size_t i = 0; i < sizeof(*letter) - sizeof(letter->check); i++)
		h = (h ^ at[i]) * 16777619;
	return h;
}

static const uint8_t *body_of(const struct letter *letter)
{
	return noise + (letter->number * 31 + letter->publisher * 7) % OFFSETS;
}

void letter_write(struct letter *letter, uint8_t *to)
{
	letter->check = checksum(letter);
	memcpy(to, letter, sizeof(*letter));
	memcpy(to + sizeof(*letter), body_of(letter), letter->len - sizeof(*letter));
}

const char *letter_read(const uint8_t *payload, size_t len, struct letter *letter)
{
	if (len < sizeof(*letter))
		return "shorter than any";
	memcpy(letter, payload, sizeof(*letter));
	if (letter->check != checksum(letter))
		return "a bad checksum";
	if (letter->len != len)
		return "another length than it says";
	if (letter->publisher >= PUBLISHERS_MAX || letter->topic >= topics())
		return "from nobody";
	if (memcmp(payload + sizeof(*letter), body_of(letter), len - sizeof(*letter)) != 0)
		return "a changed body";
	return NULL;
}
