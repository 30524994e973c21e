/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The configuration as the command line asks for it: read at the start, and again on SIGHUP. Main thread. */
#ifndef SHUNT_SETTINGS_H
#define SHUNT_SETTINGS_H

#include "conf/conf.h"
#include "shuntd/arguments.h"

/* Read the file, then what the command line sets. 0, or -1 after logging all errors; conf_free() is due in both
 * cases. */
int settings_read(struct conf *conf, const struct arguments *a);

/* Check the files it names that have a syntax of their own. 0, or -1 after logging all errors. Not while the broker
 * runs. */
int settings_check(const struct conf *conf);

/* Log as the configuration says. 0, or -1 after logging. */
int settings_open_log(const struct conf *conf);

/* Read it again while the broker runs. Errors are logged and change nothing. */
struct http;
void settings_reload(struct conf *live, const struct arguments *a, struct http *http);

/* Open the log file again. */
void settings_rotate_log(void);

#endif
