/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How the parts of a token are written. */
#ifndef TESTS_JWT_ENCODE_H
#define TESTS_JWT_ENCODE_H

#include <string.h>

#include "base/base64.h"

/* Append base64url without padding. */
static inline void jwt_encode(char *out, const void *bytes, size_t len)
{
	char *at = out + strlen(out);
	size_t n = base64_encode(at, bytes, len);

	for (size_t i = 0; i < n; i++)
		at[i] = (char)(at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i]);
	at[strcspn(at, "=")] = '\0';
}

#endif
