/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How often somebody did something within a time, for very many somebodies in little memory: each has a key, a hash that nobody
 * can aim at. When there are too many of them at once, those whose time began first are forgotten. Any thread.
 */
#ifndef SHUNT_STRIKES_H
#define SHUNT_STRIKES_H

#include <stdbool.h>
#include <stdint.h>

enum {
	STRIKES_SETS = 4096,
	STRIKES_WAYS = 4, /* keys in each */
};

struct strikes;

/* 400 kB. NULL without memory. */
struct strikes *strikes_new(void);
void strikes_free(struct strikes *s);

/* Once more. True: that is `limit` times (at least 1) within `window_ns` of the first of them; then it begins anew. */
bool strikes_count(struct strikes *s, uint64_t key, uint64_t now_ns, uint64_t window_ns, uint32_t limit);

#endif
