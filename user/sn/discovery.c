// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* How clients find the gateway, section 6.1: ADVERTISE from time to time, GWINFO when one searches. The answer is as long as
 * the question, so that nobody can have more sent to another than he sends himself. */
#include <errno.h>
#include <net/if.h>

#include "base/log.h"
#include "net/address.h"
#include "sn/internal.h"

static void advertise(struct timer *t)
{
	struct sn_gateway *g = container_of(t, struct sn_gateway, advertise);
	const struct conf_listener *l = sn_conf(g);
	struct sn_address to = {0};

	memcpy(&to.at, &g->everybody, sizeof(to.at));
	sn_answer(g, &to,
		  &(struct sn_packet){.type = SN_ADVERTISE, .gateway = l->sn_gateway_id, .duration = l->sn_advertise});
	loop_after(&g->worker->loop, t, l->sn_advertise * UINT64_C(1000), advertise);
}

void sn_discovery_start(struct sn_gateway *g)
{
	if (sn_conf(g)->sn_advertise && g->everybody.sa.sa_family != AF_UNSPEC)
		advertise(&g->advertise);
}

void sn_search(struct sn_gateway *g, const struct sn_address *from)
{
	sn_answer(g, from, &(struct sn_packet){.type = SN_GWINFO, .gateway = sn_conf(g)->sn_gateway_id});
}

/* Join the group on the interface that the routes choose. */
static int join(struct sn_gateway *g, const struct net_address *group)
{
	int rc;

	if (group->family == AF_INET) {
		struct ip_mreq r = {0};

		memcpy(&r.imr_multiaddr, group->bytes, sizeof(r.imr_multiaddr));
		rc = setsockopt(g->watch.fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &r, sizeof(r));
	} else {
		struct ipv6_mreq r = {0};

		memcpy(&r.ipv6mr_multiaddr, group->bytes, sizeof(r.ipv6mr_multiaddr));
		rc = setsockopt(g->watch.fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &r, sizeof(r));
	}
	return rc < 0 ? -errno : 0;
}

int sn_discovery_open(struct sn_gateway *g)
{
	const struct conf_listener *l = sn_conf(g);
	const int on = 1;
	struct net_address group = {0};
	int family = net_is_ipv6(g->watch.fd) ? AF_INET6 : AF_INET, rc = 0;
	bool multicast = false;

	/* IPv6 has no broadcast. */
	if (!l->sn_multicast && family == AF_INET)
		group = net_address_ipv4((const uint8_t[4]){255, 255, 255, 255});
	if (l->sn_multicast && net_address_parse(l->sn_multicast, strlen(l->sn_multicast), &group)) {
		multicast = group.family == AF_INET ? group.bytes[0] >> 4 == 14 : group.bytes[0] == 0xff;
		if (multicast && group.family == family)
			rc = join(g, &group);
	}
	if (rc)
		log_error("Error: Unable to join %s for the listener in %s: %s.", l->sn_multicast, l->where,
			  strerror(-rc));
	if (rc || group.family != family)
		return rc;
	if (family == AF_INET) {
		g->everybody.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(l->port)};
		memcpy(&g->everybody.in.sin_addr, group.bytes, sizeof(g->everybody.in.sin_addr));
		if (!multicast && setsockopt(g->watch.fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0)
			return -errno;
	} else {
		g->everybody.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
		memcpy(&g->everybody.in6.sin6_addr, group.bytes, sizeof(g->everybody.in6.sin6_addr));
	}
	return 0;
}
