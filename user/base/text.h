/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Strings that there may be or not. */
#ifndef SHUNT_TEXT_H
#define SHUNT_TEXT_H

#include <stdbool.h>
#include <string.h>

/* Are both the same, or both NULL? */
static inline bool text_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

#endif
