/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Opening a connection: CONNECT and SUBSCRIBE, one at a time, before the load. */
#ifndef SHUNT_BENCH_HANDSHAKE_H
#define SHUNT_BENCH_HANDSHAKE_H

#include <netdb.h>

#include "shunt-bench/conn.h"
#include "shunt-bench/options.h"

enum { HANDSHAKE_TIMEOUT_S = 10 }; /* for each answer */

/* Connect, log in and get the CONNACK; `clean`: with Clean Session. Returns 0 or a negative errno: -EACCES the broker refused, -EPROTO
 * it answered something else, -ECONNRESET it closed, -ETIMEDOUT it did not answer. On failure the connection is closed. */
int handshake_connect(struct conn *c, struct io *io, const struct addrinfo *to, const struct options *o,
		      const char *client_id, bool clean);

/* Subscribe to the filters with the QoS of the options and get the SUBACK. The same errors. n is at most
 * HANDSHAKE_FILTERS. */
enum { HANDSHAKE_FILTERS = 64 };
int handshake_subscribe(struct conn *c, const struct options *o, const struct mqtt_str *filters, size_t n);

#endif
