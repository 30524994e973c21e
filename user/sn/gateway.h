/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A gateway of MQTT-SN 1.2 in the broker: listeners of `protocol mqtt-sn`, on UDP. A client of one is a client like any other:
 * it has a session of the broker, and a connection (struct conn) that has no socket, but is fed with the MQTT packets that
 * its datagrams stand for, and whose output is put into datagrams.
 *
 * A socket is watched by one worker, which knows whose an address is; a client lives on the worker of its identifier, and gets
 * its datagrams there by mail. An address belongs to a client from the client's CONNECT on until the client's connection ends.
 */
#ifndef SHUNT_SN_GATEWAY_H
#define SHUNT_SN_GATEWAY_H

struct broker;
struct worker;

/* Open the sockets of a listener, and read its file of topics. Main thread, before the workers start. 0, or -errno after
 * logging. */
int sn_open(struct broker *b, unsigned listener);

/* Watch those that are this worker's; stop it. 0 or -errno. */
int sn_start(struct worker *w);
void sn_stop(struct worker *w);

/* Close all. Main thread, after the workers have ended. */
void sn_close(struct broker *b);

#endif
