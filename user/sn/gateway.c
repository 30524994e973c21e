// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The sockets: who a datagram is from, and where it goes. */
#include "sn/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/rate.h"
#include "broker/accept.h"
#include "broker/banning.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "net/address.h"
#include "sn/internal.h"

enum {
	SOCKETS_MAX = 16,
	ROUNDS = 4, /* batches of a turn: then others have their turn */
	LOG_AGAIN_S = 10,
	RECEIVE_BUFFER = 4 << 20,
};

/* Whose an address is. The owner's. */
struct sn_peer {
	struct table_node by_address;
	struct sn_address address;
	struct sn_client *client;
};

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct sn_address *a)
{
	uint8_t key[sizeof(struct in6_addr) + 4 + 2 + SN_NODE_MAX] = {0};
	size_t n = 0;

	if (a->at.sa.sa_family == AF_INET6) {
		memcpy(key, &a->at.in6.sin6_addr, sizeof(a->at.in6.sin6_addr));
		n = sizeof(a->at.in6.sin6_addr);
		memcpy(key + n, &a->at.in6.sin6_scope_id, 4);
		n += 4;
	} else {
		memcpy(key, &a->at.in.sin_addr, sizeof(a->at.in.sin_addr));
		n = sizeof(a->at.in.sin_addr);
	}
	/* The port is at the same place in both. */
	memcpy(key + n, &a->at.in.sin_port, 2);
	n += 2;
	memcpy(key + n, a->envelope.node, a->envelope.node_len);
	return hash_bytes(key, n + a->envelope.node_len);
}

static bool same_address(const struct sn_address *a, const struct sn_address *b)
{
	if (a->at.sa.sa_family != b->at.sa.sa_family || a->at.in.sin_port != b->at.in.sin_port ||
	    a->envelope.node_len != b->envelope.node_len ||
	    memcmp(a->envelope.node, b->envelope.node, a->envelope.node_len) != 0)
		return false;
	if (a->at.sa.sa_family == AF_INET)
		return a->at.in.sin_addr.s_addr == b->at.in.sin_addr.s_addr;
	return a->at.in6.sin6_scope_id == b->at.in6.sin6_scope_id &&
	       memcmp(&a->at.in6.sin6_addr, &b->at.in6.sin6_addr, sizeof(a->at.in6.sin6_addr)) == 0;
}

static struct sn_peer *find(struct sn_gateway *g, const struct sn_address *a)
{
	for (struct table_node *n = table_first(&g->peers, hash_of(a)); n; n = table_next(n)) {
		struct sn_peer *p = container_of(n, struct sn_peer, by_address);

		if (same_address(&p->address, a))
			return p;
	}
	return NULL;
}

/* NULL without memory. */
static struct sn_peer *add(struct sn_gateway *g, const struct sn_address *a)
{
	struct sn_peer *p = malloc(sizeof(*p));

	if (!p)
		return NULL;
	p->address = *a;
	p->client = NULL;
	if (table_insert(&g->peers, &p->by_address, hash_of(a))) {
		free(p);
		return NULL;
	}
	memory_took(sizeof(*p));
	return p;
}

static void drop(struct sn_gateway *g, struct sn_peer *p)
{
	table_remove(&g->peers, &p->by_address);
	memory_gave(sizeof(*p));
	free(p);
}

static void receive_free(struct inbox_item *item, void *worker)
{
	(void)worker;
	sn_client_free(container_of(item, struct sn_client, gone));
}

/* At the owner: the client has no connection any more. What was sent to it before reaches it before this comes back. */
static void receive_gone(struct inbox_item *item, void *worker)
{
	struct sn_client *k = container_of(item, struct sn_client, gone);
	struct sn_peer *p = find(k->gateway, &k->address);

	(void)worker;
	if (p && p->client == k)
		drop(k->gateway, p);
	k->gone.receive = receive_free;
	loop_send(&k->home->loop, &k->gone);
}

/* ---- mail -------------------------------------------------------------------------------------------------------- */

/* What came for a client goes to its home; without data, that the address is another's now. False: it does not. */
static bool post(struct sn_client *k, const struct sn_address *from, const uint8_t *data, size_t len)
{
	struct sn_gateway *g = k->gateway;
	struct sn_mail *m = NULL;

	/* The sender sends it again, if it matters to him. */
	if (__atomic_load_n(&g->mails, __ATOMIC_RELAXED) < SN_MAIL_MAX)
		m = malloc(sizeof(*m) + len);
	if (!m) {
		COUNTER_ADD(sn_ignored, 1);
		return false;
	}
	*m = (struct sn_mail){.gateway = g, .client = k, .address = *from, .replaced = !data, .len = len};
	if (data)
		memcpy(m->data, data, len);
	__atomic_add_fetch(&g->mails, 1, __ATOMIC_RELAXED);
	m->item.receive = sn_client_receive;
	if (k->home == g->worker)
		sn_client_receive(&m->item, k->home);
	else
		loop_send(&k->home->loop, &m->item);
	return true;
}

/* ---- datagrams --------------------------------------------------------------------------------------------------- */

static void name_of(const struct sn_address *a, char name[NET_ADDRESS_MAX])
{
	struct net_address address = net_address_of(&a->at.sa);

	net_address_name(&address, ntohs(a->at.in.sin_port), name);
}

static void malformed(struct sn_gateway *g, const struct sn_address *from)
{
	uint64_t now = g->worker->loop.now_ns;
	char name[NET_ADDRESS_MAX];

	COUNTER_ADD(sn_malformed, 1);
	g->malformed++;
	if (g->said_malformed_ns && now - g->said_malformed_ns < LOG_AGAIN_S * NS_PER_S)
		return;
	name_of(from, name);
	log_notice("MQTT-SN: dropped %llu malformed datagrams on port %u, the last one from %s.",
		   (unsigned long long)g->malformed, sn_conf(g)->port, name);
	g->said_malformed_ns = now;
	g->malformed = 0;
}

/* Nobody may make us do more than this for him. */
static bool too_fast(struct sn_gateway *g, const struct sn_address *from)
{
	struct net_address a = net_address_of(&from->at.sa);
	uint64_t *rate = &g->rates[hash_bytes(a.bytes, sizeof(a.bytes)) % SN_SOURCES];
	uint64_t now = g->worker->loop.now_ns;
	uint32_t max = sn_conf(g)->sn_rate;

	if (!max)
		return false;
	if (rate_wait(*rate, now)) {
		COUNTER_ADD(sn_limited, 1);
		return true;
	}
	*rate = rate_add(*rate, now, 1, max);
	return false;
}

static void refuse(struct sn_gateway *g, const struct sn_address *from, enum sn_code code, const char *why)
{
	uint64_t now = g->worker->loop.now_ns;
	char name[NET_ADDRESS_MAX];

	COUNTER_ADD(sockets_refused, code == SN_CONGESTION);
	sn_answer(g, from, &(struct sn_packet){.type = SN_CONNACK, .code = (uint8_t)code});
	if (!g->broker->conf->connection_messages ||
	    (g->said_refused_ns && now - g->said_refused_ns < LOG_AGAIN_S * NS_PER_S))
		return;
	g->said_refused_ns = now;
	name_of(from, name);
	log_notice("Client connection from %.*s denied: %s.", net_host_len(name), name, why);
}

/* A client that was not there, in place of the one whose the address was. False without memory. */
static bool begin_client(struct sn_gateway *g, struct sn_peer *peer, const struct sn_address *from, struct mqtt_str id,
			 const uint8_t *data, size_t len)
{
	struct sn_client *k = sn_client_new(g, from, id);
	bool known = peer;

	if (!k)
		return false;
	if (!known)
		peer = add(g, from);
	if (!peer || (known && !post(peer->client, from, NULL, 0))) {
		sn_client_free(k);
		return false;
	}
	peer->client = k;
	if (post(k, from, data, len))
		return true;
	drop(g, peer);
	sn_client_free(k);
	return false;
}

/* CONNECT: from here on the address is this client's. */
static void connect_from(struct sn_gateway *g, const struct sn_address *from, const struct sn_packet *p,
			 const uint8_t *data, size_t len)
{
	struct sn_peer *peer = find(g, from);

	if (!p->data.len || p->protocol != SN_PROTOCOL || memchr(p->data.data, 0, p->data.len)) {
		refuse(g, from, SN_NOT_SUPPORTED, p->data.len ? "it is not of MQTT-SN 1.2" : "no client identifier");
		return;
	}
	if (peer && mqtt_str_eq(mqtt_str(peer->client->id), p->data)) {
		(void)post(peer->client, from, data, len);
		return;
	}
	if (memory_short() || !accept_in_time(g->worker, g->listener)) {
		refuse(g, from, SN_CONGESTION,
		       memory_short() ? "memory_limit exceeded" : "max_connection_rate exceeded");
		return;
	}
	if (!begin_client(g, peer, from, p->data, data, len))
		refuse(g, from, SN_CONGESTION, "out of memory");
}

/* One that has no connection is told so, if it is to be expected that it believes to have one. It is never answered more than
 * it sent; and a DISCONNECT is not answered, so that two gateways cannot go on telling each other. */
static void stranger(struct sn_gateway *g, const struct sn_address *from, const struct sn_packet *p)
{
	switch (p->type) {
	case SN_REGISTER:
	case SN_PUBLISH:
	case SN_SUBSCRIBE:
	case SN_UNSUBSCRIBE:
	case SN_PINGREQ:
	case SN_WILLTOPICUPD:
	case SN_WILLMSGUPD:
		sn_answer(g, from, &(struct sn_packet){.type = SN_DISCONNECT, .empty = true});
		break;
	default:
		break;
	}
	COUNTER_ADD(sn_ignored, 1);
}

/* Of who has a connection it is known. */
static bool is_banned(const struct sn_gateway *g, const struct sn_address *from)
{
	struct net_address address;
	char peer[NET_ADDRESS_MAX];

	if (!bans_any(g->broker->bans, BAN_ADDRESS))
		return false;
	address = net_address_of(&from->at.sa);
	net_address_name(&address, ntohs(from->at.in.sin_port), peer);
	return banning_refuses_peer(g->worker, peer);
}

static void handle(struct sn_gateway *g, const struct sn_address *from, const struct sn_packet *p, const uint8_t *data,
		   size_t len)
{
	struct sn_peer *peer;

	if (p->type == SN_CONNECT) {
		connect_from(g, from, p, data, len);
		return;
	}
	if (p->type == SN_SEARCHGW) {
		sn_search(g, from);
		return;
	}
	if (p->type == SN_PUBLISH && p->qos == SN_QOS_MINUS_ONE) {
		if (!is_banned(g, from))
			sn_nobody_publishes(g, p);
		return;
	}
	peer = find(g, from);
	if (peer)
		(void)post(peer->client, from, data, len);
	else
		stranger(g, from, p);
}

void sn_take(struct sn_gateway *g, struct sn_address *from, const uint8_t *data, size_t len)
{
	struct sn_packet p;

	if (from->at.sa.sa_family != AF_INET && from->at.sa.sa_family != AF_INET6)
		return;
	COUNTER_ADD(sn_datagrams, 1);
	if (too_fast(g, from))
		return;
	if (!sn_unwrap(&data, &len, &from->envelope) || !sn_decode(data, len, &p))
		malformed(g, from);
	else
		handle(g, from, &p, data, len);
}

static void receive_returned(struct inbox_item *item, void *worker)
{
	struct sn_mail *m = container_of(item, struct sn_mail, item);
	struct worker *w = worker;
	struct sn_packet p;

	__atomic_sub_fetch(&m->gateway->mails, 1, __ATOMIC_RELAXED);
	if (!w->draining && sn_decode(m->data, m->len, &p))
		handle(m->gateway, &m->address, &p, m->data, m->len);
	free(m);
}

void sn_return(struct sn_mail *m)
{
	m->item.receive = receive_returned;
	loop_send(&m->gateway->worker->loop, &m->item);
}

static void ready(struct watch *watch, uint32_t events)
{
	struct sn_gateway *g = container_of(watch, struct sn_gateway, watch);

	(void)events;
	for (int i = 0; i < ROUNDS && sn_receive(g); i++)
		;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void free_gateway(struct sn_gateway *g)
{
	size_t bucket = 0;
	struct table_node *n;

	while ((n = table_any(&g->peers, &bucket)))
		drop(g, container_of(n, struct sn_peer, by_address));
	table_free(&g->peers);
	sn_nobody_close(g);
	sn_predefined_free(g->predefined);
	free(g->buffers);
	close(g->watch.fd);
	free(g);
}

/* What comes while the worker is busy waits there; more than the system's limit with the right to it. */
static void make_room(int fd)
{
	const int bytes = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* Takes the descriptor. 0 or -errno. */
static int add_gateway(struct broker *b, unsigned listener, int fd)
{
	const char *topics = b->conf->listeners[listener].sn_predefined;
	struct sn_gateway *g = calloc(1, sizeof(*g));
	const int on = 1;

	if (!g) {
		close(fd);
		return -ENOMEM;
	}
	g->watch = (struct watch){.fd = fd, .ready = ready};
	make_room(fd);
	if (net_is_ipv6(fd))
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	else
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	g->broker = b;
	g->listener = listener;
	g->next = b->gateways;
	b->gateways = g;
	g->buffers = malloc((size_t)SN_BATCH * SN_SIZE_MAX);
	if (!g->buffers)
		return -ENOMEM;
	if (topics) {
		g->predefined = sn_predefined_load(topics);
		if (!g->predefined)
			return -EINVAL;
	}
	return sn_discovery_open(g);
}

int sn_open(struct broker *b, unsigned listener)
{
	const struct conf_listener *l = &b->conf->listeners[listener];
	const char *error = "";
	int fds[SOCKETS_MAX];
	int n = net_listen_udp(l->address, l->port, l->family, fds, SOCKETS_MAX, &error), rc = 0;

	if (n < 0) {
		log_error("Error: Unable to listen on %s UDP port %u: %s.", l->address ? l->address : "any address",
			  l->port, error);
		return n;
	}
	for (int i = 0; i < n; i++) {
		if (rc) {
			close(fds[i]);
			continue;
		}
		rc = guard_listening(fds[i], false, false);
		if (rc)
			log_warning("Guard: not on UDP port %u: %s.", l->port, strerror(-rc));
		log_info("Opening %s MQTT-SN socket on port %u.", net_is_ipv6(fds[i]) ? "ipv6" : "ipv4", l->port);
		rc = add_gateway(b, listener, fds[i]);
	}
	return rc;
}

int sn_start(struct worker *w)
{
	struct broker *b = w->broker;
	unsigned i = 0;

	for (struct sn_gateway *g = b->gateways; g; g = g->next) {
		int rc;

		if (i++ % b->nworkers != w->index)
			continue;
		g->worker = w;
		rc = sn_nobody_open(g);
		if (!rc)
			rc = loop_watch(&w->loop, &g->watch, EPOLLIN);
		if (rc)
			return rc;
		sn_discovery_start(g);
	}
	return 0;
}

void sn_stop(struct worker *w)
{
	for (struct sn_gateway *g = w->broker->gateways; g; g = g->next) {
		if (g->worker != w)
			continue;
		timer_stop(&w->loop.timers, &g->advertise);
		loop_unwatch(&w->loop, &g->watch);
	}
}

void sn_close(struct broker *b)
{
	while (b->gateways) {
		struct sn_gateway *g = b->gateways;

		b->gateways = g->next;
		free_gateway(g);
	}
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

struct sn_client *sn_client_new(struct sn_gateway *g, const struct sn_address *a, struct mqtt_str id)
{
	struct sn_client *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->id = mqtt_str_dup(id);
	if (!k->id) {
		free(k);
		return NULL;
	}
	memory_took(sizeof(*k) + id.len);
	k->gateway = g;
	k->address = *a;
	k->home = worker_of(g->broker, k->id, id.len);
	k->gone.receive = receive_gone;
	return k;
}

void sn_client_free(struct sn_client *k)
{
	memory_gave(sizeof(*k) + strlen(k->id));
	free(k->will_topic);
	free(k->pending.packet);
	free(k->id);
	free(k);
}
