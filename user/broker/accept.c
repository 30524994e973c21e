// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Accepting connections: every worker watches every listening socket, the kernel wakes one of them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rate.h"
#include "broker/accept.h"
#include "broker/access.h"
#include "broker/banning.h"
#include "broker/conn.h"
#include "broker/door.h"
#include "broker/internal.h"
#include "sn/gateway.h"

enum {
	ACCEPTS_PER_TURN = 64,
	LOG_AGAIN_S = 10, /* without a connection that had to wait, before the log says so again */
	PAUSE_MS = 100,	  /* out of descriptors: connections wait in the kernel's backlog */
};

static void accept_ready(struct watch *watch, uint32_t events);

static void resume(struct timer *t)
{
	struct acceptor *a = container_of(t, struct acceptor, resume);

	if (loop_watch(&a->worker->loop, &a->watch, EPOLLIN | EPOLLEXCLUSIVE))
		loop_after(&a->worker->loop, t, PAUSE_MS, resume);
}

/* No descriptor or no memory for another connection. Existing ones go on; this one waits in the backlog. */
static void pause_accept(struct acceptor *a, int error)
{
	struct worker *w = a->worker;
	struct rlimit limit = {0};

	loop_unwatch(&w->loop, &a->watch);
	loop_after(&w->loop, &a->resume, PAUSE_MS, resume);
	if (w->no_fd_logged_ns && w->loop.now_ns - w->no_fd_logged_ns < NS_PER_S)
		return;
	w->no_fd_logged_ns = w->loop.now_ns;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (error == EMFILE)
		log_error("Unable to accept new connections, all %llu open files are in use. Raise the limit "
			  "(LimitNOFILE= of the systemd unit, or ulimit -n). Connections wait until others close.",
			  (unsigned long long)limit.rlim_cur);
	else
		log_error("Unable to accept new connections: %s. They wait until there is room.", strerror(error));
}

/* Count the connection that was accepted. */
static bool over_limit(struct broker *b, unsigned listener)
{
	uint32_t max = b->conf->listeners[listener].max_connections;
	uint32_t now = __atomic_add_fetch(&b->listener_connections[listener], 1, __ATOMIC_SEQ_CST);
	uint32_t global_max = b->conf->global_max_connections;

	if (max && now > max)
		return true;
	if (!global_max)
		return false;
	/* Each counts itself before it looks, so that of several at once none goes unseen. */
	now = 0;
	for (size_t i = 0; i < b->conf->nlisteners; i++)
		now += __atomic_load_n(&b->listener_connections[i], __ATOMIC_SEQ_CST);
	return now > global_max;
}

/* Without the port, which blockers that read the log do not expect here. */
static void log_denied(const char *peer)
{
	log_notice("Client connection from %.*s denied: max_connections exceeded.", net_host_len(peer), peer);
}

bool accept_admit(struct broker *b, unsigned listener, const char *peer)
{
	if (!over_limit(b, listener))
		return true;
	__atomic_sub_fetch(&b->listener_connections[listener], 1, __ATOMIC_RELAXED);
	COUNTER_ADD(sockets_refused, 1);
	if (b->conf->connection_messages)
		log_denied(peer);
	return false;
}

uint64_t accept_order(struct broker *b)
{
	uint64_t order;

	pthread_mutex_lock(&b->accept_lock);
	order = ++b->accepted;
	pthread_mutex_unlock(&b->accept_lock);
	return order;
}

static void log_new(const struct conf_listener *l, const char *peer)
{
	if (l->path)
		log_notice("New connection from %s on path %s.", peer, l->path);
	else
		log_notice("New connection from %s on port %u.", peer, l->port);
}

/* A descriptor or -errno. *order: later connections have greater ones. */
static int accept_one(struct broker *b, int listen_fd, char peer[NET_ADDRESS_MAX], uint64_t *order)
{
	int fd;

	pthread_mutex_lock(&b->accept_lock);
	fd = net_accept(listen_fd, peer);
	*order = ++b->accepted;
	pthread_mutex_unlock(&b->accept_lock);
	return fd;
}

static void accepted(struct acceptor *a, int fd, const char *peer, uint64_t order)
{
	struct worker *w = a->worker;
	struct broker *b = w->broker;
	const struct conf_listener *l = &b->conf->listeners[a->listener];
	struct gate *gate;

	COUNTER_ADD(connections, 1);
	if (banning_refuses_peer(w, peer) || !accept_admit(b, a->listener, peer)) {
		close(fd);
		return;
	}
	if (b->conf->connection_messages)
		log_new(l, peer);
	if (!l->path)
		net_set_options(fd, b->conf->set_tcp_nodelay);
	gate = b->access->rules[a->listener].gate;
	if (gate)
		door_enter(w, gate, fd, a->listener, peer, order);
	else
		conn_accept(w, &(struct newcomer){.fd = fd, .listener = a->listener, .peer = peer, .order = order});
}

/* ---- connections a second ---------------------------------------------------------------------------------------- */

static void add_to_rate(uint64_t *rate, uint64_t now, uint32_t per_second)
{
	uint64_t was = __atomic_load_n(rate, __ATOMIC_RELAXED);

	while (per_second && !__atomic_compare_exchange_n(rate, &was, rate_add(was, now, 1, per_second), true,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void count_for_rates(const struct worker *w, unsigned listener)
{
	const struct broker *b = w->broker;
	uint64_t now = w->loop.now_ns;

	add_to_rate(&b->listener_rates[listener], now, b->conf->listeners[listener].max_connection_rate);
	add_to_rate(&b->listener_rates[b->conf->nlisteners], now, b->conf->global_max_connection_rate);
}

/* How long the next connection has to wait, ns. A limit that was taken back is none any more. */
static uint64_t wait_for_rates(const struct worker *w, unsigned listener)
{
	const struct broker *b = w->broker;
	const uint64_t *own = &b->listener_rates[listener], *all = &b->listener_rates[b->conf->nlisteners];
	uint64_t now = w->loop.now_ns, wait = 0, wait_all = 0;

	if (b->conf->listeners[listener].max_connection_rate)
		wait = rate_wait(__atomic_load_n(own, __ATOMIC_RELAXED), now);
	if (b->conf->global_max_connection_rate)
		wait_all = rate_wait(__atomic_load_n(all, __ATOMIC_RELAXED), now);
	return wait > wait_all ? wait : wait_all;
}

bool accept_in_time(struct worker *w, unsigned listener)
{
	if (wait_for_rates(w, listener)) {
		COUNTER_ADD(connections_delayed, 1);
		return false;
	}
	count_for_rates(w, listener);
	return true;
}

/* Those that come too fast wait in the kernel's backlog, where they cost next to nothing and nobody else. */
static bool slow_down(struct acceptor *a)
{
	struct worker *w = a->worker;
	uint64_t ns = wait_for_rates(w, a->listener);

	if (!ns)
		return false;
	COUNTER_ADD(connections_delayed, 1);
	if (!w->rate_logged_ns || w->loop.now_ns - w->rate_logged_ns > LOG_AGAIN_S * NS_PER_S)
		log_notice("Clients connect faster than they may (max_connection_rate); further ones wait.");
	w->rate_logged_ns = w->loop.now_ns;
	loop_unwatch(&w->loop, &a->watch);
	loop_after(&w->loop, &a->resume, ns / NS_PER_MS, resume);
	return true;
}

static void accept_ready(struct watch *watch, uint32_t events)
{
	struct acceptor *a = container_of(watch, struct acceptor, watch);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && !slow_down(a); i++) {
		char peer[NET_ADDRESS_MAX];
		uint64_t order;
		int fd = accept_one(a->worker->broker, watch->fd, peer, &order);

		if (fd >= 0) {
			count_for_rates(a->worker, a->listener);
			accepted(a, fd, peer, order);
			continue;
		}
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
			pause_accept(a, -fd);
		/* Errors of a connection that died in the backlog come here, too: accept(2). */
		if (fd != -ECONNABORTED && fd != -EPROTO)
			return;
	}
}

int accept_start(struct worker *w)
{
	struct broker *b = w->broker;

	w->acceptors = calloc(b->nsockets ? b->nsockets : 1, sizeof(w->acceptors[0]));
	if (!w->acceptors)
		return -ENOMEM;
	for (size_t i = 0; i < b->nsockets; i++) {
		struct acceptor *a = &w->acceptors[i];
		int rc;

		*a = (struct acceptor){
			.watch = {.fd = b->sockets[i].fd, .ready = accept_ready},
			.worker = w,
			.listener = b->sockets[i].listener,
		};
		rc = loop_watch(&w->loop, &a->watch, EPOLLIN | EPOLLEXCLUSIVE);
		if (rc)
			return rc;
		w->nacceptors++;
	}
	return sn_start(w);
}

void accept_stop(struct worker *w)
{
	for (size_t i = 0; i < w->nacceptors; i++) {
		timer_stop(&w->loop.timers, &w->acceptors[i].resume);
		loop_unwatch(&w->loop, &w->acceptors[i].watch);
	}
	w->nacceptors = 0;
	sn_stop(w);
}
