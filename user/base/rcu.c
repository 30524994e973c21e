// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/rcu.h"

#include <semaphore.h>

#ifdef SHUNT_TSAN
/* The one address all annotations of rcu.h name. */
char rcu_tsan_sync;
#endif

void rcu_start(void)
{
	urcu_qsbr_get_default_call_rcu_data();
}

struct waiter {
	struct rcu_later later;
	sem_t done;
};

static void waiter_done(struct rcu_later *later)
{
	sem_post(&((struct waiter *)later)->done);
}

/* liburcu calls in order: what was handed to it before the waiter ran before it. */
void rcu_wait(void)
{
	struct waiter w;

	sem_init(&w.done, 0, 0);
	rcu_call_later(&w.later, waiter_done);
	rcu_sleep();
	while (sem_wait(&w.done) < 0)
		;
	rcu_wake();
	rcu_tsan_acquire();
	sem_destroy(&w.done);
}
