// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/tls_stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "net/tls_internal.h"
#include "net/tls_reason.h"

enum {
	/* New keys (KeyUpdate) that a client may announce. Each costs us more than the client, and there is reason for one
	 * after some millions of records only. */
	KEY_UPDATES_FREE = 16,
	BYTES_PER_KEY_UPDATE = 1 << 20,
};

struct tls_notes *tls_notes(const SSL *ssl)
{
	struct tls_stream *s = SSL_get_app_data(ssl);

	return &s->notes;
}

/* ---- the socket, as OpenSSL sees it ----------------------------------------------------------------------------- */

/* The first reason counts. */
static void fail(struct tls_stream *s, int error, const char *reason)
{
	if (!s->error)
		s->error = error;
	if (!s->reason[0])
		snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

static const char closed[] = "the client closed the connection";

static int socket_failed(BIO *bio, struct tls_stream *s, int direction)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		BIO_set_flags(bio, direction | BIO_FLAGS_SHOULD_RETRY);
	else
		fail(s, -errno, errno == EPIPE || errno == ECONNRESET ? closed : strerror(errno));
	return -1;
}

static int socket_write(BIO *bio, const char *data, int len)
{
	struct tls_stream *s = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	do
		n = send(s->fd, data, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? socket_failed(bio, s, BIO_FLAGS_WRITE) : (int)n;
}

static int socket_read(BIO *bio, char *data, int len)
{
	struct tls_stream *s = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	/* Looked at here, because OpenSSL does not come back before it has read something for us. */
	if (s->key_updates > KEY_UPDATES_FREE + s->read / BYTES_PER_KEY_UPDATE) {
		fail(s, -EPROTO, "the client changes its keys too often");
		return -1;
	}
	do
		n = recv(s->fd, data, (size_t)len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	s->socket_empty = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	if (n < 0)
		return socket_failed(bio, s, BIO_FLAGS_READ);
	for (ssize_t i = 0; i < n && s->first_len < TLS_FIRST_MAX; i++)
		s->first[s->first_len++] = (uint8_t)data[i];
	if (n == 0)
		s->ended = true;
	return (int)n;
}

static long socket_ctrl(BIO *bio, int command, long number, void *data)
{
	struct tls_stream *s = BIO_get_data(bio);

	(void)number, (void)data;
	if (command == BIO_CTRL_EOF)
		return s->ended;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* One for the process, for as long as it lives; OpenSSL has no static ones for others. */
static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket of a stream");
	if (!method)
		return;
	BIO_meth_set_write(method, socket_write);
	BIO_meth_set_read(method, socket_read);
	BIO_meth_set_ctrl(method, socket_ctrl);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------ */

/* OpenSSL tells what messages come and go. */
static void watch_messages(int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
	struct tls_stream *s = arg;

	(void)version, (void)ssl;
	if (!sent && type == SSL3_RT_HANDSHAKE && len && *(const uint8_t *)data == SSL3_MT_KEY_UPDATE)
		s->key_updates++;
}

struct tls_stream *tls_stream_new(struct tls_context *context, int fd)
{
	struct tls_stream *s = calloc(1, sizeof(*s));
	BIO *bio = NULL;

	pthread_once(&method_once, make_method);
	if (!s)
		return NULL;
	s->fd = fd;
	s->ssl = SSL_new(context->ssl);
	bio = method ? BIO_new(method) : NULL;
	if (!s->ssl || !bio || SSL_set_app_data(s->ssl, s) != 1) {
		ERR_clear_error();
		BIO_free(bio);
		SSL_free(s->ssl);
		free(s);
		return NULL;
	}
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_msg_callback(s->ssl, watch_messages);
	SSL_set_msg_callback_arg(s->ssl, s);
	SSL_set_accept_state(s->ssl);
	s->context = tls_context_ref(context);
	return s;
}

void tls_stream_free(struct tls_stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	tls_context_unref(s->context);
	free(s);
}

/* What a call of OpenSSL's came to, which returned `rc`, not a success: SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, or
 * SSL_ERROR_ZERO_RETURN at the end; else the stream has an error now. */
static int outcome(struct tls_stream *s, int rc)
{
	int error = SSL_get_error(s->ssl, rc);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_ZERO_RETURN)
		return error;
	if (error == SSL_ERROR_SSL && s->notes.done &&
	    ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		ERR_clear_error();
		s->truncated = true;
		return SSL_ERROR_ZERO_RETURN;
	}
	if (error == SSL_ERROR_SSL && !s->reason[0])
		tls_reason(s);
	ERR_clear_error();
	fail(s, -EPROTO, closed);
	return error;
}

enum tls_progress tls_stream_handshake(struct tls_stream *s)
{
	int rc;

	if (s->error)
		return TLS_FAILED;
	ERR_clear_error();
	rc = SSL_accept(s->ssl);
	if (rc == 1) {
		s->notes.done = true;
		return TLS_DONE;
	}
	switch (outcome(s, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	default:
		fail(s, -EPROTO, closed);
		return TLS_FAILED;
	}
}

const char *tls_stream_reason(const struct tls_stream *s)
{
	return s->reason;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

ssize_t tls_stream_read(struct tls_stream *s, void *buf, size_t len)
{
	size_t got = 0, n;
	int rc;

	if (s->error || s->eof)
		return s->error;
	ERR_clear_error();
	/* A record may be as small as the packet in it: the caller is to get many at once. */
	for (; got < len; got += n, s->read += n) {
		rc = SSL_read_ex(s->ssl, (uint8_t *)buf + got, len - got, &n);
		if (rc == 1)
			continue;
		/* What comes after the data is found again by the next call. */
		rc = outcome(s, rc);
		s->eof = rc == SSL_ERROR_ZERO_RETURN;
		/* Only renegotiation made a read wait for that, and whoever watches the socket does not expect it. */
		if (rc == SSL_ERROR_WANT_WRITE)
			fail(s, -EPROTO, "a read that needs to write");
		if (got || s->eof)
			break;
		return s->error ? s->error : -EAGAIN;
	}
	return (ssize_t)got;
}

bool tls_stream_readable(const struct tls_stream *s)
{
	return !s->socket_empty || SSL_pending(s->ssl) > 0;
}

size_t tls_stream_pending(const struct tls_stream *s)
{
	return (size_t)SSL_pending(s->ssl);
}

bool tls_stream_truncated(const struct tls_stream *s)
{
	return s->truncated;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Where in the caller's bytes we are. */
struct place {
	const struct iovec *iov;
	int left;  /* of iov */
	size_t at; /* in the first */
};

static void skip(struct place *p, size_t n)
{
	while (p->left && n >= p->iov->iov_len - p->at) {
		n -= p->iov->iov_len - p->at;
		p->at = 0;
		p->iov++;
		p->left--;
	}
	p->at += n;
}

/* The next up to `max` bytes in one piece: where they are, if there are so many in one place, else copied to `to`. */
static const uint8_t *next_piece(struct place p, uint8_t *to, size_t max, size_t *len)
{
	skip(&p, 0); /* empty ones */
	*len = 0;
	if (!p.left)
		return to;
	if (p.iov->iov_len - p.at >= max || p.left == 1) {
		*len = p.iov->iov_len - p.at < max ? p.iov->iov_len - p.at : max;
		return (const uint8_t *)p.iov->iov_base + p.at;
	}
	while (p.left && *len < max) {
		size_t n = p.iov->iov_len - p.at < max - *len ? p.iov->iov_len - p.at : max - *len;

		if (n)
			memcpy(to + *len, (const uint8_t *)p.iov->iov_base + p.at, n);
		*len += n;
		skip(&p, n);
	}
	return to;
}

ssize_t tls_stream_write(struct tls_stream *s, const struct iovec *iov, int iovcnt)
{
	struct place p = {.iov = iov, .left = iovcnt};
	uint8_t together[TLS_RECORD_MAX];
	size_t taken = 0, len, n;

	if (s->error)
		return s->error;
	/* OpenSSL takes it for the end of both directions. */
	if (s->truncated)
		return -EPIPE;
	ERR_clear_error();
	for (;;) {
		/* A record that is torn is asked for again by its length, though there may be more now. */
		const uint8_t *data = next_piece(p, together, s->torn ? s->torn : TLS_RECORD_MAX, &len);
		int rc;

		if (len < s->torn)
			return -EINVAL;
		if (!len)
			return (ssize_t)taken;
		rc = SSL_write_ex(s->ssl, data, len, &n);
		if (rc != 1) {
			rc = outcome(s, rc);
			s->torn = rc == SSL_ERROR_WANT_WRITE ? len : 0;
			if (taken)
				return (ssize_t)taken;
			return s->error ? s->error : -EAGAIN;
		}
		s->torn = 0;
		taken += n;
		skip(&p, n);
	}
}

size_t tls_stream_torn(const struct tls_stream *s)
{
	return s->torn;
}

void tls_stream_shutdown(struct tls_stream *s)
{
	if (!s->notes.done || s->error || s->torn || SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
}

/* ---- what was agreed on ----------------------------------------------------------------------------------------- */

const char *tls_stream_psk_identity(const struct tls_stream *s, size_t *len)
{
	return s->context->psk ? tls_session_identity(s->ssl, len) : NULL;
}

const char *tls_stream_name(const struct tls_stream *s)
{
	return SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
}

const char *tls_stream_alpn(const struct tls_stream *s, size_t *len)
{
	const unsigned char *name;
	unsigned n;

	SSL_get0_alpn_selected(s->ssl, &name, &n);
	*len = n;
	return (const char *)name;
}

const char *tls_stream_version(const struct tls_stream *s)
{
	return SSL_get_version(s->ssl);
}

const char *tls_stream_cipher(const struct tls_stream *s)
{
	return SSL_get_cipher_name(s->ssl);
}

bool tls_stream_resumed(const struct tls_stream *s)
{
	/* A key of TLS 1.3 is a session to OpenSSL. */
	return SSL_session_reused(s->ssl) && s->notes.ticket_taken;
}
