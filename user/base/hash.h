/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A keyed hash of bytes, for tables whose keys a client chooses: without the key nobody can aim at one bucket. */
#ifndef SHUNT_HASH_H
#define SHUNT_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Draw the process's key. Once, before the first hash_bytes() that matters; without it the key is zero. */
void hash_init(void);

/* SipHash-1-3 of the bytes. Any thread. */
uint64_t hash_bytes(const void *data, size_t len);

/* The same with another key. */
uint64_t hash_bytes_with(const uint8_t key[16], const void *data, size_t len);

/* Combine a hash with a number that no client chooses. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t number)
{
	uint64_t x = hash ^ (number * UINT64_C(0x9e3779b97f4a7c15));

	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

#endif
