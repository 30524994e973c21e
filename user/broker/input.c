// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Reading from a connection. Packets that lie whole in what was read are handled in place; only the beginning of a
 * packet whose rest has not come yet is copied to the connection's own buffer, so that an idle connection holds no
 * buffer.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <wire.h>

#include "base/log.h"
#include "broker/access.h"
#include "broker/authenticate.h"
#include "broker/conn.h"
#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/rate.h"
#include "broker/room.h"
#include "broker/transport.h"

enum {
	READS_PER_TURN = 2, /* of READ_SIZE at most: then others have their turn */
	IN_MIN = 256,
	IN_STEP_MAX = 1 << 20,
};

static size_t packet_limit(const struct conn *c)
{
	size_t limit = c->worker->broker->conf->max_packet_size;

	if (c->state != CONN_OPEN && (!limit || limit > CONNECT_SIZE_MAX))
		limit = CONNECT_SIZE_MAX;
	return limit;
}

/* The length of the packet that begins at `p`, which is readable for WIRE_HEADER_MAX bytes: 0 when that cannot be told
 * yet. False: the connection must be closed, *why says for what. */
static bool measure(const struct conn *c, const uint8_t *p, size_t avail, size_t *len, __u32 *header_len,
		    enum close_reason *why)
{
	size_t limit = packet_limit(c);
	__s32 n;

	/* The first packet must be a CONNECT [MQTT-3.1.0-1]: do not wait for all of another. */
	if (c->state != CONN_OPEN && avail && p[0] >> 4 != MQTT_CONNECT && !authenticate_waits(c)) {
		*why = CLOSE_PROTOCOL;
		return false;
	}
	if (avail && p[0] >> 4 == 0) { /* reserved: its length does not matter */
		*why = CLOSE_MALFORMED;
		return false;
	}
	n = wire_header(p, avail < WIRE_HEADER_MAX ? (__u32)avail : WIRE_HEADER_MAX, header_len);
	if (n > 0 && c->version >= MQTT_5_0 && !wire_shortest(n, *header_len)) /* [MQTT-1.5.5-1] */
		n = WIRE_BAD;
	*len = n > 0 ? (size_t)n : 0;
	*why = n == WIRE_BAD ? CLOSE_MALFORMED : CLOSE_OVERSIZE;
	return n != WIRE_BAD && (!limit || *len <= limit);
}

static bool can_handle(const struct conn *c)
{
	return c->state != CONN_CLOSED && !c->paused && !c->broken && !c->move_to && !c->waits_for_session &&
	       !c->unwelcome && !access_waits(c);
}

/* Handle the whole packets in data[0, len), which is readable for WIRE_HEADER_MAX bytes more. Returns the bytes
 * consumed; a connection that must be closed is closed. */
static size_t handle_packets(struct conn *c, const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len && can_handle(c)) {
		enum close_reason why;
		__u32 header_len;
		size_t n;
		int rc;

		if (!measure(c, data + at, len - at, &n, &header_len, &why)) {
			conn_close(c, why);
			return at;
		}
		if (n == 0 || n > len - at)
			break;
		durable_begin(c);
		rc = conn_handle(c, data[at], data + at + header_len, n - header_len);
		if (c->move_to || c->waits_for_session || access_waits(c))
			break;
		at += n;
		if (rc) {
			conn_close(c, (enum close_reason)(rc - 1));
			return at;
		}
		c->paused = c->sink.out.control > CONTROL_HIGH || durable_full(c) || room_full(c) || rate_over(c);
		if (c->paused && durable_full(c))
			durable_watch(c);
	}
	return at;
}

/* Room for `total` bytes in the connection's buffer, and for looking at a header at its end. */
static bool reserve(struct conn *c, size_t total)
{
	uint8_t *in;

	if (total <= c->in_cap)
		return true;
	if (total < IN_MIN)
		total = IN_MIN;
	if (memory_short() && total > MEMORY_FEW_BYTES)
		return false;
	in = realloc(c->in, total + WIRE_HEADER_MAX);
	if (!in)
		return false;
	COUNTER_ADD(memory, (int64_t)total - (int64_t)c->in_cap);
	memset(in + total, 0, WIRE_HEADER_MAX);
	c->in = in;
	c->in_cap = total;
	return true;
}

static bool append(struct conn *c, const uint8_t *data, size_t len)
{
	if (!reserve(c, c->in_len + len))
		return false;
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
	return true;
}

void conn_release_input(struct conn *c)
{
	COUNTER_ADD(memory, -(int64_t)c->in_cap);
	free(c->in);
	c->in = NULL;
	c->in_len = c->in_cap = 0;
}

/* Handle what the connection's own buffer holds. */
static void handle_buffer(struct conn *c)
{
	size_t n = handle_packets(c, c->in, c->in_len);

	if (c->state == CONN_CLOSED)
		return;
	c->in_len -= n;
	if (c->in_len == 0)
		conn_release_input(c);
	else if (n)
		memmove(c->in, c->in + n, c->in_len);
}

/* Complete the packet that the buffer begins with from `data`; returns the bytes taken. */
static size_t complete(struct conn *c, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	while (taken < len && c->in_len > 0 && can_handle(c)) {
		enum close_reason why;
		__u32 header_len;
		size_t total, part;

		if (!measure(c, c->in, c->in_len, &total, &header_len, &why)) {
			conn_close(c, why);
			break;
		}
		part = total ? total - c->in_len : 1;
		if (part > len - taken)
			part = len - taken;
		if (!append(c, data + taken, part)) {
			conn_close(c, CLOSE_NO_MEMORY);
			break;
		}
		taken += part;
		/* Without a total it was a byte of the header, which may be all there is. */
		if (!total || c->in_len == total)
			handle_buffer(c);
	}
	return taken;
}

static void handle_input(struct conn *c, const uint8_t *data, size_t len)
{
	size_t n = 0;

	if (c->in_len)
		n = complete(c, data, len);
	if (c->state == CONN_CLOSED || n == len)
		return;
	if (!c->in_len)
		n += handle_packets(c, data + n, len - n);
	if (c->state != CONN_CLOSED && n < len && !append(c, data + n, len - n))
		conn_close(c, CLOSE_NO_MEMORY);
}

/* Bytes missing of a packet so large that it is read into place, else 0. Not before some of it is there: who only announces
 * packets takes no memory. */
static size_t large_rest(struct conn *c)
{
	enum close_reason why;
	__u32 header_len;
	size_t total;

	if (c->in_len < READ_SIZE || !measure(c, c->in, c->in_len, &total, &header_len, &why) ||
	    total < c->in_len + READ_SIZE)
		return 0;
	return total - c->in_len;
}

/* Where to read to, and how much. A buffer grows with what has really come, not with what a header announces. */
static size_t read_place(struct conn *c, uint8_t **to)
{
	size_t rest = large_rest(c);
	size_t step = c->in_len < IN_STEP_MAX ? c->in_len : IN_STEP_MAX;

	if (rest && reserve(c, c->in_len + (rest < step ? rest : step))) {
		*to = c->in + c->in_len;
		return c->in_cap - c->in_len < rest ? c->in_cap - c->in_len : rest;
	}
	*to = c->worker->scratch;
	return READ_SIZE;
}

/* Bytes, or -errno; -ENODATA: the client has ended its side. */
static ssize_t receive(struct conn *c, uint8_t *to, size_t room)
{
	ssize_t n;

	if (c->transport)
		return transport_read(c->transport, c->watch.fd, to, room, &c->readable);
	do
		n = recv(c->watch.fd, to, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ENODATA;
	/* A stream socket that gave less than it was asked for is empty (epoll(7)), unless its queue is one of messages:
	 * the fast path's is. An end that was announced must still be read. */
	if (n > 0 && (size_t)n < room && c->link.road == FP_ROAD_NONE && !c->hangup)
		c->readable = false;
	return n < 0 ? -errno : n;
}

static void read_failed(struct conn *c, ssize_t error)
{
	const char *why = c->transport ? transport_reason(c->transport) : "";

	if (error == -EAGAIN) {
		c->readable = false;
	} else if (error == -EPROTO) {
		log_notice("Client %s [%s]: TLS: %s.", c->session ? c->session->name : "<unknown>", c->peer, why);
		conn_close(c, CLOSE_TLS);
	} else {
		bool gone = error == -ENODATA || error == -ECONNRESET || error == -EPIPE;

		conn_close(c, gone ? CLOSE_PEER : CLOSE_SOCKET_ERROR);
	}
}

/* The WebSocket has ended: answer, and close. */
static void end_websocket(struct conn *c, const char *why)
{
	if (why)
		log_notice("Client %s [%s]: WebSocket: %s.", c->session ? c->session->name : "<unknown>", c->peer, why);
	conn_close(c, why ? CLOSE_WEBSOCKET : CLOSE_PEER);
}

/* Look what else a read has come to than bytes of MQTT. */
static void look_at_transport(struct conn *c)
{
	const char *why;

	if (!c->transport || c->state == CONN_CLOSED)
		return;
	if (transport_ended(c->transport, &why))
		end_websocket(c, why);
	else if (transport_waits(c->transport))
		conn_dirty(c);
}

void conn_take(struct conn *c, uint8_t *data, size_t len)
{
	handle_input(c, data, transport_rest(c->transport, data, len));
	look_at_transport(c);
}

bool conn_takes(const struct conn *c)
{
	return can_handle(c) && !c->in_len;
}

void conn_feed(struct conn *c, const uint8_t *packet, size_t len)
{
	c->received += len;
	c->bytes_in += len;
	COUNTER_ADD(bytes_received, len);
	handle_input(c, packet, len);
	if (c->state != CONN_CLOSED && c->move_to) /* it was begun on the wrong worker */
		conn_close(c, CLOSE_REFUSED);
}

/* One receive(). False: nothing more to read now, or the connection has ended. */
static bool read_once(struct conn *c)
{
	uint8_t *to;
	size_t room = read_place(c, &to);
	ssize_t n;

	memory_look(c->worker->broker);
	n = receive(c, to, room);
	if (n < 0) {
		read_failed(c, n);
		return false;
	}
	if (n == 0) {
		look_at_transport(c);
		return c->state != CONN_CLOSED && c->readable;
	}
	c->received += (uint64_t)n;
	c->bytes_in += (uint64_t)n;
	c->last_rx_ns = c->worker->loop.now_ns;
	COUNTER_ADD(bytes_received, (uint64_t)n);
	if (fp_heard(&c->link, c->worker->loop.now_ns))
		flow_rest(c);
	/* What this client published before and the kernel did not bring to everybody comes first. */
	if (c->link.road == FP_ROAD_LOCAL && fp_sink_waits())
		flow_read_sink(c->worker);
	if (to == c->worker->scratch) {
		handle_input(c, to, (size_t)n);
	} else {
		c->in_len += (size_t)n;
		if (large_rest(c) == 0)
			handle_buffer(c);
	}
	look_at_transport(c);
	return c->state != CONN_CLOSED && c->readable;
}

void conn_read(struct conn *c)
{
	struct worker *w = c->worker;

	/* After a pause or a move there may be whole packets. */
	if (c->in_len)
		handle_buffer(c);
	for (int i = 0; i < READS_PER_TURN && c->readable && can_handle(c); i++)
		if (!read_once(c))
			break;
	if (c->state == CONN_CLOSED)
		return;
	if (c->move_to) {
		conn_move(c);
		return;
	}
	if (c->link.road != FP_ROAD_NONE && !list_linked(&c->fence))
		list_push(&w->fence, &c->fence);
	if (c->readable && can_handle(c) && !list_linked(&c->ready))
		list_push(&w->ready, &c->ready);
}
