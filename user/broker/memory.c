// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/memory.h"

#include "base/log.h"
#include "broker/internal.h"
#include "broker/worker.h"

enum { FREE_AGAIN = 8 }; /* a part of so many: is free before memory is not short any more */

static bool is_short; /* atomic */

bool memory_short(void)
{
	return __atomic_load_n(&is_short, __ATOMIC_RELAXED);
}

uint64_t memory_limit(const struct broker *b)
{
	return b->conf->memory_limit == CONF_MEMORY_AUTO ? b->half_memory : b->conf->memory_limit;
}

/* What one thread took another may give back, so that only the sum says something. */
static uint64_t used(const struct broker *b)
{
	int64_t sum = __atomic_load_n(&counters_shared.memory, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < b->nworkers; i++)
		sum += __atomic_load_n(&b->workers[i].counters.memory, __ATOMIC_RELAXED);
	return sum > 0 ? (uint64_t)sum : 0;
}

void memory_look(const struct broker *b)
{
	uint64_t limit = memory_limit(b), now = used(b);

	if (!memory_short()) {
		if (limit && now > limit && !__atomic_exchange_n(&is_short, true, __ATOMIC_RELAXED))
			log_warning(
				"Warning: Memory is short, clients take %llu bytes of %llu (memory_limit): until there is "
				"more, nothing is kept for them beyond that.",
				(unsigned long long)now, (unsigned long long)limit);
		return;
	}
	if ((!limit || now < limit - limit / FREE_AGAIN) && __atomic_exchange_n(&is_short, false, __ATOMIC_RELAXED))
		log_notice("Memory is not short any more, clients take %llu bytes.", (unsigned long long)now);
}
