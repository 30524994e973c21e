// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/tls_reason.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "net/tls_internal.h"

/* Where OpenSSL's own words say too little. */
static const struct {
	int reason; /* SSL_R_... */
	const char *text;
} words[] = {
	{SSL_R_HTTP_REQUEST, "an HTTP request, without TLS"},
	{SSL_R_HTTPS_PROXY_REQUEST, "an HTTP request, without TLS"},
	{SSL_R_NO_SHARED_CIPHER, "no shared cipher"},
	{SSL_R_NO_SUITABLE_KEY_SHARE, "no shared curve"},
	{SSL_R_NO_SHARED_GROUPS, "no shared curve"},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "the client cannot verify signatures of the server's kind of key"},
	{SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "the client cannot verify signatures of the server's kind of key"},
	{SSL_R_UNSUPPORTED_PROTOCOL, "the client's version of TLS is too old, see tls_version"},
	{SSL_R_VERSION_TOO_LOW, "the client's version of TLS is too old, see tls_version"},
	{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client did not return a certificate"},
	{SSL_R_NO_APPLICATION_PROTOCOL, "the client offers only other protocols (ALPN)"},
	{SSL_R_UNEXPECTED_EOF_WHILE_READING, "the client closed the connection"},
	{SSL_R_BAD_LENGTH, "a malformed message"},
	{SSL_R_LENGTH_MISMATCH, "a malformed message"},
	{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record that was forged or damaged"},
};

/* Of certificates: shorter than OpenSSL's where that helps. */
static const char *verify_error(long error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "unknown CA";
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		return "crlfile has no list of its CA";
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return "the list of its CA in crlfile is out of date";
	default:
		return X509_verify_cert_error_string(error);
	}
}

/* What came was no TLS from the first byte. */
static const char *no_tls(const uint8_t first[TLS_FIRST_MAX])
{
	static const uint8_t connect = 0x10; /* CONNECT of MQTT, then its length, then that of "MQTT" or "MQIsdp" */

	return first[0] == connect ? "an MQTT packet, without TLS" : "what the client sent is no TLS";
}

/* The error that the others are about: OpenSSL tells first what failed below TLS. */
static unsigned long take_error(void)
{
	unsigned long first = ERR_peek_error(), error;

	while ((error = ERR_get_error())) {
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE || ERR_GET_LIB(error) == ERR_LIB_SSL) {
			first = error;
			break;
		}
	}
	ERR_clear_error();
	return first;
}

/* What our own functions found out in the handshake; NULL: nothing about it. */
static const char *noted(const struct tls_stream *s, int reason)
{
	const bool no_certificate = !s->context->ncertificates;

	if (s->notes.alpn_refused)
		return "the client offers only other protocols (ALPN)";
	switch (reason) {
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
	case SSL_R_DIGEST_CHECK_FAILED:
	case SSL_R_BINDER_DOES_NOT_VERIFY:
		if (s->notes.psk_unknown)
			return "an identity that psk_file does not have";
		return s->notes.psk_known ? "another key than psk_file has for the identity" : NULL;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
		if (no_certificate && s->notes.psk_unknown)
			return "an identity that psk_file does not have";
		return no_certificate ? "the client offers no key, and there is no certificate" : NULL;
	default:
		return NULL;
	}
}

static const char *in_words(int reason)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].reason == reason)
			return words[i].text;
	}
	return NULL;
}

void tls_reason(struct tls_stream *s)
{
	const unsigned long error = take_error();
	const int reason = ERR_GET_REASON(error);
	const char *text = ERR_reason_error_string(error), *better = NULL;
	char *out = s->reason;

	if (reason == ERR_R_MALLOC_FAILURE) {
		better = "out of memory";
	} else if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
		if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
			snprintf(out, TLS_REASON_MAX, "the client's certificate: %s",
				 verify_error(SSL_get_verify_result(s->ssl)));
			return;
		}
		if (reason > SSL_AD_REASON_OFFSET) {
			snprintf(out, TLS_REASON_MAX, "the client refused: %s",
				 SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
			return;
		}
		if (reason == SSL_R_WRONG_VERSION_NUMBER && s->first[0] != SSL3_RT_HANDSHAKE)
			better = no_tls(s->first);
		if (!better && !s->notes.done)
			better = noted(s, reason);
		if (!better)
			better = in_words(reason);
	}
	snprintf(out, TLS_REASON_MAX, "%s", better ? better : text ? text : "an error of TLS");
}
