// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Tickets, and what they carry beside OpenSSL's own. That OpenSSL compares the session id context of a ticket with the
 * listener's does most of it: as context serves a digest of all that clients are trusted by, so that whoever was let in
 * by other rules has to show again who it is.
 *
 * With a ticket goes a note: until when the session may be resumed, and the identity of the key in TLS 1.3, which OpenSSL
 * keeps in TLS 1.2 only. The identity is kept with the session and not noted when a client names it, because a client
 * may name several, and be let in by another one, or by a ticket.
 */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "net/tls_internal.h"

struct note {
	int64_t until; /* seconds since the epoch; 0: not said yet */
	uint8_t identity_len;
	char identity[TLS_PSK_IDENTITY_MAX];
};

/* What is stored of it. */
static size_t note_size(const struct note *n)
{
	return offsetof(struct note, identity) + n->identity_len;
}

/* False: there is none, or it is none of ours. */
static bool note_get(SSL_SESSION *session, struct note *n)
{
	void *data;
	size_t len;

	if (!session || SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 ||
	    len < offsetof(struct note, identity) || len > sizeof(*n))
		return false;
	*n = (struct note){0};
	memcpy(n, data, len);
	return note_size(n) == len;
}

int tls_session_set_identity(SSL_SESSION *session, const unsigned char *identity, size_t len)
{
	struct note n = {.identity_len = (uint8_t)len};

	memcpy(n.identity, identity, len);
	return SSL_SESSION_set1_ticket_appdata(session, &n, note_size(&n)) == 1 ? 0 : -1;
}

const char *tls_session_identity(const SSL *ssl, size_t *len)
{
	SSL_SESSION *session = SSL_get_session(ssl);
	const char *identity = SSL_get_psk_identity(ssl);
	void *data;
	size_t size;

	if (SSL_version(ssl) < TLS1_3_VERSION) {
		*len = identity ? strlen(identity) : 0;
		return identity;
	}
	if (!session || SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1 ||
	    size <= offsetof(struct note, identity))
		return NULL;
	*len = size - offsetof(struct note, identity);
	return (const char *)data + offsetof(struct note, identity);
}

static int64_t expiry(const X509 *cert)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) ? timegm(&tm) : 0;
}

/* The session is about to go into a ticket. A resumed one has its note already, and keeps it. */
static int make_ticket(SSL *ssl, void *arg)
{
	SSL_SESSION *session = SSL_get_session(ssl);
	const X509 *cert;
	struct note n;

	(void)arg;
	if (!note_get(session, &n))
		n = (struct note){0};
	if (n.until)
		return 1;
	n.until = time(NULL) + TLS_RESUME_MAX;
	cert = SSL_SESSION_get0_peer(session);
	if (cert && expiry(cert) < n.until)
		n.until = expiry(cert);
	return SSL_SESSION_set1_ticket_appdata(session, &n, note_size(&n));
}

static SSL_TICKET_RETURN take_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
				     SSL_TICKET_STATUS status, void *arg)
{
	struct note n;

	(void)name, (void)name_len, (void)arg;
	if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_ABORT;
	if (!note_get(session, &n) || n.until < time(NULL))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	tls_notes(ssl)->ticket_taken = true;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		      int seal)
{
	struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	int rc;

	if (seal)
		return tls_tickets_seal(context->tickets, name, iv, cipher, mac) ? -1 : 1;
	rc = tls_tickets_open(context->tickets, name, iv, cipher, mac);
	/* In TLS 1.3 a client uses a ticket once, so that nobody can tell by it who comes back. */
	return rc == 1 && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : rc;
}

int tls_session_init(struct tls_context *context)
{
	SSL_CTX *ssl = context->ssl;

	/* Tickets only: nothing is stored. One at a time, for a client of MQTT has one connection. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_timeout(ssl, TLS_TICKETS_LIFE);
	return SSL_CTX_set_session_id_context(ssl, context->trust, TLS_TRUST_LEN) == 1 &&
			       SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key) == 1 &&
			       SSL_CTX_set_session_ticket_cb(ssl, make_ticket, take_ticket, NULL) == 1
		       ? 0
		       : -1;
}
