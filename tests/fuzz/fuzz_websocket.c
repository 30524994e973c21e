// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a client of a WebSocket listener sends. The first byte tells what the others are:
 *	u	a request to upgrade
 *	f	frames, against a naive server; the second byte is for how they are cut
 *	n	a network, a NUL, and an address
 */
#include <stddef.h>
#include <stdint.h>

#include "../unit/websocket_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void fuzz_upgrade(const uint8_t *data, size_t size)
{
	static const char *const origins[] = {"https://example.org", "null"};
	static const struct upgrade_rules all, some = {.origins = origins, .origin_count = 2, .size_max = 400};
	struct network trusted[2];
	char peer[NET_ADDRESS_MAX];
	struct net_address client;
	struct upgrade u;

	must(!check_upgrade(data, size, &some));
	must(!check_upgrade(data, size, &all));
	if (upgrade_parse(data, size, &all, &u) != UPGRADE_DONE)
		return;
	must(u.path.len && u.path.data[0] == '/' && u.host.len && u.status == 101);
	must(!network_parse("10.0.0.0/8", &trusted[0]) && !network_parse("2001:db8::/32", &trusted[1]));
	must(upgrade_client(&u, trusted, 2, peer) == (peer[0] != '\0'));
	client = net_address_of_peer(peer);
	must((client.family != AF_UNSPEC) == (peer[0] != '\0'));
}

/* What is read can be written and is in the network of its own. */
static void fuzz_network(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	struct network n, own;
	struct net_address a;
	char name[NET_ADDRESS_MAX];

	if (!nul)
		return;
	if (!network_parse((const char *)data, &n) && n.address.family != AF_UNIX) {
		must(networks_have(&n, 1, &n.address));
		must(n.prefix <= (n.address.family == AF_INET ? 32 : 128));
	}
	if (!net_address_parse((const char *)nul + 1, size - (size_t)(nul - data) - 1, &a))
		return;
	net_address_name(&a, 1, name);
	name[net_host_len(name)] = '\0';
	must(!network_parse(name, &own) && networks_have(&own, 1, &a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	switch (data[0]) {
	case 'u':
		fuzz_upgrade(data + 1, size - 1);
		break;
	case 'f':
		must(!check_websocket(data + 2, size - 2, data[1]));
		break;
	case 'n':
		fuzz_network(data + 1, size - 1);
		break;
	}
	return 0;
}
