// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Where the kernel and the daemon keep whose turn it is in a group of shared subscriptions. */
#include "fastpath/internal.h"

static struct {
	pthread_mutex_t lock;
	uint32_t never_used; /* the lowest index not handed out yet */
	uint32_t nfree;
	uint32_t free[SHUNT_SHARES_MAX];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint32_t *fp_turn_new(void)
{
	uint32_t *turn = NULL;

	if (!fp.bpf || !fp.many)
		return NULL;
	pthread_mutex_lock(&pool.lock);
	if (pool.nfree)
		turn = &fp.turns[pool.free[--pool.nfree]];
	else if (pool.never_used < SHUNT_SHARES_MAX)
		turn = &fp.turns[pool.never_used++];
	pthread_mutex_unlock(&pool.lock);
	return turn;
}

void fp_turn_free(uint32_t *turn)
{
	pthread_mutex_lock(&pool.lock);
	pool.free[pool.nfree++] = (uint32_t)(turn - fp.turns);
	pthread_mutex_unlock(&pool.lock);
}
