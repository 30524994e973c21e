/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The topic names that a session of an MQTT-SN client has ids for, section 5.3.11. They live as long as the session; which of
 * them its client knows is known only for the connection it has. Of the worker of the session.
 *
 * An id comes from the name, so that it is the same when the daemon was started again: a client that remembers it is told
 * that it is not known, and does not publish to another topic, unless two names of one session come to the same id.
 */
#ifndef SHUNT_SN_TOPICS_H
#define SHUNT_SN_TOPICS_H

#include <stdbool.h>

#include "base/table.h"
#include "mqtt/str.h"

enum { SN_TOPICS_MAX = 65534 }; /* ids: 0 and 0xffff are reserved */

struct sn_topic {
	struct table_node by_name, by_id;
	uint16_t id;
	bool told; /* its client knows the id, by a REGISTER or SUBACK of this connection */
	uint32_t len;
	uint8_t name[];
};

struct sn_topics;

/* NULL without memory. */
struct sn_topics *sn_topics_new(void);
/* NULL is allowed. */
void sn_topics_free(struct sn_topics *t);

/* NULL: there is none. */
struct sn_topic *sn_topics_by_id(const struct sn_topics *t, uint16_t id);
struct sn_topic *sn_topics_by_name(const struct sn_topics *t, struct mqtt_str name);
/* The one with this name, which may be new. NULL: there are `max` of them, or there is no memory. */
struct sn_topic *sn_topics_add(struct sn_topics *t, struct mqtt_str name, unsigned max);

/* There is a new connection: the client knows none of them. It may use the ids that it remembers all the same. */
void sn_topics_untell(struct sn_topics *t);

static inline struct mqtt_str sn_topic_name(const struct sn_topic *t)
{
	return (struct mqtt_str){t->name, t->len};
}

#endif
