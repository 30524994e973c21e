/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Writes JSON (RFC 8259) on one line into a growing text: nothing but the text is kept in memory, and a failed
 * allocation is remembered until json_end(), so that nobody has to look after each value. One thread at a time.
 */
#ifndef SHUNT_JSON_H
#define SHUNT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. The fields are private. */
struct json {
	char *text;
	size_t len, cap;
	bool failed;
};

/* `key` is the member's name, or NULL in an array and at the top. Keys are plain ASCII without quotation marks. */
void json_open_object(struct json *j, const char *key);
void json_close_object(struct json *j);
void json_open_array(struct json *j, const char *key);
void json_close_array(struct json *j);
/* What is not UTF-8 in the string becomes U+FFFD. */
void json_string(struct json *j, const char *key, const char *value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);

/* The text, to be freed by the caller, and its length; NULL when memory was short. *j is empty again. */
char *json_end(struct json *j, size_t *len);

#endif
