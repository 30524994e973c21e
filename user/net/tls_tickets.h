/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The keys of session tickets. A ticket is a session that the client keeps, encrypted by a key that only the broker
 * knows: nothing is stored here for it. The keys belong to no context, so that clients can resume their sessions when
 * the certificates were replaced meanwhile, and any listener can resume what another began; whether it may is the
 * context's to say, see tls.h.
 *
 * Keys rotate by themselves: TLS_TICKETS_ROTATE seconds after a key was made a new one takes its place, and the old one
 * only opens the tickets it made, for as long again. Then it is wiped, by the next handshake with a ticket. Who steals
 * the memory can read resumed sessions of TLS 1.2 back to that time, and no others: in TLS 1.3 each has a key exchange
 * of its own.
 */
#ifndef SHUNT_TLS_TICKETS_H
#define SHUNT_TLS_TICKETS_H

#include <stdbool.h>

#include <openssl/evp.h>

enum {
	TLS_TICKETS_ROTATE = 12 * 3600, /* seconds */
	TLS_TICKETS_LIFE = 12 * 3600,	/* seconds a ticket is good for; not more than a key is kept after its last */
	TLS_TICKET_NAME_LEN = 16,
};

struct tls_tickets;

/* Keys with one reference; NULL without memory or random numbers, after logging it. */
struct tls_tickets *tls_tickets_new(void);

/* References: one more, one less; the last one wipes and frees. NULL is allowed for the latter. Any thread. */
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
void tls_tickets_unref(struct tls_tickets *tickets);

/* Make a new key now. 0, or -1 without random numbers: then the one there is stays. Any thread. */
int tls_tickets_rotate(struct tls_tickets *tickets);

/* Prepare to make a ticket: stores the key's name and a new initialisation vector of 16 bytes. 0 or -1. Any thread. */
int tls_tickets_seal(struct tls_tickets *tickets, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac);

/* Prepare to open one. 1; 2: it should be replaced, for its key is not used for new ones any more; 0: there is no such
 * key; -1 without memory. Any thread. */
int tls_tickets_open(struct tls_tickets *tickets, const unsigned char *name, const unsigned char *iv,
		     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

#endif
