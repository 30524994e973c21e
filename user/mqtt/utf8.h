/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* UTF-8 as MQTT wants it, section 1.5.3 of 3.1.1, 1.5.4 of 5.0. */
#ifndef SHUNT_MQTT_UTF8_H
#define SHUNT_MQTT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is it well-formed UTF-8 (shortest form, no surrogates, nothing above U+10FFFF) [MQTT-1.5.3-1] without U+0000
 * [MQTT-1.5.3-2]? Control characters (U+0001 to U+001F, U+007F to U+009F) and non-characters, which a receiver MAY refuse,
 * are refused as by mosquitto; U+FEFF is a character like any other [MQTT-1.5.3-3]. */
bool utf8_valid(const uint8_t *data, size_t len);

/* Is it well-formed UTF-8, with any character, U+0000 too? For what is not MQTT's. */
bool utf8_well_formed(const uint8_t *data, size_t len);

#endif
