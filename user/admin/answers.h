/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the daemon answers on its control socket; the commands are in admin/control.h. */
#ifndef SHUNT_ANSWERS_H
#define SHUNT_ANSWERS_H

#include <stddef.h>

/* A control_answer_fn. Between broker_start() and broker_stop(), in the control thread, which is the only one to switch
 * the fast path meanwhile. */
char *answer_request(const char *request, size_t *len);

#endif
