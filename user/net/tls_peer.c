// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Who a client is by its certificate or key. */
#include <stdlib.h>
#include <string.h>

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
