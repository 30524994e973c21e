/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * User-space RCU (liburcu, the flavour by quiescent states): readers pay nothing, and what they may still see is freed
 * only after every registered thread was once between two turns of its loop.
 *
 * A worker registers itself, is online while it handles a turn, and offline while it sleeps. Everything it reached
 * through an RCU pointer is gone for it afterwards. Pointers are published with __atomic release stores and read with
 * acquire loads. Threads that hold or wait for a lock while online only delay the freeing; nobody may call rcu_wait()
 * with a lock that an online thread can wait for.
 *
 * ThreadSanitizer cannot see into liburcu: the annotations tell it of the order a grace period gives.
 */
#ifndef SHUNT_RCU_H
#define SHUNT_RCU_H

#include <stddef.h>
#include <urcu-qsbr.h>

#if defined(__SANITIZE_THREAD__)
#define SHUNT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHUNT_TSAN 1
#endif
#endif

#ifdef SHUNT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Nothing without ThreadSanitizer; with it, what was done before a release is seen after an acquire. */
static inline void rcu_tsan_release(void)
{
#ifdef SHUNT_TSAN
	extern char rcu_tsan_sync;

	__tsan_release(&rcu_tsan_sync);
#endif
}

static inline void rcu_tsan_acquire(void)
{
#ifdef SHUNT_TSAN
	extern char rcu_tsan_sync;

	__tsan_acquire(&rcu_tsan_sync);
#endif
}

/* Embedded in what is to be freed later. */
struct rcu_later {
	struct rcu_head head;
	void (*fn)(struct rcu_later *);
};

static inline void rcu_thread_start(void)
{
	urcu_qsbr_register_thread();
}

static inline void rcu_thread_end(void)
{
	rcu_tsan_release();
	urcu_qsbr_unregister_thread();
}

/* Around sleeping. */
static inline void rcu_sleep(void)
{
	rcu_tsan_release();
	urcu_qsbr_thread_offline();
}

static inline void rcu_wake(void)
{
	urcu_qsbr_thread_online();
}

/* Between two turns without sleeping. */
static inline void rcu_quiescent(void)
{
	rcu_tsan_release();
	urcu_qsbr_quiescent_state();
}

static inline void rcu_later_run(struct rcu_head *head)
{
	struct rcu_later *l = (struct rcu_later *)((char *)head - offsetof(struct rcu_later, head));

	rcu_tsan_acquire();
	l->fn(l);
	rcu_tsan_release();
}

/* Start liburcu's thread for rcu_call_later(). Without memory liburcu ends the process, which must happen at the start if at
 * all: call it when the process has the privileges it is to keep, and serves nobody yet. */
void rcu_start(void);

/* Call fn(l), in a thread of liburcu's, once no reader can see `l`'s owner any more. Only from a registered thread. */
static inline void rcu_call_later(struct rcu_later *l, void (*fn)(struct rcu_later *))
{
	l->fn = fn;
	rcu_tsan_release();
	urcu_qsbr_call_rcu(&l->head, rcu_later_run);
}

/* Wait until everything handed to rcu_call_later() so far, by any thread, has run. From a registered thread: at the end
 * of the process, and in tests. */
void rcu_wait(void);

#endif
