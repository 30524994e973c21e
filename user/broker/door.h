/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The way of a connection from a listener with a gate to its worker: the header of a proxy, the handshake of TLS, the
 * request for WebSocket. That is done by threads of their own, the doors, because a handshake takes as long as hundreds of
 * messages, and when thousands of clients come back at once those that are connected must not wait. A connection that is on
 * its way belongs to its door; the worker that accepted it gets it back, open or failed, and no door logs or counts.
 */
#ifndef SHUNT_DOOR_H
#define SHUNT_DOOR_H

#include <stdint.h>

struct gate;
struct worker;

/* Start the doors. 0 or -errno. Main thread, as the next. */
int doors_start(void);

/* Stop them: who is on its way is handed back to its worker as failed, by the shutdown. After the workers have stopped
 * accepting, and before they end. */
void doors_stop(void);

/* Lead a connection that the worker has accepted through the gate; on the worker's thread, where conn_accept() or the end
 * follows. The arguments are those of conn_accept(). */
void door_enter(struct worker *w, struct gate *gate, int fd, unsigned listener, const char *peer, uint64_t order);

#endif
