// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Who a client is by its certificate or key. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "mqtt/utf8.h"
#include "net/tls_internal.h"

enum { USERNAME_MAX = 65535 };

/* A copy of what may be a user name; NULL with *why. */
static char *username(const void *data, size_t len, const char **why)
{
	char *copy = NULL;

	/* A NUL is no UTF-8 here: nobody may be taken for whoever stands before it. */
	if (!len || len > USERNAME_MAX || !utf8_valid(data, len))
		*why = len ? "its name is no user name of MQTT" : "its name is empty";
	else if (!(copy = malloc(len + 1)))
		*why = "out of memory";
	if (copy) {
		memcpy(copy, data, len);
		copy[len] = '\0';
	}
	return copy;
}

static X509_NAME *subject_of(const struct tls_stream *s, const char **why)
{
	const X509 *cert = SSL_get0_peer_certificate(s->ssl);

	if (!cert)
		*why = "it has no certificate";
	return cert ? X509_get_subject_name(cert) : NULL;
}

char *tls_stream_common_name(const struct tls_stream *s, const char **why)
{
	const X509_NAME *subject = subject_of(s, why);
	unsigned char *text = NULL;
	char *name;
	int at, len;

	if (!subject)
		return NULL;
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0) {
		*why = "its certificate has no common name";
		return NULL;
	}
	len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len < 0) {
		ERR_clear_error();
		*why = "its name is no user name of MQTT";
		return NULL;
	}
	name = username(text, (size_t)len, why);
	OPENSSL_free(text);
	return name;
}

char *tls_stream_subject(const struct tls_stream *s, const char **why)
{
	const X509_NAME *subject = subject_of(s, why);
	char *text, *name = NULL;
	BIO *bio;
	long len;

	if (!subject)
		return NULL;
	bio = BIO_new(BIO_s_mem());
	/* With 0 for an empty subject, too. */
	if (bio && X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253) >= 0) {
		len = BIO_get_mem_data(bio, &text);
		name = username(text, (size_t)len, why);
	} else {
		*why = "out of memory";
	}
	BIO_free(bio);
	ERR_clear_error();
	return name;
}

char *tls_stream_username(const struct tls_stream *s, const char **why)
{
	size_t len;
	const char *identity;

	*why = "";
	if (s->context->subject_as_username)
		return tls_stream_subject(s, why);
	if (!s->context->identity_as_username)
		return NULL;
	identity = tls_stream_psk_identity(s, &len);
	return identity ? username(identity, len, why) : tls_stream_common_name(s, why);
}

/* ---- after a reload ----------------------------------------------------------------------------------------------- */

static bool same_key(const struct tls_psk *before, const struct tls_psk *now, const char *identity, size_t len)
{
	uint8_t old[TLS_PSK_KEY_MAX], new[TLS_PSK_KEY_MAX];
	size_t old_len = before ? tls_psk_find(before, identity, len, old) : 0;
	bool same = old_len && now && tls_psk_find(now, identity, len, new) == old_len &&
		    !CRYPTO_memcmp(old, new, old_len);

	OPENSSL_cleanse(old, sizeof(old));
	OPENSSL_cleanse(new, sizeof(new));
	return same;
}

static bool verifies(const struct tls_stream *s, SSL_CTX *now)
{
	X509 *cert = SSL_get0_peer_certificate(s->ssl);
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	bool fine = false;

	if (cert && c &&
	    X509_STORE_CTX_init(c, SSL_CTX_get_cert_store(now), cert, SSL_get_peer_cert_chain(s->ssl)) == 1 &&
	    X509_STORE_CTX_set_default(c, "ssl_client") == 1 &&
	    X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(c), SSL_CTX_get0_param(now)) == 1)
		fine = X509_verify_cert(c) == 1;
	X509_STORE_CTX_free(c);
	ERR_clear_error();
	return fine;
}

bool tls_stream_stands(const struct tls_stream *s, const struct tls_context *now)
{
	const char *identity;
	size_t len;

	if (!memcmp(s->context->trust, now->trust, TLS_TRUST_LEN))
		return true;
	identity = tls_stream_psk_identity(s, &len);
	if (identity)
		return same_key(s->context->psk, now->psk, identity, len);
	return !(SSL_CTX_get_verify_mode(now->ssl) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) || verifies(s, now->ssl);
}
