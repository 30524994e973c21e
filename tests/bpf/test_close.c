// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Invariant 1, other processes are not harmed: subscribers close, reset, shut down and die while publishers send to them
 * by flows, and no publisher sees an error or a SIGPIPE.
 *
 * Shown to bite by `test_close unprotected`: with the wait in local_release taken out, a redirect that was decided just before
 * the close finds no socket, which the publisher sees as EPIPE. That is not part of the other runs, because such a redirect
 * can make the kernel warn (kernel-notes.md, 5).
 */
#include "live.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PUBLISHERS = 2, CLOSES = 1600, KILLS = 300, PAUSE_US = 20 };

enum way { BY_CLOSE, BY_RESET, BY_SHUTDOWN, BY_SHUTDOWN_WRITE, BY_BROKER_RESET, BY_KILL, WAYS };

static const char *const names[] = {
	[BY_CLOSE] = "close",
	[BY_RESET] = "reset",
	[BY_SHUTDOWN] = "shutdown",
	[BY_SHUTDOWN_WRITE] = "shutdown of the write side",
	[BY_BROKER_RESET] = "reset by the broker",
	[BY_KILL] = "kill of the process",
};

struct scene {
	struct live live;
	struct live_conn pub[PUBLISHERS];
	struct live_publisher publisher[PUBLISHERS];
	struct live_daemon daemon;
};

static void reset(int fd)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* A process that has the only descriptor of the client's socket is killed. */
static void kill_owner(int fd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	close(fd);
	live_sleep_us(200);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void leave(struct live_conn *c, enum way way)
{
	switch (way) {
	case BY_CLOSE:
		close(c->client);
		break;
	case BY_RESET:
		reset(c->client);
		break;
	case BY_SHUTDOWN:
		shutdown(c->client, SHUT_RDWR);
		close(c->client);
		break;
	case BY_SHUTDOWN_WRITE:
		shutdown(c->client, SHUT_WR);
		close(c->client);
		break;
	case BY_BROKER_RESET: /* both ends at once: the client's socket is closed by the reset that it gets */
		fp_retire(&c->link);
		reset(c->broker);
		c->broker = -1;
		close(c->client);
		break;
	case BY_KILL:
		kill_owner(c->client);
		break;
	case WAYS:
		break;
	}
	c->client = -1;
}

/* One subscriber after the other takes the topic over and leaves in the middle of the traffic. */
static uint64_t close_many(enum fp_road road, uint32_t without, enum way way, unsigned closes)
{
	struct fp_road_stats stats;
	uint64_t errors = 0;
	struct scene s;

	memset(&s, 0, sizeof(s));
	live_open(&s.live, road, without);
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		live_connect(&s.live, &s.pub[i], "publisher");
		live_daemon_add(&s.daemon, &s.pub[i]);
		s.publisher[i] = (struct live_publisher){
			.conn = &s.pub[i], .id = i + 1, .min = 16, .max = 16, .every_us = without ? 0 : PAUSE_US};
	}
	live_daemon_start(&s.daemon);
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_publisher_start(&s.publisher[i]);
	for (unsigned i = 0; i < closes && !errors; i++) {
		struct live_conn sub;

		live_subscribe(&s.live, &sub, "subscriber");
		assert_int_equal(live_flow(&s.pub[0], LIVE_TOPIC, &sub), 0);
		live_sleep_us(20 + i % 100);
		leave(&sub, way);
		live_disconnect(&sub);
		for (uint32_t p = 0; p < PUBLISHERS; p++)
			errors += live_load(&s.publisher[p].errors);
	}
	live_stats(road, &stats);
	errors = 0;
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		live_publisher_stop(&s.publisher[i]);
	live_daemon_stop(&s.daemon);
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		if (s.publisher[i].errors)
			print_message("%s: publisher %u: %s\n", names[way], i, strerror(s.publisher[i].error));
		errors += s.publisher[i].errors;
		live_disconnect(&s.pub[i]);
	}
	assert_true(errors || !live_sigpipes());
	assert_true(stats.forwarded > 0);
	live_close(&s.live);
	return errors;
}

static void nobody_is_harmed(void **state)
{
	for (enum way way = 0; way < WAYS; way++)
		assert_int_equal(close_many(live_road(state), 0, way, way == BY_KILL ? KILLS : CLOSES), 0);
}

static void without_close_wait(void **state)
{
	uint64_t errors = 0;

	for (unsigned attempt = 0; attempt < 10 && !errors; attempt++)
		errors = close_many(live_road(state), SHUNT_WITHOUT_CLOSE_WAIT, BY_CLOSE, 2 * CLOSES);
	assert_true(errors > 0);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(nobody_is_harmed),
};

static const struct CMUnitTest unprotected[] = {
	LIVE_TEST(without_close_wait, "without_close_wait_local", FP_ROAD_LOCAL),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "unprotected"))
		return cmocka_run_group_tests(unprotected, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
