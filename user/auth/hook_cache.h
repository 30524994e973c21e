/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a hook has allowed lately, for some time. Of a question there is only a keyed hash: whoever sees our memory finds no
 * password there, nor can he try some without the key. All functions but the first and the last may be called by any thread. */
#ifndef SHUNT_AUTH_HOOK_CACHE_H
#define SHUNT_AUTH_HOOK_CACHE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/table.h"

enum {
	HOOK_CACHE_MAX = 65536, /* answers; the oldest makes room */
	HOOK_DIGEST_LEN = 32,
};

struct hook_cache {
	pthread_mutex_t lock; /* of all below it that changes */
	struct table table;
	struct list oldest; /* first */
	uint64_t keep_ns;   /* 0: nothing is kept */
	uint8_t key[32];
};

/* 0, or -errno when there is no randomness. */
int hook_cache_init(struct hook_cache *c, uint32_t keep_s);

/* The hash of a question. False when it cannot be had: then it is in no cache. */
bool hook_cache_digest(const struct hook_cache *c, const void *question, size_t len, uint8_t digest[HOOK_DIGEST_LEN]);

/* Was it allowed, and is that not too old? Times are CLOCK_MONOTONIC. */
bool hook_cache_has(struct hook_cache *c, const uint8_t digest[HOOK_DIGEST_LEN], uint64_t now_ns);

/* It was allowed now. Without memory it is not kept. */
void hook_cache_add(struct hook_cache *c, const uint8_t digest[HOOK_DIGEST_LEN], uint64_t now_ns);

void hook_cache_free(struct hook_cache *c);

#endif
