// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt/encode.h"
#include "wire.h"

enum {
	EVENTS = 256,
	SCRATCH_SIZE = 256 * 1024,
	SLACK = WIRE_HEADER_MAX, /* wire_header() may look so far beyond what is there */
};

int io_open(struct io *io, size_t packet_max)
{
	*io = (struct io){.packet_max = packet_max};
	io->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (io->epoll < 0)
		return -errno;
	io->scratch = malloc(SCRATCH_SIZE + SLACK);
	return io->scratch ? 0 : -ENOMEM;
}

void io_close(struct io *io)
{
	if (io->epoll >= 0)
		close(io->epoll);
	io->epoll = -1;
	free(io->scratch);
	io->scratch = NULL;
}

static bool reserve(struct bytes *b, size_t cap)
{
	uint8_t *grown;

	if (cap <= b->cap)
		return true;
	if (cap < 2 * b->cap)
		cap = 2 * b->cap;
	grown = realloc(b->data, cap + SLACK);
	if (!grown)
		return false;
	b->data = grown;
	b->cap = cap;
	return true;
}

static bool append(struct bytes *b, const void *data, size_t len)
{
	if (!reserve(b, b->len + len))
		return false;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return true;
}

static void release(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){0};
}

void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	release(&c->in);
	release(&c->out);
}

static void broken(struct conn *c, uint64_t *errors, int err)
{
	errors[err > 0 && err < ERRNO_LIMIT ? err : 0]++;
	conn_close(c);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static int watch_output(struct conn *c, bool wanted)
{
	struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};

	if (c->watching_output == wanted)
		return 0;
	c->watching_output = wanted;
	return epoll_ctl(c->io->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0 ? -errno : 0;
}

/* Send what the socket takes, all of it or less; -1 when the connection broke and was closed. */
static ssize_t send_some(struct conn *c, const uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(c->fd, data + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			break;
		broken(c, c->io->send_errors, errno);
		return -1;
	}
	c->last_sent_ns = clock_ns();
	return (ssize_t)done;
}

bool conn_write(struct conn *c, const void *data, size_t len)
{
	ssize_t sent = 0;
	int err;

	if (c->fd < 0)
		return false;
	if (c->out.len == 0 && !c->corked) {
		sent = send_some(c, data, len);
		if (sent < 0)
			return false;
		if ((size_t)sent == len)
			return true;
	}
	err = append(&c->out, (const uint8_t *)data + sent, len - (size_t)sent) ? 0 : -ENOMEM;
	if (!err && !c->corked) {
		c->io->blocked++;
		err = watch_output(c, true);
	}
	if (err)
		broken(c, c->io->send_errors, -err);
	return !err;
}

/* Write what was kept. */
static void flush(struct conn *c)
{
	ssize_t sent;
	int err;

	if (c->fd < 0 || c->out.len == 0)
		return;
	sent = send_some(c, c->out.data, c->out.len);
	if (sent < 0)
		return;
	c->out.len -= (size_t)sent;
	memmove(c->out.data, c->out.data + sent, c->out.len);
	err = watch_output(c, c->out.len > 0);
	if (err)
		broken(c, c->io->send_errors, -err);
	else if (c->out.len == 0 && c->on_writable)
		c->on_writable(c);
}

void conn_keep_alive(struct conn *c, uint64_t before_ns)
{
	uint8_t ping[MQTT_SHORT_MAX];

	if (conn_clear(c) && c->last_sent_ns < before_ns)
		conn_write(c, ping, mqtt_encode_pingreq(ping, sizeof(ping)));
}

void conn_finish(struct conn *c)
{
	uint8_t bye[MQTT_SHORT_MAX];

	if (conn_clear(c))
		conn_write(c, bye, mqtt_encode_disconnect(bye, sizeof(bye), c->version, 0));
	conn_close(c);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Hand over the whole packets in the buffer. Returns the bytes they took; meaningless once the connection is closed. */
static size_t take_packets(struct conn *c, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct mqtt_packet packet;
	size_t at = 0;

	while (c->fd >= 0) {
		uint32_t header = 0;
		int32_t total = wire_header(data + at, (uint32_t)(len - at), &header);

		if (total == WIRE_BAD || (total > 0 && (size_t)total > c->io->packet_max))
			goto malformed;
		if (total == WIRE_MORE || (size_t)total > len - at)
			break;
		if (mqtt_decode_from_server(c->version, data[at], data + at + header, (size_t)total - header, &packet))
			goto malformed;
		if (c->on_packet(c, &packet, now_ns) < 0)
			goto malformed;
		at += (size_t)total;
	}
	return at;
malformed:
	c->io->malformed++;
	conn_close(c);
	return at;
}

/* Go on with a packet of which the beginning is kept. */
static ssize_t receive_rest(struct conn *c)
{
	ssize_t n;
	size_t taken;

	if (!reserve(&c->in, c->in.len + SCRATCH_SIZE)) {
		errno = ENOMEM;
		return -1;
	}
	n = recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len, MSG_DONTWAIT);
	if (n <= 0)
		return n;
	c->in.len += (size_t)n;
	taken = take_packets(c, c->in.data, c->in.len, clock_ns());
	if (c->fd < 0)
		return n;
	c->in.len -= taken;
	if (c->in.len == 0)
		release(&c->in);
	else
		memmove(c->in.data, c->in.data + taken, c->in.len);
	return n;
}

static ssize_t receive_fresh(struct conn *c)
{
	ssize_t n = recv(c->fd, c->io->scratch, SCRATCH_SIZE, MSG_DONTWAIT);
	size_t taken;

	if (n <= 0)
		return n;
	taken = take_packets(c, c->io->scratch, (size_t)n, clock_ns());
	if (c->fd >= 0 && taken < (size_t)n && !append(&c->in, c->io->scratch + taken, (size_t)n - taken)) {
		errno = ENOMEM;
		return -1;
	}
	return n;
}

/* One recv() and what it brought. */
static void receive(struct conn *c)
{
	ssize_t n;

	c->corked = c->io->gather;
	n = c->in.len ? receive_rest(c) : receive_fresh(c);
	c->corked = false;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		broken(c, c->io->receive_errors, errno);
	} else if (n == 0) {
		c->io->closed++;
		conn_close(c);
	} else if (c->io->gather) {
		flush(c);
	}
}

int conn_watch(struct conn *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	return epoll_ctl(c->io->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0 ? -errno : 0;
}

void conn_event(struct conn *c, uint32_t events)
{
	if (c->fd >= 0 && events & EPOLLOUT)
		flush(c);
	if (c->fd >= 0 && events & ~(uint32_t)EPOLLOUT)
		receive(c);
}

void io_wait(struct io *io, uint64_t timeout_ns)
{
	struct epoll_event events[EVENTS];
	struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / 1000000000),
		.tv_nsec = (long)(timeout_ns % 1000000000),
	};
	int n = epoll_pwait2(io->epoll, events, EVENTS, &timeout, NULL);

	for (int i = 0; i < n; i++)
		conn_event(events[i].data.ptr, events[i].events);
}
