/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shuntctl flows: what the kernel carries now, and how much of it. */
#ifndef SHUNT_FLOWS_H
#define SHUNT_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

/* Measure for `seconds` (0: do not) and list the busiest `limit` flows (0: all). Returns the status to exit with. */
int flows_list(const char *socket, bool json, double seconds, uint64_t limit);

/* Wait. */
void wait_seconds(double seconds);

#endif
