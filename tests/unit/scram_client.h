/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A SCRAM-SHA-256 client for tests and fuzz targets, written from RFC 5802 and not from the code under test; and the
 * example of RFC 7677, section 3. Messages are C strings. A failure of OpenSSL ends the program.
 */
#ifndef SHUNT_TESTS_SCRAM_CLIENT_H
#define SHUNT_TESTS_SCRAM_CLIENT_H

#include <stdarg.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "auth/scram.h"
#include "auth/store.h"
#include "mqtt_model.h"

#define RFC_VERIFIER                                                                                \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define RFC_SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define RFC_SERVER_FIRST "r=rOprNGfwEbeRWgbNEkqO" RFC_SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define RFC_CLIENT_FINAL \
	"c=biws,r=rOprNGfwEbeRWgbNEkqO" RFC_SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

enum {
	CLIENT_TEXT_MAX = 8192,
};

struct scram_client {
	const char *gs2_header;	   /* "n,," */
	const char *name;	   /* escaped */
	const char *extensions;	   /* of the client-first-message, with the comma in front; "": none */
	const char *final_options; /* the same of the client-final-message */
	const char *password;
	char first[CLIENT_TEXT_MAX], final[CLIENT_TEXT_MAX], server_final[CLIENT_TEXT_MAX]; /* the last is expected */
};

static inline void client_must(bool good)
{
	if (!good)
		abort();
}

/* snprintf() that must fit. */
__attribute__((format(printf, 3, 4))) static inline void client_print(char *out, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(out, size, fmt, args);
	va_end(args);
	client_must(len >= 0 && (size_t)len < size);
}

/* The client-first-message. */
static inline void client_first(struct scram_client *c, const char *nonce)
{
	client_print(c->first, sizeof(c->first), "%sn=%s,r=%s%s", c->gs2_header, c->name, nonce, c->extensions);
}

static inline void client_hmac(const uint8_t *key, const char *text, uint8_t out[32])
{
	client_must(HMAC(EVP_sha256(), key, 32, (const uint8_t *)text, strlen(text), out, NULL) != NULL);
}

/* The client-final-message to a server-first-message, and the server-final-message that must come back. */
static inline void client_final(struct scram_client *c, const char *server_first)
{
	static const char after_r[] = ",s=";
	uint8_t salt[256], salted[32], key[32], stored[32], signature[32];
	char nonce[CLIENT_TEXT_MAX] = "", salt_text[256] = "", binding[CLIENT_TEXT_MAX];
	char text[4 * CLIENT_TEXT_MAX], base64[48];
	const char *s = strstr(server_first, after_r);
	unsigned iterations = 0;
	int salt_len;

	client_must(s && !strncmp(server_first, "r=", 2));
	client_print(nonce, sizeof(nonce), "%.*s", (int)(s - server_first - 2), server_first + 2);
	client_must(sscanf(s, ",s=%255[^,],i=%u", salt_text, &iterations) == 2);
	salt_len = EVP_DecodeBlock(salt, (const uint8_t *)salt_text, (int)strlen(salt_text));
	client_must(salt_len > 0);
	for (const char *pad = strchr(salt_text, '='); pad && *pad; pad++)
		salt_len--; /* which OpenSSL counts */
	client_must(PKCS5_PBKDF2_HMAC(c->password, (int)strlen(c->password), salt, salt_len, (int)iterations,
				      EVP_sha256(), 32, salted) == 1);
	EVP_EncodeBlock((uint8_t *)binding, (const uint8_t *)c->gs2_header, (int)strlen(c->gs2_header));
	client_print(c->final, sizeof(c->final), "c=%s,r=%s%s", binding, nonce, c->final_options);
	client_print(text, sizeof(text), "%s,%s,%s", c->first + strlen(c->gs2_header), server_first, c->final);

	client_hmac(salted, "Client Key", key);
	client_must(SHA256(key, 32, stored) != NULL);
	client_hmac(stored, text, signature);
	for (int i = 0; i < 32; i++)
		key[i] ^= signature[i];
	EVP_EncodeBlock((uint8_t *)base64, key, 32);
	client_print(c->final + strlen(c->final), 64, ",p=%s", base64);

	client_hmac(salted, "Server Key", key);
	client_hmac(key, text, signature);
	EVP_EncodeBlock((uint8_t *)base64, signature, 32);
	client_print(c->server_final, sizeof(c->server_final), "v=%s", base64);
}

/* A store with these lines. */
static inline struct auth_store *store_of(const char *text)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");
	struct auth_store *store;

	client_must(f != NULL);
	store = auth_store_read(f, "users");
	fclose(f);
	return store;
}

/* A step with a message in a block of its own size. */
static inline enum auth_result step_bytes(struct auth_exchange *e, const void *data, size_t len, struct mqtt_str *reply)
{
	uint8_t *copy = exact_copy(data, len);
	enum auth_result result = auth_step(e, (struct mqtt_str){.data = copy, .len = (uint32_t)len}, reply);

	free(copy);
	return result;
}

/* A step with texts. */
static inline enum auth_result step_text(struct auth_exchange *e, const char *message, char reply[CLIENT_TEXT_MAX])
{
	struct mqtt_str answer;
	enum auth_result result = step_bytes(e, message, strlen(message), &answer);

	client_print(reply, CLIENT_TEXT_MAX, "%.*s", (int)answer.len, (const char *)answer.data);
	return result;
}

#endif
