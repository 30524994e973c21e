/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What stands between the sockets of a listener's clients and MQTT: a proxy's header, TLS, WebSocket. A struct gate is
 * immutable, made when the daemon starts and anew at each reload, and shared by all threads by counted references: who is
 * on its way in goes on by the one it began with.
 */
#ifndef SHUNT_GATE_H
#define SHUNT_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "net/upgrade.h"

struct conf;
struct conf_listener;
struct tls_context;
struct tls_tickets;

struct gate {
	unsigned refs;
	uint8_t proxy;		 /* version of the PROXY header that comes first; 0: none does */
	bool proxy_requires_tls; /* the client must have come to the proxy by TLS */
	struct network *trusted; /* proxies that may say who the client is */
	size_t ntrusted;
	struct tls_context *tls; /* a reference; NULL: no TLS */
	bool websockets;
	struct upgrade_rules upgrade; /* with `websockets` */
	char **origins;		      /* those of `upgrade` */
	bool identity;		      /* who the client is follows from its certificate or key */
};

/* The gate of a listener that is not plain, as `l` has it; `psk_file` is its file of keys or NULL. It has one reference.
 * NULL after logging what is wrong. Blocks for file I/O. Any thread, after hash_init(). */
struct gate *gate_load(const struct conf_listener *l, const char *psk_file, struct tls_tickets *tickets);

/* References: one more, one less; the last one frees it. NULL is allowed. Any thread. */
struct gate *gate_ref(struct gate *g);
void gate_unref(struct gate *g);

/* Is the peer one of the trusted proxies? */
bool gate_trusts(const struct gate *g, const char *peer);

#endif
