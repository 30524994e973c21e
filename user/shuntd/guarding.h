/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The guard by the configuration. Main thread. */
#ifndef SHUNT_GUARDING_H
#define SHUNT_GUARDING_H

#include "base/account.h"
#include "conf/conf.h"

/* Before the listeners are opened, and with the rights we were started with. 0, or -1 after logging why the broker is not to
 * start. */
int guarding_open(const struct conf *conf, const struct account *account);

/* Let the guard know of bans of networks: after broker_prepare(), and the end of it before broker_free(). */
void guarding_watch_bans(void);
void guarding_end(void);

/* Log on which interfaces it is, and why not on the others. Nothing when it is not asked for. */
void guarding_log(void);

/* Other lists and budgets. */
void guarding_update(const struct conf *conf);

#endif
