// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Keys of tokens: reading them, and verifying signatures. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "auth/jwt_internal.h"
#include "base/log.h"

enum {
	FILE_MAX = 65536, /* bytes of a key's file */
	ES256_HALF = 32,  /* bytes of each number of a signature, RFC 7518, 3.4 */
	GROUP_MAX = 64,
};

static const char *const names[JWT_ALGORITHMS] = {
	[JWT_HS256] = "HS256",
	[JWT_RS256] = "RS256",
	[JWT_ES256] = "ES256",
};

struct key {
	struct key *next;
	enum jwt_algorithm algorithm;
	char *kid;	/* NULL: none */
	EVP_PKEY *pkey; /* NULL with HS256 */
	uint8_t id[JWT_KEY_ID_LEN];
	size_t len;
	uint8_t secret[]; /* of HS256 */
};

struct jwt_keys {
	unsigned refs; /* atomic */
	struct key *first, **end;
};

static_assert((int)JWT_KEY_ID_LEN == (int)SHA256_DIGEST_LENGTH, "a key is known by a digest");

bool jwt_algorithm_find(const char *name, enum jwt_algorithm *algorithm)
{
	for (unsigned i = 0; i < JWT_ALGORITHMS; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*algorithm = (enum jwt_algorithm)i;
		return true;
	}
	return false;
}

/* ---- a set of them ------------------------------------------------------------------------------------------------ */

struct jwt_keys *jwt_keys_new(void)
{
	struct jwt_keys *keys = calloc(1, sizeof(*keys));

	if (keys) {
		keys->refs = 1;
		keys->end = &keys->first;
	}
	return keys;
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *keys)
{
	__atomic_add_fetch(&keys->refs, 1, __ATOMIC_RELAXED);
	return keys;
}

static void key_free(struct key *k)
{
	EVP_PKEY_free(k->pkey);
	OPENSSL_cleanse(k->secret, k->len);
	free(k->kid);
	free(k);
}

void jwt_keys_unref(struct jwt_keys *keys)
{
	if (!keys || __atomic_sub_fetch(&keys->refs, 1, __ATOMIC_ACQ_REL))
		return;
	while (keys->first) {
		struct key *next = keys->first->next;

		key_free(keys->first);
		keys->first = next;
	}
	free(keys);
}

bool jwt_keys_have(const struct jwt_keys *keys, const uint8_t id[JWT_KEY_ID_LEN])
{
	for (const struct key *k = keys->first; k; k = k->next) {
		if (memcmp(k->id, id, JWT_KEY_ID_LEN) == 0)
			return true;
	}
	return false;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int fault(const char *where, const char *path, const char *what)
{
	log_error("Error in %s: %s: %s.", where, path, what);
	return -1;
}

/* The file's bytes; their number, or -1 after logging. */
static ssize_t read_file(const char *where, const char *path, uint8_t buf[FILE_MAX])
{
	FILE *f = fopen(path, "re");
	size_t n;
	bool bad;

	if (!f)
		return fault(where, path, strerror(errno));
	n = fread(buf, 1, FILE_MAX, f);
	bad = ferror(f);
	fclose(f);
	if (bad)
		return fault(where, path, "it cannot be read");
	return n < FILE_MAX ? (ssize_t)n : fault(where, path, "it is too long for a key");
}

/* A public key, or that of a certificate. NULL: it is neither. */
static EVP_PKEY *read_public(const uint8_t *pem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	X509 *cert = NULL;

	if (bio && !key && BIO_reset(bio) == 1)
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (cert)
		key = X509_get_pubkey(cert);
	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

/* Is it one of that kind, and strong enough? NULL, or why not. */
static const char *check_public(EVP_PKEY *key, enum jwt_algorithm algorithm)
{
	char group[GROUP_MAX] = "";

	if (algorithm == JWT_RS256) {
		if (!EVP_PKEY_is_a(key, "RSA"))
			return "it is no RSA key";
		return EVP_PKEY_get_bits(key) < JWT_RSA_BITS_MIN ? "it has less than 2048 bits" : NULL;
	}
	if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
	    strcmp(group, "prime256v1") != 0)
		return "it is no key of the curve P-256";
	return NULL;
}

/* A key without its name, of the file's bytes. NULL after logging. */
static struct key *make_key(enum jwt_algorithm algorithm, uint8_t *bytes, size_t len, const char *where,
			    const char *path)
{
	bool secret = algorithm == JWT_HS256;
	EVP_PKEY *pkey = secret ? NULL : read_public(bytes, len);
	const char *why = NULL;
	struct key *k;

	while (secret && len && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
		len--;
	if (secret && len < JWT_SECRET_MIN)
		why = "a secret of less than 32 bytes can be guessed";
	else if (secret && len > 10 && !memcmp(bytes, "-----BEGIN", 10))
		why = "it is a key in PEM, not a secret";
	else if (!secret)
		why = pkey ? check_public(pkey, algorithm) : "there is no public key and no certificate in it";
	k = why ? NULL : calloc(1, sizeof(*k) + (secret ? len : 0));
	if (!k) {
		fault(where, path, why ? why : "out of memory");
		EVP_PKEY_free(pkey);
		return NULL;
	}
	k->algorithm = algorithm;
	k->pkey = pkey;
	if (secret) {
		k->len = len;
		memcpy(k->secret, bytes, len);
	}
	return k;
}

/* The next word of a line, with a NUL behind it; NULL: there is none. */
static char *word(char **at)
{
	static const char blanks[] = " \t";
	char *w = *at + strspn(*at, blanks);

	*at = w + strcspn(w, blanks);
	if (**at)
		*(*at)++ = '\0';
	return *w ? w : NULL;
}

/* What it is known by again: a digest of algorithm, name and value, whatever the file looks like. */
static bool set_id(struct key *k)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	const char *kid = k->kid ? k->kid : "";
	uint8_t *der = NULL;
	int len = k->pkey ? i2d_PUBKEY(k->pkey, &der) : 0;
	bool done = c && len >= 0 && EVP_DigestInit_ex(c, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(c, names[k->algorithm], strlen(names[k->algorithm]) + 1) &&
		    EVP_DigestUpdate(c, kid, strlen(kid) + 1) && EVP_DigestUpdate(c, k->secret, k->len) &&
		    EVP_DigestUpdate(c, der, (size_t)len) && EVP_DigestFinal_ex(c, k->id, NULL);

	OPENSSL_free(der);
	EVP_MD_CTX_free(c);
	return done;
}

static int add(struct jwt_keys *keys, enum jwt_algorithm algorithm, const char *path, const char *kid,
	       uint8_t bytes[FILE_MAX], const char *where)
{
	ssize_t len = read_file(where, path, bytes);
	struct key *k = len < 0 ? NULL : make_key(algorithm, bytes, (size_t)len, where, path);

	if (!k)
		return -1;
	k->kid = kid ? strdup(kid) : NULL;
	if ((kid && !k->kid) || !set_id(k)) {
		key_free(k);
		return fault(where, path, "out of memory");
	}
	*keys->end = k;
	keys->end = &k->next;
	return 0;
}

int jwt_keys_add(struct jwt_keys *keys, const char *text, const char *where)
{
	char *line = strdup(text), *at = line;
	const char *name = line ? word(&at) : NULL, *path = name ? word(&at) : NULL, *kid = path ? word(&at) : NULL;
	uint8_t *bytes = malloc(FILE_MAX);
	enum jwt_algorithm algorithm;
	int rc = -1;

	if (!line || !bytes)
		log_error("Error in %s: out of memory.", where);
	else if (!path || word(&at))
		log_error("Error in %s: \"%.64s\" is not ALGORITHM FILE [KID].", where, text);
	else if (!jwt_algorithm_find(name, &algorithm))
		log_error("Error in %s: \"%.64s\" is not HS256, RS256 or ES256.", where, name);
	else
		rc = add(keys, algorithm, path, kid, bytes, where);
	if (bytes)
		OPENSSL_cleanse(bytes, FILE_MAX);
	free(bytes);
	free(line);
	return rc;
}

/* ---- verifying ---------------------------------------------------------------------------------------------------- */

static bool verify_secret(const struct key *k, struct mqtt_str text, const uint8_t *signature, size_t len)
{
	uint8_t mac[SHA256_DIGEST_LENGTH];

	return len == sizeof(mac) && HMAC(EVP_sha256(), k->secret, (int)k->len, text.data, text.len, mac, NULL) &&
	       CRYPTO_memcmp(mac, signature, sizeof(mac)) == 0;
}

static bool verify_public(const struct key *k, struct mqtt_str text, const uint8_t *signature, size_t len)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool right = c && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
		     EVP_DigestVerify(c, signature, len, text.data, text.len) == 1;

	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return right;
}

/* The two numbers of the signature, one behind the other, as OpenSSL wants them: in DER. */
static bool verify_es256(const struct key *k, struct mqtt_str text, const uint8_t *signature, size_t len)
{
	ECDSA_SIG *numbers = ECDSA_SIG_new();
	BIGNUM *r = NULL, *s = NULL;
	uint8_t *der = NULL;
	int der_len = -1;
	bool right;

	if (numbers && len == (size_t)2 * ES256_HALF) {
		r = BN_bin2bn(signature, ES256_HALF, NULL);
		s = BN_bin2bn(signature + ES256_HALF, ES256_HALF, NULL);
	}
	if (r && s && ECDSA_SIG_set0(numbers, r, s) == 1) {
		der_len = i2d_ECDSA_SIG(numbers, &der);
	} else {
		BN_free(r);
		BN_free(s);
	}
	right = der_len > 0 && verify_public(k, text, der, (size_t)der_len);
	OPENSSL_free(der);
	ECDSA_SIG_free(numbers);
	return right;
}

static bool verify(const struct key *k, struct mqtt_str text, const uint8_t *signature, size_t len)
{
	switch (k->algorithm) {
	case JWT_HS256:
		return verify_secret(k, text, signature, len);
	case JWT_RS256:
		return verify_public(k, text, signature, len);
	default:
		return verify_es256(k, text, signature, len);
	}
}

static bool is_named(const struct key *k, const char *kid)
{
	return kid ? k->kid && strcmp(k->kid, kid) == 0 : !k->kid;
}

const uint8_t *jwt_keys_verify(const struct jwt_keys *keys, enum jwt_algorithm algorithm, const char *kid,
			       struct mqtt_str text, const uint8_t *signature, size_t len)
{
	for (const struct key *k = keys->first; k; k = k->next) {
		if (k->algorithm == algorithm && is_named(k, kid) && verify(k, text, signature, len))
			return k->id;
	}
	return NULL;
}
