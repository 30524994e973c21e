/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shuntctl scram: users in a file of credentials (auth/store.h). No daemon is asked. */
#ifndef SHUNT_SHUNTCTL_SCRAM_H
#define SHUNT_SHUNTCTL_SCRAM_H

#include <stdint.h>

/* Write the user's line, with a password asked for or read from stdin, in place of the one that is there. Returns a
 * status of shuntctl, after saying on stderr what is wrong. */
int scram_set(const char *file, const char *user, uint32_t iterations);

/* Take the user's line away. */
int scram_delete(const char *file, const char *user);

#endif
