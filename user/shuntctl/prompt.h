/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A password asked for. */
#ifndef SHUNT_PROMPT_H
#define SHUNT_PROMPT_H

#include <stddef.h>

enum { PROMPT_EXTRA = 4 }; /* what a buffer has beyond the longest password: one byte too many, CR LF, and a NUL */

/*
 * Get the user's password: from the terminal, twice and without echo, or as the one line that comes from stdin if that is
 * no terminal. It is a C string, cut where the buffer ends; a password that is too long shows as such. The caller
 * cleanses the buffer in any case. Returns a status of shuntctl, after saying on stderr what is wrong.
 */
int prompt_password(const char *user, char *password, size_t size);

#endif
