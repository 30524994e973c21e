/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What holds for every connection that begins, however it comes: how many there may be, and how many a second. */
#ifndef SHUNT_ACCEPT_H
#define SHUNT_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

struct broker;
struct worker;

/* Count a connection of the listener from `peer`; false, after logging and counting that, when there are too many, by
 * max_connections or global_max_connections: it is not counted then. Any worker. */
bool accept_admit(struct broker *b, unsigned listener, const char *peer);

/* May another one begin now, by the rates? Then it is counted for them. For those that cannot wait in the kernel. */
bool accept_in_time(struct worker *w, unsigned listener);

/* Its number: later connections have greater ones. Any thread. */
uint64_t accept_order(struct broker *b);

#endif
