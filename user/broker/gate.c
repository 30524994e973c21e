// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/gate.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/tls.h"

/* Who may say who the client is, when no trusted_proxy is given. */
static const char *const this_host[] = {"127.0.0.0/8", "::1", "unix", NULL};

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int take_trusted(struct gate *g, const struct conf_listener *l)
{
	const char *const *from = l->trusted_proxies ? (const char *const *)l->trusted_proxies : this_host;

	g->ntrusted = count(from);
	g->trusted = calloc(g->ntrusted + 1, sizeof(g->trusted[0]));
	for (size_t i = 0; g->trusted && i < g->ntrusted; i++)
		network_parse(from[i], &g->trusted[i]); /* it was read before */
	return g->trusted ? 0 : -1;
}

static int take_origins(struct gate *g, const struct conf_listener *l)
{
	size_t n = count((const char *const *)l->websockets_origins);

	g->upgrade.size_max = l->websockets_headers_size;
	if (!n)
		return 0;
	g->origins = calloc(n + 1, sizeof(g->origins[0]));
	for (size_t i = 0; g->origins && i < n; i++) {
		g->origins[i] = strdup(l->websockets_origins[i]);
		if (!g->origins[i])
			return -1;
	}
	g->upgrade.origins = (const char *const *)g->origins;
	g->upgrade.origin_count = n;
	return g->origins ? 0 : -1;
}

/* "CERTFILE KEYFILE" in two; free() the first. False without memory. */
static bool split_pair(const char *text, struct tls_pair *pair)
{
	char *copy = strdup(text), *blank;

	if (!copy)
		return false;
	blank = copy + strcspn(copy, " \t");
	*blank++ = '\0';
	*pair = (struct tls_pair){copy, blank + strspn(blank, " \t")};
	return true;
}

static struct tls_context *make_tls(const struct conf_listener *l, const char *psk_file, struct tls_tickets *tickets)
{
	size_t n = count((const char *const *)l->tls_certificates);
	struct tls_pair *pairs = calloc(n + 1, sizeof(pairs[0]));
	struct tls_context *context = NULL;
	size_t made = 0;

	while (pairs && made < n && split_pair(l->tls_certificates[made], &pairs[made]))
		made++;
	if (pairs && made == n)
		context = tls_context_new(&(struct tls_config){
			.certfile = l->certfile,
			.keyfile = l->keyfile,
			.keyform = l->keyform,
			.pairs = pairs,
			.npairs = n,
			.require_certificate = l->require_certificate,
			.cafile = l->cafile,
			.capath = l->capath,
			.crlfile = l->crlfile,
			.psk_hint = l->psk_hint,
			.psk_file = psk_file,
			.use_identity_as_username = l->use_identity_as_username,
			.use_subject_as_username = l->use_subject_as_username,
			.tls_version = l->tls_version,
			.ciphers = l->ciphers,
			.ciphers_tls13 = l->ciphers_tls13,
			.dhparamfile = l->dhparamfile,
			.alpn = l->protocol == CONF_WEBSOCKETS ? "http/1.1" : NULL,
			.tickets = tickets,
		});
	else
		log_error("Error: Out of memory.");
	for (size_t i = 0; i < made; i++)
		free((char *)pairs[i].certfile);
	free(pairs);
	return context;
}

struct gate *gate_load(const struct conf_listener *l, const char *psk_file, struct tls_tickets *tickets)
{
	struct gate *g = calloc(1, sizeof(*g));
	int err = -1;

	if (g) {
		g->refs = 1;
		g->proxy = (uint8_t)l->proxy_protocol;
		g->proxy_requires_tls = l->proxy_requires_tls;
		g->websockets = l->protocol == CONF_WEBSOCKETS;
		g->identity = l->use_identity_as_username || l->use_subject_as_username;
		err = take_trusted(g, l) || take_origins(g, l);
	}
	if (err) {
		log_error("Error: Out of memory.");
	} else if (conf_has_tls(l)) {
		g->tls = make_tls(l, psk_file, tickets);
		err = g->tls ? 0 : -1;
		if (err)
			log_error("Error: There is no TLS for the listener in %s because of the above.", l->where);
	}
	if (!err)
		return g;
	gate_unref(g);
	return NULL;
}

struct gate *gate_ref(struct gate *g)
{
	if (g)
		__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
	return g;
}

void gate_unref(struct gate *g)
{
	if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL))
		return;
	tls_context_unref(g->tls);
	for (size_t i = 0; g->origins && g->origins[i]; i++)
		free(g->origins[i]);
	free(g->origins);
	free(g->trusted);
	free(g);
}

bool gate_trusts(const struct gate *g, const char *peer)
{
	struct net_address a = net_address_of_peer(peer);

	return networks_have(g->trusted, g->ntrusted, &a);
}
