/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TLS for a listener: what its connections have in common. Connections are in tls_stream.h.
 *
 * TLS 1.2 and 1.3, without compression, renegotiation or early data (which an attacker can send twice). By default the
 * ciphers and curves are those of Mozilla's "intermediate" recommendation and the client's preference decides, because
 * all are good and a small device knows best which is fast for it. The order of `ciphers` or `ciphers_tls1.3`, if one is
 * given, and of the ciphers where there is psk_hint, is the broker's preference, as with mosquitto.
 *
 * Clients without a certificate or a key of their own are told from each other by nothing here. With require_certificate
 * a client needs a certificate of a CA in cafile or capath that is neither expired nor revoked; with psk_hint it may
 * have a key of psk_file instead, and needs no certificate then. Where both certfile and psk_hint are given the client
 * chooses. Unlike mosquitto, TLS 1.3 is there with keys, too (with SHA-256, as RFC 8446, 4.2.11 has it for keys whose
 * hash nobody said).
 *
 * Sessions are resumed by tickets, in both versions, which spares a client the certificates and the broker its most
 * expensive operation. A ticket is good as long as nothing changed that the client was let in by: the contents of
 * cafile, crlfile and psk_file, the time of capath, and whether a certificate is required; as long as the client's
 * certificate has not expired; and TLS_RESUME_MAX seconds at most after the client last proved who it is, however often
 * it resumed. After that, and whenever a ticket is of no use, the handshake is a full one, and the client notices
 * nothing. The server's own certificates do not matter.
 *
 * ALPN (RFC 7301): `mqtt` is chosen when the client offers it. A client that offers others only is refused with
 * no_application_protocol, which the RFC asks for and which keeps browsers and attacks across protocols (ALPACA) out;
 * mosquitto does not look at it. A client without ALPN, as most are, is served.
 *
 * Kernel TLS is not used. OpenSSL of Debian 12 is built with it, but kernels may lack it, as those of small virtual
 * machines do, and in TLS 1.3 a client that changes its keys is not followed (OpenSSL's issue 16307).
 */
#ifndef SHUNT_TLS_H
#define SHUNT_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/tls_tickets.h"

enum { TLS_RESUME_MAX = 24 * 3600 };

/* One more certificate of a listener, for other host names. */
struct tls_pair {
	const char *certfile;
	const char *keyfile;
};

/* The options of a listener, with the names of mosquitto.conf(5). Strings that are NULL are not given; all are only
 * used while the context is made. */
struct tls_config {
	/* The server. Files are PEM. */
	const char *certfile;	/* the certificate, then those between it and its CA */
	const char *keyfile;	/* not encrypted */
	const char *keyform;	/* "pem"; "engine" is refused */
	const char *tls_engine; /* refused: engines are on their way out of OpenSSL */

	/* Its other certificates, chosen by the name that the client asks for (SNI): the first of all, certfile included, that
	 * has exactly this name, else the first with a wildcard for it, else certfile; and beside it those for the same
	 * name with keys of another kind (RSA, ECDSA), between which the client's abilities decide. */
	const struct tls_pair *pairs;
	size_t npairs;

	/* Clients with certificates. */
	bool require_certificate; /* without it they are not asked for theirs */
	const char *cafile; /* their CAs; also completes the chain of certfile, when that has one certificate only */
	const char *capath; /* the same, a folder as `openssl rehash` makes it */
	/* Revoked ones: needs a list for each CA, which is not out of date. As with mosquitto it is looked at for the
	 * client's certificate only, not for the CA's own. */
	const char *crlfile;

	/* Clients with keys. */
	const char *psk_hint; /* lets them in; those of TLS 1.2 are sent this text, if it is not empty */
	const char *psk_file; /* see tls_psk.h; not read without psk_hint */

	bool use_identity_as_username; /* the common name of the certificate, or the identity of the key */
	bool use_subject_as_username;  /* the whole subject of the certificate */

	const char *tls_version; /* the least: "tlsv1.2", which is the default, or "tlsv1.3" */
	const char *ciphers;	 /* of TLS 1.2, in OpenSSL's syntax */
	/* ciphers_tls1.3: names with colons between. With psk_hint those with SHA256 must be first: OpenSSL chooses the
	 * cipher before it looks at the client's key, which fits no other. */
	const char *ciphers_tls13;
	const char *dhparamfile; /* without it, as long as the key of the certificate asks for */

	const char *alpn; /* what the listener speaks; NULL: "mqtt" */

	/* Of all contexts whose sessions may be resumed by one another, so of all listeners and through all reloads; the
	 * context takes a reference. NULL: it has its own. */
	struct tls_tickets *tickets;
};

/* Immutable, and shared by all threads by counted references. A reload makes a new one; swapping is the caller's, as
 * with auth_store. Streams keep the one they began with. */
struct tls_context;

/* Read the files and make a context with one reference. NULL after logging all that is wrong. What is only unwise is
 * logged as a warning: a certificate that has expired, a key that everybody can read. Blocks for file I/O. Any thread,
 * after hash_init() of base/hash.h. */
struct tls_context *tls_context_new(const struct tls_config *config);

/* References: one more, one less; the last one frees it. NULL is allowed for the latter. Any thread. */
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);

#endif
