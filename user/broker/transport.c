// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "broker/gate.h"
#include "broker/memory.h"
#include "broker/output.h"
#include "net/tls_stream.h"
#include "net/websocket.h"

enum {
	IOVECS = 64,
	TLS_MEMORY = 14000, /* bytes that OpenSSL takes for a connection */
};

/* The writing side of a WebSocket. */
struct frames {
	struct websocket ws;
	/* Control frames and the header of the next one, to be written before anything else. */
	uint8_t head[WEBSOCKET_CONTROL_MAX + WEBSOCKET_HEADER_MAX];
	uint8_t head_len, head_at;
	size_t left; /* bytes that its header has promised: they are what the output begins with */
};

struct transport {
	struct tls_stream *tls; /* NULL: none */
	struct frames *frames;	/* NULL: no WebSocket */
};

static size_t size_of(const struct transport *t)
{
	return sizeof(*t) + (t->tls ? TLS_MEMORY : 0) + (t->frames ? sizeof(*t->frames) : 0);
}

struct transport *transport_new(struct tls_stream *tls, bool websockets)
{
	struct transport *t = calloc(1, sizeof(*t));

	if (t && websockets)
		t->frames = calloc(1, sizeof(*t->frames));
	if (!t || (websockets && !t->frames)) {
		free(t);
		tls_stream_free(tls);
		return NULL;
	}
	t->tls = tls;
	memory_took(size_of(t));
	return t;
}

void transport_free(struct transport *t)
{
	if (!t)
		return;
	memory_gave(size_of(t));
	tls_stream_free(t->tls);
	if (t->frames)
		websocket_clear(&t->frames->ws);
	free(t->frames);
	free(t);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static ssize_t receive(struct transport *t, int fd, uint8_t *buf, size_t len, bool *more)
{
	ssize_t n;

	if (t->tls) {
		n = tls_stream_read(t->tls, buf, len);
		*more = tls_stream_readable(t->tls);
		return n;
	}
	do
		n = recv(fd, buf, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	*more = n > 0;
	return n < 0 ? -errno : n;
}

ssize_t transport_read(struct transport *t, int fd, uint8_t *buf, size_t len, bool *more)
{
	ssize_t n = receive(t, fd, buf, len, more);

	if (n == 0)
		return -ENODATA;
	return n > 0 && t->frames ? (ssize_t)websocket_feed(&t->frames->ws, buf, (size_t)n) : n;
}

size_t transport_rest(struct transport *t, uint8_t *data, size_t len)
{
	return t->frames ? websocket_feed(&t->frames->ws, data, len) : len;
}

bool transport_ended(const struct transport *t, const char **why)
{
	*why = t->frames ? t->frames->ws.why : NULL;
	return t->frames && t->frames->ws.state != WEBSOCKET_OPEN;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

/* Not more than `len` bytes of the iovecs: how many of them these are. */
static int limit(struct iovec *iov, int n, size_t len)
{
	int i = 0;

	for (; i < n && len; i++) {
		if (iov[i].iov_len > len)
			iov[i].iov_len = len;
		len -= iov[i].iov_len;
	}
	return i;
}

/* Between two frames: what comes next. */
static void begin_frame(struct frames *f, const struct output *o)
{
	struct iovec iov[IOVECS];

	f->head_at = 0;
	f->head_len = (uint8_t)websocket_control(&f->ws, f->head);
	if (f->ws.state != WEBSOCKET_OPEN || output_empty(o))
		return;
	output_gather(o, iov, IOVECS, 0, &f->left);
	f->head_len += (uint8_t)websocket_header(f->left, f->head + f->head_len);
}

static int gather(struct transport *t, const struct output *o, struct iovec iov[IOVECS + 1])
{
	struct frames *f = t->frames;
	size_t len;
	int n = 0;

	if (!f)
		return output_gather(o, iov, IOVECS, 0, &len);
	if (f->head_at == f->head_len && !f->left)
		begin_frame(f, o);
	if (f->head_at < f->head_len)
		iov[n++] = (struct iovec){.iov_base = f->head + f->head_at, .iov_len = f->head_len - f->head_at};
	if (f->left)
		n += limit(iov + n, output_gather(o, iov + n, IOVECS, 0, &len), f->left);
	return n;
}

static ssize_t send_some(struct transport *t, int fd, struct iovec *iov, int n)
{
	const struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	ssize_t sent;

	if (t->tls)
		return tls_stream_write(t->tls, iov, n);
	do
		sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* Of the `n` bytes written: those of the output. */
static size_t pass_head(struct frames *f, size_t n)
{
	size_t head = (size_t)f->head_len - f->head_at;

	if (head > n)
		head = n;
	f->head_at += (uint8_t)head;
	f->left -= n - head;
	return n - head;
}

ssize_t transport_write(struct transport *t, int fd, const struct output *o)
{
	for (;;) {
		struct iovec iov[IOVECS + 1];
		int n = gather(t, o, iov);
		ssize_t sent = n ? send_some(t, fd, iov, n) : 0;

		if (sent > 0 && t->frames)
			sent = (ssize_t)pass_head(t->frames, (size_t)sent);
		if (sent || !n)
			return sent;
	}
}

bool transport_waits(const struct transport *t)
{
	const struct frames *f = t->frames;

	return f && (f->head_at < f->head_len || f->ws.ponging || f->ws.closes);
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static enum websocket_code code_of(enum close_reason why)
{
	switch (why) {
	case CLOSE_DISCONNECT:
		return WEBSOCKET_NORMAL;
	case CLOSE_SHUTDOWN:
		return WEBSOCKET_GOING_AWAY;
	case CLOSE_MALFORMED:
	case CLOSE_PROTOCOL:
		return WEBSOCKET_PROTOCOL_ERROR;
	case CLOSE_OVERSIZE:
		return WEBSOCKET_TOO_BIG;
	case CLOSE_NO_MEMORY:
		return WEBSOCKET_INTERNAL_ERROR;
	default:
		return WEBSOCKET_POLICY;
	}
}

void transport_end(struct transport *t, int fd, const struct output *o, enum close_reason why)
{
	if (t->frames) {
		websocket_close(&t->frames->ws, code_of(why));
		while (transport_waits(t) && transport_write(t, fd, o) > 0)
			;
	}
	if (t->tls)
		tls_stream_shutdown(t->tls);
}

const char *transport_reason(const struct transport *t)
{
	return t->tls ? tls_stream_reason(t->tls) : "";
}

const char *transport_name(const struct transport *t)
{
	if (!t->tls)
		return "websockets";
	return t->frames ? "websockets over tls" : "tls";
}

bool transport_stands(const struct transport *t, const struct gate *now)
{
	return !t->tls || (now && now->tls && tls_stream_stands(t->tls, now->tls));
}

const struct tls_stream *transport_tls(const struct transport *t)
{
	return t->tls;
}
