/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Whether a client may come in by the word of an HTTP hook (auth/hook.h). Called by the worker the connection belongs to. */
#ifndef SHUNT_ASKING_H
#define SHUNT_ASKING_H

#include "broker/conn.h"

struct hook;

/* Ask of the client of this CONNECT. 0: it was allowed lately; ACCESS_LATER: c->login_known will be set, and conn_read() called,
 * when the answer is there; or an enum mqtt_reason, after logging. */
int asking_begin(struct conn *c, const struct mqtt_connect *connect, struct hook *hook);

/* The connection ends: nobody wants to know any more. */
void asking_end(struct conn *c);

#endif
