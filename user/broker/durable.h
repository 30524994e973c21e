/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What outlives the daemon, as the workers see it: which sessions the store has, what is said to it of them and of
 * retained messages, which packets wait until that is on disk, and how everything comes back. Called by the owner of what
 * it is given.
 *
 * The promise of `durability sync`: a PUBACK, PUBREC, PUBCOMP or SUBACK goes out when what it confirms is on disk; a PUBLISH
 * of QoS 2 to a stored session when its packet identifier is, and a PUBREL when it is on disk that the PUBREC came. A packet that
 * waits is kept in its connection; those behind it that are answers, too, wait for it.
 */
#ifndef SHUNT_DURABLE_H
#define SHUNT_DURABLE_H

#include "broker/conn.h"

struct ban;
struct ban_subject;
struct source;

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

/* A new session that will outlive its connection, as long as its expiry_interval says. 0 or -ENOMEM. */
int durable_session_begins(struct worker *w, struct session *s);
/* It got a connection, or has none any more. */
void durable_session_changes(struct worker *w, struct session *s);
/* It ends: what it got by shared subscriptions is read, and given to others. */
void durable_session_ends(struct worker *w, struct session *s);

/* Its connection, or it itself, has this will from now on; NULL: none. */
void durable_will(struct worker *w, struct session *s, struct message *will, bool retain, uint32_t delay);

/* Has the session to be read from the store first? Then the connection is to be told again when it was. */
bool durable_wait(struct conn *c, struct session *s);

/* Read what comes next. */
void durable_more(struct conn *c);

void durable_subscribe(struct worker *w, const struct session *s, struct mqtt_str filter, uint8_t options, uint32_t id);
void durable_unsubscribe(struct worker *w, const struct session *s, struct mqtt_str filter);

/* ---- retained messages: under the subscription lock, so that they are said in the order they are done ----------------- */

void durable_retain(struct worker *w, struct message *m, const struct source *source);
/* ns: the number of the namespace. */
void durable_forget(struct worker *w, uint16_t ns, struct mqtt_str topic);
/* For tree_expire(). */
void durable_retained_expired(struct message *m, void *worker);

/* ---- bans: under the lock of them -------------------------------------------------------------------------------- */

/* Somebody is banned, or is not any more. */
void durable_ban(struct worker *w, const struct ban *ban);
void durable_unban(struct worker *w, const struct ban_subject *who);

/* ---- packets that wait --------------------------------------------------------------------------------------------- */

/* What the worker says to the store from now on is said in handling this packet of the connection. */
void durable_begin(struct conn *c);

/* Send when what has been said to the store in handling this packet is on disk, and with `all` also what others said
 * before. When there was no memory for some of it, break the connection instead. */
void durable_send(struct conn *c, const uint8_t *packet, size_t len, bool all);

/* Is so much of the connection's, or of what it said, not on disk that nothing more is to be read from it? */
bool durable_full(const struct conn *c);

/* Call durable_got_on() for the connection when the disk has got on. */
void durable_watch(struct conn *c);

/* For store_client.notice. */
void durable_notice(struct store_client *client);

/* Drop them. */
void durable_drop(struct conn *c);

/* ---- life: main thread ------------------------------------------------------------------------------------------- */

/* Make the folder of the store, if there is to be one and it is not there, for this user (uid -1: ours). With the rights
 * to do so. 0, or -errno after logging. */
int durable_prepare(const struct conf *conf, uid_t uid, gid_t gid);
/* Open the store, if there is to be one. Before hash_bytes() matters. 0, or -errno after logging. */
int durable_open(struct broker *b);
/* Read it, before the workers' threads start. 0, or -errno after logging. */
int durable_load(struct broker *b);
/* Start it. 0 or -errno. */
int durable_start(struct broker *b);
/* The workers have ended, what they sent one another was received: write the rest. */
void durable_close(struct broker *b);

#endif
