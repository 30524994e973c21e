/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The daemon's answers for people. Each prints to stdout and returns 0, or -1 when memory is short. */
#ifndef SHUNT_SHOW_H
#define SHUNT_SHOW_H

#include <cjson/cJSON.h>

int show_stats(const cJSON *answer);
int show_clients(const cJSON *answer);
int show_fastpath(const cJSON *answer);
int show_why(const cJSON *answer);

#endif
