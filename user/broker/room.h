/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * PUBLISH packets of clients before 5.0 that wait because the queue on disk of a session they are for is full
 * [MQTT-4.5.0-1]: such clients cannot be told so, so they get no acknowledgement until there is room. Clients of 5.0 get
 * reason 0x97 at once and never wait. Of the connection's worker.
 *
 * The session may belong to another worker. Nobody tells this one that there is room: it looks again ROOM_LOOK_MS later,
 * which costs a match of the topic tree for each connection that waits, and finds also that a subscription or a session is
 * gone.
 *
 * Whoever waits must not be what is waited for: a publisher may have the full queue itself, or stand in a circle of clients
 * that wait for each other. So only PUBLISH of QoS 1 and 2 wait; acknowledgements, PINGREQ and everything else behind them
 * are handled as they come. What waits is bounded by ROOM_BYTES_MAX, and then nothing more is read from the connection. An
 * acknowledgement could be in that, and so a connection from which one is awaited is closed when that lasts for
 * ROOM_PATIENCE_MS: everything it was not acknowledged it will send again.
 */
#ifndef SHUNT_ROOM_H
#define SHUNT_ROOM_H

#include "broker/conn.h"

enum {
	ROOM_LOOK_MS = 20,
	ROOM_PATIENCE_MS = 2000,
	ROOM_BYTES_MAX = 1 << 20, /* and the packet that goes beyond it */
};

/* A PUBLISH that waits. */
struct room_wait {
	struct list link; /* conn->waiting */
	struct message *message;
	uint16_t pid;
	bool retain, dup;
};

/* Does anything wait? What comes later of QoS 1 and 2 has to go behind it [MQTT-4.6.0-6]. */
bool room_waits(const struct conn *c);

/* Let a PUBLISH wait; takes a reference to the message. 0 or -ENOMEM. */
int room_wait(struct conn *c, struct message *m, uint16_t pid, bool retain, bool dup);

/* Does so much wait that nothing more is to be read? */
bool room_full(const struct conn *c);

/* The connection ends: forget what waits, nobody was told that it was taken. */
void room_forget(struct conn *c);

/* packets.c: try again. 0; conn_fail(); -EDQUOT: it goes on waiting. */
int conn_publish_again(struct conn *c, struct room_wait *wait);

#endif
