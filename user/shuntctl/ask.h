/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A question to the daemon, over its control socket (admin/control.h). */
#ifndef SHUNT_ASK_H
#define SHUNT_ASK_H

#include <stdio.h>

/* Status of shuntctl. */
enum {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the daemon could not do it */
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,
};

/* Send the request, a line without its end, to the daemon at `path` (NULL: wherever it is by default) and get the
 * answer, one line without its end, to be freed. Returns EXIT_DONE, or another status after saying to `complaints` what
 * is wrong. */
int ask(const char *path, const char *request, FILE *complaints, char **answer);

#endif
