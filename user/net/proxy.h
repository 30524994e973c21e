/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The header that a proxy puts in front of a connection to say who the client is: the PROXY protocol, versions 1 and 2, of
 * HAProxy's doc/proxy-protocol.txt. Whether a header is to be there is a matter of configuration and never guessed, and only
 * trusted peers may send one (section 5), see address.h.
 *
 * Nothing is kept between calls, and nothing allocated: the caller gives all that has come so far, again with more when more
 * has come. With MSG_PEEK it can leave in the socket what is not part of the header, as a TLS library needs it.
 */
#ifndef SHUNT_PROXY_H
#define SHUNT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt/str.h"
#include "net/address.h"

enum {
	PROXY_V1_MAX = 107, /* bytes, section 2.1 */
	/* Of version 2 with its TLVs, where the protocol would allow 65551: room for the client's certificate, the largest
	 * that is sent. */
	PROXY_HEADER_MAX = 8192,
};

enum proxy_result {
	PROXY_NEED_MORE, /* what is there is the beginning of a header: `need` is set */
	PROXY_DONE,	 /* there is a header: all but `need` and `why` is set */
	PROXY_BAD,	 /* no header begins so: `why` is set; the connection is to be closed (section 2.1) */
};

/* Texts point into the header. They are not verified by anybody but the proxy; `authority` and `common_name` are UTF-8 as
 * MQTT wants it. */
struct proxy_header {
	size_t need;	 /* with fewer bytes in all there is no header, though it may turn out to be none */
	const char *why; /* static text */
	size_t consumed; /* the header's length: what follows is the client's */
	uint8_t version; /* 1 or 2 */

	/* Is the connection the proxy's own, a health check (LOCAL, section 2.2)? Then all below is empty. */
	bool local;

	/* The client; AF_UNSPEC and "" when the proxy does not know (UNKNOWN, UNSPEC) or `local`: then the socket's peer is
	 * the one to name. */
	struct net_address address;
	char peer[NET_ADDRESS_MAX]; /* as net_accept() would call it */

	/* Version 2 only; empty when the proxy does not tell. */
	struct mqtt_str alpn;	   /* the protocol, section 2.2.1 */
	struct mqtt_str authority; /* the host that the client asked for, of TLS the server name (SNI), section 2.2.2 */
	bool tls;		   /* the client came by TLS, section 2.2.6 */
	bool certified;		   /* and gave a certificate that the proxy has verified */
	struct mqtt_str common_name; /* of that certificate's subject; always empty if it is not verified */
};

/* Read the header from data[0, len), all that has come since the connection began. */
enum proxy_result proxy_parse(const uint8_t *data, size_t len, struct proxy_header *h);

#endif
