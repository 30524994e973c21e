// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The configuration: the guard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf_files.h"

static void assert_rate(struct guard_rate r, uint32_t rate, uint32_t burst)
{
	assert_int_equal(r.rate, rate);
	assert_int_equal(r.burst, burst);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_null(conf.guard_interface);
	assert_null(conf.guard_allow);
	assert_null(conf.guard_block);
	assert_false(conf.guard_require);
	assert_false(conf.guard_fail_closed);
	assert_rate(conf.guard_connection_rate, 100, 1000);
	assert_rate(conf.guard_packet_rate, 0, 0);
	assert_rate(conf.guard_syn_rate, 2000, 4000);
	assert_int_equal(conf.guard_udp_size, 0);
	assert_int_equal(conf.guard_ipv6_prefix, 128);
}

static void test_plain(void **state)
{
	(void)state;
	read_text("guard_require true\nguard_fail_closed on\nguard_udp_size 65507\nguard_ipv6_prefix 64\n");
	assert_true(conf.guard_require);
	assert_true(conf.guard_fail_closed);
	assert_int_equal(conf.guard_udp_size, 65507);
	assert_int_equal(conf.guard_ipv6_prefix, 64);
	assert_error("guard_ipv6_prefix 31", "guard_ipv6_prefix: \"31\" is not a whole number from 32 to 128.");
	assert_error("guard_udp_size 65508", "guard_udp_size: \"65508\" is not a whole number from 0 to 65507.");
}

static void test_interfaces(void **state)
{
	(void)state;
	read_text("guard_interface eth0 \t eth0.100\nguard_interface fifteen-letters # one more\n");
	assert_string_equal(conf.guard_interface[0], "eth0");
	assert_string_equal(conf.guard_interface[1], "eth0.100");
	assert_string_equal(conf.guard_interface[2], "fifteen-letters");
	assert_null(conf.guard_interface[3]);
	assert_error("guard_interface eth1 sixteen--letters",
		     "guard_interface: \"sixteen--letters\" is not the name of a network interface.");
	assert_error("guard_interface ../eth0", "guard_interface: \"../eth0\" is not the name of a network interface.");
	assert_error("guard_interface eth2 eth0.100", "guard_interface: eth0.100 is given twice.");
}

static void test_networks(void **state)
{
	char line[128], text[128];

	(void)state;
	read_text("guard_block 192.0.2.0/24 2001:db8::/32\nguard_block 10.1.2.3\nguard_allow ::1\n");
	assert_string_equal(conf.guard_block[0], "192.0.2.0/24");
	assert_string_equal(conf.guard_block[1], "2001:db8::/32");
	assert_string_equal(conf.guard_block[2], "10.1.2.3");
	assert_null(conf.guard_block[3]);
	assert_string_equal(conf.guard_allow[0], "::1");
	assert_error("guard_block 192.0.2.1/24",
		     "guard_block: \"192.0.2.1/24\": the address has bits set behind those that count.");
	assert_error("guard_allow 10.0.0.1 host",
		     "guard_allow: \"host\": it is no address, no network and not \"unix\".");
	assert_error("guard_allow unix", "guard_allow: \"unix\": clients of Unix sockets do not come over a network.");
	snprintf(line, sizeof(line), "guard_allow %064d", 0);
	snprintf(text, sizeof(text), "guard_allow: \"%063d\": it is too long.", 0);
	assert_error(line, text);
}

static void test_rates(void **state)
{
	static const char *const wrong[] = {"x", "-1", "1 0", "1 x", "1 2 3", "10000001", "1 10000001", "1.5"};
	char line[64];

	(void)state;
	read_text("guard_connection_rate 5 7\nguard_packet_rate 10000000\nguard_syn_rate 0\n");
	assert_rate(conf.guard_connection_rate, 5, 7);
	assert_rate(conf.guard_packet_rate, 10000000, 10000000);
	assert_rate(conf.guard_syn_rate, 0, 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[256];

		snprintf(line, sizeof(line), "guard_syn_rate %s", wrong[i]);
		snprintf(
			text, sizeof(text),
			"guard_syn_rate: \"%s\" is not a whole number from 0 to 10000000, of one second, and perhaps a "
			"second one from 1 on, of what may come at once.",
			wrong[i]);
		assert_error(line, text);
	}
	assert_rate(conf.guard_syn_rate, 0, 0);
}

/* Lists and rates are taken over; interfaces are not. */
static void test_reload(void **state)
{
	struct conf next;

	(void)state;
	read_text("guard_interface eth0\nguard_block 192.0.2.1\nguard_syn_rate 5\n");
	write_text("test.conf", "guard_interface eth1\nguard_block 192.0.2.2\nguard_syn_rate 5 6\n");
	assert_int_equal(conf_init(&next), 0);
	assert_int_equal(conf_file(&next, "test.conf"), 0);
	assert_int_equal(conf_compare(&conf, &next), 2);
	assert_logged("Warning: A change of guard_interface counts when the broker is started again.\n"
		      "Changed: guard_block.\nChanged: guard_syn_rate.\n");
	conf_update(&conf, &next);
	conf_free(&next);
	assert_string_equal(conf.guard_interface[0], "eth0");
	assert_string_equal(conf.guard_block[0], "192.0.2.2");
	assert_rate(conf.guard_syn_rate, 5, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, begin, end),
		cmocka_unit_test_setup_teardown(test_plain, begin, end),
		cmocka_unit_test_setup_teardown(test_interfaces, begin, end),
		cmocka_unit_test_setup_teardown(test_networks, begin, end),
		cmocka_unit_test_setup_teardown(test_rates, begin, end),
		cmocka_unit_test_setup_teardown(test_reload, begin, end),
	};
	int failed;

	if (conf_files_begin())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return conf_files_end() ? 1 : failed;
}
