/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Wills, section 3.1.2.5: held by the connection, and after it by the session while a Will Delay Interval runs. Called by
 * the owner of both. */
#ifndef SHUNT_WILL_H
#define SHUNT_WILL_H

#include "broker/conn.h"

/* Take the will of a CONNECT, if there is one. 0 or -ENOMEM. */
int will_take(struct conn *c, const struct mqtt_connect *connect);

/* Another will in place of the connection's, NULL: none, from now on. 0 or -ENOMEM: it is as it was. */
int will_change(struct conn *c, const struct mqtt_publish *will);

/* The connection has ended: publish its will now [MQTT-3.1.2-8], or leave it to the session until its delay has passed
 * or the session ends. The session has no connection any more. */
void will_connection_ends(struct conn *c, struct session *s);

/* The daemon was not there for a while: the will of a session, whose connection ended away_ms ago. */
void will_restore(struct worker *w, struct session *s, struct message *m, bool retain, uint64_t delay_ms,
		  uint64_t away_ms);

/* The session ends: publish the will that waits [MQTT-3.1.3-9] in 5.0. */
void will_session_ends(struct worker *w, struct session *s);

/* The client is back: what waited is not published [MQTT-3.1.3-9]. */
void will_cancel(struct worker *w, struct session *s);

/* Publish all that connections and sessions of the worker hold. */
void will_broker_stops(struct worker *w);

#endif
