/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A string of MQTT: bytes and a length, no NUL at the end, owned by somebody else. */
#ifndef SHUNT_MQTT_STR_H
#define SHUNT_MQTT_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct mqtt_str {
	const uint8_t *data; /* may be NULL when len is 0 */
	uint32_t len;	     /* bytes */
};

/* View of a C string, without its NUL. */
static inline struct mqtt_str mqtt_str(const char *s)
{
	return (struct mqtt_str){.data = (const uint8_t *)s, .len = (uint32_t)strlen(s)};
}

static inline bool mqtt_str_eq(struct mqtt_str a, struct mqtt_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A C string of it, to be free()d; NULL without memory. Unlike strndup() it is given no string, so that nobody looks for the end
 * of one. */
static inline char *mqtt_str_dup(struct mqtt_str s)
{
	char *copy = malloc((size_t)s.len + 1);

	if (!copy)
		return NULL;
	if (s.len)
		memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return copy;
}

#endif
