/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shuntctl import: what mosquitto kept, into the store of a daemon that is not running. No daemon is asked. */
#ifndef SHUNT_SHUNTCTL_IMPORT_H
#define SHUNT_SHUNTCTL_IMPORT_H

#include <stdbool.h>

struct import_settings {
	const char *file;     /* mosquitto.db */
	const char *config;   /* of the daemon: says where its store is, and who it is; NULL: defaults */
	const char *database; /* NULL: as the configuration says */
	bool replace;	      /* what is in the database goes */
};

/* Do it, and print what was taken over and what was not. Returns a status of shuntctl, after saying on stderr what is
 * wrong. The process is the owner of the store afterwards, if it was root. */
int import(const struct import_settings *settings);

#endif
