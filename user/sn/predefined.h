/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Topics that clients and gateway know by numbers beforehand, section 3 of MQTT-SN 1.2, from a file: a line for each, "ID
 * TOPIC", ID from 1 to 65534; "#" at the beginning of a line makes it a comment. Immutable. */
#ifndef SHUNT_SN_PREDEFINED_H
#define SHUNT_SN_PREDEFINED_H

#include <stdint.h>

#include "mqtt/str.h"

struct sn_predefined;

/* NULL after logging what is wrong. */
struct sn_predefined *sn_predefined_load(const char *path);
/* NULL is allowed, here and below. */
void sn_predefined_free(struct sn_predefined *p);

/* Its name; len 0: there is none with this id. */
struct mqtt_str sn_predefined_name(const struct sn_predefined *p, uint16_t id);
/* Its id, the first one of several; 0: it has none. */
uint16_t sn_predefined_id(const struct sn_predefined *p, struct mqtt_str name);

#endif
