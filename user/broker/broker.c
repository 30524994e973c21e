// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/broker.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/hook.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/banning.h"
#include "broker/checker.h"
#include "broker/conn.h"
#include "broker/door.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/retain.h"
#include "broker/sys.h"
#include "broker/will.h"
#include "broker/worker.h"
#include "net/inherited.h"
#include "net/listener.h"
#include "net/tls_tickets.h"
#include "sn/gateway.h"

enum { SOCKETS_PER_LISTENER = 16 };

struct broker the_broker = {.lock = PTHREAD_MUTEX_INITIALIZER,
			    .accept_lock = PTHREAD_MUTEX_INITIALIZER,
			    .ban_lock = PTHREAD_MUTEX_INITIALIZER,
			    .conf_lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- listening --------------------------------------------------------------------------------------------------- */

/* The next socket that the service manager has opened for the listener; -1: it has none (more). */
static int inherit(struct broker *b, const struct conf_listener *l)
{
	return inherited_next(b->inherited, &(struct inherited_wish){.name = l->socket_name,
								     .path = l->path,
								     .address = l->address,
								     .port = l->port,
								     .family = l->family});
}

/* By its name, and others were passed: what it would open itself is not what was meant. */
static bool is_missing(const struct broker *b, const struct conf_listener *l)
{
	if (!b->inherited || !l->socket_name)
		return false;
	log_error("Error: The service manager has passed no socket with the name %s for the listener in %s: write "
		  "FileDescriptorName=%s into its .socket unit.",
		  l->socket_name, l->where, l->socket_name);
	return true;
}

static int listen_unix(struct broker *b, unsigned index, uid_t uid, gid_t gid)
{
	const char *path = b->conf->listeners[index].path;
	struct broker_socket *s = &b->sockets[b->nsockets];
	int fd = inherit(b, &b->conf->listeners[index]);

	if (fd >= 0) { /* its file is not ours to remove */
		*s = (struct broker_socket){.fd = fd, .listener = index};
		b->nsockets++;
		log_info("Taking over the unix listen socket on path %s.", path);
		return 0;
	}
	if (is_missing(b, &b->conf->listeners[index]))
		return -ENOENT;
	fd = net_listen_unix(path, 0770, uid, gid, NET_BACKLOG, &s->file);
	if (fd < 0) {
		log_error("Error: Unable to listen on %s: %s.", path, net_unix_error(fd));
		return fd;
	}
	s->fd = fd;
	s->listener = index;
	b->nsockets++;
	log_info("Opening unix listen socket on path %s.", path);
	return 0;
}

/* The fast path and the guard learn of a socket before it accepts. */
static void tell_listening(const struct conf_listener *l, int fd)
{
	int err;

	if (conf_is_plain(l))
		fp_listening(fd);
	err = guard_listening(fd, conf_is_plain(l), l->proxy_protocol || l->trusted_proxies);
	if (err)
		log_warning("Guard: not on port %u: %s.", l->port, strerror(-err));
}

/* How many of the listener's sockets the service manager has opened: with one, none is opened beside it. */
static int inherit_tcp(struct broker *b, unsigned index)
{
	const struct conf_listener *l = &b->conf->listeners[index];
	int n = 0;

	for (int fd; n < SOCKETS_PER_LISTENER && (fd = inherit(b, l)) >= 0; n++) {
		b->sockets[b->nsockets++] = (struct broker_socket){.fd = fd, .listener = index};
		tell_listening(l, fd);
		log_info("Taking over the %s listen socket on port %u.", net_is_ipv6(fd) ? "ipv6" : "ipv4", l->port);
	}
	return n;
}

static int listen_tcp(struct broker *b, unsigned index)
{
	const struct conf_listener *l = &b->conf->listeners[index];
	const char *error = "";
	int fds[SOCKETS_PER_LISTENER];
	int n;

	if (inherit_tcp(b, index))
		return 0;
	if (is_missing(b, l))
		return -ENOENT;
	n = net_listen(l->address, l->port, l->family, l->bind_interface, fds, SOCKETS_PER_LISTENER, &error);
	if (n < 0 && l->bind_interface) {
		log_error("Error: Unable to listen on port %u of interface %s: %s.", l->port, l->bind_interface, error);
		return n;
	}
	if (n < 0) {
		log_error("Error: Unable to listen on %s port %u: %s.", l->address ? l->address : "any address",
			  l->port, error);
		return n;
	}
	for (int i = 0; i < n; i++) {
		b->sockets[b->nsockets++] = (struct broker_socket){.fd = fds[i], .listener = index};
		tell_listening(l, fds[i]);
		log_info("Opening %s listen socket on port %u.", net_is_ipv6(fds[i]) ? "ipv6" : "ipv4", l->port);
	}
	return 0;
}

static unsigned count_workers(const struct conf *conf)
{
	long n = conf->workers ? (long)conf->workers : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static int take_inherited(struct broker *b)
{
	const char *why;
	int which, rc = inherited_take(&b->inherited, &which, &why);

	if (rc)
		log_error("Error: The service manager has passed descriptor %d, and %s.", which, why);
	return rc;
}

/* One that nobody accepts from would keep clients waiting. */
static int end_inherited(struct broker *b)
{
	char what[INHERITED_TEXT_MAX];
	bool left = inherited_left(b->inherited, what);

	if (left)
		log_error(
			"Error: The service manager has passed a socket for %s, and there is no listener for it in the "
			"configuration: add one with that port and address, or with its FileDescriptorName= as "
			"socket_name.",
			what);
	inherited_free(b->inherited);
	b->inherited = NULL;
	return left ? -EINVAL : 0;
}

static int prepare(struct broker *b, uid_t uid, gid_t gid)
{
	int rc = 0;

	b->sockets = calloc(b->conf->nlisteners * SOCKETS_PER_LISTENER + 1, sizeof(b->sockets[0]));
	b->listener_connections = calloc(b->conf->nlisteners + 1, sizeof(b->listener_connections[0]));
	b->listener_rates = calloc(b->conf->nlisteners + 1, sizeof(b->listener_rates[0]));
	b->listener_tls = calloc(b->conf->nlisteners + 1, sizeof(b->listener_tls[0]));
	if (!b->sockets || !b->listener_connections || !b->listener_rates || !b->listener_tls) {
		log_error("Error: Out of memory.");
		return -ENOMEM;
	}
	for (size_t i = 0; i < b->conf->nlisteners; i++)
		b->listener_tls[i] = conf_has_tls(&b->conf->listeners[i]);
	rc = take_inherited(b);
	if (!rc)
		rc = banning_open(b);
	if (!rc)
		rc = durable_prepare(b->conf, uid, gid);
	if (rc)
		return rc;
	b->access = access_load(b->conf, b->conf);
	if (!b->access)
		return -EINVAL;
	for (unsigned i = 0; i < b->conf->nlisteners && !rc; i++) {
		if (b->conf->listeners[i].path)
			rc = listen_unix(b, i, uid, gid);
	}
	return rc;
}

int broker_prepare(const struct conf *conf, uid_t uid, gid_t gid)
{
	struct broker *b = &the_broker;
	int rc;

	hash_init();
	b->conf = conf;
	b->nworkers = count_workers(conf);
	rc = prepare(b, uid, gid);
	if (rc)
		broker_free();
	return rc;
}

int broker_listen(void)
{
	struct broker *b = &the_broker;
	int rc = 0;

	for (unsigned i = 0; i < b->conf->nlisteners && !rc; i++) {
		if (b->conf->listeners[i].protocol == CONF_MQTT_SN)
			rc = sn_open(b, i);
		else if (!b->conf->listeners[i].path)
			rc = listen_tcp(b, i);
	}
	if (!rc)
		rc = end_inherited(b);
	if (rc)
		broker_free();
	return rc;
}

unsigned broker_workers(void)
{
	return the_broker.nworkers;
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

static void start_accepting(struct worker *w, void *arg)
{
	int rc = accept_start(w);

	if (rc)
		*(int *)arg = rc;
}

static bool has_gates(const struct broker *b)
{
	bool any = false;

	for (size_t i = 0; i < b->conf->nlisteners; i++)
		any |= b->access->rules[i].gate != NULL;
	return any;
}

static int start_workers(struct broker *b)
{
	int rc = 0;

	for (unsigned i = 0; i < b->nworkers && !rc; i++)
		rc = worker_init(&b->workers[i], b, i);
	if (!rc)
		rc = durable_load(b);
	if (!rc)
		rc = durable_start(b);
	if (!rc)
		rc = checker_start();
	if (!rc && access_has_hook(b->access))
		rc = hook_start();
	if (!rc && has_gates(b))
		rc = doors_start();
	for (; b->started < b->nworkers && !rc; b->started += !rc)
		rc = worker_start(&b->workers[b->started]);
	if (!rc)
		log_topic_start();
	/* Only now: the first client may belong to any of them. */
	for (unsigned i = 0; i < b->nworkers && !rc; i++)
		worker_call(&b->workers[i], start_accepting, &rc);
	return rc;
}

static int start(struct broker *b)
{
	int rc = durable_open(b);

	if (rc)
		return rc;
	rcu_start();
	b->start_ns = clock_ns();
	b->half_memory = (uint64_t)sysconf(_SC_PHYS_PAGES) / 2 * (uint64_t)sysconf(_SC_PAGESIZE);
	rc = namespaces_open(b);
	if (!rc && posix_memalign((void **)&b->workers, 64, b->nworkers * sizeof(b->workers[0])) == 0) {
		memset(b->workers, 0, b->nworkers * sizeof(b->workers[0]));
		for (unsigned i = 0; i < b->nworkers; i++)
			b->workers[i].loop.epoll_fd = b->workers[i].loop.wake_fd = -1;
		rc = start_workers(b);
	} else if (!rc) {
		rc = -ENOMEM;
	}
	if (rc)
		broker_stop();
	return rc;
}

int broker_start(void)
{
	struct broker *b = &the_broker;
	const struct counters before = counters_shared;
	int rc = start(b);

	/* The store was not what it seemed to be when it was opened. Now it is looked at more closely, and set aside. */
	if (rc == -EBADMSG && !b->conf->refuse_damaged) {
		counters_shared = before;
		rc = start(b);
	}
	if (rc)
		log_error("Error: Unable to start: %s.", strerror(-rc));
	return rc;
}

/* ---- holding all workers ----------------------------------------------------------------------------------------- */

struct barrier {
	sem_t passed; /* posted by each worker when it comes, and when it has left */
	sem_t go;
};

struct barrier_item {
	struct inbox_item item;
	struct barrier *barrier;
};

static void wait_at_barrier(struct inbox_item *item, void *receiver)
{
	struct barrier *b = container_of(item, struct barrier_item, item)->barrier;

	(void)receiver;
	sem_post(&b->passed);
	while (sem_wait(&b->go) < 0)
		;
	sem_post(&b->passed);
}

static void wait_for_all(sem_t *sem, unsigned n)
{
	while (n)
		n -= sem_wait(sem) == 0;
}

void broker_while_stopped(void (*fn)(void *), void *arg)
{
	struct broker *b = &the_broker;
	struct barrier_item items[WORKERS_MAX];
	struct barrier barrier;

	sem_init(&barrier.passed, 0, 0);
	sem_init(&barrier.go, 0, 0);
	for (unsigned i = 0; i < b->started; i++) {
		items[i] = (struct barrier_item){.item.receive = wait_at_barrier, .barrier = &barrier};
		loop_send(&b->workers[i].loop, &items[i].item);
	}
	wait_for_all(&barrier.passed, b->started);
	pthread_mutex_lock(&b->conf_lock);
	fn(arg);
	pthread_mutex_unlock(&b->conf_lock);
	for (unsigned i = 0; i < b->started; i++)
		sem_post(&barrier.go);
	wait_for_all(&barrier.passed, b->started);
	sem_destroy(&barrier.go);
	sem_destroy(&barrier.passed);
}

void broker_set_access(struct access *access)
{
	struct broker *b = &the_broker;
	struct access *before = b->access;

	b->access = access;
	b->access_epoch++;
	if (access_has_hook(access) && hook_start())
		log_error("Error: Unable to start asking auth_http_url: nobody comes in by its word.");
	access_apply(b, before);
	retain_review(b);
	access_free(before);
}

/* ---- stopping: each step is done by all workers before the next begins ------------------------------------------- */

static void stop_accepting(struct worker *w, void *arg)
{
	(void)arg;
	w->draining = true;
	accept_stop(w);
}

static void send_wills(struct worker *w, void *arg)
{
	(void)arg;
	will_broker_stops(w);
}

static void nothing(struct worker *w, void *arg)
{
	(void)w, (void)arg;
}

static void close_all(struct worker *w, void *arg)
{
	(void)arg;
	while (!list_empty(&w->conns))
		conn_close(container_of(w->conns.next, struct conn, all), CLOSE_SHUTDOWN);
	conn_finish_lingering(w);
}

static void leave(struct worker *w, void *arg)
{
	(void)arg;
	w->stopping = true;
}

static void on_all(struct broker *b, void (*fn)(struct worker *, void *))
{
	for (unsigned i = 0; i < b->started; i++)
		worker_call(&b->workers[i], fn, NULL);
}

/* What the workers sent one another last. */
static void drain_all(struct broker *b)
{
	bool any = true;

	while (any) {
		any = false;
		rcu_wait();
		for (unsigned i = 0; i < b->nworkers; i++)
			any |= worker_drain(&b->workers[i]);
	}
}

void broker_stop(void)
{
	struct broker *b = &the_broker;

	if (!b->namespaces && !b->store)
		return;
	log_topic_stop();
	on_all(b, stop_accepting);
	doors_stop();
	on_all(b, send_wills);
	/* A call comes back in the turn after: wills for other workers have been sent, then received and written. */
	on_all(b, nothing);
	on_all(b, nothing);
	on_all(b, close_all);
	on_all(b, leave);
	for (unsigned i = 0; i < b->started; i++)
		pthread_join(b->workers[i].thread, NULL);
	checker_stop();
	hook_stop();
	rcu_thread_start();
	if (b->workers) {
		drain_all(b);
		durable_close(b);
		drain_all(b);
		for (unsigned i = 0; i < b->nworkers; i++)
			worker_destroy(&b->workers[i]);
	} else {
		durable_close(b);
	}
	namespaces_close(b);
	rcu_thread_end();
	free(b->workers);
	b->workers = NULL;
	b->started = 0;
}

void broker_free(void)
{
	struct broker *b = &the_broker;

	sn_close(b);
	for (size_t i = 0; b->sockets && i < b->nsockets; i++) {
		const char *path = b->conf->listeners[b->sockets[i].listener].path;

		if (path)
			net_unlisten_unix(path, &b->sockets[i].file);
		close(b->sockets[i].fd);
	}
	free(b->sockets);
	free(b->listener_connections);
	free(b->listener_rates);
	free(b->listener_tls);
	inherited_free(b->inherited);
	b->inherited = NULL;
	banning_close(b);
	access_free(b->access);
	b->access = NULL;
	tls_tickets_unref(b->tickets);
	b->tickets = NULL;
	b->sockets = NULL;
	b->listener_connections = NULL;
	b->listener_rates = NULL;
	b->listener_tls = NULL;
	b->nsockets = 0;
}
