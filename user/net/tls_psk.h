/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The keys that clients share with the broker: mosquitto's psk_file, read into a table. Immutable once it is read, and
 * shared by all threads by counted references; a reload reads a new one.
 *
 * The file has a line for each client,
 *
 *	IDENTITY:HEXKEY
 *
 * Blanks around both count for nothing, as do empty lines and lines that begin with #; lines may end with CR LF. Where
 * mosquitto skips a line that it does not understand (no colon, an identity twice) this is an error, because the client
 * whose line it is could not connect and nobody would know why. So is an odd number of digits, which programs read
 * differently.
 */
#ifndef SHUNT_TLS_PSK_H
#define SHUNT_TLS_PSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	TLS_PSK_KEY_MAX = 64,	    /* bytes of a key: no cipher is stronger than its hash, of 48 bytes at most */
	TLS_PSK_KEY_GOOD = 16,	    /* shorter ones are warned of */
	TLS_PSK_IDENTITY_MAX = 255, /* bytes; what OpenSSL takes from a client of TLS 1.2 */
};

struct tls_psk;

/* Read the file into a new table with one reference. NULL after logging all that is wrong, with file and line. What is
 * only unwise (others may read the file; short keys) is logged as a warning. Blocks for file I/O. Any thread, after
 * hash_init() of base/hash.h. */
struct tls_psk *tls_psk_load(const char *path);

/* The same from an open stream; `path` is for messages, permissions are not looked at. */
struct tls_psk *tls_psk_read(FILE *f, const char *path);

/* References: one more, one less; the last one frees it, and wipes the keys. NULL is allowed for the latter. Any
 * thread. */
struct tls_psk *tls_psk_ref(struct tls_psk *psk);
void tls_psk_unref(struct tls_psk *psk);

/* Number of identities. */
size_t tls_psk_count(const struct tls_psk *psk);

/* A digest of identities and keys, so that two tables can be told apart: 32 bytes. */
const uint8_t *tls_psk_digest(const struct tls_psk *psk);

/* Store the key of an identity and return its length, 0 if there is no such identity. */
size_t tls_psk_find(const struct tls_psk *psk, const void *identity, size_t len, uint8_t key[TLS_PSK_KEY_MAX]);

/* The same; but for an identity that is not there it stores a key that nobody knows, always the same one for the same
 * identity, in the same time. With it a handshake goes on to where a wrong key is found out, so that nobody learns
 * which identities there are. *known says which it was. 0 only without memory. */
size_t tls_psk_find_or_make(const struct tls_psk *psk, const void *identity, size_t len, uint8_t key[TLS_PSK_KEY_MAX],
			    bool *known);

#endif
