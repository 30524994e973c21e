// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/sender.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum {
	PACKET_MAX = 128,	     /* nobody publishes to a publisher: answers are short */
	FLOOD_TURN = 32,	     /* batches of one publisher before the next one's */
	SLEEP_NS = 50 * 1000 * 1000, /* longest: flags and keepalive are looked at so often */
};

int sender_init(struct sender *s, struct run *run, unsigned index, unsigned stride)
{
	const struct plan *plan = run->plan;
	unsigned count = (unsigned)plan_share(plan->publishers, index, stride);
	int err;

	*s = (struct sender){.run = run, .scheduled = plan->interval_ns > 0 && count > 0};
	err = io_open(&s->io, PACKET_MAX);
	if (err)
		return err;
	s->io.gather = plan->options->batch > 1;
	err = outlet_init(&s->out, run);
	if (err)
		return err;
	s->publishers = calloc(count + 1, sizeof(*s->publishers));
	if (!s->publishers)
		return -ENOMEM;
	while (!err && s->count < count) {
		err = publisher_init(&s->publishers[s->count], &s->out, index + s->count * stride);
		s->count++;
	}
	return err;
}

void sender_free(struct sender *s)
{
	for (unsigned i = 0; i < s->count; i++)
		publisher_free(&s->publishers[i]);
	free(s->publishers);
	s->publishers = NULL;
	s->count = 0;
	outlet_free(&s->out);
	io_close(&s->io);
}

/* The publishers send in turn, so the next message due is that of the next one in the ring. A message is sent when its
 * time has come, or later together with others if a batch may hold them. Returns how long there is nothing to do. */
static uint64_t follow_schedule(struct sender *s, uint64_t now_ns)
{
	const struct plan *plan = s->run->plan;

	while (s->scheduled) {
		struct publisher *p = &s->publishers[s->turn];
		uint64_t due_ns = plan_due_ns(plan, p->id, p->due);

		if (p->due >= p->limit) {
			s->scheduled = false;
			break;
		}
		if (due_ns > now_ns)
			return due_ns - now_ns;
		p->due++;
		s->turn = s->turn + 1 < s->count ? s->turn + 1 : 0;
		if (p->due - p->sent >= plan->options->batch || plan_due_ns(plan, p->id, p->due) > now_ns)
			publisher_pump(p, UINT64_MAX);
	}
	return SLEEP_NS;
}

/* Without a schedule: a turn for each publisher. */
static uint64_t flood(struct sender *s, uint64_t now_ns)
{
	bool more = false;

	for (unsigned i = 0; i < s->count; i++) {
		struct publisher *p = &s->publishers[i];

		if (now_ns >= s->run->plan->stop_ns)
			p->limit = p->sent;
		more |= publisher_pump(p, FLOOD_TURN * s->run->plan->options->batch);
	}
	return more ? 0 : SLEEP_NS;
}

static void stop_sending(struct sender *s)
{
	s->scheduled = false;
	for (unsigned i = 0; i < s->count; i++)
		s->publishers[i].limit = s->publishers[i].sent;
}

/* A publisher that ends for the main thread to read is not touched again: limit == sent. */
static void look_if_finished(struct sender *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (!publisher_done(&s->publishers[i]))
			return;
	}
	flag_raise(&s->finished);
}

static void keep_alive(struct sender *s, uint64_t *last_ns)
{
	uint64_t half_ns = s->run->plan->options->keepalive * 500000000, now_ns = clock_ns();

	if (half_ns == 0 || now_ns - *last_ns < half_ns / 4)
		return;
	*last_ns = now_ns;
	for (unsigned i = 0; i < s->count; i++)
		conn_keep_alive(&s->publishers[i].conn, now_ns - half_ns);
}

void *sender_thread(void *arg)
{
	struct sender *s = arg;
	bool paced = s->run->plan->interval_ns > 0;
	uint64_t last_ping_ns = clock_ns();

	prctl(PR_SET_TIMERSLACK, 1UL); /* the schedule is in microseconds, the default slack is 50 of them */
	for (unsigned i = 0; i < s->count; i++)
		publisher_start(&s->publishers[i]);
	while (!flag_get(&s->run->stop)) {
		uint64_t now_ns = clock_ns(), sleep_ns = SLEEP_NS;

		if (flag_get(&s->run->stop_sending))
			stop_sending(s);
		else if (now_ns >= s->run->start_ns)
			sleep_ns = (paced ? follow_schedule : flood)(s, now_ns - s->run->start_ns);
		else
			sleep_ns = s->run->start_ns - now_ns;
		if (!s->scheduled && !s->finished)
			look_if_finished(s);
		keep_alive(s, &last_ping_ns);
		io_wait(&s->io, sleep_ns < SLEEP_NS ? sleep_ns : SLEEP_NS);
	}
	return NULL;
}
