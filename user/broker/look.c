// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Looking at the running broker from outside of its workers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "broker/bans.h"
#include "broker/broker.h"
#include "broker/conn.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/transport.h"
#include "net/tls_stream.h"

/* PINGREQ and PINGRESP have two bytes. */
static void add_road(struct counters *sum, const struct fp_road_stats *road)
{
	sum->messages_received += road->taken + road->pings;
	sum->publish_received += road->taken;
	sum->publish_bytes_received += road->taken_payload;
	sum->bytes_received += road->taken_bytes + 2 * road->pings;
	sum->messages_sent += road->forwarded + road->pings;
	sum->publish_sent += road->forwarded;
	sum->publish_bytes_sent += road->forwarded_payload;
	sum->bytes_sent += road->forwarded_bytes + 2 * road->pings;
}

void broker_stats(struct broker_stats *out)
{
	struct broker *b = &the_broker;
	const struct counters *all[WORKERS_MAX];

	memset(out, 0, sizeof(*out));
	out->uptime_ms = (clock_ns() - b->start_ns) / NS_PER_MS;
	out->workers = b->nworkers;
	pthread_mutex_lock(&b->conf_lock);
	memory_look(b); /* a worker that has nothing to do does not */
	out->memory_limit = memory_limit(b);
	pthread_mutex_unlock(&b->conf_lock);
	out->memory_short = memory_short();
	out->clients_maximum = __atomic_load_n(&b->clients_max, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < b->nworkers; i++)
		all[i] = &b->workers[i].counters;
	counters_sum(all, b->nworkers, &out->sum);
	fp_stats(&out->fastpath);
	out->bans = bans_count(b->bans);
	out->persistence = b->store;
	if (b->store)
		store_stats(b->store, &out->store);
	add_road(&out->sum, &out->fastpath.local);
	add_road(&out->sum, &out->fastpath.remote);
}

const char *broker_namespace(const char *space)
{
	const struct namespace *in = namespace_named(&the_broker, space);

	return in ? in->name : NULL;
}

const char *broker_namespace_name(uint16_t number)
{
	return number < the_broker.nnamespaces ? the_broker.namespaces[number].name : "";
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

/* A copy of one, with its strings. */
struct client_copy {
	struct broker_client client;
	char address[NET_ADDRESS_MAX];
};

struct snapshot {
	struct client_copy *v;
	size_t n;
	int rc;
};

static void copy_conn(struct client_copy *to, const struct conn *c)
{
	struct broker_client *out = &to->client;

	memcpy(to->address, c->peer, sizeof(to->address));
	out->connected = true;
	out->version = c->version;
	out->keep_alive = c->keep_alive;
	out->connected_ms = (c->worker->loop.now_ns - c->connected_ns) / NS_PER_MS;
	out->output_bytes = c->sink.out.bytes;
	out->bytes_in = c->bytes_in;
	out->bytes_out = c->bytes_out;
	out->transport = c->transport	     ? transport_name(c->transport)
			 : c->wire	     ? "mqtt-sn"
			 : c->peer[0] == 'u' ? "unix"
					     : "tcp";
	if (c->transport && transport_tls(c->transport))
		out->tls = tls_stream_version(transport_tls(c->transport));
	out->road = c->link.road;
	out->target = c->link.target;
	out->held = c->held;
	fp_client_counters(&c->link, &out->fast);
}

/* What is in flight has a message unless PUBREC came. */
static uint32_t queued(const struct session *s)
{
	uint32_t stored = __atomic_load_n(&s->stored_messages, __ATOMIC_RELAXED);

	if (!s->stored)
		return s->queued + s->backlogged;
	return (stored > s->sent.count ? stored - s->sent.count : 0) + s->backlogged;
}

static uint64_t queued_bytes(const struct session *s)
{
	uint64_t stored = __atomic_load_n(&s->stored_bytes, __ATOMIC_RELAXED);

	return (s->stored ? stored : s->queued_bytes) + s->backlog_bytes;
}

static int copy_session(struct client_copy *to, const struct session *s)
{
	struct broker_client *out = &to->client;

	out->space = s->space->name;
	out->id = strdup(s->id);
	out->username = s->username ? strdup(s->username) : NULL;
	if (!out->id || (s->username && !out->username)) {
		free((char *)out->id);
		free((char *)out->username);
		return -ENOMEM;
	}
	out->clean = session_ends_with_connection(s);
	out->subscriptions = (uint32_t)s->subs.count;
	out->inflight = s->sent.count;
	out->queued = queued(s);
	out->queued_bytes = queued_bytes(s);
	for (unsigned i = 0; i < DROP_REASONS; i++)
		out->dropped[i] = session_dropped(s, i);
	out->messages_in = s->messages_in;
	out->messages_out = s->messages_out;
	if (s->conn)
		copy_conn(to, s->conn);
	return 0;
}

static void take_snapshot(struct worker *w, void *arg)
{
	struct snapshot *snap = arg;

	snap->v = calloc(w->sessions.count + 1, sizeof(*snap->v));
	if (!snap->v)
		snap->rc = -ENOMEM;
	for (size_t i = 0; !snap->rc && w->sessions.buckets && i <= w->sessions.mask; i++)
		for (struct table_node *n = w->sessions.buckets[i]; n && !snap->rc; n = n->next) {
			snap->rc = copy_session(&snap->v[snap->n], container_of(n, struct session, by_id));
			snap->n += !snap->rc;
		}
}

struct one_client {
	const struct namespace *space;
	const char *id;
	struct client_copy copy;
	int rc;
};

static void take_one(struct worker *w, void *arg)
{
	struct one_client *one = arg;
	const struct session *s = worker_session(w, one->space, one->id, strlen(one->id));

	one->rc = s ? copy_session(&one->copy, s) : -ENOENT;
}

int broker_client(const char *space, const char *id, int (*each)(const struct broker_client *c, void *arg), void *arg)
{
	struct one_client one = {.space = namespace_named(&the_broker, space), .id = id};
	int rc;

	if (!one.space)
		return -ENOENT;
	worker_call(worker_of(&the_broker, id, strlen(id)), take_one, &one);
	if (one.rc)
		return one.rc;
	one.copy.client.address = one.copy.address;
	rc = each(&one.copy.client, arg);
	free((char *)one.copy.client.id);
	free((char *)one.copy.client.username);
	return rc;
}

int broker_clients(int (*each)(const struct broker_client *c, void *arg), void *arg)
{
	struct broker *b = &the_broker;
	int rc = 0;

	for (unsigned i = 0; i < b->nworkers && !rc; i++) {
		struct snapshot snap = {0};

		worker_call(&b->workers[i], take_snapshot, &snap);
		rc = snap.rc;
		for (size_t k = 0; k < snap.n; k++) {
			snap.v[k].client.address = snap.v[k].address;
			if (!rc)
				rc = each(&snap.v[k].client, arg);
			free((char *)snap.v[k].client.id);
			free((char *)snap.v[k].client.username);
		}
		free(snap.v);
	}
	return rc;
}

/* ---- listeners --------------------------------------------------------------------------------------------------- */

/* What a reload can change is not looked at. */
int broker_listeners(int (*each)(const struct broker_listener *l, void *arg), void *arg)
{
	const struct broker *b = &the_broker;
	int rc = 0;

	for (size_t i = 0; i < b->conf->nlisteners && !rc; i++) {
		const struct conf_listener *l = &b->conf->listeners[i];

		rc = each(&(struct broker_listener){.path = l->path,
						    .address = l->address,
						    .port = l->port,
						    .space = l->namespace ? l->namespace : "",
						    .websockets = l->protocol == CONF_WEBSOCKETS,
						    .tls = b->listener_tls[i],
						    .connections = __atomic_load_n(&b->listener_connections[i],
										   __ATOMIC_RELAXED)},
			  arg);
	}
	return rc;
}
