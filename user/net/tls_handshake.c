// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What is decided in a handshake: the certificate, the protocol, and the key of the client. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/x509v3.h>

#include "net/tls_internal.h"

static struct tls_context *context_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* ---- SNI -------------------------------------------------------------------------------------------------------- */

static bool has_name(const struct tls_certificate *c, const char *name, unsigned flags)
{
	return X509_check_host(c->cert, name, 0, flags | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* The first certificate for this name. *flags: as what the name was found. NULL: there is none. */
static const struct tls_certificate *first_of(const struct tls_context *context, const char *name, unsigned *flags)
{
	static const unsigned ways[] = {X509_CHECK_FLAG_NO_WILDCARDS, 0};

	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		*flags = ways[way];
		for (size_t i = 0; i < context->ncertificates; i++) {
			if (has_name(&context->certificates[i], name, *flags))
				return &context->certificates[i];
		}
	}
	return NULL;
}

static bool use(SSL *ssl, const struct tls_certificate *c)
{
	return SSL_use_cert_and_key(ssl, c->cert, c->key, c->chain, 1) == 1;
}

/* Beside `first`, those for the same name with keys of other kinds: OpenSSL has room for one of each. */
static bool use_other_kinds(SSL *ssl, const struct tls_certificate *first, const struct tls_certificate *end,
			    const char *name, unsigned flags)
{
	for (const struct tls_certificate *c = first + 1; c < end; c++) {
		bool taken = !has_name(c, name, flags);

		for (const struct tls_certificate *other = first; other < c && !taken; other++)
			taken = EVP_PKEY_get_base_id(other->key) == EVP_PKEY_get_base_id(c->key) &&
				has_name(other, name, flags);
		if (!taken && !use(ssl, c))
			return false;
	}
	return true;
}

/* Called once the ClientHello is read, but not when a session is resumed. */
static int choose_certificate(SSL *ssl, void *arg)
{
	const struct tls_context *context = context_of(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_certificate *first;
	unsigned flags = 0;

	(void)arg;
	first = name ? first_of(context, name, &flags) : NULL;
	SSL_certs_clear(ssl);
	if (!first)
		return use(ssl, context->certificates);
	return use(ssl, first) &&
	       use_other_kinds(ssl, first, context->certificates + context->ncertificates, name, flags);
}

/* Tell the client that its name was looked at. A name that is unknown is no reason to refuse it: it is the client who
 * has to check whom it talks to. */
static int accept_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- ALPN ------------------------------------------------------------------------------------------------------- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
			   unsigned in_len, void *arg)
{
	const struct tls_context *context = context_of(ssl);

	(void)arg;
	for (unsigned at = 0; at < in_len; at += 1 + in[at]) {
		if (in[at] == context->alpn_len && in_len - at > in[at] &&
		    !memcmp(in + at + 1, context->alpn, in[at])) {
			*out = in + at + 1;
			*out_len = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	tls_notes(ssl)->alpn_refused = true;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* Of TLS 1.2. Also called in TLS 1.3 when the other one found nothing, which is no business of this one. */
static unsigned find_key(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
	const struct tls_context *context = context_of(ssl);
	struct tls_notes *notes = tls_notes(ssl);
	uint8_t found[TLS_PSK_KEY_MAX];
	size_t len;
	bool known;

	if (SSL_version(ssl) >= TLS1_3_VERSION || !identity)
		return 0;
	len = tls_psk_find_or_make(context->psk, identity, strlen(identity), found, &known);
	if (len && len <= max) {
		memcpy(key, found, len);
		notes->psk_known = known;
		notes->psk_unknown = !known;
	}
	OPENSSL_cleanse(found, sizeof(found));
	return len <= max ? (unsigned)len : 0;
}

/* Of TLS 1.3: what the client names may as well be a ticket, so that an unknown one must be passed by. */
static int find_session(SSL *ssl, const unsigned char *identity, size_t len, SSL_SESSION **out)
{
	static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
	const struct tls_context *context = context_of(ssl);
	struct tls_notes *notes = tls_notes(ssl);
	uint8_t key[TLS_PSK_KEY_MAX];
	size_t key_len = tls_psk_find(context->psk, identity, len, key);
	SSL_SESSION *session;
	int ok;

	*out = NULL;
	if (!key_len) {
		notes->psk_unknown = true;
		return 1;
	}
	session = SSL_SESSION_new();
	ok = session && SSL_SESSION_set1_master_key(session, key, key_len) == 1 &&
	     SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, aes_128_gcm_sha256)) == 1 &&
	     SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 &&
	     !tls_session_set_identity(session, identity, len);
	OPENSSL_cleanse(key, sizeof(key));
	if (!ok) {
		SSL_SESSION_free(session);
		return 0;
	}
	notes->psk_known = true;
	*out = session;
	return 1;
}

int tls_handshake_init(struct tls_context *context)
{
	SSL_CTX *ssl = context->ssl;

	if (context->ncertificates > 1)
		SSL_CTX_set_cert_cb(ssl, choose_certificate, NULL);
	if (context->psk) {
		SSL_CTX_set_psk_server_callback(ssl, find_key);
		SSL_CTX_set_psk_find_session_callback(ssl, find_session);
	}
	SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	return SSL_CTX_set_tlsext_servername_callback(ssl, accept_name) == 1 ? 0 : -1;
}
