// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/door.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "broker/banning.h"
#include "broker/conn.h"
#include "broker/gate.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/transport.h"
#include "net/proxy.h"
#include "net/tls_stream.h"

enum {
	DOORS_MAX = 16,
	DOOR_NICE = 5,
	PEEK_MAX = 65536 + 1, /* more than any request or header may have */
	/* What somebody who is on his way takes: this, and OpenSSL's for the handshake. */
	GUEST_MEMORY = 20000,
};

enum stage {
	STAGE_PROXY,
	STAGE_TLS,
	STAGE_REQUEST, /* for WebSocket */
	STAGE_RESPONSE,
	STAGE_DONE,
};

/* What a stage comes to. */
enum progress {
	NEXT, /* the next stage, which it has set */
	WAIT, /* until the socket is ready */
	OVER, /* it has failed */
};

struct door;

/* A connection on its way. */
struct guest {
	struct inbox_item item; /* from the worker to the door, and back */
	struct watch watch;
	struct timer deadline;
	struct list all;
	struct door *door;     /* constant, as the next */
	struct worker *worker; /* that accepted it */
	struct gate *gate;     /* a reference */
	unsigned listener;
	uint64_t order;
	char peer[NET_ADDRESS_MAX];
	char client[NET_ADDRESS_MAX]; /* who it is, if a proxy has said so; else "" */
	bool hangup;		      /* the peer has ended its side */
	enum stage stage;
	struct tls_stream *tls;
	uint8_t *in; /* by TLS: what came of the request, then what followed it */
	size_t in_len;
	char response[UPGRADE_RESPONSE_MAX];
	size_t response_len, response_at;
	bool refused;	   /* the response says so */
	char *identity;	   /* that its certificate or key gives it; NULL: none */
	const char *lacks; /* why not */

	bool failed;
	enum close_reason reason;
	char why[TLS_REASON_MAX];
};

struct door {
	struct loop loop;
	pthread_t thread;
	bool stopping;
	struct list guests;
	uint8_t *scratch; /* PEEK_MAX */
};

static struct {
	struct door door[DOORS_MAX];
	unsigned n; /* constant while the workers run */
} doors;

static enum progress fail(struct guest *g, enum close_reason reason, const char *why)
{
	g->failed = true;
	g->reason = reason;
	snprintf(g->why, sizeof(g->why), "%s", why);
	return OVER;
}

/* What a read or a write has come to that brought nothing. */
static enum progress no_data(struct guest *g, ssize_t n)
{
	if (n == -EAGAIN && !g->hangup)
		return WAIT;
	if (n == 0 || n == -EAGAIN || n == -ECONNRESET || n == -EPIPE)
		return fail(g, CLOSE_PEER, "");
	return fail(g, CLOSE_SOCKET_ERROR, "");
}

/* ---- the stages --------------------------------------------------------------------------------------------------- */

static ssize_t receive(const struct guest *g, size_t len, int flags)
{
	ssize_t n;

	do
		n = recv(g->watch.fd, g->door->scratch, len, MSG_DONTWAIT | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static enum progress after_proxy(struct guest *g)
{
	g->stage = g->gate->tls ? STAGE_TLS : g->gate->websockets ? STAGE_REQUEST : STAGE_DONE;
	return NEXT;
}

/* Whether the client has what the listener wants to know by its certificate: by what the proxy says. */
static void take_common_name(struct guest *g, const struct proxy_header *h)
{
	if (!g->gate->identity || g->gate->tls)
		return;
	if (h->common_name.len)
		g->identity = mqtt_str_dup(h->common_name);
	if (!g->identity)
		g->lacks = h->common_name.len ? "out of memory" : "its proxy tells of no certificate";
}

static enum progress proxy(struct guest *g)
{
	struct proxy_header h;
	ssize_t n;

	if (!gate_trusts(g->gate, g->peer))
		return fail(g, CLOSE_PROXY, "it is not a trusted_proxy");
	/* Only looked at: what follows the header may be TLS, which has to be read from the socket. */
	n = receive(g, PROXY_HEADER_MAX, MSG_PEEK);
	if (n <= 0)
		return no_data(g, n);
	switch (proxy_parse(g->door->scratch, (size_t)n, &h)) {
	case PROXY_NEED_MORE:
		return no_data(g, -EAGAIN);
	case PROXY_BAD:
		return fail(g, CLOSE_PROXY, h.why);
	default:
		break;
	}
	if (h.version != g->gate->proxy)
		return fail(g, CLOSE_PROXY,
			    h.version == 1 ? "its header has version 1, enable_proxy_protocol is 2"
					   : "its header has version 2, enable_proxy_protocol is 1");
	if (g->gate->proxy_requires_tls && !h.tls && !h.local)
		return fail(g, CLOSE_PROXY, "the client did not come to the proxy by TLS");
	memcpy(g->client, h.peer, sizeof(g->client));
	take_common_name(g, &h);
	receive(g, h.consumed, 0);
	return after_proxy(g);
}

static enum progress handshake(struct guest *g)
{
	if (!g->tls)
		g->tls = tls_stream_new(g->gate->tls, g->watch.fd);
	if (!g->tls)
		return fail(g, CLOSE_NO_MEMORY, "");
	switch (tls_stream_handshake(g->tls)) {
	case TLS_DONE:
		if (g->gate->identity)
			g->identity = tls_stream_username(g->tls, &g->lacks);
		g->stage = g->gate->websockets ? STAGE_REQUEST : STAGE_DONE;
		return NEXT;
	case TLS_FAILED:
		return fail(g, CLOSE_TLS, tls_stream_reason(g->tls));
	default:
		return g->hangup && !tls_stream_readable(g->tls) ? fail(g, CLOSE_PEER, "") : WAIT;
	}
}

/* Add what has come by TLS to what there is of the request. Bytes, 0: the end, or -errno. */
static ssize_t read_request(struct guest *g)
{
	size_t most = g->gate->upgrade.size_max ? g->gate->upgrade.size_max : UPGRADE_SIZE_MAX;
	ssize_t n = tls_stream_read(g->tls, g->door->scratch, most + 1 - g->in_len);
	uint8_t *in = n > 0 ? realloc(g->in, g->in_len + (size_t)n) : NULL;

	if (n <= 0)
		return n;
	if (!in)
		return -ENOMEM;
	memcpy(in + g->in_len, g->door->scratch, (size_t)n);
	g->in = in;
	g->in_len += (size_t)n;
	return n;
}

/* Leave only what followed the request. */
static void drop_request(struct guest *g, size_t len)
{
	if (!g->tls) {
		receive(g, len, 0); /* it was only looked at */
		return;
	}
	g->in_len -= len;
	memmove(g->in, g->in + len, g->in_len);
}

static enum progress request(struct guest *g)
{
	struct upgrade u;
	enum upgrade_result result;
	ssize_t n;

	do {
		n = g->tls ? read_request(g) : receive(g, PEEK_MAX, MSG_PEEK);
		if (n == -ENOMEM)
			return fail(g, CLOSE_NO_MEMORY, "");
		if (n == -EPROTO)
			return fail(g, CLOSE_TLS, tls_stream_reason(g->tls));
		if (n <= 0)
			return no_data(g, n);
		result = upgrade_parse(g->tls ? g->in : g->door->scratch, g->tls ? g->in_len : (size_t)n,
				       &g->gate->upgrade, &u);
	} while (result == UPGRADE_NEED_MORE && g->tls);
	if (result == UPGRADE_NEED_MORE)
		return no_data(g, -EAGAIN);
	memcpy(g->response, u.response, u.response_len);
	g->response_len = u.response_len;
	g->stage = STAGE_RESPONSE;
	g->refused = result == UPGRADE_REFUSED;
	if (g->refused) {
		snprintf(g->why, sizeof(g->why), "%s", u.why);
		return NEXT;
	}
	if (gate_trusts(g->gate, g->client[0] ? g->client : g->peer))
		upgrade_client(&u, g->gate->trusted, g->gate->ntrusted, g->client);
	drop_request(g, u.consumed);
	return NEXT;
}

static enum progress respond(struct guest *g)
{
	struct iovec iov = {.iov_base = g->response + g->response_at, .iov_len = g->response_len - g->response_at};
	ssize_t n;

	if (g->tls) {
		n = tls_stream_write(g->tls, &iov, 1);
	} else {
		n = send(g->watch.fd, iov.iov_base, iov.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		n = n < 0 ? -errno : n;
	}
	if (n <= 0)
		return no_data(g, n);
	g->response_at += (size_t)n;
	if (g->response_at < g->response_len)
		return NEXT;
	if (g->refused) {
		char why[TLS_REASON_MAX];

		memcpy(why, g->why, sizeof(why));
		return fail(g, CLOSE_WEBSOCKET, why);
	}
	g->stage = STAGE_DONE;
	return NEXT;
}

static enum progress step(struct guest *g)
{
	switch (g->stage) {
	case STAGE_PROXY:
		return proxy(g);
	case STAGE_TLS:
		return handshake(g);
	case STAGE_REQUEST:
		return request(g);
	default:
		return respond(g);
	}
}

/* ---- on the door's thread ----------------------------------------------------------------------------------------- */

static void guest_arrives(struct inbox_item *item, void *worker);

static void leave(struct guest *g)
{
	loop_unwatch(&g->door->loop, &g->watch);
	timer_stop(&g->door->loop.timers, &g->deadline);
	list_del(&g->all);
	g->item.receive = guest_arrives;
	loop_send(&g->worker->loop, &g->item);
}

static void advance(struct guest *g)
{
	enum progress p = NEXT;

	while (p == NEXT && g->stage != STAGE_DONE)
		p = step(g);
	if (p != WAIT)
		leave(g);
}

static void guest_ready(struct watch *watch, uint32_t events)
{
	struct guest *g = container_of(watch, struct guest, watch);

	g->hangup |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	advance(g);
}

static void guest_late(struct timer *t)
{
	struct guest *g = container_of(t, struct guest, deadline);

	fail(g, CLOSE_TIMEOUT, "");
	leave(g);
}

static void guest_enters(struct inbox_item *item, void *door)
{
	struct guest *g = container_of(item, struct guest, item);
	struct door *d = door;

	list_push(&d->guests, &g->all);
	loop_after(&d->loop, &g->deadline, CONNECT_DEADLINE_MS, guest_late);
	if (loop_watch(&d->loop, &g->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
		fail(g, CLOSE_NO_MEMORY, "");
		leave(g);
	}
}

static void *run(void *arg)
{
	struct door *d = arg;

	/* Of this thread only: where processors are short, those that are connected come first. No matter if it fails. */
	(void)setpriority(PRIO_PROCESS, 0, DOOR_NICE);
	while (!d->stopping)
		loop_turn(&d->loop, false, d);
	while (!list_empty(&d->guests)) {
		struct guest *g = container_of(d->guests.next, struct guest, all);

		fail(g, CLOSE_SHUTDOWN, "");
		leave(g);
	}
	return NULL;
}

/* ---- on the worker's thread --------------------------------------------------------------------------------------- */

void door_enter(struct worker *w, struct gate *gate, int fd, unsigned listener, const char *peer, uint64_t order)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g) {
		conn_refuse(w, fd, listener, peer, CLOSE_NO_MEMORY);
		return;
	}
	memory_took(GUEST_MEMORY);
	g->watch = (struct watch){.fd = fd, .ready = guest_ready};
	g->door = &doors.door[order % doors.n];
	g->worker = w;
	g->gate = gate_ref(gate);
	g->listener = listener;
	g->order = order;
	snprintf(g->peer, sizeof(g->peer), "%s", peer);
	g->stage = gate->proxy ? STAGE_PROXY : STAGE_TLS;
	if (!gate->proxy)
		after_proxy(g);
	g->item.receive = guest_enters;
	loop_send(&g->door->loop, &g->item);
}

static void guest_free(struct guest *g)
{
	memory_gave(GUEST_MEMORY);
	tls_stream_free(g->tls);
	gate_unref(g->gate);
	free(g->in);
	free(g->identity);
	free(g);
}

/* Turn the guest into a connection, which takes what it brings along. */
static void let_in(struct worker *w, struct guest *g)
{
	struct transport *t = NULL;
	bool plain = !g->tls && !g->gate->websockets;

	if (g->client[0] && banning_refuses_peer(w, g->client)) {
		conn_refuse(w, g->watch.fd, g->listener, g->client, CLOSE_BANNED);
		return;
	}
	if (g->client[0] && w->broker->conf->connection_messages)
		log_notice("The client at %s is %s, says the proxy.", g->peer, g->client);
	if (!plain) {
		t = transport_new(g->tls, g->gate->websockets);
		g->tls = NULL;
		if (!t) {
			conn_refuse(w, g->watch.fd, g->listener, g->peer, CLOSE_NO_MEMORY);
			return;
		}
	}
	conn_accept(w, &(struct newcomer){
			       .fd = g->watch.fd,
			       .listener = g->listener,
			       .peer = g->client[0] ? g->client : g->peer,
			       .order = g->order,
			       .transport = t,
			       .rest = g->in,
			       .rest_len = g->in_len,
			       .identity = g->identity,
			       .lacks = g->lacks,
		       });
	g->identity = NULL;
}

static void log_failure(const struct guest *g)
{
	const char *peer = g->client[0] ? g->client : g->peer, *text = close_texts[g->reason].log;

	if (g->worker->broker->conf->connection_messages)
		log_notice("Client <unknown> [%s] disconnected: %s%s%s.", peer, text, g->why[0] ? ": " : "", g->why);
}

/* What a trusted proxy passes on is not its own doing. */
static void note_failure(const struct guest *g)
{
	if (g->client[0] || !gate_trusts(g->gate, g->peer))
		banning_guest_failed(g->worker, g->client[0] ? g->client : g->peer, g->reason);
}

static void guest_arrives(struct inbox_item *item, void *worker)
{
	struct guest *g = container_of(item, struct guest, item);
	struct worker *w = worker;

	if (!g->failed && w->draining)
		fail(g, CLOSE_SHUTDOWN, "");
	if (!g->failed) {
		let_in(w, g);
	} else {
		log_failure(g);
		note_failure(g);
		conn_refuse(w, g->watch.fd, g->listener, g->peer, g->reason);
	}
	guest_free(g);
}

/* ---- starting and stopping ---------------------------------------------------------------------------------------- */

static int start(struct door *d)
{
	int rc = loop_open(&d->loop);

	if (rc)
		return rc;
	d->loop.outside_rcu = true;
	d->stopping = false;
	list_init(&d->guests);
	d->scratch = malloc(PEEK_MAX);
	rc = d->scratch ? -pthread_create(&d->thread, NULL, run, d) : -ENOMEM;
	if (rc) {
		free(d->scratch);
		loop_close(&d->loop);
	}
	return rc;
}

int doors_start(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = cores < 2 ? 1 : cores / 2 > DOORS_MAX ? DOORS_MAX : (unsigned)cores / 2;
	int rc = 0;

	for (; doors.n < n && !rc; doors.n += !rc)
		rc = start(&doors.door[doors.n]);
	if (rc)
		doors_stop();
	return rc;
}

static void stop(struct inbox_item *item, void *door)
{
	(void)item;
	((struct door *)door)->stopping = true;
}

void doors_stop(void)
{
	for (; doors.n; doors.n--) {
		struct door *d = &doors.door[doors.n - 1];
		struct inbox_item item = {.receive = stop};

		loop_send(&d->loop, &item);
		pthread_join(d->thread, NULL);
		free(d->scratch);
		loop_close(&d->loop);
	}
}
