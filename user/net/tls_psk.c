// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/tls_psk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/hash.h"
#include "base/lines.h"
#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "mqtt/utf8.h"
#include "net/tls_file.h"

enum {
	DIGEST_LEN = 32,
	MADE_LEN = 32, /* of the keys that nobody knows */
};

struct entry {
	struct table_node node;
	size_t line; /* where it stands, for messages */
	uint8_t key[TLS_PSK_KEY_MAX];
	uint8_t key_len;
	uint8_t identity_len;
	char identity[];
};

struct tls_psk {
	unsigned refs; /* atomic; all else is written before it is shared */
	struct table by_identity;
	uint8_t secret[DIGEST_LEN]; /* what the keys that nobody knows are made of */
	uint8_t digest[DIGEST_LEN];
};

struct tls_psk *tls_psk_ref(struct tls_psk *psk)
{
	__atomic_add_fetch(&psk->refs, 1, __ATOMIC_RELAXED);
	return psk;
}

void tls_psk_unref(struct tls_psk *psk)
{
	struct table_node *n;
	size_t bucket = 0;

	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!psk || __atomic_sub_fetch(&psk->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	while ((n = table_any(&psk->by_identity, &bucket))) {
		struct entry *e = container_of(n, struct entry, node);

		table_remove(&psk->by_identity, n);
		OPENSSL_cleanse(e->key, sizeof(e->key));
		free(e);
	}
	table_free(&psk->by_identity);
	OPENSSL_cleanse(psk->secret, sizeof(psk->secret));
	free(psk);
}

size_t tls_psk_count(const struct tls_psk *psk)
{
	return psk->by_identity.count;
}

const uint8_t *tls_psk_digest(const struct tls_psk *psk)
{
	return psk->digest;
}

static struct entry *find(const struct tls_psk *psk, const void *identity, size_t len)
{
	for (struct table_node *n = table_first(&psk->by_identity, hash_bytes(identity, len)); n; n = table_next(n)) {
		struct entry *e = container_of(n, struct entry, node);

		if (e->identity_len == len && !memcmp(e->identity, identity, len))
			return e;
	}
	return NULL;
}

size_t tls_psk_find(const struct tls_psk *psk, const void *identity, size_t len, uint8_t key[TLS_PSK_KEY_MAX])
{
	const struct entry *e = find(psk, identity, len);

	if (!e)
		return 0;
	memcpy(key, e->key, e->key_len);
	return e->key_len;
}

size_t tls_psk_find_or_make(const struct tls_psk *psk, const void *identity, size_t len, uint8_t key[TLS_PSK_KEY_MAX],
			    bool *known)
{
	size_t n;

	/* Also for those that are known: what is done must not tell. */
	if (!HMAC(EVP_sha256(), psk->secret, sizeof(psk->secret), identity, len, key, NULL))
		return 0;
	n = tls_psk_find(psk, identity, len, key);
	*known = n > 0;
	return n ? n : MADE_LEN;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
	struct tls_psk *psk;
	EVP_MD_CTX *digest;
	struct lines at;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The key into `e`; NULL, or what is wrong with it. */
static const char *parse_key(const char *hex, size_t len, struct entry *e)
{
	if (len == 0)
		return "there is no key behind the colon";
	for (size_t i = 0; i < len; i++) {
		if (hex_digit(hex[i]) < 0)
			return "the key has characters that are no hexadecimal digits";
	}
	if (len % 2)
		return "the key has an odd number of digits";
	if (len / 2 > TLS_PSK_KEY_MAX)
		return "the key is longer than 64 bytes";
	for (size_t i = 0; i < len / 2; i++)
		e->key[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
	e->key_len = (uint8_t)(len / 2);
	return NULL;
}

/* Its digest depends on the order in the file, which does no harm. Lengths keep apart what stands side by side. */
static bool digest_entry(const struct reading *r, const struct entry *e)
{
	return EVP_DigestUpdate(r->digest, &e->identity_len, 1) &&
	       EVP_DigestUpdate(r->digest, e->identity, e->identity_len) &&
	       EVP_DigestUpdate(r->digest, &e->key_len, 1) && EVP_DigestUpdate(r->digest, e->key, e->key_len);
}

static int add(const struct reading *r, const char *identity, size_t len, const char *hex, size_t hex_len)
{
	const struct entry *other = find(r->psk, identity, len);
	const char *why;
	struct entry *e;

	if (other)
		return lines_fault(&r->at, "the identity \"%.*s\" is in line %zu already", (int)len, identity,
				   other->line);
	e = calloc(1, sizeof(*e) + len);
	if (!e)
		return lines_fault(&r->at, "out of memory");
	e->line = r->at.line;
	e->identity_len = (uint8_t)len;
	memcpy(e->identity, identity, len);
	why = parse_key(hex, hex_len, e);
	if (!why && (!digest_entry(r, e) || table_insert(&r->psk->by_identity, &e->node, hash_bytes(identity, len))))
		why = "out of memory";
	if (why) {
		OPENSSL_cleanse(e->key, sizeof(e->key));
		free(e);
		return lines_fault(&r->at, "%s", why);
	}
	if (e->key_len < TLS_PSK_KEY_GOOD)
		log_warning("Warning in %s:%zu: the key has %d bytes; it should have %d at least, of a random number "
			    "generator.",
			    r->at.path, r->at.line, e->key_len, TLS_PSK_KEY_GOOD);
	return 0;
}

static size_t trim(const char **text, size_t len)
{
	while (len && strchr(" \t\r\n", (*text)[len - 1]))
		len--;
	while (len && strchr(" \t", **text)) {
		++*text;
		len--;
	}
	return len;
}

/* One line of `len` bytes. */
static int read_line(void *arg, char *text, size_t len)
{
	const struct reading *r = arg;
	const char *line = text, *colon, *key;
	size_t identity_len;

	len = trim(&line, len);
	if (!len || line[0] == '#')
		return 0;
	colon = memchr(line, ':', len);
	if (!colon)
		return lines_fault(&r->at, "there is no colon behind an identity");
	key = colon + 1;
	len -= (size_t)(key - line);
	identity_len = trim(&line, (size_t)(colon - line));
	if (!identity_len)
		return lines_fault(&r->at, "there is no identity before the colon");
	if (identity_len > TLS_PSK_IDENTITY_MAX)
		return lines_fault(&r->at, "the identity is longer than %d bytes", TLS_PSK_IDENTITY_MAX);
	/* It may become a user name. */
	if (!utf8_valid((const uint8_t *)line, identity_len))
		return lines_fault(&r->at, "the identity is no UTF-8, or has control characters");
	len = trim(&key, len);
	return add(r, line, identity_len, key, len);
}

struct tls_psk *tls_psk_read(FILE *f, const char *path)
{
	struct reading r = {.psk = calloc(1, sizeof(*r.psk)), .digest = EVP_MD_CTX_new(), .at.path = path};
	int err = -1;

	if (r.psk)
		r.psk->refs = 1;
	if (!r.psk || !r.digest || !EVP_DigestInit_ex(r.digest, EVP_sha256(), NULL) ||
	    RAND_bytes(r.psk->secret, sizeof(r.psk->secret)) != 1) {
		log_error("Error: Unable to read %s: %s.", path, strerror(ENOMEM));
		goto out;
	}
	err = lines_read(&r.at, f, read_line, &r);
	if (!err && !EVP_DigestFinal_ex(r.digest, r.psk->digest, NULL)) {
		log_error("Error: Unable to read %s: %s.", path, strerror(ENOMEM));
		err = -1;
	}
out:
	EVP_MD_CTX_free(r.digest);
	if (!err)
		return r.psk;
	tls_psk_unref(r.psk);
	return NULL;
}

struct tls_psk *tls_psk_load(const char *path)
{
	FILE *f = fopen(path, "re");
	struct tls_psk *psk;

	if (!f) {
		log_error("Error: Unable to read %s: %s.", path, strerror(errno));
		return NULL;
	}
	tls_file_check_secret(fileno(f), path);
	psk = tls_psk_read(f, path);
	fclose(f);
	return psk;
}
