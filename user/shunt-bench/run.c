// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/run.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shunt-bench/clients.h"
#include "shunt-bench/result.h"
#include "shunt-bench/tasks.h"

static const uint64_t SETTLE_NS = 50000000; /* from the last SUBACK to the first message */
static const uint64_t SAMPLE_NS = 25000000; /* CPU times are first read so long before measuring, not to disturb it */
static const uint64_t TICK_NS = 5000000;    /* the main thread looks after things so often */
static const unsigned DRAIN_FACTOR = 10;    /* see option drain */

/* The one thing a signal handler can reach. */
static volatile sig_atomic_t interrupted;

/* CPU times and counts at one moment. */
struct sample {
	uint64_t time_ns, generator_ns, received;
	struct tasks broker, machine;
};

struct bench {
	struct run run;
	struct clients clients;
	struct sample before, after;
	uint64_t ended_ns; /* CLOCK_MONOTONIC: publishing was over */
	bool progress;
	uint64_t shown_ns, shown_sent, shown_received; /* by the last line of progress */
};

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "shunt-bench: %s: %s\n", what, strerror(-err));
	return -1;
}

/* ---- measuring -------------------------------------------------------------------------------------------------- */

/* 0 or a negative errno: the CPU times could not be read, and what there is of them is empty. */
static int take_sample(struct sample *s, const struct bench *b)
{
	const struct options *o = b->run.plan->options;
	struct timespec own;
	int err = 0;

	if (o->pid)
		err = tasks_read(&s->broker, (pid_t)o->pid);
	if (!err && o->all_cpu)
		err = tasks_read(&s->machine, 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	s->generator_ns = (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec;
	s->time_ns = clock_ns();
	s->received = clients_received(&b->clients);
	return err;
}

static void free_sample(struct sample *s)
{
	tasks_free(&s->broker);
	tasks_free(&s->machine);
}

static double resident(const struct options *o)
{
	uint64_t bytes = o->pid ? process_resident((pid_t)o->pid) : 0;

	return bytes ? (double)bytes : NAN;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

static void show_progress(struct bench *b)
{
	uint64_t now_ns = clock_ns(), sent, received;
	double seconds = (double)(now_ns - b->shown_ns) / 1e9;

	if (!b->progress || now_ns < b->shown_ns + 1000000000)
		return;
	sent = clients_sent(&b->clients);
	received = clients_received(&b->clients);
	fprintf(stderr, "%4.0f s  sent %.0f/s  delivered %.0f/s\n", (double)(now_ns - b->run.start_ns) / 1e9,
		(double)(sent - b->shown_sent) / seconds, (double)(received - b->shown_received) / seconds);
	b->shown_ns = now_ns;
	b->shown_sent = sent;
	b->shown_received = received;
}

static void tick(struct bench *b, uint64_t until_ns)
{
	uint64_t now_ns = clock_ns(), ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec t = {.tv_nsec = (long)(ns < TICK_NS ? ns : TICK_NS)};

	nanosleep(&t, NULL);
	show_progress(b);
}

static void wait_until(struct bench *b, uint64_t time_ns)
{
	while (clock_ns() < time_ns && !interrupted)
		tick(b, time_ns);
}

/* Wait until everything has been sent and delivered, or nothing happens any more. */
static void drain(struct bench *b)
{
	const struct options *o = b->run.plan->options;
	uint64_t patience_ns = (uint64_t)(o->drain * 1e9), last_ns = clock_ns(), last = 0, expected = UINT64_MAX;
	uint64_t deadline_ns = o->messages ? UINT64_MAX : last_ns + DRAIN_FACTOR * patience_ns;

	while (clock_ns() < deadline_ns && !interrupted) {
		uint64_t received = clients_received(&b->clients), moved = received + clients_sent(&b->clients);

		if (expected == UINT64_MAX && clients_finished(&b->clients)) {
			b->ended_ns = o->messages ? clock_ns() : b->ended_ns;
			expected = clients_expected(&b->clients, false);
		}
		if (received >= expected)
			return;
		if (moved != last) {
			last = moved;
			last_ns = clock_ns();
		}
		if (clock_ns() - last_ns > patience_ns)
			return;
		tick(b, UINT64_MAX);
	}
}

/* The course of a run, from start_ns on. A broker that dies in it is a result, too. */
static int conduct(struct bench *b)
{
	const struct plan *plan = b->run.plan;
	uint64_t measure_ns = b->run.start_ns + plan->measure_ns;
	int err;

	wait_until(b, measure_ns - SAMPLE_NS);
	err = take_sample(&b->before, b);
	if (err)
		return fail("reading CPU times", err);
	if (plan->options->messages) {
		drain(b);
		(void)take_sample(&b->after, b);
		return 0;
	}
	wait_until(b, b->run.start_ns + plan->stop_ns);
	b->ended_ns = interrupted ? clock_ns() : b->run.start_ns + plan->stop_ns;
	(void)take_sample(&b->after, b);
	drain(b);
	return 0;
}

/* ---- result ----------------------------------------------------------------------------------------------------- */

static struct cpu_use use_of(const struct bench *b, bool wanted, uint64_t spent_ns)
{
	uint64_t messages = b->after.received - b->before.received;
	uint64_t time_ns = b->after.time_ns - b->before.time_ns;

	return (struct cpu_use){
		.cores = wanted && time_ns ? (double)spent_ns / (double)time_ns : NAN,
		.us_per_message = wanted && messages ? (double)spent_ns / 1000 / (double)messages : NAN,
	};
}

static void sum_io(struct result *r, const struct io *io)
{
	r->blocked += io->blocked;
	r->closed += io->closed;
	r->malformed += io->malformed;
	for (int i = 0; i < ERRNO_LIMIT; i++) {
		r->send_errors[i] += io->send_errors[i];
		r->receive_errors[i] += io->receive_errors[i];
	}
}

static void sum_sender(struct result *r, const struct plan *plan, const struct sender *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct publisher *p = &s->publishers[i];

		r->sent += p->sent - publisher_first_measured(p);
		if (plan->interval_ns > 0)
			r->unsent += plan_limit(plan, p->id) - p->sent;
	}
	histogram_merge(&r->lag, &s->out.lag);
	sum_io(r, &s->io);
}

static void sum_receiver(struct result *r, const struct receiver *from)
{
	r->duplicated += from->duplicated;
	r->reordered += from->reordered;
	r->corrupt += from->corrupt;
	histogram_merge(&r->latency, &from->latency);
	sum_io(r, &from->io);
}

/* The threads are stopped. */
static void conclude(struct bench *b, struct result *r)
{
	const struct plan *plan = b->run.plan;
	uint64_t measure_ns = b->run.start_ns + plan->measure_ns, end_ns = b->ended_ns;
	struct tasks_spent broker, machine;

	for (unsigned i = 0; i < b->clients.threads; i++) {
		sum_sender(r, plan, &b->clients.senders[i]);
		sum_receiver(r, &b->clients.receivers[i]);
		if (b->clients.receivers[i].last_ns > end_ns)
			end_ns = b->clients.receivers[i].last_ns;
	}
	r->seconds = end_ns > measure_ns ? (double)(end_ns - measure_ns) / 1e9 : 0;
	r->expected = clients_expected(&b->clients, true);
	r->delivered = r->latency.count;
	r->delivered_with_warmup = clients_received(&b->clients);
	r->lost = r->expected > r->delivered ? r->expected - r->delivered : 0;
	r->lost_percent = r->expected ? 100 * (double)r->lost / (double)r->expected : 0;
	r->sent_per_second = r->seconds > 0 ? (double)r->sent / r->seconds : 0;
	r->delivered_per_second = r->seconds > 0 ? (double)r->delivered / r->seconds : 0;
	r->generator = use_of(b, true, b->after.generator_ns - b->before.generator_ns);
	broker = tasks_spent(&b->before.broker, &b->after.broker, 0, 0);
	machine = tasks_spent(&b->before.machine, &b->after.machine, getpid(), (pid_t)plan->options->pid);
	r->broker = use_of(b, b->after.broker.n, broker.all_ns);
	r->machine = use_of(b, b->after.machine.n, machine.all_ns);
	r->others = use_of(b, b->after.machine.n && plan->options->pid, machine.others_ns);
	r->involved = use_of(b, b->after.machine.n && plan->options->pid, machine.all_ns - machine.others_ns);
}

static int start(struct bench *b)
{
	int err;

	b->run.start_ns = b->shown_ns = clock_ns() + SETTLE_NS;
	err = clients_start(&b->clients);
	return err ? fail("starting a thread", err) : 0;
}

int run_execute(const struct plan *plan, struct result *result)
{
	const struct sigaction action = {.sa_handler = on_interrupt}, ignore = {.sa_handler = SIG_IGN};
	struct bench b = {
		.run.plan = plan,
		.progress = plan->options->progress || isatty(STDERR_FILENO),
	};
	int err;

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	err = clients_init(&b.clients, &b.run);
	if (err) {
		fail("preparing the clients", err);
		goto out;
	}
	result->resident_before = resident(plan->options);
	err = clients_connect(&b.clients, &interrupted);
	if (err)
		goto out;
	result->resident_connected = resident(plan->options);
	err = start(&b);
	if (!err)
		err = conduct(&b);
	clients_stop(&b.clients);
	if (err)
		goto out;
	result->resident_after = resident(plan->options);
	conclude(&b, result);
out:
	clients_free(&b.clients);
	free_sample(&b.before);
	free_sample(&b.after);
	return err ? -1 : 0;
}
