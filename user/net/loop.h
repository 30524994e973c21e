/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The event loop of one thread: epoll, timers, and an inbox that other threads write to. It belongs to its thread but
 * for loop_send(). The thread is registered with RCU: it is offline while it sleeps here.
 */
#ifndef SHUNT_LOOP_H
#define SHUNT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/inbox.h"
#include "net/timer.h"

struct loop {
	int epoll_fd;
	int wake_fd;	  /* eventfd */
	uint64_t now_ns;  /* CLOCK_MONOTONIC at the beginning of the turn */
	bool outside_rcu; /* the thread is not registered */
	struct timers timers;
	struct inbox inbox __attribute__((aligned(64))); /* written by all threads */
	bool sleeping;					 /* atomic: somebody must write to wake_fd */
};

/* A descriptor that is watched; embedded in its owner, which stays valid until the turn in which it was removed
 * ends. */
struct watch {
	int fd;
	void (*ready)(struct watch *, uint32_t events); /* EPOLLIN, ... */
};

/* 0 or -errno. */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* Events as of epoll_ctl(2), EPOLLET and EPOLLEXCLUSIVE included. 0 or -errno. */
int loop_watch(struct loop *loop, struct watch *w, uint32_t events);
void loop_unwatch(struct loop *loop, struct watch *w);

/* Sleep until something happens (not at all when `busy`), then call the watches and timers that are due and receive the
 * inbox. `receiver` is handed to the items' functions. */
void loop_turn(struct loop *loop, bool busy, void *receiver);

/* Send to the loop's thread and wake it if it sleeps. Any thread. */
void loop_send(struct loop *loop, struct inbox_item *item);

static inline uint64_t loop_ms(const struct loop *loop)
{
	return loop->now_ns / 1000000;
}

/* Start a timer `ms` from now, at least. */
static inline void loop_after(struct loop *loop, struct timer *t, uint64_t ms, void (*fire)(struct timer *))
{
	timer_start(&loop->timers, t, loop_ms(loop) + ms + 1, fire);
}

#endif
