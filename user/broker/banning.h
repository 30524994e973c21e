/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Bans at work: who is refused, who is cut off when a ban is new, and who gets one by his own doing. For automatic bans only ends of
 * connections are looked at, so that they cost those who behave nothing. Options ban_...
 */
#ifndef SHUNT_BANNING_H
#define SHUNT_BANNING_H

#include "broker/bans.h"
#include "broker/conn.h"

struct broker;

/* 0 or -ENOMEM, and the end of it. Main thread. */
int banning_open(struct broker *b);
void banning_close(struct broker *b);

/* One that the store had, while the daemon starts. Main thread. */
void banning_restore(struct broker *b, const struct ban *ban);

/* Is the peer's address banned? It is counted then, and nothing more is to be done for it than to close it. On a worker, as all
 * that follows. */
bool banning_refuses_peer(struct worker *w, const char *peer);

/* Is the client identifier of the connection, or this user name, banned? Counted as well. */
bool banning_refuses(const struct conn *c, struct mqtt_str username);

/* The connection ends for this reason: before it is known as closed. */
void banning_connection_ends(const struct conn *c, enum close_reason why);
/* Who came from there did not even become a connection. */
void banning_guest_failed(struct worker *w, const char *peer, enum close_reason why);

/* The first worker, each second or so: bans that are over. */
void banning_tick(struct worker *w);

#endif
