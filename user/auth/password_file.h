/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The password file, read into a table. Immutable once it is loaded, shared by counted references and swapped as
 * auth/store.h says.
 *
 * The file has a line for each user, as `shuntctl passwd` and mosquitto_passwd write it,
 *
 *	USER:HASH
 *
 * with a hash of auth/password.h. Blanks around the two do not belong to them; empty lines and lines that begin with #
 * count for nothing, nor do those without a colon, with a warning; lines may end with CR LF. Anything else that cannot be
 * understood makes the file one that is not used at all, such as a password that is not hashed, or a user who is there
 * twice. So does mosquitto 2.1; 2.0 leaves out the user and goes on, so that nobody notices what is not protected.
 */
#ifndef SHUNT_AUTH_PASSWORD_FILE_H
#define SHUNT_AUTH_PASSWORD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "mqtt/str.h"

enum { PASSWORD_NAME_MAX = 65535 }; /* bytes of a user name: all that MQTT can have */

struct password_hash;
struct password_file;

/* Read the file into a new table with one reference. NULL after logging all that is wrong, with file and line. What is
 * only unwise is logged as a warning. Blocks for file I/O. Any thread, after hash_init() of base/hash.h: the table is
 * hashed with its key. */
struct password_file *password_file_load(const char *path);

/* The same from an open stream; `path` is for messages, permissions are not looked at. */
struct password_file *password_file_read(FILE *f, const char *path);

/* References: one more, one less; the last one frees it. NULL is allowed for the latter. Any thread. */
struct password_file *password_file_ref(struct password_file *file);
void password_file_unref(struct password_file *file);

/* Number of users. */
size_t password_file_count(const struct password_file *file);

/* The hash of a user, NULL if there is no such; and of the user at `index`, below password_file_count(), in the order of
 * the file. The table's. */
const struct password_hash *password_file_find(const struct password_file *file, struct mqtt_str username);
const struct password_hash *password_file_at(const struct password_file *file, size_t index);

/*
 * The hash to check a user's password against. For one who is not there (*known is false) it is that of somebody who is,
 * always the same one while the file stays as it is: so the times that unknown names take are spread as those of known
 * ones are, and no name can be told to be unknown by asking twice. NULL: the file has no users, and nothing to hide.
 */
const struct password_hash *password_file_choose(const struct password_file *file, struct mqtt_str username,
						 bool *known);

/* Is this the user's password? 0: it is; -EACCES: it is not, or there is no such user, which takes as long; -ENOMEM: there
 * is no memory to tell. Takes long, see auth/password.h. Any thread that holds a reference. */
int password_file_check(const struct password_file *file, struct mqtt_str username, struct mqtt_str password);

/* Bytes of memory that this check holds while it runs, as password_check_memory() says. */
size_t password_file_check_memory(const struct password_file *file, struct mqtt_str username);

/* ---- for who changes the file ------------------------------------------------------------------------------------ */

/* Take a line of `len` bytes apart as it is when it is read, with its end or without. Both point into it. False: it has
 * no user, being empty, a comment or without a colon. */
bool password_file_line(const char *line, size_t len, struct mqtt_str *name, struct mqtt_str *hash);

/* What is wrong with a user name, in words that follow "the user name"; NULL: nothing. */
const char *password_name_fault(struct mqtt_str name);

#endif
