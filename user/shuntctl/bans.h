/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shuntctl ban, unban and bans: requests from words, and answers for people. */
#ifndef SHUNT_SHUNTCTL_BANS_H
#define SHUNT_SHUNTCTL_BANS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* A number and s, min, h, d or w, as in 15min: seconds, at least 1. */
bool bans_duration(const char *text, uint64_t *seconds);

/* Each prints to stdout and returns 0, or -1 when memory is short. */
int show_ban(const cJSON *answer);
int show_unban(const cJSON *answer);
int show_bans(const cJSON *answer);

#endif
