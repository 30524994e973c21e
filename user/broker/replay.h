/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The retained messages that new subscriptions bring [MQTT-3.3.1-6]. A few go out with the SUBACK. Of many, a part goes in each
 * turn of the worker, so that other clients do not wait, and only as far as the client takes them, so that neither is
 * memory needed for all of them nor any of them dropped because it is slow. What is published for the session meanwhile
 * waits behind them, with limits as high as for retained messages: a client must not get an old value after a new one.
 *
 * A session that is in the store gets all of them at once: the store takes them.
 *
 * Everything belongs to the session's worker.
 */
#ifndef SHUNT_REPLAY_H
#define SHUNT_REPLAY_H

#include "broker/session.h"
#include "mqtt/packet.h"

struct broker;
struct worker;

/* What a filter of a SUBSCRIBE is due: retained messages not newer than the subscription, because later ones reach it as live
 * messages. */
struct retained_due {
	bool wanted;
	uint64_t seq; /* tree_seq() */
};

/* After the SUBACK was appended: deliver the retained messages of the same packet (a fresh view of it), or begin to. `due` is
 * an array, by filter. */
void retained_send(struct broker *b, struct session *s, struct mqtt_packet *packet, const uint8_t *codes,
		   const struct retained_due *due);

/* Take a live message that has to wait behind retained ones; and what `as` holds. Only while s->replays. */
void replay_wait(struct session *s, struct message *m, struct deliver_as *as);

/* The subscription is gone, or is made anew: no further messages because of it [MQTT-3.10.4-2]. Takes the
 * subscription lock. */
void replay_stop(struct session *s, struct mqtt_str filter);

/* The connection has ended. What would not be kept for the session is forgotten. */
void replay_offline(struct session *s);

/* The session ends, or the process does: forget everything. */
void replay_end(struct session *s);

/* Go on with those of the worker's sessions that take more. */
void replay_turn(struct worker *w);

/* Does any of them take more now? */
bool replay_ready(const struct worker *w);

#endif
