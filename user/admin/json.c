// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "admin/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt/utf8.h"

static void append(struct json *j, const char *bytes, size_t len)
{
	if (j->failed)
		return;
	if (j->cap - j->len <= len) { /* one byte stays for the NUL */
		size_t cap = j->cap ? j->cap : 256;
		char *text;

		while (cap - j->len <= len)
			cap *= 2;
		text = realloc(j->text, cap);
		if (!text) {
			j->failed = true;
			return;
		}
		j->text = text;
		j->cap = cap;
	}
	memcpy(j->text + j->len, bytes, len);
	j->len += len;
}

/* The length of the UTF-8 sequence that the string begins with, or 0 if it begins with none. The shortest beginning
 * that is valid is one character. */
static size_t utf8_sequence(const char *s)
{
	if ((uint8_t)s[0] < 0x80) /* control characters are escaped */
		return 1;
	for (size_t len = 2; len <= 4 && s[len - 1]; len++) {
		if (utf8_valid((const uint8_t *)s, len))
			return len;
	}
	return 0;
}

static void append_string(struct json *j, const char *value)
{
	char escape[8];

	append(j, "\"", 1);
	while (*value) {
		size_t len = utf8_sequence(value);
		unsigned char c = (unsigned char)*value;

		if (!len) {
			append(j, "\xef\xbf\xbd", 3);
		} else if (c == '"' || c == '\\') {
			append(j, (char[]){'\\', (char)c}, 2);
		} else if (c < ' ' || c == 0x7f) {
			append(j, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
		} else {
			append(j, value, len);
		}
		value += len ? len : 1;
	}
	append(j, "\"", 1);
}

/* What stands before a value: a comma unless it is the first in its place, and the name. */
static void begin_value(struct json *j, const char *key)
{
	if (j->len && !j->failed && j->text[j->len - 1] != '{' && j->text[j->len - 1] != '[')
		append(j, ",", 1);
	if (key) {
		append_string(j, key);
		append(j, ":", 1);
	}
}

void json_open_object(struct json *j, const char *key)
{
	begin_value(j, key);
	append(j, "{", 1);
}

void json_close_object(struct json *j)
{
	append(j, "}", 1);
}

void json_open_array(struct json *j, const char *key)
{
	begin_value(j, key);
	append(j, "[", 1);
}

void json_close_array(struct json *j)
{
	append(j, "]", 1);
}

void json_string(struct json *j, const char *key, const char *value)
{
	begin_value(j, key);
	append_string(j, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	char digits[24];

	begin_value(j, key);
	append(j, digits, (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value));
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	append(j, value ? "true" : "false", value ? 4 : 5);
}

char *json_end(struct json *j, size_t *len)
{
	char *text = j->text;

	if (j->failed || !text) {
		free(text);
		text = NULL;
	} else {
		text[j->len] = '\0';
		*len = j->len;
	}
	*j = (struct json){0};
	return text;
}
