/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A file of users, read into a table: what the files of SCRAM (auth/store.h) and of passwords (auth/password_file.h) have
 * in common; private to those two. A line is USER:VERIFIER. Empty lines and lines that begin with # count for nothing,
 * lines may end with CR LF.
 *
 * The table is immutable once it is read, and shared by all threads by counted references.
 */
#ifndef SHUNT_AUTH_USERS_H
#define SHUNT_AUTH_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mqtt/str.h"

struct users;

/* One kind of file. */
struct users_format {
	size_t size; /* bytes of a verifier as it is kept */
	/* Mosquitto's habits: blanks around the user name and the verifier do not belong to them, and a line without a
	 * colon counts for nothing, with a warning. Otherwise both are errors. */
	bool lenient;
	/* What is wrong with a user name, in words that follow "the user name"; NULL: nothing. */
	const char *(*name_fault)(struct mqtt_str name);
	/* Read the text behind USER: into *verifier. NULL, or in words what is wrong. */
	const char *(*parse)(const char *text, void *verifier);
	/* Log as a warning what is unwise in a line. NULL: nothing is. */
	void (*warn)(const void *verifier, const char *path, size_t line);
};

/* What a line is. */
enum users_line {
	USERS_LINE_NOTHING, /* it is empty or a comment */
	USERS_LINE_NO_COLON,
	USERS_LINE_USER,
};

/* Take a line of `len` bytes apart, with its end or without. *name and *verifier point into it. */
enum users_line users_line(const struct users_format *format, const char *line, size_t len, struct mqtt_str *name,
			   struct mqtt_str *verifier);

/* What is wrong with a user name but its length, for users_format.name_fault. */
const char *users_name_fault(struct mqtt_str name);

/* As auth_store_load() and auth_store_read(). */
struct users *users_load(const struct users_format *format, const char *path);
struct users *users_read(const struct users_format *format, FILE *f, const char *path);

/* References: one more, one less; the last one frees it. NULL is allowed for the latter. Any thread. */
struct users *users_ref(struct users *users);
void users_unref(struct users *users);

size_t users_count(const struct users *users);

/* The verifier of a user, NULL if there is no such; and of the one at `index`, below users_count(), in the order of the
 * file. The table's. */
const void *users_find(const struct users *users, struct mqtt_str name);
const void *users_at(const struct users *users, size_t index);

#endif
