// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/hash.h"

#include <string.h>
#include <sys/random.h>

/* One key a process: tables never leave it. Written by hash_init() before there are threads. */
static uint64_t key[2];

void hash_init(void)
{
	/* Cannot fail for so few bytes once the kernel's pool is ready; a zero key is only weaker, not wrong. */
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		memset(key, 0, sizeof(key));
}

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t sip_hash(const uint64_t k[2], const void *data, size_t len)
{
	uint64_t v[4] = {
		k[0] ^ UINT64_C(0x736f6d6570736575),
		k[1] ^ UINT64_C(0x646f72616e646f6d),
		k[0] ^ UINT64_C(0x6c7967656e657261),
		k[1] ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *p = data;
	uint64_t m;
	size_t left;

	for (left = len; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_bytes(const void *data, size_t len)
{
	return sip_hash(key, data, len);
}

uint64_t hash_bytes_with(const uint8_t other[16], const void *data, size_t len)
{
	uint64_t k[2];

	memcpy(k, other, sizeof(k));
	return sip_hash(k, data, len);
}
