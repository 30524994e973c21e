/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The subscriptions of a session, sections 3.8 and 3.10. Called by the session's owner; they take the subscription lock
 * themselves. */
#ifndef SHUNT_SUBSCRIBE_H
#define SHUNT_SUBSCRIBE_H

#include "broker/session.h"
#include "broker/tree.h"
#include "mqtt/packet.h"

struct broker;

/* One subscription. In the tree and in its session's table. */
struct subscription {
	struct tree_sub in_tree;
	struct table_node by_node; /* in session->subs, by the tree's node */
	struct rcu_later later;
	uint32_t filter_len;
	uint32_t share_len; /* bytes of "$share/NAME/" in front of what it matches; 0: not shared */
	char filter[];
};

/* Make or replace [MQTT-3.8.4-3] the subscriptions of a SUBSCRIBE: codes gets one enum mqtt_reason for each filter, in
 * order. Then flows they concern are gone. 0 or -ENOMEM (nothing may be answered then). *retained is what
 * retained_send() needs, to be free()d. */
struct retained_due;
int subscribe(struct broker *b, struct session *s, struct mqtt_packet *packet, uint8_t *codes,
	      struct retained_due **retained);

/* One that the store had. 0 or -ENOMEM. Before the workers start. */
int subscription_restore(struct broker *b, struct session *s, struct mqtt_str filter, uint8_t options, uint32_t id);

/* Remove the subscriptions of an UNSUBSCRIBE [MQTT-3.10.4-1], [MQTT-3.10.4-2]; codes as above. */
void unsubscribe(struct broker *b, struct session *s, struct mqtt_packet *packet, uint8_t *codes);

/* Remove all of them. */
void unsubscribe_all(struct broker *b, struct session *s);

/* The session goes online: give it its client's rights, say so to publishers, with the road and form of its connection, and
 * remove the flows that do not know it. 0 or -ENOMEM. */
int subscriptions_online(struct broker *b, struct session *s, enum fp_road road, uint8_t form);
/* It goes offline; it is no flow's receiver any more already. */
void subscriptions_offline(struct broker *b, struct session *s);

/* At the end of the process: free them; nobody uses the tree any more. */
void subscriptions_free(struct session *s);

#endif
