/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses of peers, and networks of them that are trusted: proxies that may say who the client is. No state of its own:
 * any thread.
 */
#ifndef SHUNT_ADDRESS_H
#define SHUNT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/listener.h"

/* Where a peer is, without its port. An IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2) is an IPv4
 * address here, whichever way it came: it must not slip past a rule for the other form. */
struct net_address {
	sa_family_t family; /* AF_INET, AF_INET6, AF_UNIX (which has no bytes), or AF_UNSPEC: not known */
	uint8_t bytes[16];  /* in network order; of AF_INET the first 4 */
};

/* The address in a socket address; AF_UNSPEC for other families. */
struct net_address net_address_of(const struct sockaddr *sa);

/* Of 4 or 16 bytes in network order. */
struct net_address net_address_ipv4(const uint8_t bytes[4]);
struct net_address net_address_ipv6(const uint8_t bytes[16]);

/* Read an IPv4 address of four decimal numbers or an IPv6 address (RFC 4291, section 2.2), without brackets, port, zone or
 * spaces. False: it is something else, *a is as it was. */
bool net_address_parse(const char *text, size_t len, struct net_address *a);

/* Read the name that net_accept() gave a peer. AF_UNSPEC if it is none. */
struct net_address net_address_of_peer(const char *peer);

/* Write a name like those of net_accept(): "ADDRESS:PORT"; "unix:0" for AF_UNIX, whose process is not of our PID
 * namespace; "" when the address is not known. */
void net_address_name(const struct net_address *a, uint16_t port, char name[NET_ADDRESS_MAX]);

/* Addresses that begin with the same bits. */
struct network {
	struct net_address address;
	uint8_t prefix; /* bits; 0 with AF_UNIX */
};

/* Read "ADDRESS/PREFIX", "ADDRESS" (it alone), or "unix" (who comes by a Unix socket). NULL; or, in words, why it is
 * refused, *n is then as it was. An address with bits beyond the prefix is refused, as most likely a slip. */
const char *network_parse(const char *text, struct network *n);

/* That which has the address, an IPv4 or IPv6 address, and all that begin with the same `prefix` bits. */
struct network network_of(const struct net_address *a, uint8_t prefix);

enum { NETWORK_NAME_MAX = INET6_ADDRSTRLEN + 4 };
/* Write it as network_parse() reads it, without a prefix if it is one address. Returns `name`. */
const char *network_name(const struct network *n, char name[NETWORK_NAME_MAX]);

/* Is the address in one of the `count` networks? One that is not known is in none. A network of IPv6 has no IPv4 addresses
 * in it, "::/0" included. */
bool networks_have(const struct network *networks, size_t count, const struct net_address *a);

#endif
