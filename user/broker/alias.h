/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Topic Aliases of a connection, section 3.3.2.3.4 of 5.0: those the client made, and ours. They end with the
 * connection. Of the connection's worker. */
#ifndef SHUNT_ALIAS_H
#define SHUNT_ALIAS_H

#include <stdbool.h>

#include "base/table.h"
#include "mqtt/str.h"

/* The client's. Zero-initialised it knows none. */
struct alias_in {
	struct alias_topic **topics; /* by alias - 1 */
	uint16_t n;
};

/* Set an alias, 1 or more. 0 or -ENOMEM. */
int alias_in_set(struct alias_in *a, uint16_t alias, struct mqtt_str topic);
/* The topic of an alias; false when it was not set. Valid until the alias is set again. */
bool alias_in_get(const struct alias_in *a, uint16_t alias, struct mqtt_str *topic);
void alias_in_clear(struct alias_in *a);

/* Ours: the first `max` topics get one, in the order of first use. Zero-initialised it gives none. */
struct alias_out {
	struct table by_topic;
	uint16_t used, max;
};

/* The alias for a topic: one the receiver knows (*known), a new one, or 0. A new one is used once alias_out_add() is
 * told that the packet was appended; without memory there it will be given to another topic, which is allowed. */
uint16_t alias_out_get(const struct alias_out *a, struct mqtt_str topic, bool *known);
void alias_out_add(struct alias_out *a, struct mqtt_str topic);
void alias_out_clear(struct alias_out *a);

#endif
