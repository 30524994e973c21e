// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "chaos.h"

enum { TICK_MS = 100, CONNECT_LEN_MAX = 64 };

int conn_new(struct conn *c)
{
	c->fd = -1;
	c->input = malloc(INPUT_MAX);
	return c->input ? 0 : -1;
}

bool conn_excused(const struct conn *c)
{
	return c->excused || look(&world->generation) != c->generation || look(&world->end);
}

/* The connection is gone. */
static bool gone(struct conn *c, const char *doing, int error)
{
	if (conn_excused(c))
		count(&world->cut, 1);
	else
		fail(SENDS, "%s, connection to daemon %u: %s: %s", c->id, c->generation / 2, doing,
		     error ? strerror(error) : "closed by the broker");
	close(c->fd);
	c->fd = -1;
	return false;
}

/* Another tick of waiting for what must come. False: too long, which was told. */
static bool patient(struct conn *c, int *waited, const char *what)
{
	if (!look(&world->stopped))
		*waited += TICK_MS;
	if (*waited < PATIENCE_MS || conn_excused(c))
		return true;
	fail(ANSWERS, "%s, connection to daemon %u: %s takes more than %d s", c->id, c->generation / 2, what,
	     PATIENCE_MS / 1000);
	c->excused = true;
	return false;
}

static bool wait_for(struct conn *c, short events, int *waited, const char *what)
{
	struct pollfd p = {.fd = c->fd, .events = events};

	while (poll(&p, 1, TICK_MS) == 0) {
		if (conn_excused(c) && look(&world->generation) != c->generation)
			return gone(c, what, 0);
		if (look(&world->end) || !patient(c, waited, what))
			return gone(c, what, ETIMEDOUT);
	}
	return true;
}

static bool send_piece(struct conn *c, const struct iovec *iov, int n, int flags)
{
	struct iovec left[4];
	struct msghdr msg = {.msg_iov = left, .msg_iovlen = (size_t)n};
	int waited = 0;

	memcpy(left, iov, sizeof(*iov) * (size_t)n);
	while (msg.msg_iovlen) {
		ssize_t rc = sendmsg(c->fd, &msg, flags | MSG_NOSIGNAL | MSG_DONTWAIT);

		if (rc < 0 && errno == EAGAIN) {
			if (!wait_for(c, POLLOUT, &waited, "a send"))
				return false;
			continue;
		}
		if (rc < 0)
			return gone(c, "send", errno);
		waited = 0;
		while (msg.msg_iovlen && (size_t)rc >= msg.msg_iov->iov_len) {
			rc -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen) {
			msg.msg_iov->iov_base = (uint8_t *)msg.msg_iov->iov_base + rc;
			msg.msg_iov->iov_len -= (size_t)rc;
		}
	}
	return true;
}

static bool send_plain(struct conn *c, const uint8_t *data, size_t len, int flags)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = len};

	return send_piece(c, &iov, 1, flags);
}

static bool send_in_pieces(struct conn *c, const uint8_t *data, size_t len, uint32_t most, uint64_t *rng)
{
	while (len > 0) {
		size_t n = 1 + rng_below(rng, most);

		if (n > len)
			n = len;
		if (!send_plain(c, data, n, 0))
			return false;
		data += n;
		len -= n;
	}
	return true;
}

bool conn_send(struct conn *c, const void *data, size_t len, enum writing writing, uint64_t *rng)
{
	const uint8_t *bytes = data;
	size_t cut;

	switch (len < 4 ? WHOLE : writing) {
	case CUT_IN_TWO: /* the first bytes are where it matters most */
		cut = 1 + rng_below(rng, (uint32_t)(rng_below(rng, 2) && len > 40 ? 40 : len - 1));
		if (!send_plain(c, bytes, cut, 0))
			return false;
		if (rng_below(rng, 8) == 0)
			pause_us(rng_below(rng, 2000));
		return send_plain(c, bytes + cut, len - cut, 0);
	case BYTES:
		return len > 300 ? send_in_pieces(c, bytes, len, 3000, rng) : send_in_pieces(c, bytes, len, 1, rng);
	case PIECES:
		return send_in_pieces(c, bytes, len, (uint32_t)len, rng);
	case GATHERED: {
		const struct iovec iov[] = {{(void *)bytes, 1},
					    {(void *)(bytes + 1), len / 2},
					    {(void *)(bytes + 1 + len / 2), len - 1 - len / 2}};

		return send_piece(c, iov, 3, 0);
	}
	case MORE:
		cut = 1 + rng_below(rng, (uint32_t)len - 1);
		return send_plain(c, bytes, cut, MSG_MORE) && send_plain(c, bytes + cut, len - cut, 0);
	default:
		return send_plain(c, bytes, len, 0);
	}
}

int conn_read(struct conn *c, int timeout_ms, size_t most)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	size_t room;
	ssize_t rc;

	if (c->start > 0) {
		memmove(c->input, c->input + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	room = INPUT_MAX - c->end;
	rc = recv(c->fd, c->input + c->end, most < room ? most : room, MSG_DONTWAIT);
	if (rc < 0 && errno == EAGAIN && timeout_ms > 0 && poll(&p, 1, timeout_ms) > 0)
		rc = recv(c->fd, c->input + c->end, most < room ? most : room, MSG_DONTWAIT);
	if (rc < 0 && errno == EAGAIN)
		return 0;
	if (rc <= 0) {
		gone(c, "recv", rc < 0 ? errno : 0);
		return -1;
	}
	c->end += (size_t)rc;
	return 1;
}

bool conn_next(struct conn *c, struct packet *packet)
{
	const uint8_t *at = c->input + c->start;
	size_t there = c->end - c->start, len = 0, head = 1;

	if (c->fd < 0)
		return false;
	do {
		if (head >= there)
			return false;
		if (head > 4)
			len = SIZE_MAX;
		else
			len |= (size_t)(at[head] & 127) << (7 * (head - 1));
	} while (len != SIZE_MAX && at[head++] & 128);
	if (len > PACKET_MAX) {
		fail(STREAMS, "%s, connection to daemon %u: the stream is broken: a packet of type %#x, %zu bytes",
		     c->id, c->generation / 2, at[0], len);
		close(c->fd);
		c->fd = -1;
		return false;
	}
	if (head + len > there)
		return false;
	*packet = (struct packet){.first = at[0], .body = at + head, .len = len};
	c->start += head + len;
	return true;
}

/* Connect; -1 with errno. */
static int tcp_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(fd, (const struct sockaddr *)&settings.address, sizeof(settings.address)))
		return fd;
	one = errno;
	close(fd);
	errno = one;
	return -1;
}

/* CONNECT and its answer. */
static bool greet(struct conn *c)
{
	uint8_t hello[CONNECT_LEN_MAX] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', c->level, 2, 0, 0};
	size_t props = c->level == 5, len = strlen(c->id);
	struct packet answer;
	int waited = 0;

	hello[1] = (uint8_t)(12 + props + len);
	hello[13 + props] = (uint8_t)len;
	memcpy(hello + 14 + props, c->id, len);
	if (!send_plain(c, hello, 14 + props + len, 0))
		return false;
	while (!conn_next(c, &answer)) {
		if (c->fd < 0 || !wait_for(c, POLLIN, &waited, "a CONNACK") || conn_read(c, 0, SIZE_MAX) < 0)
			return false;
	}
	if (answer.first != 0x20 || answer.len < 2 || answer.body[1] != 0) {
		fail(ANSWERS, "%s: CONNECT was answered by type %#x, %zu bytes, code %d", c->id, answer.first,
		     answer.len, answer.len < 2 ? -1 : answer.body[1]);
		close(c->fd);
		c->fd = -1;
		return false;
	}
	return true;
}

bool conn_open(struct conn *c, const char *id, uint8_t level)
{
	bool excused = c->excused;

	for (int waited = 0; !look(&world->end); waited += TICK_MS) {
		c->generation = look(&world->generation);
		c->start = c->end = 0;
		c->id = id;
		c->level = level;
		c->excused = excused;
		if (c->generation % 2) {
			waited = 0;
			pause_us(TICK_MS * 1000 / 4);
			continue;
		}
		c->fd = tcp_connect();
		if (c->fd >= 0 && greet(c)) {
			count(&world->connects, 1);
			return true;
		}
		if (c->fd < 0 && waited > PATIENCE_MS && !conn_excused(c)) {
			fail(ANSWERS, "%s cannot connect to daemon %u: %s", id, c->generation / 2, strerror(errno));
			return false;
		}
		pause_us(TICK_MS * 1000 / 4);
	}
	return false;
}

void conn_leave(struct conn *c, enum way way)
{
	const struct linger reset = {.l_onoff = 1};
	uint64_t since = now_ns();

	count(&world->leaves[way], 1);
	c->excused = true;
	if (way == RESET)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (way == DISCONNECT && send(c->fd, "\xe0\0", 2, MSG_NOSIGNAL | MSG_DONTWAIT) != 2)
		event("%s: no DISCONNECT", c->id);
	if (way == HALF_CLOSE) { /* the broker has to close */
		shutdown(c->fd, SHUT_WR);
		while (conn_read(c, TICK_MS, SIZE_MAX) >= 0) {
			c->start = c->end = 0;
			if (look(&world->end) || look(&world->generation) != c->generation)
				break;
			if (look(&world->stopped))
				since = now_ns();
			if (now_ns() - since > PATIENCE_MS * 1000000ull) {
				fail(ANSWERS, "%s: half closed, and the broker does not close", c->id);
				break;
			}
		}
	}
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->excused = false;
}

static uint8_t *put_length(uint8_t *to, size_t len)
{
	do {
		*to++ = (uint8_t)((len & 127) | (len > 127 ? 128 : 0));
		len >>= 7;
	} while (len);
	return to;
}

size_t publish_write(uint8_t *to, uint8_t level, int topic, struct letter *letter, uint16_t id, bool retain)
{
	size_t len = strlen(topic_name(topic));
	uint8_t *at = to;

	*at++ = (uint8_t)(0x30 | (id ? 2 : 0) | retain);
	at = put_length(at, 2 + len + (id ? 2 : 0) + (level == 5) + letter->len);
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	memcpy(at, topic_name(topic), len);
	at += len;
	if (id) {
		*at++ = (uint8_t)(id >> 8);
		*at++ = (uint8_t)id;
	}
	if (level == 5)
		*at++ = 0;
	letter_write(letter, at);
	return (size_t)(at - to) + letter->len;
}

size_t subscribe_write(uint8_t *to, uint8_t level, uint16_t id, const char *filter, bool unsubscribe)
{
	size_t len = strlen(filter);
	uint8_t *at = to;

	*at++ = unsubscribe ? 0xa2 : 0x82;
	at = put_length(at, 2 + (level == 5) + 2 + len + !unsubscribe);
	*at++ = (uint8_t)(id >> 8);
	*at++ = (uint8_t)id;
	if (level == 5)
		*at++ = 0;
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	memcpy(at, filter, len);
	at += len;
	if (!unsubscribe)
		*at++ = 0;
	return (size_t)(at - to);
}
