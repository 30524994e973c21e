/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Hashes of passwords in the forms of mosquitto's password files, and the check of a password against one:
 *
 *	$6$SALT$HASH				SHA-512 of the password and the salt behind it, once: fast to guess
 *	$7$ITERATIONS$SALT$HASH			PBKDF2 with HMAC-SHA-512; mosquitto 2.0 writes it
 *	$argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH		Argon2id (RFC 9106); mosquitto 2.1 also knows it
 *
 * SALT and HASH are base64, in the last form without padding. The first is not crypt(3)'s of the same number. Passwords
 * are any bytes; HMAC cannot tell one that ends with NUL bytes from the same without them.
 *
 * What a check costs is the point of a hash, and stands in the file. It is bounded by the limits below, but it is not
 * for a thread that has connections to serve: 1000 iterations of PBKDF2 take about a millisecond, Argon2id as it is
 * made here 70 ms and 46 MiB, and the most that is allowed some 5 s.
 */
#ifndef SHUNT_AUTH_PASSWORD_H
#define SHUNT_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt/str.h"

enum {
	PASSWORD_SALT_MAX = 64, /* bytes, as all lengths here */
	PASSWORD_HASH_MAX = 64, /* the length of SHA-512's, and the most of Argon2id's */
	PASSWORD_ITERATIONS_MAX = 10000000,
	PASSWORD_ITERATIONS_DEFAULT = 1000, /* as mosquitto 2.1; 2.0 has 101 */
	PASSWORD_ARGON2_KIB_MAX = 262144,   /* memory of one check: 256 MiB */
	PASSWORD_ARGON2_PASSES_MAX = 16,    /* over that memory */
	PASSWORD_ARGON2_LANES_MAX = 16,
	PASSWORD_ARGON2_SALT_MIN = 8, /* of Argon2 itself */
	PASSWORD_ARGON2_HASH_MIN = 16,
	PASSWORD_TEXT_MAX = 256, /* a hash in its text form, with the NUL */
};

enum password_kind {
	PASSWORD_SHA512,   /* $6$ */
	PASSWORD_PBKDF2,   /* $7$ */
	PASSWORD_ARGON2ID, /* $argon2id$ */
};

/* What is kept of a password. */
struct password_hash {
	enum password_kind kind;
	uint32_t iterations; /* of PBKDF2; passes of Argon2id */
	uint32_t kib, lanes; /* of Argon2id */
	uint8_t salt_len, hash_len;
	uint8_t salt[PASSWORD_SALT_MAX];
	uint8_t hash[PASSWORD_HASH_MAX];
};

/* All of these: any thread. */

/* The kind that mosquitto_passwd calls `name`: sha512, sha512-pbkdf2 or argon2id. False: there is none such. */
bool password_kind(const char *name, enum password_kind *kind);

/* Read a hash. NULL, or in words what is wrong; *h is written only when it is fine. */
const char *password_hash_parse(const char *text, struct password_hash *h);

/* Write it. Returns the length. */
size_t password_hash_format(const struct password_hash *h, char text[PASSWORD_TEXT_MAX]);

/* Does the text look like a hash, of these forms or of another, so that it is not to be taken for a password? */
bool password_looks_hashed(const char *text);

/*
 * Make a hash of the password with a new salt. `iterations` are those of PBKDF2, 1 to PASSWORD_ITERATIONS_MAX, and count
 * for nothing with other kinds; Argon2id is made as mosquitto 2.1 does. 0, -ENOMEM, or -errno when there are no random
 * numbers.
 */
int password_hash_make(struct password_hash *h, enum password_kind kind, uint32_t iterations, struct mqtt_str password);

/*
 * Is the hash that of the password? 0: it is; -EACCES: it is not; -ENOMEM: there is no memory to tell, which is no yes.
 * The time it takes depends on the parameters of the hash and the length of the password only.
 */
int password_check(const struct password_hash *h, struct mqtt_str password);

/* Take the time of a check against a hash like this one for a user who is not there. Never 0. */
int password_check_nobody(const struct password_hash *like, struct mqtt_str password);

/* Bytes of memory that a check holds while it runs, but for some hundred; for who runs several at a time. */
size_t password_check_memory(const struct password_hash *h);

#endif
