/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Topic filters as sets of topic names, section 4.7. The relations are exact, [MQTT-4.7.2-1] included: "#" has nothing in
 * common with "$SYS/#", and is the same set as "+/#". Only the length that names may have is not regarded. Pure functions
 * of their arguments, which must be valid filters: any thread.
 */
#ifndef SHUNT_MQTT_FILTER_H
#define SHUNT_MQTT_FILTER_H

#include "mqtt/str.h"

/* Does `outer` match every name that `inner` matches? */
bool filter_covers(struct mqtt_str outer, struct mqtt_str inner);

/* The filter that matches the names that both match: what filters have in common is one filter again. It is written to
 * `out`, which has room for a.len + b.len bytes (NULL: not wanted). Returns its length, 0 when they have nothing in
 * common. */
uint32_t filter_intersection(struct mqtt_str a, struct mqtt_str b, uint8_t *out);

static inline bool filter_intersects(struct mqtt_str a, struct mqtt_str b)
{
	return filter_intersection(a, b, NULL) > 0;
}

/* Does it match several names: are there wildcards? */
static inline bool filter_has_wildcard(struct mqtt_str filter)
{
	return filter.len && (memchr(filter.data, '+', filter.len) || memchr(filter.data, '#', filter.len));
}

#endif
