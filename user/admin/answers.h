/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the daemon answers on its control socket and over HTTP; the commands are in admin/control.h. */
#ifndef SHUNT_ANSWERS_H
#define SHUNT_ANSWERS_H

#include <stddef.h>

#include <cjson/cJSON.h>

/* A control_answer_fn. Between broker_start() and broker_stop(), in any thread that is not a worker. */
char *answer_request(const char *request, size_t *len);

/* The same for a command with the members of an object (NULL: it has none). */
char *answer_object(const char *command, const cJSON *members, size_t *len);

#endif
