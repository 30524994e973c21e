// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/tls_tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/log.h"

enum {
	CIPHER_KEY_LEN = 32,
	MAC_KEY_LEN = 32,
	IV_LEN = 16,
	KEYS = 2, /* the one in use, and the one before */
};

struct key {
	time_t made; /* CLOCK_BOOTTIME, which also counts a machine's sleep; 0: none */
	unsigned char name[TLS_TICKET_NAME_LEN];
	unsigned char cipher[CIPHER_KEY_LEN];
	unsigned char mac[MAC_KEY_LEN];
};

struct tls_tickets {
	unsigned refs;	      /* atomic */
	pthread_mutex_t lock; /* of the keys; held for a copy of them, a moment in a handshake */
	struct key key[KEYS]; /* newest first */
};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec + 1; /* never 0 */
}

/* The caller holds the lock. */
static int rotate(struct tls_tickets *t)
{
	struct key fresh = {.made = now()};

	if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
	    RAND_priv_bytes(fresh.cipher, sizeof(fresh.cipher)) != 1 ||
	    RAND_priv_bytes(fresh.mac, sizeof(fresh.mac)) != 1)
		return -1;
	t->key[1] = t->key[0];
	t->key[0] = fresh;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return 0;
}

/* The caller holds the lock. */
static void keep_time(struct tls_tickets *t)
{
	time_t at = now();

	/* Without random numbers the old key goes on: handshakes fail then anyway. */
	if (at - t->key[0].made >= TLS_TICKETS_ROTATE && rotate(t))
		return;
	if (t->key[1].made && at - t->key[1].made >= TLS_TICKETS_ROTATE + TLS_TICKETS_LIFE)
		OPENSSL_cleanse(&t->key[1], sizeof(t->key[1]));
}

struct tls_tickets *tls_tickets_new(void)
{
	struct tls_tickets *t = calloc(1, sizeof(*t));

	if (t && !rotate(t)) {
		t->refs = 1;
		pthread_mutex_init(&t->lock, NULL);
		return t;
	}
	log_error("Error: Unable to make keys for session tickets: %s.", t ? "no random numbers" : "out of memory");
	free(t);
	return NULL;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
	__atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

void tls_tickets_unref(struct tls_tickets *t)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t->key, sizeof(t->key));
	free(t);
}

int tls_tickets_rotate(struct tls_tickets *t)
{
	int err;

	pthread_mutex_lock(&t->lock);
	err = rotate(t);
	pthread_mutex_unlock(&t->lock);
	return err;
}

/* AES-256 in CBC mode and HMAC-SHA256, encrypt-then-MAC, as RFC 5077 recommends. */
static int set_keys(const struct key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, seal) &&
			       EVP_MAC_CTX_set_params(mac, params)
		       ? 0
		       : -1;
}

int tls_tickets_seal(struct tls_tickets *t, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac)
{
	struct key key;
	int err = -1;

	pthread_mutex_lock(&t->lock);
	keep_time(t);
	key = t->key[0];
	pthread_mutex_unlock(&t->lock);
	memcpy(name, key.name, sizeof(key.name));
	if (RAND_bytes(iv, IV_LEN) == 1)
		err = set_keys(&key, iv, cipher, mac, 1);
	OPENSSL_cleanse(&key, sizeof(key));
	return err;
}

int tls_tickets_open(struct tls_tickets *t, const unsigned char *name, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac)
{
	struct key key = {0};
	int found = 0;

	pthread_mutex_lock(&t->lock);
	keep_time(t);
	for (int i = 0; i < KEYS; i++) {
		/* The name is no secret: it is sent in clear. */
		if (t->key[i].made && !memcmp(t->key[i].name, name, sizeof(key.name))) {
			key = t->key[i];
			found = i + 1;
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (found && set_keys(&key, iv, cipher, mac, 0))
		found = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return found;
}
