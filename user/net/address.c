// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
	IPV4_LEN = 4,
	IPV6_LEN = 16,
	MAPPED_AT = IPV6_LEN - IPV4_LEN, /* where the IPv4 address is in one that is mapped */
};

static const char unix_text[] = "unix";

struct net_address net_address_ipv4(const uint8_t bytes[4])
{
	struct net_address a = {.family = AF_INET};

	memcpy(a.bytes, bytes, IPV4_LEN);
	return a;
}

struct net_address net_address_ipv6(const uint8_t bytes[16])
{
	static const uint8_t mapped[MAPPED_AT] = {[10] = 0xff, [11] = 0xff};
	struct net_address a = {.family = AF_INET6};

	if (!memcmp(bytes, mapped, sizeof(mapped)))
		return net_address_ipv4(bytes + MAPPED_AT);
	memcpy(a.bytes, bytes, IPV6_LEN);
	return a;
}

struct net_address net_address_of(const struct sockaddr *sa)
{
	switch (sa->sa_family) {
	case AF_INET:
		return net_address_ipv4((const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr);
	case AF_INET6:
		return net_address_ipv6(((const struct sockaddr_in6 *)sa)->sin6_addr.s6_addr);
	case AF_UNIX:
		return (struct net_address){.family = AF_UNIX};
	}
	return (struct net_address){.family = AF_UNSPEC};
}

bool net_address_parse(const char *text, size_t len, struct net_address *a)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[IPV6_LEN];

	if (len >= sizeof(copy) || memchr(text, '\0', len))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, bytes) == 1)
		*a = net_address_ipv4(bytes);
	else if (inet_pton(AF_INET6, copy, bytes) == 1)
		*a = net_address_ipv6(bytes);
	else
		return false;
	return true;
}

struct net_address net_address_of_peer(const char *peer)
{
	struct net_address a = {.family = AF_UNSPEC};

	if (!strncmp(peer, "unix:", sizeof(unix_text)))
		a.family = AF_UNIX;
	else
		net_address_parse(peer, (size_t)net_host_len(peer), &a);
	return a;
}

void net_address_name(const struct net_address *a, uint16_t port, char name[NET_ADDRESS_MAX])
{
	char host[INET6_ADDRSTRLEN];

	name[0] = '\0';
	if (a->family == AF_UNIX)
		snprintf(name, NET_ADDRESS_MAX, "%s:0", unix_text);
	else if (a->family != AF_UNSPEC && inet_ntop(a->family, a->bytes, host, sizeof(host)))
		snprintf(name, NET_ADDRESS_MAX, "%s:%u", host, port);
}

/* A decimal number up to `max` without sign and leading zeros; -1 if it is none. */
static int parse_prefix(const char *text, int max)
{
	int n = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		n = 10 * n + (*text - '0');
		if (n > max)
			return -1;
	}
	return n;
}

/* Have both the same first bits? */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

	return !memcmp(a, b, bits / 8) && (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

static bool has_bits_beyond(const struct net_address *a, unsigned prefix, unsigned bits)
{
	for (unsigned bit = prefix; bit < bits; bit++) {
		if (a->bytes[bit / 8] & 0x80 >> bit % 8)
			return true;
	}
	return false;
}

const char *network_parse(const char *text, struct network *n)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct net_address a = {.family = AF_UNSPEC};
	int bits, written, prefix;

	if (!strcmp(text, unix_text)) {
		*n = (struct network){.address = {.family = AF_UNIX}};
		return NULL;
	}
	if (!net_address_parse(text, len, &a))
		return "it is no address, no network and not \"unix\"";
	bits = 8 * (a.family == AF_INET ? IPV4_LEN : IPV6_LEN);
	/* The prefix of a mapped address counts the bits of IPv6. */
	written = memchr(text, ':', len) ? 8 * IPV6_LEN : bits;
	prefix = slash ? parse_prefix(slash + 1, written) : written;
	if (prefix < written - bits)
		return "the number of bits after '/' is not right";
	prefix -= written - bits;
	if (has_bits_beyond(&a, (unsigned)prefix, (unsigned)bits))
		return "the address has bits set behind those that count";
	*n = (struct network){.address = a, .prefix = (uint8_t)prefix};
	return NULL;
}

/* All bits of an address of the family. */
static uint8_t bits_of(sa_family_t family)
{
	return 8 * (family == AF_INET ? IPV4_LEN : IPV6_LEN);
}

struct network network_of(const struct net_address *a, uint8_t prefix)
{
	struct network n = {.address = *a, .prefix = prefix < bits_of(a->family) ? prefix : bits_of(a->family)};

	memset(n.address.bytes, 0, sizeof(n.address.bytes));
	memcpy(n.address.bytes, a->bytes, (n.prefix + 7U) / 8);
	if (n.prefix % 8)
		n.address.bytes[n.prefix / 8] &= (uint8_t)(0xff00 >> n.prefix % 8);
	return n;
}

const char *network_name(const struct network *n, char name[NETWORK_NAME_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";

	if (n->address.family == AF_UNIX)
		snprintf(name, NETWORK_NAME_MAX, "%s", unix_text);
	else if (!inet_ntop(n->address.family, n->address.bytes, host, sizeof(host)))
		name[0] = '\0';
	else if (n->prefix == bits_of(n->address.family))
		snprintf(name, NETWORK_NAME_MAX, "%s", host);
	else
		snprintf(name, NETWORK_NAME_MAX, "%s/%u", host, n->prefix);
	return name;
}

bool networks_have(const struct network *networks, size_t count, const struct net_address *a)
{
	for (size_t i = 0; a->family != AF_UNSPEC && i < count; i++) {
		if (networks[i].address.family == a->family &&
		    same_bits(networks[i].address.bytes, a->bytes, networks[i].prefix))
			return true;
	}
	return false;
}
