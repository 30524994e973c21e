/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Packet identifiers in use and what they stand for: an open-addressing table of one thread that grows with its
 * content. */
#ifndef SHUNT_PID_MAP_H
#define SHUNT_PID_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct pid_slot {
	uint16_t pid; /* 0: free */
	void *value;
};

/* Zero-initialised it is empty and holds no memory. */
struct pid_map {
	struct pid_slot *slots;
	uint32_t mask;
	uint32_t count; /* at most 65,535 */
};

/* The value of a packet identifier, NULL when it is not in use. */
void *pid_map_get(const struct pid_map *m, uint16_t pid);
/* Add one that is not in use; value not NULL. 0 or -ENOMEM. */
int pid_map_put(struct pid_map *m, uint16_t pid, void *value);
/* Remove one; returns its value, NULL when it was not in use. */
void *pid_map_take(struct pid_map *m, uint16_t pid);
/* Remove all and free the memory; the values are the caller's. */
void pid_map_clear(struct pid_map *m);

#endif
