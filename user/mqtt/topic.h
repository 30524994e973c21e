/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Topic names and topic filters, section 4.7. Pure functions of their arguments: any thread. */
#ifndef SHUNT_MQTT_TOPIC_H
#define SHUNT_MQTT_TOPIC_H

#include "mqtt/str.h"

enum {
	TOPIC_LEN_MAX = 65535, /* bytes [MQTT-4.7.3-3] */
};

/* May a message be published to it: 1 to TOPIC_LEN_MAX bytes [MQTT-4.7.3-1], well-formed UTF-8 without U+0000
 * [MQTT-4.7.3-2], no wildcards [MQTT-4.7.1-1]. */
bool topic_name_valid(struct mqtt_str name);

/* May it be subscribed to: as above, but '#' may be the last level [MQTT-4.7.1-2] and '+' any whole level
 * [MQTT-4.7.1-3]. */
bool topic_filter_valid(struct mqtt_str filter);

/* Does a message published to `name` go to a subscription to `filter`? Both must be valid. Wildcards in the first level
 * do not match names that begin with '$' [MQTT-4.7.2-1]. */
bool topic_matches(struct mqtt_str filter, struct mqtt_str name);

/* Split a shared subscription's "$share/NAME/FILTER", section 4.8.2 of 5.0. Returns 1 and stores both parts; 0 when the
 * filter does not begin with "$share/"; -1 when it does, but the name is empty or has a wildcard [MQTT-4.8.2-1], or no
 * filter follows [MQTT-4.8.2-2]. `filter` must be valid; the stored one is then valid, too. */
int topic_share(struct mqtt_str filter, struct mqtt_str *name, struct mqtt_str *inner);

/* The levels of a topic name or filter, one after the other: "a//b" has "a", "" and "b"; "/" has "" twice.
 *
 *	struct topic_levels it = topic_levels(name);
 *	struct mqtt_str level;
 *
 *	while (topic_next_level(&it, &level))
 *		...
 */
struct topic_levels {
	struct mqtt_str rest; /* not yet returned */
	bool done;
};

static inline struct topic_levels topic_levels(struct mqtt_str topic)
{
	return (struct topic_levels){.rest = topic};
}

static inline bool topic_next_level(struct topic_levels *it, struct mqtt_str *level)
{
	const uint8_t *slash;

	if (it->done)
		return false;
	slash = it->rest.len ? memchr(it->rest.data, '/', it->rest.len) : NULL;
	*level = it->rest;
	if (!slash) {
		it->done = true;
		return true;
	}
	level->len = (uint32_t)(slash - it->rest.data);
	it->rest.data = slash + 1;
	it->rest.len -= level->len + 1;
	return true;
}

/* Is the level the wildcard `c`, '+' or '#'? */
static inline bool topic_level_is(struct mqtt_str level, char c)
{
	return level.len == 1 && level.data[0] == (uint8_t)c;
}

/* Number of levels, at least 1. */
uint32_t topic_depth(struct mqtt_str topic);

#endif
