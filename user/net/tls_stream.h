/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TLS over one connected, non-blocking socket. How the socket is watched is the caller's business. A stream belongs to
 * one thread at a time; it may move between calls, if the caller has the one happen before the other. The socket is not
 * closed here, and nobody else may read from it or write to it.
 *
 * Reading and writing go to the socket at once, without buffers in memory between (memory BIOs): these would cost a copy
 * of all data, memory for each connection, and hide from the caller that a client does not read. The calls are
 * recv() and send() with MSG_DONTWAIT and MSG_NOSIGNAL; whether one of them met an end is known exactly, which edge
 * triggered watching needs. A record of at most 16 KiB is one send(); one recv() brings as many records as fit into
 * OpenSSL's buffer of 16 KiB. That buffer exists only while part of a record is in it: an idle
 * stream has none, and takes 14 KB of memory, or 18 KB with a certificate of the client.
 *
 * Watching by epoll: with EPOLLIN | EPOLLOUT | EPOLLET. Go on with a call when the socket became ready for what the last
 * one waited for: the handshake says what that is; afterwards a read waits for EPOLLIN and a write for EPOLLOUT. (When a
 * client asks for new keys, it is the next write that answers.)
 */
#ifndef SHUNT_TLS_STREAM_H
#define SHUNT_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "net/tls.h"

enum {
	TLS_RECORD_MAX = 16384, /* bytes of data in a record */
	TLS_REASON_MAX = 160,	/* bytes of tls_stream_reason(), with its NUL */
};

enum tls_progress {
	TLS_DONE,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_FAILED,
};

struct tls_stream;

/* A stream on the server's side; takes a reference to the context. NULL without memory. */
struct tls_stream *tls_stream_new(struct tls_context *context, int fd);

/* Free it, whatever its state; NULL is allowed. The socket stays open. */
void tls_stream_free(struct tls_stream *s);

/* Go on with the handshake. Until it is TLS_DONE nothing else may be called but tls_stream_reason(), the name and ALPN,
 * and tls_stream_free(). Once it has TLS_FAILED an alert that says so was sent, if the socket took it, and it fails
 * always. It has no time limit: that is the caller's. */
enum tls_progress tls_stream_handshake(struct tls_stream *s);

/* Why the handshake, a read or a write failed, for people: "the client's certificate: certificate has expired", "no
 * shared cipher", "an HTTP request". May quote what the client sent. The stream's, "" when nothing did. */
const char *tls_stream_reason(const struct tls_stream *s);

/* Read up to `len` bytes, of as many records as it takes and there are. How many; 0: the client has ended its side, see
 * tls_stream_truncated(); -EAGAIN: nothing now, wait for EPOLLIN; or -errno, of which -EPROTO: what came is no TLS, or not
 * by its rules, see tls_stream_reason(). */
ssize_t tls_stream_read(struct tls_stream *s, void *buf, size_t len);

/* May a read bring more before the socket becomes readable again? Also data that was received and decrypted, which epoll
 * does not tell of. False once a read has found the socket empty: it need not be called again to know. */
bool tls_stream_readable(const struct tls_stream *s);

/* Bytes that were decrypted and wait to be read. */
size_t tls_stream_pending(const struct tls_stream *s);

/* The client's side ended without close_notify. MQTT knows by its own packets what is complete, so it is no error; but
 * whoever is between could have cut it. */
bool tls_stream_truncated(const struct tls_stream *s);

/* Write, small pieces together in records of up to TLS_RECORD_MAX. How many bytes were taken, more than 0 but perhaps not
 * all; then, or with -EAGAIN, wait for EPOLLOUT. -errno: it is broken.
 *
 * When not all were taken, tls_stream_torn() bytes of the rest are already encrypted, in a record of which the socket
 * took a part or nothing. The next write must begin with the same bytes, at any place in memory and cut in any way, with
 * whatever behind them. A queue that is only added to at the end, and taken from at the front by as much as was taken
 * here, keeps that by itself: gather from its front again. What may not be done is to drop from the queue within the
 * first tls_stream_torn() bytes, or to put something before them. Offering less than that is -EINVAL and changes
 * nothing. */
ssize_t tls_stream_write(struct tls_stream *s, const struct iovec *iov, int iovcnt);

/* How many of the bytes that come next are encrypted already, 0 to TLS_RECORD_MAX. */
size_t tls_stream_torn(const struct tls_stream *s);

/* Tell the client that nothing more comes (close_notify), if the socket takes it now and no record is torn. The side of
 * the client goes on. For the end of a connection, before it is closed. */
void tls_stream_shutdown(struct tls_stream *s);

/* ---- who the client is, once the handshake is done ---- */

/* The user name that use_identity_as_username or use_subject_as_username give it, to be free()d. NULL with *why: a
 * static text, what the client lacks; or "" when the context has neither option. It is UTF-8 by MQTT's rules, of 1 to
 * 65535 bytes. */
char *tls_stream_username(const struct tls_stream *s, const char **why);

/* The first common name of the client's certificate, and its subject in the form of RFC 2253 as OpenSSL writes it
 * ("CN=sensor,O=Example"); likewise. */
char *tls_stream_common_name(const struct tls_stream *s, const char **why);
char *tls_stream_subject(const struct tls_stream *s, const char **why);

/* The identity of the key that let the client in, *len bytes without NUL, also if it resumed a session that had begun
 * with it; NULL: it needed none. The stream's. */
const char *tls_stream_psk_identity(const struct tls_stream *s, size_t *len);

/* Would the client, with what it has shown, be let in by this context, too, which has taken the place of its own? One who came
 * by a certificate has it verified again, which takes some 100 microseconds, if anything has changed that it was let in by. A
 * client that resumed a session has not shown the certificates between its own and its CA's, and may be refused for want
 * of them. */
bool tls_stream_stands(const struct tls_stream *s, const struct tls_context *now);

/* The host name that the client asked for (SNI), as it was sent; NULL: none. Anything may stand in it. The stream's. */
const char *tls_stream_name(const struct tls_stream *s);

/* The protocol that was agreed on, *len bytes without NUL; NULL: the client offered none. The stream's. */
const char *tls_stream_alpn(const struct tls_stream *s, size_t *len);

/* "TLSv1.3" and "TLS_AES_256_GCM_SHA384"; static. */
const char *tls_stream_version(const struct tls_stream *s);
const char *tls_stream_cipher(const struct tls_stream *s);

/* Did it resume a session by a ticket? */
bool tls_stream_resumed(const struct tls_stream *s);

#endif
