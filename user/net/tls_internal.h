/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the parts of TLS know of each other: the context, the stream, and the functions that OpenSSL calls in a handshake. */
#ifndef SHUNT_TLS_INTERNAL_H
#define SHUNT_TLS_INTERNAL_H

#include <stdint.h>

#include <openssl/ssl.h>

#include "net/tls.h"
#include "net/tls_psk.h"
#include "net/tls_stream.h"

enum {
	TLS_TRUST_LEN = 32,
	TLS_ALPN_MAX = 255,
	TLS_FIRST_MAX = 5,
};

/* A certificate with its key. */
struct tls_certificate {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* NULL: none */
};

struct tls_context {
	unsigned refs; /* atomic; all else is written before it is shared */
	SSL_CTX *ssl;
	struct tls_certificate *certificates; /* certfile is the first */
	size_t ncertificates;
	struct tls_psk *psk; /* NULL: none */
	struct tls_tickets *tickets;
	uint8_t trust[TLS_TRUST_LEN]; /* a digest of all that clients are let in by */
	bool identity_as_username, subject_as_username;
	uint8_t alpn_len;
	char alpn[TLS_ALPN_MAX]; /* no NUL at the end */
};

/* What a handshake found out, for the words about its failure; of the stream. */
struct tls_notes {
	bool psk_unknown;  /* a client named an identity that is not there */
	bool psk_known;	   /* or one that is */
	bool ticket_taken; /* a ticket was accepted */
	bool alpn_refused;
	bool done; /* the handshake */
};

struct tls_stream {
	SSL *ssl;
	struct tls_context *context;
	int fd;
	struct tls_notes notes;
	int error;		      /* -errno of the socket, or -EPROTO, by which it ended; 0: it goes on */
	bool ended;		      /* recv() said so */
	bool eof, truncated;	      /* the client's side ended, without close_notify */
	bool socket_empty;	      /* the last recv() said so */
	uint8_t first_len;	      /* of what the client sent first, */
	uint8_t first[TLS_FIRST_MAX]; /* to say what it was if it was no TLS */
	uint32_t key_updates;	      /* of the client */
	size_t torn;
	uint64_t read; /* bytes of data */
	char reason[TLS_REASON_MAX];
};

/* Of a stream's SSL. */
struct tls_notes *tls_notes(const SSL *ssl);

/* tls_handshake.c: have OpenSSL call them. 0, or -1 without memory. */
int tls_handshake_init(struct tls_context *context);

/* tls_session.c: what is kept with a session, in its tickets too. */

/* Have tickets made and taken, as long as `trust` is the same. 0, or -1 without memory. */
int tls_session_init(struct tls_context *context);

/* Remember whose key of TLS 1.3 a new session is for. 0, or -1 without memory. */
int tls_session_set_identity(SSL_SESSION *session, const unsigned char *identity, size_t len);

/* The identity of the key that the connection's session began with; NULL: there was no key. */
const char *tls_session_identity(const SSL *ssl, size_t *len);

#endif
