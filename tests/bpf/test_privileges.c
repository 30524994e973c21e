// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * As in operation: opened as root, then used as nobody without any capability; or opened as nobody with the three
 * capabilities that it takes, and used without. And invariant 9: opened without privileges, or without one of the three,
 * the fast path is off, says why, and harms nothing.
 */
#include "live.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, MESSAGES = 1000 };

static int left_out; /* of `needed` */

/* Values a child ends with; 0 is success. */
#define CHECK(condition)                                                                               \
	do {                                                                                           \
		if (!(condition)) {                                                                    \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, fp.reason); \
			_exit(1);                                                                      \
		}                                                                                      \
	} while (0)

static const unsigned needed[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};
enum { NEEDED = sizeof(needed) / sizeof(needed[0]) };

static uint64_t all_needed(void)
{
	uint64_t mask = 0;

	for (int i = 0; i < NEEDED; i++)
		mask |= UINT64_C(1) << needed[i];
	return mask;
}

/* Become nobody, with these capabilities. */
static void become_nobody(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(capabilities >> 32 * i);
	CHECK(!prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	CHECK(!setresgid(NOBODY, NOBODY, NOBODY));
	CHECK(!setresuid(NOBODY, NOBODY, NOBODY));
	CHECK(!syscall(SYS_capset, &header, data));
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void use(enum fp_road road, struct live *live)
{
	struct live_conn pub, sub;
	struct live_daemon daemon = {.receiver = &sub, .own_min = 200000, .own_max = 300000, .own_count = 2};
	struct live_reader reader = {0};
	struct live_publisher publisher = {
		.conn = &pub, .id = 1, .count = MESSAGES, .min = 8, .max = 500, .every_us = 50};
	uint8_t b[128], pingresp[] = {0xd0, 0};
	uint32_t queued, in_use, slot;
	size_t len = live_publish(b, LIVE_TOPIC, 1, 0, 20);

	live_connect(live, &pub, "publisher");
	live_subscribe(live, &sub, "subscriber");
	CHECK(pub.link.road == road && sub.link.target);
	CHECK(!live_flow(&pub, LIVE_TOPIC, &sub));
	CHECK(!live_send_all(pub.client, b, len)); /* a flow */
	if (road == FP_ROAD_LOCAL)
		CHECK(!fp_look(sub.link.isn_pair, &queued, &in_use) && queued == len);
	CHECK(live_expect(sub.client, b, len));
	CHECK(live_send(&sub, pingresp, sizeof(pingresp)) == sizeof(pingresp)); /* the daemon's own */
	CHECK(live_expect(sub.client, pingresp, sizeof(pingresp)));
	CHECK(!fp_enable(false) && !fp_enable(true));

	/* pieces and drain, several threads */
	live_daemon_add(&daemon, &pub);
	live_daemon_add(&daemon, &sub);
	publisher.first = 1;
	reader.next[1] = 1;
	live_daemon_start(&daemon);
	live_reader_start(&reader, sub.client);
	live_publisher_start(&publisher);
	live_publisher_wait(&publisher);
	CHECK(live_reader_wait(&reader, MESSAGES, 3000));
	for (unsigned i = 0; i < 3000 && live_load(&reader.own) < daemon.own_count; i++)
		live_sleep_us(1000);
	live_daemon_stop(&daemon);
	live_reader_stop(&reader);
	CHECK(!live_violations(&reader));
	CHECK(reader.own == daemon.own_count);
	slot = sub.link.slot;
	fp_flow_invalidate(LIVE_NS, "#", 1);
	CHECK(!live_flow(&pub, LIVE_TOPIC, &sub));
	fp_flow_remove_receiver(slot);
	CHECK(fp_flows_count() == 0);
	live_disconnect(&pub);
	live_disconnect(&sub);
}

/* Skip the test where not even root has the road. */
static void need(enum fp_road road)
{
	struct live live;

	live_open(&live, road, 0);
	live_close(&live);
}

/* Its exit status; -1 if it did not come to its end, which a skipped test does not. The empty directory of its pins may be
 * left, which only root can remove. */
static int in_child(void (*run)(enum fp_road), enum fp_road road)
{
	int done[2], status = -1;
	char pins[64], end;
	pid_t pid;

	assert_int_equal(pipe(done), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		run(road);
		_exit(write(done[1], "e", 1) != 1);
	}
	close(done[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (read(done[0], &end, 1) != 1)
		status = -1;
	close(done[0]);
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/shunt-test-%d", pid);
	rmdir(pins);
	return status;
}

static void open_and_drop(enum fp_road road)
{
	struct fp_status status;
	struct live live;
	char pin[300];

	live_open_as(&live, road, 0, NOBODY);
	fp_status(&status);
	CHECK(!strcmp(status.pin_path, live.pins));
	become_nobody(0);
	use(road, &live);
	live_close(&live);
	/* the directory's parent is root's, but no pin keeps a map alive */
	snprintf(pin, sizeof(pin), "%s/flows", live.pins);
	CHECK(access(pin, F_OK));
}

static void dropped(void **state)
{
	need(live_road(state));
	assert_int_equal(in_child(open_and_drop, live_road(state)), 0);
}

static void open_without(enum fp_road road)
{
	uint16_t port = 1;
	struct fp_config cfg = {.mode = FP_MODE_ON,
				.local = true,
				.pin_path = "/sys/fs/bpf/shunt-test-none",

				.ports = &port,
				.nports = 1,
				.uid = (uid_t)-1};
	struct fp_link link = {0};
	struct fp_status status;
	struct fp_stats stats;

	(void)road;
	become_nobody(0);
	CHECK(fp_open(&cfg) == 0);
	fp_status(&status);
	CHECK(!status.loaded && !status.enabled);
	CHECK(strlen(status.reason) > 0);
	CHECK(status.pin_path[0] == '\0');
	/* everything may still be called */
	fp_attach(&link, 0, 0, 0, "client", 0);
	CHECK(link.road == FP_ROAD_NONE);
	fp_handled(&link, 10);
	fp_hold(&link, true);
	fp_make_target(&link, 0, "client");
	CHECK(!link.target && !fp_flow_wanted(&link, "t", 1));
	fp_flow_invalidate(0, "#", 1);
	fp_flow_remove_receiver(1);
	fp_heartbeat(0);
	fp_stats(&stats);
	CHECK(fp_enable(true) < 0 && !fp_enable(false));
	fp_retire(&link);
	fp_detach(&link);
	fp_close();
	cfg.mode = FP_MODE_REQUIRE;
	CHECK(fp_open(&cfg) < 0);
	fp_close();
}

static void open_with_needed(enum fp_road road)
{
	struct live live;

	become_nobody(all_needed());
	live_open(&live, road, 0);
	become_nobody(0);
	use(road, &live);
	live_close(&live);
}

static void needed_suffice(void **state)
{
	need(live_road(state));
	assert_int_equal(in_child(open_with_needed, live_road(state)), 0);
}

static void open_with_less(enum fp_road road)
{
	struct fp_config cfg = {
		.mode = FP_MODE_ON, .local = true, .pin_path = "/sys/fs/bpf/shunt-test-none", .uid = (uid_t)-1};
	struct fp_status status;

	(void)road;
	become_nobody(all_needed() & ~(UINT64_C(1) << needed[left_out]));
	CHECK(fp_open(&cfg) == 0);
	fp_status(&status);
	CHECK(!status.loaded && !status.enabled);
	CHECK(strstr(status.reason, "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"));
	fp_close();
}

static void each_is_needed(void **state)
{
	(void)state;
	for (left_out = 0; left_out < NEEDED; left_out++)
		assert_int_equal(in_child(open_with_less, FP_ROAD_NONE), 0);
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(in_child(open_without, FP_ROAD_NONE), 0);
}

static const struct CMUnitTest tests[] = {
	LIVE_BOTH_ROADS(dropped),
	LIVE_BOTH_ROADS(needed_suffice),
	cmocka_unit_test(each_is_needed),
	cmocka_unit_test(refused),
};

LIVE_MAIN(tests)
