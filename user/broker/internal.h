/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the process has one of. Constant while the workers run, but for what says otherwise. */
#ifndef SHUNT_BROKER_INTERNAL_H
#define SHUNT_BROKER_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "broker/message.h"
#include "broker/namespace.h"
#include "broker/tree.h"
#include "conf/conf.h"
#include "net/unix.h"

struct access;
struct bans;
struct inherited;
struct strikes;
struct tls_tickets;
struct sn_gateway;
struct worker;

/* One listening socket; a listener of the configuration has several when its address stands for several. */
struct broker_socket {
	int fd;
	unsigned listener;
	struct net_unix_file file; /* of a Unix socket */
};

struct broker {
	const struct conf *conf;
	struct broker_socket *sockets;
	size_t nsockets;
	struct sn_gateway *gateways;	/* of MQTT-SN */
	struct inherited *inherited;	/* sockets of the service manager that have no listener yet; NULL: none */
	uint32_t *listener_connections; /* atomic; by listener */
	bool *listener_tls;		/* by listener */
	uint64_t *listener_rates;	/* atomic; of base/rate.h, by listener; behind them that of all */
	pthread_mutex_t accept_lock;	/* so that `accepted` counts connections in the order the kernel queued them */
	uint64_t accepted;
	pthread_mutex_t
		conf_lock; /* who is no worker holds it to look at what a reload changes; short, and not while waiting
				      for a worker */
	struct worker *workers;
	unsigned nworkers;
	unsigned started;	      /* threads; main thread only */
	struct namespace *namespaces; /* by their numbers, from broker_start() to broker_stop(), as the next two */
	unsigned nnamespaces;
	struct namespace **listener_namespaces; /* by listener */
	struct table sources;			/* struct source of what is retained; under the subscription lock */
	bool barring;				/* some of that may be barred */
	struct store *store;			/* NULL without persistence */
	struct access *access;			/* who may come in, and do what; changes while no worker runs */
	uint64_t access_epoch;			/* how often it has changed */
	struct tls_tickets *tickets;		/* of all listeners with TLS; NULL: there is none */
	struct bans *bans;			/* banning.c's, as the next two */
	pthread_mutex_t
		ban_lock; /* who changes them, so that the store hears of it in that order; before other locks */
	struct strikes *strikes;
	/* The subscription lock: whoever changes the tree, a session's subscriptions or its receiver, or a flow. */
	pthread_mutex_t lock;
	uint64_t start_ns;
	uint64_t half_memory; /* bytes, of the machine's */
	uint64_t clients_max; /* written by the worker that publishes $SYS; atomic */
};

/* The broker of broker_start(). */
extern struct broker the_broker;

/* Of a topic name or filter, option max_topic_levels. */
static inline size_t topic_levels_max(const struct conf *c)
{
	return c->max_topic_levels ? c->max_topic_levels : TREE_LEVELS_MAX;
}

/* Where the message is routed and retained. */
static inline struct namespace *message_namespace(const struct broker *b, const struct message *m)
{
	return &b->namespaces[m->ns];
}

static inline void subscriptions_lock(struct broker *b)
{
	pthread_mutex_lock(&b->lock);
}

static inline void subscriptions_unlock(struct broker *b)
{
	pthread_mutex_unlock(&b->lock);
}

#endif
