/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The commands ban, unban and bans of the control socket; for answers.c, in the control thread. */
#ifndef SHUNT_ANSWER_BANS_H
#define SHUNT_ANSWER_BANS_H

#include <cjson/cJSON.h>

#include "admin/json.h"

/* Each carries out a request and writes the answer. Returns NULL, or why it is refused, a static text; then nothing is written. */
const char *answer_ban(struct json *j, const cJSON *request);
const char *answer_unban(struct json *j, const cJSON *request);
const char *answer_bans(struct json *j);

#endif
