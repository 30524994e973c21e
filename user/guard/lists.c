// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What the guard goes by: lists of prefixes, bans, budgets, listeners. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "guard/internal.h"

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

/* All 16 bytes of an address. */
static void map_address(const struct net_address *a, uint8_t to[16])
{
	memset(to, 0, 16);
	if (a->family == AF_INET) {
		to[10] = to[11] = 0xff;
		memcpy(to + SHUNT_GUARD_MAPPED_BITS / 8, a->bytes, 4);
	} else {
		memcpy(to, a->bytes, 16);
	}
}

void guard_key(const struct network *n, struct shunt_guard_prefix *key)
{
	key->bits = n->prefix + (n->address.family == AF_INET ? SHUNT_GUARD_MAPPED_BITS : 0U);
	map_address(&n->address, key->address);
}

/* ---- lists --------------------------------------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
	struct shunt_guard_prefix a, b;

	guard_key(x, &a);
	guard_key(y, &b);
	return memcmp(&a, &b, sizeof(a));
}

/* The networks of a list of texts, sorted. 0 or -ENOMEM. */
static int read_list(char *const *texts, struct guard_list *out)
{
	size_t n = 0;

	*out = (struct guard_list){0};
	while (texts && texts[n])
		n++;
	if (!n)
		return 0;
	out->networks = calloc(n, sizeof(*out->networks));
	if (!out->networks)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!network_parse(texts[i], &out->networks[out->count])) /* the configuration has no others */
			out->count++;
	}
	qsort(out->networks, out->count, sizeof(*out->networks), compare);
	return 0;
}

/* Rules that stay keep their counts: only what is new or gone is touched. Both lists are sorted. */
static int change_list(int fd, const struct guard_list *was, const struct guard_list *next)
{
	const struct shunt_guard_rule rule = {0};
	struct shunt_guard_prefix key;
	size_t i = 0, k = 0;
	int error = 0;

	while (i < was->count || k < next->count) {
		int order = i == was->count    ? 1
			    : k == next->count ? -1
					       : compare(&was->networks[i], &next->networks[k]);

		if (order < 0) {
			guard_key(&was->networks[i++], &key);
			(void)bpf_map_delete_elem(fd, &key); /* twice in the list: gone already */
		} else if (order > 0) {
			guard_key(&next->networks[k++], &key);
			if (bpf_map_update_elem(fd, &key, &rule, BPF_ANY))
				error = -errno;
		} else {
			i++, k++;
		}
	}
	return error;
}

static int set_list(int fd, struct guard_list *list, char *const *texts, volatile uint32_t *entries)
{
	struct guard_list next;
	int error = read_list(texts, &next);

	if (error)
		return error;
	error = change_list(fd, list, &next);
	*entries = (uint32_t)next.count;
	free(list->networks);
	*list = next;
	return error;
}

void guard_lists_free(void)
{
	free(guard.allowed.networks);
	free(guard.blocked.networks);
	guard.allowed = guard.blocked = (struct guard_list){0};
}

/* ---- budgets ------------------------------------------------------------------------------------------------------- */

static void set_budget(volatile struct shunt_guard_budget *to, const struct guard_rate *r)
{
	uint64_t cost = r->rate ? NS_PER_S / r->rate : 0;

	to->depth_ns = cost * r->burst;
	to->cost_ns = cost;
}

int guard_update(const struct guard_rules *rules)
{
	int error, other;

	if (!guard.bpf)
		return 0;
	set_budget(&guard.control->connections, &rules->connections);
	set_budget(&guard.control->packets, &rules->packets);
	set_budget(&guard.control->syns, &rules->syns);
	guard.control->udp_size = rules->udp_size;
	guard.control->ipv6_bits = rules->ipv6_prefix;
	/* Who is to be let in first: never is one in the second list only. */
	error = set_list(guard.allowed_fd, &guard.allowed, rules->allow, &guard.control->allowed);
	other = set_list(guard.blocked_fd, &guard.blocked, rules->block, &guard.control->blocked);
	return error ? error : other;
}

/* ---- bans ---------------------------------------------------------------------------------------------------------- */

int guard_ban(const struct network *n, uint64_t until_ns)
{
	const struct shunt_guard_rule rule = {.until_ns = until_ns};
	struct shunt_guard_prefix key;

	if (!guard.bpf)
		return 0;
	guard_key(n, &key);
	if (bpf_map_update_elem(guard.banned_fd, &key, &rule, BPF_ANY))
		return -errno;
	__atomic_store_n(&guard.control->banned, 1, __ATOMIC_RELAXED);
	return 0;
}

int guard_unban(const struct network *n)
{
	struct shunt_guard_prefix key;

	if (!guard.bpf)
		return 0;
	guard_key(n, &key);
	return bpf_map_delete_elem(guard.banned_fd, &key) && errno != ENOENT ? -errno : 0;
}

/* ---- listeners ----------------------------------------------------------------------------------------------------- */

static int add_listener(const struct net_address *address, uint16_t port, uint16_t protocol,
			const struct shunt_guard_listener *value)
{
	struct shunt_guard_address key = {.port = port, .protocol = protocol};

	map_address(address, key.address);
	return bpf_map_update_elem(guard.listeners_fd, &key, value, BPF_ANY) ? -errno : 0;
}

/* Does a socket on all addresses of IPv6 have those of IPv4 as well? */
static bool takes_ipv4(int fd, const struct sockaddr_in6 *in6)
{
	socklen_t len = sizeof(int);
	int only = 1;

	return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) && !getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) &&
	       !only;
}

int guard_listening(int fd, bool mqtt, bool shared)
{
	const struct shunt_guard_listener value = {.mqtt = mqtt, .shared = shared};
	const struct net_address any = {.family = AF_INET};
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr = {0};
	socklen_t len = sizeof(addr), type_len = sizeof(int);
	struct net_address address;
	uint16_t port, protocol;
	int error, type;

	if (!guard.bpf)
		return 0;
	if (getsockname(fd, &addr.any, &len) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len))
		return -errno;
	protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	address = net_address_of(&addr.any);
	if (addr.any.sa_family != AF_INET6)
		return add_listener(&address, ntohs(addr.in.sin_port), protocol, &value);
	port = ntohs(addr.in6.sin6_port);
	error = add_listener(&address, port, protocol, &value);
	if (!error && takes_ipv4(fd, &addr.in6))
		error = add_listener(&any, port, protocol, &value);
	return error;
}
