/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the authentication methods know of the users: the credentials file, read into a table. Immutable once it is
 * loaded, and shared by all threads by counted references; a reload makes a new store. Swapping is the caller's: publish
 * the new pointer, wait for a grace period, so that no thread is between reading the old pointer and auth_begin(), and
 * drop the reference to the old one; exchanges under way keep it for as long as they need it.
 *
 * The file has a line for each user, as `shuntctl scram` writes it,
 *
 *	USER:SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY
 *
 * where what follows USER: is PostgreSQL's form of a verifier (pg_authid.rolpassword), in base64. Empty lines and lines
 * that begin with # count for nothing; lines may end with CR LF.
 */
#ifndef SHUNT_AUTH_STORE_H
#define SHUNT_AUTH_STORE_H

#include <stddef.h>
#include <stdio.h>

#include "mqtt/str.h"

struct scram_verifier;
struct auth_store;

/* Read the file into a new store with one reference. NULL after logging all that is wrong, with file and line. What is
 * only unwise (others may read the file; few iterations) is logged as a warning. Blocks for file I/O. Any
 * thread, after hash_init() of base/hash.h: the table is hashed with its key. */
struct auth_store *auth_store_load(const char *path);

/* The same from an open stream; `path` is for messages, permissions are not looked at. */
struct auth_store *auth_store_read(FILE *f, const char *path);

/* References: one more, one less; the last one frees it. NULL is allowed for the latter. Any thread. */
struct auth_store *auth_store_ref(struct auth_store *store);
void auth_store_unref(struct auth_store *store);

/* Number of users. */
size_t auth_store_count(const struct auth_store *store);

/* The verifier of a user, NULL if there is no such; the store's. */
const struct scram_verifier *auth_store_find(const struct auth_store *store, struct mqtt_str username);

/* The verifier of the user at `index`, below auth_store_count(), in the order of the file. */
const struct scram_verifier *auth_store_at(const struct auth_store *store, size_t index);

#endif
