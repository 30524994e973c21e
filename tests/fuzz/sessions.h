/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A whole broker in this process, for fuzzing: it has no listening sockets, each client is one end of a pair of sockets.
 * Time stands still but for what world_later() adds, and chance is the same in each run.
 */
#ifndef SHUNT_FUZZ_SESSIONS_H
#define SHUNT_FUZZ_SESSIONS_H

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rcu.h"
#include "broker/broker.h"
#include "broker/conn.h"
#include "broker/internal.h"
#include "conf/conf.h"

static struct {
	struct conf conf[2]; /* of one worker, and of two */
	uint64_t later_s, order;
} world;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	*ts = (struct timespec){.tv_sec = 1000 + (time_t)__atomic_load_n(&world.later_s, __ATOMIC_RELAXED)};
	if (clock == CLOCK_REALTIME)
		ts->tv_sec += 1700000000;
	return 0;
}

/* Not the same twice: client identifiers are made of it. */
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	static uint8_t next;

	(void)flags;
	memset(buf, __atomic_add_fetch(&next, 1, __ATOMIC_RELAXED), len);
	return (ssize_t)len;
}

/* liburcu's thread sleeps 10 ms before each look at what there is to free, and each input ends with such looks. */
int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t = {timeout / 1000, timeout % 1000 * 1000000L};

	return n || timeout < 0 ? ppoll(fds, n, timeout < 0 ? NULL : &t, NULL) : sched_yield();
}

static void must(bool good)
{
	if (!good)
		abort();
}

/* Limits that a short input reaches, and that say nothing of who comes next to it. */
static void world_configure(struct conf *c, const char *workers)
{
	static const char *const lines[] = {
		"listener 1883 127.0.0.1",
		"allow_anonymous true",
		"max_packet_size 5000",
		"max_inflight_messages 3",
		"max_queued_messages 6",
		"max_queued_bytes 4000",
		"max_output_bytes 6000",
		"max_subscriptions 6",
		"max_sessions 3",
		"max_retained_messages 4",
		"max_topic_levels 8",
		"queue_qos0_messages true",
		"persistent_client_expiration 1h",
		"sys_interval 2",
		"fastpath false",
		"memory_limit 0",
	};

	must(!conf_init(c));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		must(!conf_line(c, lines[i], "fuzz"));
	must(!conf_line(c, workers, "fuzz") && !conf_finish(c, NULL, 0));
}

/* Once a process. */
static void world_make(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_dest(0, NULL);
	world_configure(&world.conf[0], "workers 1");
	world_configure(&world.conf[1], "workers 2");
}

static void world_begin(unsigned workers)
{
	world.later_s = 0;
	must(!broker_prepare(&world.conf[workers - 1], (uid_t)-1, (gid_t)-1) && !broker_start());
}

static void world_end(void)
{
	broker_stop();
	broker_free();
}

static void nothing(struct worker *w, void *arg)
{
	(void)w, (void)arg;
}

/* Let the workers do what there is to do, when nothing comes from outside. */
static void world_settle(void)
{
	for (unsigned round = 0; round < 2 + 2 * the_broker.nworkers; round++) {
		for (unsigned i = 0; i < the_broker.nworkers; i++)
			worker_call(&the_broker.workers[i], nothing, NULL);
	}
}

static void world_later(unsigned seconds)
{
	__atomic_add_fetch(&world.later_s, seconds, __ATOMIC_RELAXED);
}

static void enter(struct worker *w, void *arg)
{
	conn_accept(w, &(struct newcomer){.fd = *(int *)arg, .peer = "fuzz", .order = ++world.order});
}

/* A connection: the client's end. What it does not read fills the socket soon. */
static int world_connect(void)
{
	int pair[2], small = 4096;

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
	must(!setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	__atomic_add_fetch(&the_broker.listener_connections[0], 1, __ATOMIC_RELAXED);
	worker_call(&the_broker.workers[world.order % the_broker.nworkers], enter, &pair[1]);
	return pair[0];
}

#endif
