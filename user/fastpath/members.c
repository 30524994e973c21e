// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The lists of receivers of flows that have several, in map `members`. Under the lock of the flows' table.
 *
 * The kernel goes through a list in several runs of its program, between which the publisher may be off the CPU, so a list
 * that was freed stays as it is for a while. Should a publisher be away for longer, the flow's id in each member, which is
 * never used twice, keeps it from going on in the list of another flow.
 */
#include <string.h>

#include "base/clock.h"
#include "fastpath/internal.h"

enum { QUARANTINE_MS = 1000, LISTS_MAX = SHUNT_MEMBERS_MAX / 2 };

static struct {
	uint32_t never_used; /* the lowest index not handed out yet; 0 before the first */
	uint32_t free;	     /* a list of those that may be used */
	uint32_t nfree;
	uint32_t first, count; /* of the ring of lists in quarantine, oldest first */
	struct quarantined {
		uint32_t list;
		uint64_t since_ns;
	} ring[LISTS_MAX];
} pool;

void fp_members_start(void)
{
	memset(&pool, 0, sizeof(pool));
}

static void release_old(void)
{
	uint64_t now = clock_ns();

	while (pool.count && now - pool.ring[pool.first].since_ns > (uint64_t)QUARANTINE_MS * NS_PER_MS) {
		uint32_t list = pool.ring[pool.first].list, last = list;

		for (pool.nfree++; fp.members[last].next; pool.nfree++)
			last = fp.members[last].next;
		fp.members[last].next = pool.free;
		pool.free = list;
		pool.first = (pool.first + 1) % LISTS_MAX;
		pool.count--;
	}
}

static uint32_t take_one(void)
{
	uint32_t index = pool.free;

	if (index) {
		pool.free = fp.members[index].next;
		pool.nfree--;
		return index;
	}
	return ++pool.never_used;
}

uint32_t fp_members_alloc(uint64_t flow, const struct fp_receiver *to, size_t n, bool shared)
{
	uint32_t next = 0, same = 0;

	release_old();
	if (n > pool.nfree + (SHUNT_MEMBERS_MAX - 1 - pool.never_used))
		return 0;
	while (n--) {
		uint32_t index = take_one();

		same = next && fp.members[next].form != to[n].form ? 1 : same + 1;
		fp.members[index] = (struct shunt_member){
			.flow = flow,
			.generation = to[n].generation,
			.isn_pair = to[n].isn_pair,
			.slot = to[n].slot,
			.next = next,
			.form = to[n].form,
			.same = shared ? to[n].place : same,
		};
		next = index;
	}
	return next;
}

void fp_members_free(uint32_t first)
{
	if (!first)
		return;
	release_old();
	pool.ring[(pool.first + pool.count++) % LISTS_MAX] = (struct quarantined){.list = first,
										  .since_ns = clock_ns()};
}
