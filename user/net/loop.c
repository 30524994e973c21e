// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rcu.h"

enum { EVENTS_PER_TURN = 256 };

int loop_open(struct loop *loop)
{
	int err;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

	memset(loop, 0, sizeof(*loop));
	loop->now_ns = clock_ns();
	timers_init(&loop->timers, loop_ms(loop));
	loop->wake_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		goto fail;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0)
		goto fail;
	return 0;
fail:
	err = -errno;
	loop_close(loop);
	return err;
}

void loop_close(struct loop *loop)
{
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->wake_fd = loop->epoll_fd = -1;
}

int loop_watch(struct loop *loop, struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop *loop, struct watch *w)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
}

void loop_send(struct loop *loop, struct inbox_item *item)
{
	const uint64_t one = 1;

	/* Either this load sees that the receiver is about to sleep, or the receiver's look at the inbox in
	 * loop_turn(), after its store to `sleeping`, sees the item: both sides are sequentially consistent. Only the
	 * first of many senders pays for the wake-up. The eventfd is edge-triggered and never read: every write is an
	 * edge. */
	inbox_push(&loop->inbox, item);
	if (__atomic_load_n(&loop->sleeping, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&loop->sleeping, false, __ATOMIC_SEQ_CST))
		while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

static int wait_events(struct loop *loop, bool busy, struct epoll_event *ev)
{
	int timeout = busy ? 0 : timers_next(&loop->timers, clock_ns() / NS_PER_MS);
	int n;

	if (timeout != 0) {
		__atomic_store_n(&loop->sleeping, true, __ATOMIC_SEQ_CST);
		if (!inbox_empty(&loop->inbox))
			timeout = 0;
	}
	if (timeout != 0 && !loop->outside_rcu)
		rcu_sleep();
	else if (!loop->outside_rcu)
		rcu_quiescent();
	n = epoll_wait(loop->epoll_fd, ev, EVENTS_PER_TURN, timeout);
	if (timeout != 0 && !loop->outside_rcu)
		rcu_wake();
	__atomic_store_n(&loop->sleeping, false, __ATOMIC_RELAXED);
	return n;
}

void loop_turn(struct loop *loop, bool busy, void *receiver)
{
	struct epoll_event ev[EVENTS_PER_TURN];
	struct inbox_item *item;
	int n = wait_events(loop, busy, ev);

	loop->now_ns = clock_ns();
	for (int i = 0; i < n; i++) {
		struct watch *w = ev[i].data.ptr;

		if (w)
			w->ready(w, ev[i].events);
	}
	item = inbox_take(&loop->inbox);
	while (item) {
		struct inbox_item *next = item->next;

		item->receive(item, receiver);
		item = next;
	}
	timers_run(&loop->timers, loop_ms(loop));
}
