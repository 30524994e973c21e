// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The inbox and the loop it wakes: nothing is lost, nothing sleeps, every sender's order is kept. */
#include "net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rcu.h"

enum { SENDERS = 4, PER_SENDER = 50000 };

struct letter {
	struct inbox_item item;
	unsigned sender, number;
};

struct receiver {
	struct loop loop;
	unsigned next[SENDERS];
	unsigned received;
};

static struct receiver receiver;

static void receive(struct inbox_item *item, void *arg)
{
	struct letter *l = container_of(item, struct letter, item);
	struct receiver *r = arg;

	if (l->number != r->next[l->sender])
		abort();
	r->next[l->sender]++;
	r->received++;
	free(l);
}

static void send_one(unsigned sender, unsigned number)
{
	struct letter *l = malloc(sizeof(*l));

	if (!l)
		abort();
	*l = (struct letter){.item.receive = receive, .sender = sender, .number = number};
	loop_send(&receiver.loop, &l->item);
}

static void *send_many(void *arg)
{
	unsigned sender = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < PER_SENDER; i++) {
		send_one(sender, i);
		if (i % 1000 == 999)
			usleep(1000); /* so that the receiver falls asleep now and then */
	}
	return NULL;
}

static int open_receiver(void **state)
{
	(void)state;
	rcu_thread_start();
	receiver = (struct receiver){0};
	return loop_open(&receiver.loop);
}

static int close_receiver(void **state)
{
	(void)state;
	loop_close(&receiver.loop);
	rcu_thread_end();
	return 0;
}

static void order(void **state)
{
	struct inbox box = {0};
	struct inbox_item items[3], *in;

	(void)state;
	assert_null(inbox_take(&box));
	assert_true(inbox_push(&box, &items[0]));
	assert_false(inbox_push(&box, &items[1]));
	assert_false(inbox_push(&box, &items[2]));
	in = inbox_take(&box);
	for (unsigned i = 0; i < 3; i++, in = in->next)
		assert_ptr_equal(in, &items[i]);
	assert_null(in);
	assert_true(inbox_empty(&box));
	assert_true(inbox_push(&box, &items[0]));
}

/* A lost wake-up would hang here: the loop has no timer. */
static void many_senders(void **state)
{
	pthread_t threads[SENDERS];

	(void)state;
	for (uintptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, send_many, (void *)i), 0);
	while (receiver.received < SENDERS * PER_SENDER)
		loop_turn(&receiver.loop, false, &receiver);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
}

/* One letter at a time, each sent when the receiver has had time to fall asleep. */
static void *send_slowly(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 200; i++) {
		usleep(i % 2 ? 500 : 0);
		send_one(0, i);
	}
	return NULL;
}

static void wakes_from_sleep(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, send_slowly, NULL), 0);
	while (receiver.received < 200)
		loop_turn(&receiver.loop, false, &receiver);
	pthread_join(thread, NULL);
}

/* ---- the rest of the loop ---------------------------------------------------------------------------------------- */

static unsigned ready_count, timer_count;

static void ready(struct watch *w, uint32_t events)
{
	char c;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(w->fd, &c, 1), 1);
	ready_count++;
}

static void timer_fired(struct timer *t)
{
	(void)t;
	timer_count++;
}

static void watches_and_timers(void **state)
{
	struct timer timer = {0};
	struct watch watch = {.ready = ready};
	uint64_t before;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	watch.fd = fds[0];
	assert_int_equal(loop_watch(&receiver.loop, &watch, EPOLLIN | EPOLLET), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_turn(&receiver.loop, false, &receiver);
	assert_int_equal(ready_count, 1);
	before = receiver.loop.now_ns;
	loop_after(&receiver.loop, &timer, 20, timer_fired);
	while (!timer_count)
		loop_turn(&receiver.loop, false, &receiver);
	assert_true(receiver.loop.now_ns - before >= 20000000);
	loop_unwatch(&receiver.loop, &watch);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_turn(&receiver.loop, true, &receiver);
	assert_int_equal(ready_count, 1);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),
		cmocka_unit_test_setup_teardown(many_senders, open_receiver, close_receiver),
		cmocka_unit_test_setup_teardown(wakes_from_sleep, open_receiver, close_receiver),
		cmocka_unit_test_setup_teardown(watches_and_timers, open_receiver, close_receiver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
