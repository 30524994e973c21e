/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The stream of MQTT of a connection whose socket carries something else: TLS, WebSocket, or one inside of the other. It
 * belongs to the thread that its connection belongs to. No data is kept between calls but headers of frames, so that what
 * the client does not read stays in the connection's output, where it is limited and counted.
 */
#ifndef SHUNT_TRANSPORT_H
#define SHUNT_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/counters.h"

struct gate;
struct output;
struct tls_stream;
struct transport;

/* Takes the stream, with its handshake done, or NULL: without TLS. NULL without memory; the stream is freed then, too. */
struct transport *transport_new(struct tls_stream *tls, bool websockets);
/* NULL is allowed. The socket stays open. */
void transport_free(struct transport *t);

/* Read what there is of the stream, `len` bytes at most, as from a socket. How many; 0 when what came had none, and with
 * what that was transport_ended() may be true now. -ENODATA: the client has ended its side; -EAGAIN; or another -errno.
 * *more: may there be more before the socket becomes readable again? */
ssize_t transport_read(struct transport *t, int fd, uint8_t *buf, size_t len, bool *more);

/* What came before, with the request for WebSocket: take the stream's bytes out of it, as of a read. */
size_t transport_rest(struct transport *t, uint8_t *data, size_t len);

/* Write what the output begins with. How many of its bytes were taken; 0: there is nothing to write. -EAGAIN: the socket
 * takes nothing more now, wait for EPOLLOUT; or another -errno. */
ssize_t transport_write(struct transport *t, int fd, const struct output *o);

/* Has it something to write of its own? */
bool transport_waits(const struct transport *t);

/* Has the WebSocket been closed by the client, or because it broke a rule? Then *why says which in words, NULL: none. The
 * connection is to be closed. */
bool transport_ended(const struct transport *t, const char **why);

/* Say good-bye, as far as the socket takes it: the connection is going to be closed. */
void transport_end(struct transport *t, int fd, const struct output *o, enum close_reason why);

/* Why reading or writing failed, in words; "" when there is nothing to say. The transport's. */
const char *transport_reason(const struct transport *t);

/* "tls", "websockets", "websockets over tls"; static. */
const char *transport_name(const struct transport *t);
/* Would the listener's gate of today let its client in, by what it has shown to the one it came through? */
bool transport_stands(const struct transport *t, const struct gate *now);

/* NULL: there is no TLS. */
const struct tls_stream *transport_tls(const struct transport *t);

#endif
