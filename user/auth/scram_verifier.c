// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What is stored of a password: computing it, and its text in PostgreSQL's form. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "auth/scram.h"
#include "auth/users.h"
#include "base/base64.h"
#include "base/number.h"
#include "mqtt/utf8.h"

static const char prefix[] = "SCRAM-SHA-256$";

static bool has_control(struct mqtt_str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.data[i] < ' ' || s.data[i] == 0x7f)
			return true;
	}
	return false;
}

const char *scram_name_fault(struct mqtt_str name)
{
	return name.len > SCRAM_NAME_MAX ? "is longer than 255 bytes" : users_name_fault(name);
}

const char *scram_password_fault(struct mqtt_str password)
{
	if (password.len == 0)
		return "is empty";
	if (password.len > SCRAM_PASSWORD_MAX)
		return "is longer than 1023 bytes";
	if (has_control(password))
		return "has a control character";
	if (!utf8_valid(password.data, password.len))
		return "is not UTF-8 as MQTT allows it";
	return NULL;
}

int scram_verifier_derive(struct scram_verifier *v, struct mqtt_str password)
{
	uint8_t salted[SCRAM_KEY_LEN], client_key[SCRAM_KEY_LEN];
	int err = -ENOMEM;

	if (PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.len, v->salt, v->salt_len, (int)v->iterations,
			      EVP_sha256(), sizeof(salted), salted) &&
	    HMAC(EVP_sha256(), salted, sizeof(salted), (const uint8_t *)"Client Key", 10, client_key, NULL) &&
	    SHA256(client_key, sizeof(client_key), v->stored_key) &&
	    HMAC(EVP_sha256(), salted, sizeof(salted), (const uint8_t *)"Server Key", 10, v->server_key, NULL))
		err = 0;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return err;
}

static bool parse_iterations(const char *text, size_t len, uint32_t *iterations)
{
	char digits[16];
	uint64_t n;

	if (len >= sizeof(digits))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (number_parse(digits, SCRAM_ITERATIONS_MAX, &n) || n == 0)
		return false;
	*iterations = (uint32_t)n;
	return true;
}

const char *scram_verifier_parse(const char *text, struct scram_verifier *v)
{
	struct scram_verifier new = {0};
	const char *iterations, *salt, *stored, *server;
	ssize_t salt_len;

	/* PREFIX iterations ':' salt '$' stored ':' server; base64 has neither of the separators. */
	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return "what follows the user name does not begin with SCRAM-SHA-256$";
	iterations = text + sizeof(prefix) - 1;
	salt = strchr(iterations, ':');
	stored = salt ? strchr(salt, '$') : NULL;
	server = stored ? strchr(stored, ':') : NULL;
	if (!server)
		return "it is not of the form USER:SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY";

	if (!parse_iterations(iterations, (size_t)(salt - iterations), &new.iterations))
		return "the number of iterations is not one from 1 to 2147483647";
	salt++, stored++, server++;
	salt_len = base64_decode(new.salt, sizeof(new.salt), salt, (size_t)(stored - salt) - 1);
	if (salt_len <= 0)
		return "the salt is not 1 to 64 bytes of base64";
	new.salt_len = (uint8_t)salt_len;
	if (base64_decode(new.stored_key, SCRAM_KEY_LEN, stored, (size_t)(server - stored) - 1) != SCRAM_KEY_LEN)
		return "the stored key is not 32 bytes of base64";
	if (base64_decode(new.server_key, SCRAM_KEY_LEN, server, strlen(server)) != SCRAM_KEY_LEN)
		return "the server key is not 32 bytes of base64";
	*v = new;
	return NULL;
}

size_t scram_verifier_format(const struct scram_verifier *v, char text[SCRAM_VERIFIER_TEXT_MAX])
{
	char salt[BASE64_LEN(SCRAM_SALT_MAX) + 1], stored[BASE64_LEN(SCRAM_KEY_LEN) + 1],
		server[BASE64_LEN(SCRAM_KEY_LEN) + 1];

	base64_encode(salt, v->salt, v->salt_len);
	base64_encode(stored, v->stored_key, SCRAM_KEY_LEN);
	base64_encode(server, v->server_key, SCRAM_KEY_LEN);
	return (size_t)snprintf(text, SCRAM_VERIFIER_TEXT_MAX, "%s%u:%s$%s:%s", prefix, v->iterations, salt, stored,
				server);
}
