/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The answer to the command guard: where the guard is, and what it dropped. The control socket's thread. */
#ifndef SHUNT_ANSWER_GUARD_H
#define SHUNT_ANSWER_GUARD_H

#include <cjson/cJSON.h>

#include "admin/json.h"

void answer_guard(struct json *j, const cJSON *request);

#endif
