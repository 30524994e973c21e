/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Base64 (RFC 4648, section 4): with padding, without line ends, and each value has one form only. */
#ifndef SHUNT_BASE64_H
#define SHUNT_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Characters that `len` bytes become, without the NUL. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Write the bytes as base64 and a NUL: BASE64_LEN(len) + 1 characters. Returns their number without the NUL. */
size_t base64_encode(char *out, const void *data, size_t len);

/* Read `len` characters into at most `max` bytes. Returns their number; -1 when it is not base64, has bits set that
 * belong to no byte, or is too long. Takes a time that depends on the data. */
ssize_t base64_decode(void *out, size_t max, const char *text, size_t len);

#endif
