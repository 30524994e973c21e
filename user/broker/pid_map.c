// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Linear probing. Identifiers are handed out in sequence, so the identifier itself is a good hash: those in flight lie
 * side by side. The table is at most half full; a removal moves the rest of its run up, so there are no tombstones.
 */
#include "broker/pid_map.h"

#include <errno.h>
#include <stdlib.h>

enum {
	SLOTS_MIN = 8,
	SLOTS_KEPT = 64, /* an empty table that is larger is given back */
};

static uint32_t find(const struct pid_map *m, uint16_t pid)
{
	uint32_t i = pid & m->mask;

	while (m->slots[i].pid != 0 && m->slots[i].pid != pid)
		i = (i + 1) & m->mask;
	return i;
}

void *pid_map_get(const struct pid_map *m, uint16_t pid)
{
	return m->count && pid ? m->slots[find(m, pid)].value : NULL;
}

static int grow(struct pid_map *m)
{
	uint32_t size = m->slots ? (m->mask + 1) * 2 : SLOTS_MIN;
	struct pid_map bigger = {.slots = calloc(size, sizeof(*bigger.slots)), .mask = size - 1, .count = m->count};

	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; m->slots && i <= m->mask; i++)
		if (m->slots[i].pid)
			bigger.slots[find(&bigger, m->slots[i].pid)] = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int pid_map_put(struct pid_map *m, uint16_t pid, void *value)
{
	if (!m->slots || m->count * 2 > m->mask) {
		int rc = grow(m);

		if (rc)
			return rc;
	}
	m->slots[find(m, pid)] = (struct pid_slot){.pid = pid, .value = value};
	m->count++;
	return 0;
}

void *pid_map_take(struct pid_map *m, uint16_t pid)
{
	uint32_t hole, i;
	void *value;

	if (!m->count || !pid)
		return NULL;
	hole = find(m, pid);
	value = m->slots[hole].value;
	if (!value)
		return NULL;
	/* What follows in the run moves into the hole unless its own place lies between the hole and it. */
	for (i = (hole + 1) & m->mask; m->slots[i].pid; i = (i + 1) & m->mask) {
		uint32_t home = m->slots[i].pid & m->mask;

		if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct pid_slot){0};
	if (--m->count == 0 && m->mask >= SLOTS_KEPT)
		pid_map_clear(m);
	return value;
}

void pid_map_clear(struct pid_map *m)
{
	free(m->slots);
	*m = (struct pid_map){0};
}
