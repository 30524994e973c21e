/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef SHUNT_SHOW_GUARD_H
#define SHUNT_SHOW_GUARD_H

#include <cjson/cJSON.h>

/* Print where the guard is, and what it dropped. 0, or -1 when there is no memory. */
int show_guard(const cJSON *answer);

#endif
