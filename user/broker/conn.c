// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The life of a connection, and its output. Reading is in input.c, packets are handled in packets.c and connect.c. */
#include "broker/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "broker/access.h"
#include "broker/authenticate.h"
#include "broker/banning.h"
#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/rate.h"
#include "broker/replay.h"
#include "broker/room.h"
#include "broker/subscribe.h"
#include "broker/token.h"
#include "broker/transport.h"
#include "broker/will.h"

enum {
	IOVECS = 64,
	WRITE_PER_TURN = 1 << 20, /* bytes; what is left goes on in the next turn */
	LINGERS_MAX = 50,	  /* milliseconds that a closed connection waits for its last bytes */
};

static const uint32_t conn_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static void conn_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, watch);

	if (c->state == CONN_CLOSED)
		return;
	if (events & EPOLLOUT && c->blocked && !c->retry.armed) {
		c->blocked = false;
		conn_dirty(c);
	}
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->hangup = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		c->readable = true;
		if (!c->paused)
			conn_read(c);
	}
}

static void sink_dirty(struct session_sink *sink)
{
	conn_dirty(container_of(sink, struct conn, sink));
}

static void sink_flush(struct session_sink *sink)
{
	conn_write(container_of(sink, struct conn, sink));
}

static void sink_waits(struct session_sink *sink)
{
	durable_watch(container_of(sink, struct conn, sink));
}

static void sink_more(struct session_sink *sink)
{
	durable_more(container_of(sink, struct conn, sink));
}

static void connect_late(struct timer *t)
{
	conn_close(container_of(t, struct conn, deadline), CLOSE_TIMEOUT);
}

void conn_await_connect(struct conn *c)
{
	loop_after(&c->worker->loop, &c->deadline, CONNECT_DEADLINE_MS, connect_late);
}

void conn_refuse(struct worker *w, int fd, unsigned listener, const char *peer, enum close_reason why)
{
	if (why == CLOSE_NO_MEMORY)
		log_error("Out of memory, closing the connection from %s.", peer);
	__atomic_sub_fetch(&w->broker->listener_connections[listener], 1, __ATOMIC_RELAXED);
	COUNTER_ADD(closed[why], 1);
	close(fd);
}

static struct conn *conn_new(struct worker *w, const struct newcomer *n)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	memory_took(sizeof(*c));
	c->watch = (struct watch){.fd = n->fd, .ready = conn_ready};
	c->transport = n->transport;
	c->identity = n->identity;
	c->lacks = n->lacks;
	c->worker = w;
	c->version = MQTT_3_1_1;
	c->problem_info = true;
	c->listener = n->listener;
	c->order = n->order;
	c->sink.peer = c->peer;
	c->sink.dirty = sink_dirty;
	c->sink.flush = sink_flush;
	c->sink.waits = sink_waits;
	c->sink.more = sink_more;
	c->last_rx_ns = w->loop.now_ns;
	snprintf(c->peer, sizeof(c->peer), "%s", n->peer);
	list_init(&c->ready);
	list_init(&c->dirty);
	list_init(&c->fence);
	list_init(&c->committing);
	list_init(&c->loading);
	list_init(&c->held_answers);
	list_init(&c->waiting);
	list_init(&c->waits_for_room);
	list_push(&w->conns, &c->all);
	COUNTER_ADD(sockets, 1);
	conn_await_connect(c);
	return c;
}

struct conn *conn_open(struct worker *w, struct conn_wire *wire, const struct newcomer *n)
{
	struct conn *c = conn_new(w, n);

	if (c) {
		c->wire = wire;
		c->link.whole_max = 1; /* its output is taken packet by packet */
		c->placed = false;
	}
	return c;
}

void conn_accept(struct worker *w, const struct newcomer *n)
{
	struct conn *c = conn_new(w, n);

	if (!c) {
		transport_free(n->transport);
		free(n->identity);
		conn_refuse(w, n->fd, n->listener, n->peer, CLOSE_NO_MEMORY);
		return;
	}
	if (loop_watch(&w->loop, &c->watch, conn_events)) {
		conn_close(c, CLOSE_NO_MEMORY);
		return;
	}
	if (!c->transport)
		return;
	if (n->rest_len)
		conn_take(c, n->rest, n->rest_len);
	/* What TLS has read already, no event will tell of. */
	c->readable = true;
	if (c->state != CONN_CLOSED)
		conn_read(c);
}

static void unlink_conn(struct conn *c)
{
	struct worker *w = c->worker;

	timer_stop(&w->loop.timers, &c->deadline);
	timer_stop(&w->loop.timers, &c->retry);
	timer_stop(&w->loop.timers, &c->rate);
	list_del(&c->all);
	list_del(&c->ready);
	list_del(&c->dirty);
	list_del(&c->fence);
	list_del(&c->committing);
	list_del(&c->loading);
}

static void receive_move(struct inbox_item *item, void *receiver)
{
	struct conn *c = container_of(item, struct conn, move);
	struct worker *w = receiver;

	c->worker = w;
	c->state = CONN_NEW;
	list_push(&w->conns, &c->all);
	COUNTER_ADD(sockets, 1);
	if (w->draining || loop_watch(&w->loop, &c->watch, conn_events)) {
		conn_close(c, w->draining ? CLOSE_SHUTDOWN : CLOSE_NO_MEMORY);
		return;
	}
	conn_await_connect(c);
	c->readable = true;
	conn_read(c);
}

void conn_move(struct conn *c)
{
	struct worker *w = c->worker;
	struct worker *to = c->move_to;

	loop_unwatch(&w->loop, &c->watch);
	unlink_conn(c);
	COUNTER_ADD(sockets, -1);
	c->state = CONN_MOVING;
	c->move_to = NULL;
	c->placed = true;
	c->move.receive = receive_move;
	loop_send(&to->loop, &c->move);
}

/* ---- keepalive --------------------------------------------------------------------------------------------------- */

static void keepalive_check(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, deadline);
	uint64_t limit = c->keep_alive * NS_PER_S + c->keep_alive * NS_PER_S / 2;
	uint64_t now = c->worker->loop.now_ns;
	uint64_t seen = fp_last_seen_ns(&c->link);

	if (seen < c->last_rx_ns)
		seen = c->last_rx_ns;
	if (rate_over(c)) /* it is we who do not read */
		seen = now;
	if (seen + limit <= now) {
		conn_close(c, CLOSE_TIMEOUT);
		return;
	}
	loop_after(&c->worker->loop, t, (seen + limit - now) / NS_PER_MS, keepalive_check);
}

void conn_keepalive(struct conn *c)
{
	timer_stop(&c->worker->loop.timers, &c->deadline);
	c->last_rx_ns = c->worker->loop.now_ns;
	if (c->keep_alive)
		keepalive_check(&c->deadline);
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

void conn_dirty(struct conn *c)
{
	if (c->state != CONN_CLOSED && !list_linked(&c->dirty))
		list_push(&c->worker->dirty, &c->dirty);
}

void conn_break(struct conn *c, enum close_reason why)
{
	if (!c->broken) {
		c->broken = true;
		c->why = why;
	}
	conn_dirty(c);
}

void conn_send(struct conn *c, const uint8_t *packet, size_t len)
{
	if (c->wire) {
		COUNTER_ADD(messages_sent, 1);
		c->wire->send(c, packet, len);
		return;
	}
	if (output_packet(&c->sink.out, packet, len)) {
		conn_break(c, CLOSE_NO_MEMORY);
		return;
	}
	COUNTER_ADD(messages_sent, 1);
	conn_dirty(c);
}

static void retry_now(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, retry);

	c->blocked = false;
	conn_dirty(c);
}

/* The queue in front of the client is full and no event will tell when it is not: look soon, for a reader that is only
 * a little behind, and less and less often for one that stopped. */
static void retry_later(struct conn *c)
{
	uint32_t ms = c->retries < RETRIES_SOON ? 1 : 1U << (c->retries - RETRIES_SOON);

	c->blocked = true;
	if (ms < RETRY_MAX_MS)
		c->retries++;
	else
		ms = RETRY_MAX_MS;
	loop_after(&c->worker->loop, &c->retry, ms, retry_now);
}

void conn_written(struct conn *c, size_t n, size_t len)
{
	output_written(&c->sink.out, n, len, c->link.whole_max);
	c->bytes_out += n;
	c->retries = 0;
	COUNTER_ADD(bytes_sent, n);
}

/* One fp_send(), or what stands for it: bytes written, or -errno. */
static ssize_t send_some(struct conn *c)
{
	struct output *o = &c->sink.out;
	struct iovec iov[IOVECS];
	size_t len = o->bytes;
	ssize_t sent;
	int n;

	if (c->transport) {
		sent = transport_write(c->transport, c->watch.fd, o);
	} else {
		n = output_gather(o, iov, IOVECS, c->link.whole_max, &len);
		sent = fp_send(&c->link, c->watch.fd, iov, n);
	}
	if (sent > 0)
		conn_written(c, (size_t)sent, len);
	return sent;
}

/* Bytes written, 0 when nothing can be written now. */
static size_t write_some(struct conn *c)
{
	ssize_t sent;

	if (fp_burdens(&c->link, c->worker->loop.now_ns))
		flow_yield(c);
	if (c->link.leaving && !fp_leave(&c->link, c->watch.fd)) {
		retry_later(c);
		return 0;
	}
	sent = send_some(c);
	if (sent >= 0)
		return (size_t)sent;
	if (sent == -EAGAIN)
		c->blocked = true;
	else if (sent == -EBUSY)
		retry_later(c);
	else
		conn_break(c, sent == -EPIPE || sent == -ECONNRESET ? CLOSE_PEER : CLOSE_SOCKET_ERROR);
	return 0;
}

/* Is there something to write? */
static bool has_output(const struct conn *c)
{
	return !output_empty(&c->sink.out) || (c->transport && transport_waits(c->transport));
}

void conn_write(struct conn *c)
{
	size_t written = 0;
	size_t n;

	if (c->wire) {
		if (!c->broken)
			c->wire->write(c);
		return;
	}
	while (has_output(c) && !c->blocked && !c->broken && written < WRITE_PER_TURN) {
		n = write_some(c);
		if (!n)
			return;
		written += n;
	}
}

/* Make the counters say that so much waits for the socket. */
static void count_waiting(struct conn *c, uint32_t packets, uint64_t bytes)
{
	if (packets != c->counted_packets || bytes != c->counted_bytes) {
		COUNTER_ADD(out_packets, (int64_t)packets - c->counted_packets);
		COUNTER_ADD(out_bytes, bytes - c->counted_bytes);
		c->counted_packets = packets;
		c->counted_bytes = bytes;
	}
}

static void resume_reading(struct conn *c)
{
	c->paused = false;
	if (!list_linked(&c->ready))
		list_push(&c->worker->ready, &c->ready);
}

void conn_flush(struct conn *c)
{
	struct output *o = &c->sink.out;
	bool hold;

	conn_write(c);
	/* What the session held back for want of room goes out in the same turn, as far as the socket takes it. */
	if (c->session && c->session->sink == &c->sink && !c->broken) {
		session_pump(c->session);
		conn_write(c);
	}
	if (c->sink.failed)
		conn_break(c, CLOSE_NO_MEMORY);
	if (c->broken || c->sink.behind || c->unwelcome) {
		conn_close(c, c->broken ? c->why : c->unwelcome ? CLOSE_NOT_AUTHORISED : CLOSE_QUOTA);
		return;
	}
	count_waiting(c, o->messages, o->bytes);
	list_del(&c->dirty);
	if (!c->blocked && (has_output(c) || (c->session && session_waits(c->session))))
		conn_dirty(c);
	if (c->paused && o->control < CONTROL_LOW && !durable_full(c) && !room_full(c) && !rate_over(c))
		resume_reading(c);
	hold = !output_empty(o) || (c->session && session_backlogged(c->session));
	if (c->link.road != FP_ROAD_NONE && hold != c->held) {
		c->held = hold;
		fp_hold(&c->link, hold);
	}
	if (c->returned) {
		fp_returned(&c->link, c->returned);
		c->returned = 0;
	}
	if (c->want_target && !hold)
		flow_make_target(c);
	if (c->pinged && !hold && c->session) {
		c->pinged = false;
		fp_answer_pings(&c->link, c->watch.fd, c->session->id);
	}
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct conn *c)
{
	return c->session ? c->session->name : c->client_name ? c->client_name : "<unknown>";
}

static void log_close(const struct conn *c, enum close_reason why)
{
	const char *text = close_texts[why].log;

	/* The ban was logged: who keeps knocking does not fill the log. */
	if (!c->worker->broker->conf->connection_messages || (why == CLOSE_BANNED && !c->session))
		return;
	if (text)
		log_notice("Client %s [%s] disconnected: %s.", name_of(c), c->peer, text);
	else
		log_notice("Client %s [%s] disconnected.", name_of(c), c->peer);
}

/* How long the session outlives its connection, in seconds; SESSION_NEVER_EXPIRES. */
static uint64_t time_left(const struct conf *conf, const struct session *s)
{
	uint64_t limit = conf->persistent_client_expiration;

	return limit && limit < s->expiry_interval ? limit : s->expiry_interval;
}

static void leave_session(struct conn *c)
{
	struct worker *w = c->worker;
	struct session *s = c->session;
	uint64_t left = time_left(w->broker->conf, s);

	c->session = NULL;
	s->conn = NULL;
	token_unwatch(s);
	session_offline(s);
	replay_offline(s);
	subscriptions_offline(w->broker, s);
	will_connection_ends(c, s);
	if (s->stored) {
		durable_session_changes(w, s);
		session_cool(s);
	}
	if (session_ends_with_connection(s))
		worker_session_end(w, s);
	else if (left != SESSION_NEVER_EXPIRES)
		worker_session_expires(w, s, left * 1000);
}

/* Closing with input unread resets a TCP connection, or a client that goes on sending could wait for ever at a closed
 * window. What waits in the verdict program's queue TCP does not know of, so that the reset must be asked for. */
static void reset_if_unread(const struct conn *c)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	char byte;

	if (recv(c->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void conn_count_carried(struct conn *c)
{
	struct namespace *space = conn_namespace(c);
	struct fp_client_counters now;

	if (namespace_is_default(space) || c->link.road == FP_ROAD_NONE)
		return;
	fp_client_counters(&c->link, &now);
	namespace_received(space, c->worker->index, now.sent_messages - c->carried_in);
	namespace_sent(space, c->worker->index, now.received_messages - c->carried_out);
	c->carried_in = now.sent_messages;
	c->carried_out = now.received_messages;
}

static void close_socket(struct conn *c)
{
	if (c->link.road == FP_ROAD_REMOTE)
		reset_if_unread(c);
	transport_free(c->transport);
	c->transport = NULL;
	if (c->watch.fd >= 0)
		close(c->watch.fd);
	c->watch.fd = -1;
	conn_count_carried(c);
	fp_detach(&c->link);
	list_del(&c->all);
	list_push(&c->worker->dead, &c->all);
}

static bool drained(struct conn *c)
{
	return c->retries++ >= LINGERS_MAX || fp_drained(&c->link, c->watch.fd);
}

static void linger(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, retry);

	if (drained(c))
		close_socket(c);
	else
		loop_after(&c->worker->loop, t, 1, linger);
}

void conn_finish_lingering(struct worker *w)
{
	uint64_t deadline = clock_ns() + (uint64_t)LINGERS_MAX * NS_PER_MS; /* for all of them together */

	while (!list_empty(&w->lingering)) {
		struct conn *c = container_of(w->lingering.next, struct conn, all);

		timer_stop(&w->loop.timers, &c->retry);
		while (!drained(c) && clock_ns() < deadline)
			usleep(1000);
		close_socket(c);
	}
}

/* What we said last may still be in the fast path's hands. A client that is gone need not hear it. */
static bool wants_to_linger(const struct conn *c, enum close_reason why)
{
	return c->link.road == FP_ROAD_REMOTE && c->link.target && close_texts[why].reason && !c->broken;
}

static void end_connection(struct conn *c, enum close_reason why)
{
	c->retries = 0;
	if (c->wire) {
		c->wire->closed(c, why);
		c->wire = NULL;
	}
	if (wants_to_linger(c, why)) {
		loop_unwatch(&c->worker->loop, &c->watch);
		list_push(&c->worker->lingering, &c->all);
		linger(&c->retry);
	} else {
		close_socket(c);
	}
}

static void free_buffers(struct conn *c)
{
	output_clear(&c->sink.out);
	alias_out_clear(&c->sink.aliases);
	alias_in_clear(&c->aliases);
	authenticate_end(c);
	access_done(c);
	durable_drop(c);
	room_forget(c);
	conn_release_input(c);
}

void conn_close(struct conn *c, enum close_reason why)
{
	struct worker *w = c->worker;

	if (c->state == CONN_CLOSED)
		return;
	/* What was answered to packets before the end goes out, if the socket takes it. */
	if (!c->broken) {
		conn_send_disconnect(c, why);
		conn_write(c);
		if (c->transport && !c->broken)
			transport_end(c->transport, c->watch.fd, &c->sink.out, why);
	}
	/* Who sees that it is closed, or counted as such, finds its place free. */
	log_close(c, why);
	banning_connection_ends(c, why);
	__atomic_sub_fetch(&w->broker->listener_connections[c->listener], 1, __ATOMIC_RELAXED);
	if (c->session) {
		COUNTER_ADD(clients_connected, -1);
		namespace_count(&c->session->space->connected, -1);
	}
	COUNTER_ADD(sockets, -1);
	COUNTER_ADD(closed[why], 1);
	count_waiting(c, 0, 0);
	unlink_conn(c);
	c->state = CONN_CLOSED;
	if (c->session)
		flow_retire(c);
	end_connection(c, why);
	if (why == CLOSE_DISCONNECT && c->peer_reason == MQTT_RC_SUCCESS) /* [MQTT-3.14.4-3] */
		message_drop(&c->will);
	if (c->session)
		leave_session(c);
	free_buffers(c);
}

void conn_free(struct conn *c)
{
	free(c->identity);
	free(c->client_name);
	token_free(c->token);
	access_forget_username(&c->username);
	memory_gave(sizeof(*c));
	free(c);
}
