// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Slot numbers: which entry of map `slots` is whose. Slot 0 is nobody's. */
#include "fastpath/internal.h"

static struct {
	pthread_mutex_t lock;
	uint32_t never_used;   /* the lowest number not handed out yet; 0 before the first */
	uint32_t first, count; /* of the ring of freed ones, oldest first */
	struct freed {
		uint32_t slot;
		uint64_t ticket;
	} freed[SHUNT_SLOTS_MAX];
	uint64_t used;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint32_t fp_slot_alloc(void)
{
	uint32_t slot = 0;

	pthread_mutex_lock(&pool.lock);
	if (pool.count && fp_grace_passed(pool.freed[pool.first].ticket)) {
		slot = pool.freed[pool.first].slot;
		pool.first = (pool.first + 1) % SHUNT_SLOTS_MAX;
		pool.count--;
	} else if (pool.never_used < SHUNT_SLOTS_MAX - 1) {
		slot = ++pool.never_used;
	}
	if (slot)
		pool.used++;
	pthread_mutex_unlock(&pool.lock);
	return slot;
}

void fp_slot_free(uint32_t slot)
{
	uint64_t ticket = fp_grace_request();

	pthread_mutex_lock(&pool.lock);
	pool.freed[(pool.first + pool.count) % SHUNT_SLOTS_MAX] = (struct freed){.slot = slot, .ticket = ticket};
	pool.count++;
	pool.used--;
	pthread_mutex_unlock(&pool.lock);
}

uint64_t fp_slots_used(void)
{
	uint64_t used;

	pthread_mutex_lock(&pool.lock);
	used = pool.used;
	pthread_mutex_unlock(&pool.lock);
	return used;
}
