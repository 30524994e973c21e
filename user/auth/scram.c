// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The exchange. AuthMessage, which both sides sign, is the messages with commas between them: they are collected in one
 * buffer as they come and go, and the reply to the client points into it. */
#include "auth/scram.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "auth/scram_message.h"
#include "auth/store.h"
#include "base/base64.h"

enum {
	NONCE_BYTES = 18, /* a multiple of three, so that its base64 has no padding */
};
_Static_assert(BASE64_LEN(NONCE_BYTES) < SCRAM_NONCE_MAX, "the nonce has room");

struct exchange {
	struct auth_exchange base;
	bool answered; /* the client-first-message has come: the client-final-message is next */
	bool known;    /* there is such a user: *verifier is his */
	struct scram_verifier verifier;
	uint8_t name[SCRAM_NAME_MAX];
	char server_nonce[SCRAM_NONCE_MAX];

	/* client-first-message, ",", server-first-message, ",", client-final-message-without-proof. AuthMessage begins
	 * behind the GS2 header. */
	uint8_t *messages;
	uint32_t len;
	uint32_t gs2_len;
	uint32_t nonce, nonce_len; /* where the whole nonce is, in the server-first-message */
	char server_final[2 + BASE64_LEN(SCRAM_KEY_LEN) + 1];
};

static enum auth_result deny(struct exchange *e, const char *why)
{
	e->base.why = why;
	return AUTH_DENIED;
}

static bool hmac(const uint8_t *key, const void *data, size_t len, uint8_t out[SCRAM_KEY_LEN])
{
	return HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, data, len, out, NULL) != NULL;
}

/* ---- users that are not there ----------------------------------------------------------------------------------- */

static struct {
	pthread_once_t once;
	bool drawn;
	uint8_t key[SCRAM_KEY_LEN];
} decoy = {.once = PTHREAD_ONCE_INIT};

static void draw_decoy_key(void)
{
	decoy.drawn = getrandom(decoy.key, sizeof(decoy.key), 0) == (ssize_t)sizeof(decoy.key);
}

/* A verifier for a name that has none: always the same for the same name, with the iterations and the length of salt of
 * a user picked by the name, so that it looks like one of them also where they differ. */
static bool make_decoy(const struct auth_store *store, struct mqtt_str name, struct scram_verifier *v)
{
	size_t nusers = auth_store_count(store);
	const struct scram_verifier *like;
	uint64_t pick;

	pthread_once(&decoy.once, draw_decoy_key);
	if (!decoy.drawn)
		return false;
	v->iterations = SCRAM_ITERATIONS_DEFAULT;
	v->salt_len = SCRAM_SALT_LEN;
	_Static_assert(SCRAM_SALT_MAX == SHA512_DIGEST_LENGTH, "one hash fills the salt");
	if (!HMAC(EVP_sha512(), decoy.key, sizeof(decoy.key), name.data, name.len, v->salt, NULL) ||
	    !hmac(decoy.key, name.data, name.len, v->stored_key))
		return false;
	memcpy(v->server_key, v->stored_key, SCRAM_KEY_LEN);
	if (nusers) {
		memcpy(&pick, v->stored_key, sizeof(pick));
		like = auth_store_at(store, pick % nusers);
		v->iterations = like->iterations;
		v->salt_len = like->salt_len;
	}
	return true;
}

/* Find what to check the client with. An unknown user takes as long as a known one. */
static bool find_verifier(struct exchange *e, struct mqtt_str name)
{
	const struct scram_verifier *found;

	if (!make_decoy(e->base.store, name, &e->verifier))
		return false;
	found = auth_store_find(e->base.store, name);
	e->known = found != NULL;
	if (found)
		e->verifier = *found;
	return true;
}

/* ---- client-first-message --------------------------------------------------------------------------------------- */

static bool draw_nonce(char nonce[SCRAM_NONCE_MAX])
{
	uint8_t random[NONCE_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	base64_encode(nonce, random, sizeof(random));
	return true;
}

static bool append(struct exchange *e, struct mqtt_str text)
{
	uint8_t *larger = realloc(e->messages, e->len + text.len);

	if (!larger)
		return false;
	memcpy(larger + e->len, text.data, text.len);
	e->messages = larger;
	e->len += text.len;
	return true;
}

/* "r=NONCE,s=SALT,i=ITERATIONS" behind the client-first-message; *reply is to point to it. */
static bool append_server_first(struct exchange *e, struct mqtt_str client_nonce, struct mqtt_str *reply)
{
	char salt[BASE64_LEN(SCRAM_SALT_MAX) + 1], parameters[sizeof(salt) + 32];
	struct mqtt_str server_nonce = mqtt_str(e->server_nonce);
	uint32_t start = e->len + 1;

	base64_encode(salt, e->verifier.salt, e->verifier.salt_len);
	snprintf(parameters, sizeof(parameters), ",s=%s,i=%u", salt, e->verifier.iterations);
	e->nonce = start + 2;
	e->nonce_len = client_nonce.len + server_nonce.len;
	if (!append(e, mqtt_str(",r=")) || !append(e, client_nonce) || !append(e, server_nonce) ||
	    !append(e, mqtt_str(parameters)))
		return false;
	*reply = (struct mqtt_str){.data = e->messages + start, .len = e->len - start};
	return true;
}

static enum auth_result client_first(struct exchange *e, struct mqtt_str message, struct mqtt_str *reply)
{
	struct scram_client_first first;
	const char *why = scram_parse_client_first(message, &first);

	if (why)
		return deny(e, why);
	memcpy(e->name, first.name, first.name_len);
	e->base.username = (struct mqtt_str){.data = e->name, .len = first.name_len};
	e->gs2_len = first.gs2_header.len;
	if ((!e->server_nonce[0] && !draw_nonce(e->server_nonce)) || !find_verifier(e, e->base.username) ||
	    !append(e, message) || !append_server_first(e, first.nonce, reply))
		return AUTH_NO_MEMORY;
	e->answered = true;
	return AUTH_CONTINUE;
}

/* ---- client-final-message --------------------------------------------------------------------------------------- */

/* Does it repeat the GS2 header? This is what keeps an attacker from taking a channel binding flag away. */
static bool same_channel_binding(const struct exchange *e, struct mqtt_str binding)
{
	char want[BASE64_LEN(SCRAM_GS2_HEADER_MAX) + 1];

	base64_encode(want, e->messages, e->gs2_len);
	return mqtt_str_eq(mqtt_str(want), binding);
}

/* Is the proof ClientKey XOR ClientSignature, with the ClientKey of which StoredKey is the hash? */
static enum auth_result check_proof(struct exchange *e, struct mqtt_str auth_message, const uint8_t *proof)
{
	uint8_t key[SCRAM_KEY_LEN], hash[SCRAM_KEY_LEN];
	enum auth_result result;
	bool right;

	if (!hmac(e->verifier.stored_key, auth_message.data, auth_message.len, key))
		return AUTH_NO_MEMORY;
	for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
		key[i] ^= proof[i];
	result = SHA256(key, sizeof(key), hash) ? AUTH_SUCCESS : AUTH_NO_MEMORY;
	OPENSSL_cleanse(key, sizeof(key)); /* with it one can log in */
	if (result != AUTH_SUCCESS)
		return result;
	right = CRYPTO_memcmp(hash, e->verifier.stored_key, sizeof(hash)) == 0;
	if (!e->known)
		return deny(e, "there is no such user");
	return right ? AUTH_SUCCESS : deny(e, "the password is wrong");
}

static enum auth_result client_final(struct exchange *e, struct mqtt_str message, struct mqtt_str *reply)
{
	struct scram_client_final final;
	struct mqtt_str nonce = {.data = e->messages + e->nonce, .len = e->nonce_len}, auth_message;
	const char *why = scram_parse_client_final(message, &final);
	uint8_t signature[SCRAM_KEY_LEN];
	enum auth_result result;

	if (why)
		return deny(e, why);
	if (!mqtt_str_eq(nonce, final.nonce))
		return deny(e, "the nonce is not that of this exchange");
	if (!same_channel_binding(e, final.channel_binding))
		return deny(e, "the channel binding is not that of the first message");
	if (!append(e, mqtt_str(",")) || !append(e, final.without_proof))
		return AUTH_NO_MEMORY;
	auth_message = (struct mqtt_str){.data = e->messages + e->gs2_len, .len = e->len - e->gs2_len};
	result = check_proof(e, auth_message, final.proof);
	if (result != AUTH_SUCCESS)
		return result;
	if (!hmac(e->verifier.server_key, auth_message.data, auth_message.len, signature))
		return AUTH_NO_MEMORY;
	memcpy(e->server_final, "v=", 2);
	base64_encode(e->server_final + 2, signature, sizeof(signature));
	*reply = mqtt_str(e->server_final);
	return AUTH_SUCCESS;
}

/* ---- the method ------------------------------------------------------------------------------------------------- */

static enum auth_result step(struct auth_exchange *base, struct mqtt_str message, struct mqtt_str *reply)
{
	struct exchange *e = (struct exchange *)base;

	return e->answered ? client_final(e, message, reply) : client_first(e, message, reply);
}

static void end(struct auth_exchange *base)
{
	struct exchange *e = (struct exchange *)base;

	free(e->messages);
	OPENSSL_cleanse(&e->verifier, sizeof(e->verifier));
}

const struct auth_method scram_sha_256 = {
	.name = "SCRAM-SHA-256",
	.size = sizeof(struct exchange),
	.step = step,
	.end = end,
};

void scram_set_nonce(struct auth_exchange *base, const char *nonce)
{
	struct exchange *e = (struct exchange *)base;

	snprintf(e->server_nonce, sizeof(e->server_nonce), "%s", nonce);
}
