// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The pinned maps: there while the fast path is, gone after it; those that a killed process has left are taken over; two
 * instances do not disturb each other, in the file system or in their traffic.
 */
#include "live.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 2000 };

static const char *const maps[] = {"flows",	    "slots",	     "counters",       "local_socks",
				   "local_clients", "local_targets", "broker_socks",   "own_addresses",
				   "sock_state",    "remote_socks",  "remote_slots",   "injectors",
				   "heralds",	    "herald_socks",  "excluded_users", "excluded_cgroups"};

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

static void assert_pinned(const char *dir)
{
	char path[512];

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, maps[i]);
		fd = bpf_obj_get(path);
		if (fd < 0)
			fail_msg("%s: %s", path, strerror(errno));
		close(fd);
	}
}

static void remove_directory(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

static void there_and_gone(void **state)
{
	struct fp_status status;
	struct live live;

	(void)state;
	live_open(&live, FP_ROAD_LOCAL, 0);
	fp_status(&status);
	assert_string_equal(status.pin_path, live.pins);
	assert_pinned(live.pins);
	live_close(&live);
	assert_false(exists(live.pins));
	fp_status(&status);
	assert_string_equal(status.pin_path, "");
}

/* A child that has the fast path open and tells its pin path. For each byte it gets it lets messages flow, but for END. */
enum { GO = 'g', END = 'e' };
struct instance {
	pid_t pid;
	int tell, hear;
	char pins[200];
};

/* Messages between two connections of its own; the number that is not intact. */
static unsigned traffic(struct live *live)
{
	struct live_conn pub, sub;
	struct live_daemon daemon = {.receiver = &sub};
	struct live_reader reader = {0};
	struct live_publisher publisher = {
		.conn = &pub, .id = 1, .count = MESSAGES, .min = 8, .max = 500, .every_us = 50};
	unsigned wrong;

	live_connect(live, &pub, "publisher");
	live_subscribe(live, &sub, "subscriber");
	live_daemon_add(&daemon, &pub);
	live_daemon_add(&daemon, &sub);
	wrong = live_flow(&pub, LIVE_TOPIC, &sub) ? 1 : 0;
	live_daemon_start(&daemon);
	live_reader_start(&reader, sub.client);
	live_publisher_start(&publisher);
	live_publisher_wait(&publisher);
	live_reader_wait(&reader, MESSAGES, 2000);
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);
	wrong += (unsigned)(live_violations(&reader) + publisher.errors);
	wrong += reader.messages != MESSAGES || daemon.routed == MESSAGES;
	live_disconnect(&pub);
	live_disconnect(&sub);
	return wrong;
}

static _Noreturn void run_instance(const char *pins, enum fp_road road, int tell, int hear)
{
	struct fp_status status;
	struct live live;
	unsigned wrong;
	char go;

	live_open_at(&live, road, pins);
	fp_status(&status);
	if (write(tell, status.pin_path, sizeof(status.pin_path)) != sizeof(status.pin_path))
		_exit(1);
	while (read(hear, &go, 1) == 1 && go == GO) {
		wrong = traffic(&live);
		if (write(tell, &wrong, sizeof(wrong)) != sizeof(wrong))
			_exit(1);
	}
	live_close(&live);
	_exit(0);
}

static void start_instance(struct instance *i, const char *pins, enum fp_road road)
{
	int to[2], from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* the instance may be dead when it is told something */
	i->pid = fork();
	assert_true(i->pid >= 0);
	if (!i->pid) {
		close(to[1]);
		close(from[0]);
		run_instance(pins, road, from[1], to[0]);
	}
	close(to[0]);
	close(from[1]);
	i->tell = to[1];
	i->hear = from[0];
	assert_int_equal(read(i->hear, i->pins, sizeof(i->pins)), sizeof(i->pins));
}

static int end_instance(struct instance *i)
{
	const char end = END;
	ssize_t ignored;
	int status = 0;

	ignored = write(i->tell, &end, 1);
	(void)ignored;
	close(i->tell);
	assert_int_equal(waitpid(i->pid, &status, 0), i->pid);
	close(i->hear);
	return status;
}

static void killed(void **state)
{
	char pins[64];
	struct instance first, second;

	(void)state;
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/shunt-pins-%d", getpid());
	start_instance(&first, pins, FP_ROAD_LOCAL);
	assert_string_equal(first.pins, pins);
	kill(first.pid, SIGKILL);
	end_instance(&first);
	assert_true(exists(pins));
	assert_pinned(pins);
	start_instance(&second, pins, FP_ROAD_LOCAL);
	assert_string_equal(second.pins, pins);
	assert_pinned(pins);
	assert_int_equal(end_instance(&second), 0);
	assert_false(exists(pins));
}

static void two_at_once(void **state)
{
	enum fp_road road = live_road(state);
	char pins[64], beside[80];
	struct instance first, second;
	unsigned wrong;

	snprintf(pins, sizeof(pins), "/sys/fs/bpf/shunt-pins-%d", getpid());
	snprintf(beside, sizeof(beside), "%s-1", pins);
	start_instance(&first, pins, road);
	start_instance(&second, pins, road);
	assert_string_equal(first.pins, pins);
	assert_string_equal(second.pins, beside);
	assert_pinned(pins);
	assert_pinned(beside);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(write(first.tell, "g", 1), 1);
		assert_int_equal(write(second.tell, "g", 1), 1);
		assert_int_equal(read(first.hear, &wrong, sizeof(wrong)), sizeof(wrong));
		assert_int_equal(wrong, 0);
		assert_int_equal(read(second.hear, &wrong, sizeof(wrong)), sizeof(wrong));
		assert_int_equal(wrong, 0);
	}
	/* one goes, the other's remain, and its traffic */
	assert_int_equal(end_instance(&first), 0);
	assert_false(exists(pins));
	assert_pinned(beside);
	assert_int_equal(write(second.tell, "g", 1), 1);
	assert_int_equal(read(second.hear, &wrong, sizeof(wrong)), sizeof(wrong));
	assert_int_equal(wrong, 0);
	assert_int_equal(end_instance(&second), 0);
	assert_false(exists(beside));
}

/* A path where nothing can be pinned costs the pins, not the fast path. */
static void no_bpf_file_system(void **state)
{
	char dir[] = "/tmp/shunt-pins-XXXXXX";
	struct fp_status status;
	struct live live;

	(void)state;
	assert_non_null(mkdtemp(dir));
	live_open_at(&live, FP_ROAD_LOCAL, dir);
	fp_status(&status);
	assert_true(status.loaded && status.enabled);
	assert_string_equal(status.pin_path, "");
	assert_int_equal(traffic(&live), 0);
	live_close(&live);
	remove_directory(dir);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(there_and_gone),
	cmocka_unit_test(killed),
	LIVE_BOTH_ROADS(two_at_once),
	cmocka_unit_test(no_bpf_file_system),
};

LIVE_MAIN(tests)
