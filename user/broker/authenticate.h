/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Enhanced authentication on a connection, section 4.12 of 5.0: between CONNECT and CONNACK, and again later. Called by
 * the worker the connection belongs to; the methods are in auth/method.h. */
#ifndef SHUNT_AUTHENTICATE_H
#define SHUNT_AUTHENTICATE_H

#include "broker/conn.h"

/* A CONNECT with an Authentication Method; its bytes (without fixed header) are kept until the client is known. Returns
 * 0 when the client is known now, AUTHENTICATE_MORE when an AUTH was sent, or the enum mqtt_reason to refuse it with. */
int authenticate_connect(struct conn *c, const struct mqtt_packet *connect, const uint8_t *body, size_t len);

/* The AUTH that answers ours, before the CONNACK. The same; AUTHENTICATE_MORE also stands for having said more. */
int authenticate_go_on(struct conn *c, const struct mqtt_packet *auth);

enum { AUTHENTICATE_MORE = -1 };

/* The CONNECT that was kept; NULL when none is. */
const uint8_t *authenticate_connect_body(const struct conn *c, size_t *len);

/* An AUTH on an open connection: the client begins or goes on to authenticate again. 0, or conn_fail(). */
int authenticate_again(struct conn *c, const struct mqtt_packet *auth);

/* Is an exchange before the CONNACK under way? Only AUTH and DISCONNECT may come then. */
bool authenticate_waits(const struct conn *c);

/* The properties for the CONNACK (or the last AUTH): method and data. */
void authenticate_props(const struct conn *c, struct mqtt_props_writer *w);
/* Room they need. */
size_t authenticate_props_len(const struct conn *c);

/* Who the client has proved to be; empty if it did not. */
struct mqtt_str authenticate_username(const struct conn *c);
/* Among which users that was, until authenticate_done(). */
const struct auth_store *authenticate_users(const struct conn *c);

/* The CONNACK was sent: forget what was only for it. */
void authenticate_done(struct conn *c);
/* The connection ends. */
void authenticate_end(struct conn *c);

#endif
