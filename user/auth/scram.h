/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, as a method of enhanced authentication:
 *
 *	CONNECT		client-first-message	n,,n=USER,r=NONCE
 *	AUTH 0x18	server-first-message	r=NONCE+MORE,s=SALT,i=ITERATIONS
 *	AUTH 0x18	client-final-message	c=biws,r=NONCE+MORE,p=PROOF
 *	CONNACK		server-final-message	v=SIGNATURE
 *
 * The server never sees the password, and what it stores does not suffice to log in. What is particular here:
 *  - There is no channel binding: the flags "n" and "y" are accepted, "p" is refused. An authorization identity must be
 *    the user name itself. The reserved extension "m=" is refused, other extensions are ignored, as the RFC has it.
 *  - SASLprep: names and passwords are UTF-8 as utf8_valid() has it (no control characters), compared as bytes. For ASCII
 *    this is SASLprep. Beyond ASCII no normalisation is done, so there the client must send the very bytes that stand in
 *    the file: what SASLprep would make of them.
 *  - An unknown user gets an answer that looks like that to a known one, the same each time, and fails at the end: names
 *    cannot be probed. (Its salt depends on a key that the process draws, so it changes with a restart.)
 *  - A failure ends the exchange without a server-final-message, which the RFC leaves to the server.
 */
#ifndef SHUNT_AUTH_SCRAM_H
#define SHUNT_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/method.h"

enum {
	SCRAM_KEY_LEN = 32, /* of SHA-256 */
	SCRAM_SALT_MAX = 64,
	SCRAM_SALT_LEN = 16,		   /* of the salts made here */
	SCRAM_NAME_MAX = 255,		   /* bytes of a user name */
	SCRAM_PASSWORD_MAX = 1023,	   /* bytes */
	SCRAM_ITERATIONS_MIN = 4096,	   /* below it the RFC advises against */
	SCRAM_ITERATIONS_DEFAULT = 100000, /* see shuntctl(1), --iterations */
	SCRAM_ITERATIONS_MAX = 2147483647, /* of OpenSSL's PBKDF2 */
	SCRAM_VERIFIER_TEXT_MAX = 256,	   /* with its NUL */
	SCRAM_MESSAGE_MAX = 4096,	   /* bytes of a client's message; a longer one is refused */
	SCRAM_NONCE_MAX = 64,		   /* with its NUL: the server's part of the nonce */
};

/* What a server stores of a password. */
struct scram_verifier {
	uint32_t iterations;
	uint8_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
};

/* The method. */
extern const struct auth_method scram_sha_256;

/* For tests: the server's part of the nonce (SCRAM_NONCE_MAX; printable, no comma) of an exchange that has had no
 * step. */
void scram_set_nonce(struct auth_exchange *e, const char *nonce);

/* ---- verifiers: any thread --------------------------------------------------------------------------------------- */

/* What is wrong with a user name of the file, in words that follow "the user name"; NULL: nothing. */
const char *scram_name_fault(struct mqtt_str name);

/* What is wrong with a password, in words that follow "the password"; NULL: nothing. */
const char *scram_password_fault(struct mqtt_str password);

/* Compute the keys from the password, with the salt and the iterations that are in *v. Takes long (the iterations are
 * meant to): not on a worker. 0 or -ENOMEM. */
int scram_verifier_derive(struct scram_verifier *v, struct mqtt_str password);

/* Read "SCRAM-SHA-256$...". NULL, or in words what is wrong; *v is written only when it is fine. */
const char *scram_verifier_parse(const char *text, struct scram_verifier *v);

/* Write it. Returns the length. */
size_t scram_verifier_format(const struct scram_verifier *v, char text[SCRAM_VERIFIER_TEXT_MAX]);

#endif
