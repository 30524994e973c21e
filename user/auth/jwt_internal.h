/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What tokens know of keys. */
#ifndef SHUNT_JWT_INTERNAL_H
#define SHUNT_JWT_INTERNAL_H

#include "auth/jwt.h"

/* RFC 7518, section 3.1. */
enum jwt_algorithm {
	JWT_HS256,
	JWT_RS256,
	JWT_ES256,
	JWT_ALGORITHMS,
};

/* False: there is none of this name. */
bool jwt_algorithm_find(const char *name, enum jwt_algorithm *algorithm);

/* Is the signature by a key of this algorithm, and of this name, or with `kid` NULL by one that has none? Then what that key
 * is known by again, JWT_KEY_ID_LEN bytes of it; NULL: no. */
const uint8_t *jwt_keys_verify(const struct jwt_keys *keys, enum jwt_algorithm algorithm, const char *kid,
			       struct mqtt_str text, const uint8_t *signature, size_t len);

#endif
