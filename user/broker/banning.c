// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/banning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/broker.h"
#include "broker/durable.h"
#include "broker/gate.h"
#include "broker/internal.h"
#include "broker/strikes.h"

enum {
	SWEEP_MS = 100,	  /* between two looks at all connections, for bans that nobody waits for */
	IPV4_PREFIX = 32, /* what is banned of who misbehaves: */
	IPV6_PREFIX = 64, /* mostly all that a host has */
	REASON_LEN_MAX = 200,
};

int banning_open(struct broker *b)
{
	b->bans = bans_new();
	b->strikes = strikes_new();
	if (b->bans && b->strikes)
		return 0;
	log_error("Error: Out of memory.");
	return -ENOMEM;
}

void banning_close(struct broker *b)
{
	bans_free(b->bans);
	strikes_free(b->strikes);
	b->bans = NULL;
	b->strikes = NULL;
}

/* ---- refusing ---------------------------------------------------------------------------------------------------- */

static bool is_banned_peer(const struct worker *w, const char *peer)
{
	struct net_address a;

	if (!bans_any(w->broker->bans, BAN_ADDRESS))
		return false;
	a = net_address_of_peer(peer);
	return bans_have_address(w->broker->bans, &a, w->loop.now_ns);
}

static bool is_banned_name(const struct conn *c, enum ban_kind kind, struct mqtt_str name)
{
	const struct ban_subject who = {.kind = kind, .name = name, .space = conn_namespace(c)->name};

	return name.len && bans_have(c->worker->broker->bans, &who, c->worker->loop.now_ns);
}

static struct mqtt_str string(const char *s)
{
	return s ? mqtt_str(s) : (struct mqtt_str){0};
}

bool banning_refuses_peer(struct worker *w, const char *peer)
{
	if (!is_banned_peer(w, peer))
		return false;
	COUNTER_ADD(connections_banned, 1);
	return true;
}

bool banning_refuses(const struct conn *c, struct mqtt_str username)
{
	if (!is_banned_name(c, BAN_CLIENT, string(c->client_id)) && !is_banned_name(c, BAN_USER, username))
		return false;
	COUNTER_ADD(connections_banned, 1);
	return true;
}

/* ---- cutting off ------------------------------------------------------------------------------------------------- */

static bool is_banned(const struct conn *c)
{
	const struct session *s = c->session;

	return is_banned_peer(c->worker, c->peer) || is_banned_name(c, BAN_CLIENT, string(s ? s->id : c->client_id)) ||
	       is_banned_name(c, BAN_USER, string(s ? s->username : c->username));
}

static void sweep(struct worker *w, void *arg)
{
	struct list *next;

	(void)arg;
	w->swept_ns = w->loop.now_ns;
	for (struct list *l = w->conns.next; l != &w->conns; l = next) {
		struct conn *c = container_of(l, struct conn, all);

		next = l->next; /* of others, closing one only breaks connections */
		if (is_banned(c))
			conn_close(c, CLOSE_BANNED);
	}
}

static void sweep_late(struct timer *t)
{
	sweep(container_of(t, struct worker, sweep_later), NULL);
}

/* Somebody who brings about many bans must not make us look at all others for each of them. */
static void receive_sweep(struct inbox_item *item, void *receiver)
{
	struct worker *w = receiver;
	uint64_t since = (w->loop.now_ns - w->swept_ns) / NS_PER_MS;

	__atomic_store_n(&container_of(item, struct worker, sweep)->sweep_sent, false, __ATOMIC_SEQ_CST);
	if (w->swept_ns && since < SWEEP_MS)
		loop_after(&w->loop, &w->sweep_later, SWEEP_MS - since, sweep_late);
	else
		sweep(w, NULL);
}

/* Let all workers look who is banned now. On a worker, which therefore waits for none. */
static void send_sweeps(struct broker *b)
{
	for (unsigned i = 0; i < b->started; i++) {
		struct worker *w = &b->workers[i];

		if (__atomic_exchange_n(&w->sweep_sent, true, __ATOMIC_SEQ_CST))
			continue;
		w->sweep.receive = receive_sweep;
		loop_send(&w->loop, &w->sweep);
	}
}

/* ---- bans by order ----------------------------------------------------------------------------------------------- */

struct bans *broker_bans(void)
{
	return the_broker.bans;
}

static void log_ban(const struct ban *ban)
{
	char who[BAN_WHO_MAX], length[32] = "until it is lifted";

	if (ban->until_ns)
		snprintf(length, sizeof(length), "for %llu s",
			 (unsigned long long)((ban->until_ns - ban->since_ns + NS_PER_S / 2) / NS_PER_S));
	log_notice("Banned %s %s%s%.*s.", ban_who(&ban->who, who), length, *ban->reason ? ": " : "", REASON_LEN_MAX,
		   ban->reason);
}

static int add(struct worker *w, const struct ban *ban)
{
	struct broker *b = w->broker;
	int rc;

	pthread_mutex_lock(&b->ban_lock);
	rc = bans_add(b->bans, ban);
	if (!rc)
		durable_ban(w, ban);
	pthread_mutex_unlock(&b->ban_lock);
	return rc;
}

static int take_back(struct worker *w, const struct ban_subject *who)
{
	struct broker *b = w->broker;
	int rc;

	pthread_mutex_lock(&b->ban_lock);
	rc = bans_remove(b->bans, who);
	if (!rc)
		durable_unban(w, who);
	pthread_mutex_unlock(&b->ban_lock);
	return rc;
}

/* An order, which a worker carries out: only a worker can tell the store. */
struct order {
	const struct ban *ban; /* NULL: to lift one, */
	const struct ban_subject *who;
	int rc;
};

static void carry_out(struct worker *w, void *arg)
{
	struct order *o = arg;

	o->rc = o->ban ? add(w, o->ban) : take_back(w, o->who);
}

int broker_ban(const struct ban *ban)
{
	struct broker *b = &the_broker;
	struct order o = {.ban = ban};

	worker_call(&b->workers[0], carry_out, &o);
	if (o.rc)
		return o.rc;
	log_ban(ban);
	for (unsigned i = 0; i < b->started; i++)
		worker_call(&b->workers[i], sweep, NULL);
	return 0;
}

int broker_unban(const struct ban_subject *who)
{
	struct order o = {.who = who};
	char name[BAN_WHO_MAX];

	worker_call(&the_broker.workers[0], carry_out, &o);
	if (!o.rc)
		log_notice("The ban of %s is lifted.", ban_who(who, name));
	return o.rc;
}

/* ---- their end, and a new start ---------------------------------------------------------------------------------- */

/* Under the lock of the table, of the first worker. */
static void over(const struct ban *ban)
{
	char who[BAN_WHO_MAX];

	log_info("The ban of %s is over.", ban_who(&ban->who, who));
	durable_unban(&the_broker.workers[0], &ban->who);
}

void banning_tick(struct worker *w)
{
	struct broker *b = w->broker;

	pthread_mutex_lock(&b->ban_lock);
	bans_expire(b->bans, w->loop.now_ns, over);
	pthread_mutex_unlock(&b->ban_lock);
}

void banning_restore(struct broker *b, const struct ban *ban)
{
	char who[BAN_WHO_MAX];

	if (bans_add(b->bans, ban))
		log_warning("Warning: There is no room for the ban of %s, which the store has.",
			    ban_who(&ban->who, who));
}

/* ---- bans by one's own doing ------------------------------------------------------------------------------------- */

static bool is_exempt(const struct conf *conf, const struct net_address *a)
{
	static const char *const this_host[] = {"127.0.0.0/8", "::1", NULL};
	const char *const *list = conf->ban_exempt ? (const char *const *)conf->ban_exempt : this_host;
	struct network n;

	if (a->family != AF_INET && a->family != AF_INET6)
		return true;
	for (; *list; list++) {
		network_parse(*list, &n); /* it was read before */
		if (networks_have(&n, 1, a))
			return true;
	}
	return false;
}

static void ban_now(struct worker *w, const struct ban_subject *who, const char *what, uint32_t times, const char *last)
{
	const struct conf *conf = w->broker->conf;
	char reason[REASON_LEN_MAX], name[BAN_WHO_MAX];
	struct ban ban = {.who = *who, .since_ns = w->loop.now_ns, .automatic = true, .reason = reason};

	ban.until_ns = ban.since_ns + conf->ban_time * NS_PER_S;
	snprintf(reason, sizeof(reason), "%u %s within %u s, the last one: %s", times, what, conf->ban_window, last);
	if (add(w, &ban)) {
		COUNTER_ADD(bans_failed, 1);
		log_debug("There is no room for a ban of %s.", ban_who(who, name));
		return;
	}
	COUNTER_ADD(bans_automatic, 1);
	log_ban(&ban);
	send_sweeps(w->broker);
}

static void strike(struct worker *w, const struct ban_subject *who, uint32_t limit, const char *what, const char *last)
{
	uint64_t key;

	if (who->kind == BAN_ADDRESS)
		key = hash_bytes(&who->network.address, sizeof(who->network.address));
	else
		key = hash_mix(hash_bytes(who->name.data, who->name.len), hash_bytes(who->space, strlen(who->space)));

	/* The limit makes a change of it count at once, and keeps what is counted for one from the other. */
	key = hash_mix(key, (uint64_t)limit << 2 | who->kind);
	if (strikes_count(w->broker->strikes, key, w->loop.now_ns, w->broker->conf->ban_window * NS_PER_S, limit))
		ban_now(w, who, what, limit, last);
}

static void strike_address(struct worker *w, const char *peer, uint32_t limit, const char *what, const char *last)
{
	struct net_address a = net_address_of_peer(peer);
	struct ban_subject who = {.kind = BAN_ADDRESS};

	if (is_exempt(w->broker->conf, &a))
		return;
	who.network = network_of(&a, a.family == AF_INET ? IPV4_PREFIX : IPV6_PREFIX);
	strike(w, &who, limit, what, last);
}

/* Is it the client's fault? `known`: it was let in before. */
static bool is_failure(enum close_reason why, bool known)
{
	switch (why) {
	case CLOSE_NOT_AUTHORISED: /* later it is because the rules have changed */
	case CLOSE_TIMEOUT:	   /* later it may be the network */
		return !known;
	case CLOSE_MALFORMED:
	case CLOSE_PROTOCOL:
	case CLOSE_OVERSIZE:
	case CLOSE_BAD_METHOD:
	case CLOSE_TOPIC_INVALID:
	case CLOSE_FILTER_INVALID:
	case CLOSE_TOPIC_ALIAS:
	case CLOSE_RECEIVE_MAXIMUM:
	case CLOSE_TLS:
	case CLOSE_WEBSOCKET:
	case CLOSE_PROXY:
		return true;
	default:
		return false;
	}
}

static bool leaves(enum close_reason why)
{
	return why == CLOSE_DISCONNECT || why == CLOSE_PEER || why == CLOSE_TIMEOUT || why == CLOSE_TAKEN_OVER;
}

static const char failures[] = "failed logins or protocol errors";
static const char flapping[] = "connections that ended";

static void note_flapping(const struct conn *c, enum close_reason why)
{
	const struct conf *conf = c->worker->broker->conf;
	struct net_address a = net_address_of_peer(c->peer);
	struct ban_subject who = {.kind = BAN_CLIENT};

	if (conf->ban_flapping_address) {
		strike_address(c->worker, c->peer, conf->ban_after_flapping, flapping, close_texts[why].name);
	} else if (c->session && !c->assigned_id && !is_exempt(conf, &a)) {
		who.name = mqtt_str(c->session->id);
		who.space = c->session->space->name;
		strike(c->worker, &who, conf->ban_after_flapping, flapping, close_texts[why].name);
	}
}

/* Without the word of a trusted proxy on who the client is: what passes through it is not its own doing. */
static bool is_proxy(const struct conn *c)
{
	const struct gate *gate = access_of(c)->gate;

	return gate && gate_trusts(gate, c->peer);
}

void banning_connection_ends(const struct conn *c, enum close_reason why)
{
	const struct conf *conf = c->worker->broker->conf;

	if ((!conf->ban_after_failures && !conf->ban_after_flapping) || is_proxy(c))
		return;
	if (conf->ban_after_failures && is_failure(why, c->state == CONN_OPEN))
		strike_address(c->worker, c->peer, conf->ban_after_failures, failures, close_texts[why].log);
	if (conf->ban_after_flapping && leaves(why))
		note_flapping(c, why);
}

void banning_guest_failed(struct worker *w, const char *peer, enum close_reason why)
{
	const struct conf *conf = w->broker->conf;

	if (conf->ban_after_failures && is_failure(why, false))
		strike_address(w, peer, conf->ban_after_failures, failures, close_texts[why].log);
}
