// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The configuration: listeners, and reading it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "conf_files.h"

/* ---- listeners -------------------------------------------------------------------------------------------------- */

static bool has_ipv6(void)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && !bind(fd, (struct sockaddr *)&addr, sizeof(addr));

	close(fd);
	return has;
}

/* Finish a configuration that is fine; hints may be logged. */
static void finish(uint16_t port)
{
	assert_int_equal(conf_finish(&conf, &port, port ? 1 : 0), 0);
	assert_logged("");
	conf_hint(&conf, &port, port ? 1 : 0);
}

static void assert_local(uint16_t port)
{
	assert_true(conf.local_only);
	assert_int_equal(conf.nlisteners, has_ipv6() ? 2 : 1);
	assert_string_equal(conf.listeners[0].address, "127.0.0.1");
	if (conf.nlisteners == 2)
		assert_string_equal(conf.listeners[1].address, "::1");
	for (size_t i = 0; i < conf.nlisteners; i++) {
		assert_int_equal(conf.listeners[i].port, port);
		assert_true(conf.listeners[i].allow_anonymous);
		assert_int_equal(conf.listeners[i].max_connections, 0);
	}
	assert_logged("");
}

static void test_no_listener(void **state)
{
	(void)state;
	finish(0);
	assert_local(1883);
}

static void test_no_listener_but_port(void **state)
{
	(void)state;
	finish(18830);
	assert_local(18830);
}

static void test_no_listener_no_anonymous(void **state)
{
	(void)state;
	read_text("allow_anonymous false\n");
	finish(0);
	assert_false(conf.listeners[0].allow_anonymous);
	assert_logged("Warning: allow_anonymous is false and there is no password_file: nobody can connect.\n");
}

static void test_listeners(void **state)
{
	(void)state;
	read_text("listener 1883\n"
		  "max_connections 10\n"
		  "listener 1884   ::1  \n"
		  "max_connections -1\n"
		  "allow_anonymous true\n"
		  "listener 65535 localhost\n"
		  "max_connections 4294967295  # many\n"
		  "listener 1883 192.0.2.1\n"
		  "listener 1886 # all addresses\n"
		  "listener 0 /run/a socket\n"
		  "max_qos 1\n");
	finish(0);
	assert_logged("");
	assert_false(conf.local_only);
	assert_int_equal(conf.nlisteners, 6);
	assert_int_equal(conf.listeners[0].port, 1883);
	assert_null(conf.listeners[0].address);
	assert_null(conf.listeners[0].path);
	assert_int_equal(conf.listeners[0].family, AF_UNSPEC);
	assert_int_equal(conf.listeners[4].port, 1886);
	assert_null(conf.listeners[4].address);
	assert_int_equal(conf.listeners[5].port, 0);
	assert_null(conf.listeners[5].address);
	assert_string_equal(conf.listeners[5].path, "/run/a socket");
	assert_int_equal(conf.listeners[5].max_qos, 1);
	assert_int_equal(conf.listeners[0].max_connections, 10);
	assert_string_equal(conf.listeners[0].where, "test.conf:1");
	assert_true(conf.listeners[0].allow_anonymous);
	assert_string_equal(conf.listeners[1].address, "::1");
	assert_int_equal(conf.listeners[1].max_connections, 0);
	assert_string_equal(conf.listeners[1].where, "test.conf:3");
	assert_int_equal(conf.listeners[2].port, 65535);
	assert_int_equal(conf.listeners[2].max_connections, UINT32_MAX);
	assert_int_equal(conf.listeners[3].max_connections, 0);
	assert_true(conf.listeners[3].allow_anonymous);
}

static void test_listener_refuses_anonymous(void **state)
{
	(void)state;
	read_text("listener 1883\n");
	finish(18830);
	assert_int_equal(conf.nlisteners, 1);
	assert_int_equal(conf.listeners[0].port, 1883);
	assert_false(conf.listeners[0].allow_anonymous);
	assert_logged("Warning: -p 18830 does nothing, because the configuration has a listener (test.conf:1).\n"
		      "Warning: A listener is configured, so clients without a user name are refused, and there is no "
		      "password_file: nobody can connect. Add a password_file, or \"allow_anonymous true\" to let "
		      "everybody in.\n");
}

static void test_listener_errors(void **state)
{
	(void)state;
	assert_error("listener 65536", "listener: \"65536\" is not a port number from 1 to 65535.");
	assert_error("listener 18831883 ::1", "listener: \"18831883\" is not a port number from 1 to 65535.");
	assert_error("listener mqtt", "listener: \"mqtt\" is not a port number from 1 to 65535.");
	assert_error("port 0", "port: \"0\" is not a port number from 1 to 65535.");
	assert_error("port 1883 ::1", "port: \"1883 ::1\" is not a port number from 1 to 65535.");
	assert_int_equal(conf.nlisteners, 1);
	assert_error("listener 0", "listener: port 0 is for Unix sockets: write \"listener 0 PATH\".");
	assert_error(
		"listener 0 /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaa",
		"listener: the path has 108 characters, a Unix socket may have at most 107.");
	assert_error("listener 1883 /run/s",
		     "listener: \"/run/s\": a Unix socket has the port 0: write \"listener 0 /run/s\".");
	assert_error("listener 1883 ::1 x", "listener: \"::1 x\" is not an address: write \"listener PORT ADDRESS\".");
	read_text("listener 1883\n");
	assert_error("max_connections 1x", "max_connections: \"1x\" is not a whole number from 0 to 4294967295.");
	assert_error("socket_domain unix", "socket_domain: \"unix\" is neither ipv4 nor ipv6.");
	assert_error("protocol http_api", "protocol: mosquitto has listeners of \"http_api\", Shunt 0.1.0 has not.");
	assert_error("protocol coap", "protocol: \"coap\" is none of mqtt, websockets, mqtt-sn.");
	assert_error("mount_point a/+/",
		     "mount_point: \"a/+/\" cannot begin topics, which are UTF-8 without the wildcards + and #.");
	assert_error("mount_point #",
		     "mount_point: \"#\" cannot begin topics, which are UTF-8 without the wildcards + and #.");
	assert_error("mount_point $share/g/",
		     "mount_point: \"$share/g/\": $share/ begins shared subscriptions, and no topics.");
	assert_error("namespace a/b", "namespace: \"a/b\" is no name of up to 64 letters, digits, '-', '_' and '.'.");
	read_text("protocol mqtt\n");
}

#define BELONGS(where, option) \
	"In " where ": there is no \"listener\" line above " option ", so it belongs to the default listener.\n"

/* An option of a listener makes one of port 1883 when there is none above it, as mosquitto does. */
static void test_default_listener(void **state)
{
	(void)state;
	write_text("test.conf", "max_connections 5\nmaximum_qos 1\nlistener 1884\n");
	assert_int_equal(conf_file(&conf, "test.conf"), 0);
	assert_logged(BELONGS("test.conf:1", "max_connections"));
	assert_int_equal(conf_finish(&conf, NULL, 0), 0);
	assert_false(conf.local_only);
	assert_int_equal(conf.nlisteners, 2);
	assert_int_equal(conf.listeners[0].port, 1883);
	assert_null(conf.listeners[0].address);
	assert_int_equal(conf.listeners[0].max_connections, 5);
	assert_int_equal(conf.listeners[0].max_qos, 1);
	assert_int_equal(conf.listeners[1].max_connections, 0);
	assert_int_equal(conf.listeners[1].max_qos, 2);
}

/* But that alone asks for no listener: the loopback addresses have the option then, and -p counts. */
static void test_default_listener_is_local(void **state)
{
	const uint16_t ports[] = {18830, 18831};
	size_t hosts = has_ipv6() ? 2 : 1;

	(void)state;
	write_text("test.conf", "max_qos 1\nlistener_auto_id_prefix a-\n");
	assert_int_equal(conf_file(&conf, "test.conf"), 0);
	assert_logged(BELONGS("test.conf:1", "max_qos"));
	assert_int_equal(conf_finish(&conf, ports, 2), 0);
	assert_true(conf.local_only);
	assert_int_equal(conf.nlisteners, 2 * hosts);
	for (size_t i = 0; i < conf.nlisteners; i++) {
		assert_int_equal(conf.listeners[i].port, ports[i >= hosts]);
		assert_string_equal(conf.listeners[i].address, i % hosts ? "::1" : "127.0.0.1");
		assert_int_equal(conf.listeners[i].max_qos, 1);
		assert_string_equal(conf.listeners[i].auto_id_prefix, "a-");
		assert_true(conf.listeners[i].allow_anonymous);
	}
	assert_logged("");
}

/* The old way to write one listener. */
static void test_port_and_bind_address(void **state)
{
	(void)state;
	read_text("port 1885\nmax_qos 1\nlistener 1886\nmax_qos 0\nbind_address ::1\nmax_connections 3\n");
	finish(18830);
	assert_logged("Warning: -p 18830 does nothing, because the configuration has a listener (test.conf:1).\n"
		      "Warning: A listener is configured, so clients without a user name are refused, and there is no "
		      "password_file: nobody can connect. Add a password_file, or \"allow_anonymous true\" to let "
		      "everybody in.\n");
	assert_int_equal(conf.nlisteners, 2);
	assert_int_equal(conf.listeners[0].port, 1885);
	assert_string_equal(conf.listeners[0].address, "::1");
	assert_int_equal(conf.listeners[0].max_qos, 1);
	assert_int_equal(conf.listeners[0].max_connections, 3);
	assert_int_equal(conf.listeners[1].port, 1886);
	assert_int_equal(conf.listeners[1].max_qos, 0);
	assert_false(conf.listeners[0].allow_anonymous);
}

static void test_bind_address_alone(void **state)
{
	(void)state;
	read_text("bind_address 192.0.2.1\nallow_anonymous true\n");
	finish(0);
	assert_logged("");
	assert_false(conf.local_only);
	assert_int_equal(conf.nlisteners, 1);
	assert_int_equal(conf.listeners[0].port, 1883);
}

static void test_listener_settings(void **state)
{
	(void)state;
	read_text("listener 1883\nlistener_allow_anonymous true\nlistener_auto_id_prefix one-\nlistener 1884\n"
		  "auto_id_prefix all-\nallow_zero_length_clientid false\n");
	finish(0);
	assert_logged("");
	assert_true(conf.listeners[0].allow_anonymous);
	assert_false(conf.listeners[1].allow_anonymous);
	assert_string_equal(conf.listeners[0].auto_id_prefix, "one-");
	assert_string_equal(conf.listeners[1].auto_id_prefix, "all-");
	assert_false(conf.listeners[0].allow_zero_length_clientid);
	assert_error("auto_id_prefix aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		     "auto_id_prefix: the text may have at most 50 characters.");
}

static void test_per_listener_settings(void **state)
{
	(void)state;
	read_text(
		"per_listener_settings true\nlistener 1883\nallow_anonymous true\nauto_id_prefix one-\n"
		"listener 1884\nallow_zero_length_clientid false\nper_listener_settings false\nallow_anonymous false\n");
	finish(0);
	assert_logged("");
	assert_true(conf.per_listener_settings);
	assert_true(conf.listeners[0].allow_anonymous);
	assert_false(conf.listeners[1].allow_anonymous);
	assert_string_equal(conf.listeners[0].auto_id_prefix, "one-");
	assert_string_equal(conf.listeners[1].auto_id_prefix, "auto-");
	assert_true(conf.listeners[0].allow_zero_length_clientid);
	assert_false(conf.listeners[1].allow_zero_length_clientid);
}

static void test_per_listener_settings_errors(void **state)
{
	(void)state;
	read_text("per_listener_settings true\n");
	assert_error("allow_anonymous true",
		     "allow_anonymous: with per_listener_settings true it belongs below a \"listener\" line.");
	conf_free(&conf);
	assert_int_equal(conf_init(&conf), 0);
	read_text("allow_anonymous true\nper_listener_settings false\n");
	assert_error("per_listener_settings true",
		     "per_listener_settings: write it above the options that it changes the meaning of.");
}

static void test_listener_twice(void **state)
{
	(void)state;
	read_text(
		"listener 1883 localhost\nlistener 1883\nlistener 1883 LOCALHOST\nlistener 1883\nallow_anonymous true\n");
	assert_int_equal(conf_finish(&conf, NULL, 0), -1);
	assert_logged(
		"Error in test.conf:3: listener: port 1883 of LOCALHOST is taken by the listener in test.conf:1.\n"
		"Error in test.conf:4: listener: port 1883 is taken by the listener in test.conf:2.\n");
}

/* ---- reading it again -------------------------------------------------------------------------------------------- */

/* Take over another file, and expect this in the log and so many changes. */
static void reload(const char *content, size_t changes, const char *logged)
{
	struct conf next;

	write_text("test.conf", content);
	assert_int_equal(conf_init(&next), 0);
	assert_int_equal(conf_file(&next, "test.conf"), 0);
	assert_int_equal(conf_finish(&next, NULL, 0), 0);
	assert_int_equal(conf_compare(&conf, &next), changes);
	assert_logged(logged);
	conf_update(&conf, &next);
	conf_free(&next);
	assert_logged("");
}

static void test_reload(void **state)
{
	const struct conf_listener *first;

	(void)state;
	read_text("listener 1883\nmax_qos 1\nmax_connections 7\nlistener 1884\nlistener 0 /run/s\n"
		  "allow_anonymous true\nauto_id_prefix one-\nlog_dest file a.log\nserver_reference a\n");
	finish(0);
	first = &conf.listeners[0];
	reload("listener 1884\nlistener_allow_anonymous false\nlistener 0 /run/s\nmax_topic_alias 3\nlistener 1883\n"
	       "allow_anonymous true\nmax_queued_messages 5\nauto_id_prefix two-\nlog_dest file b.log\n",
	       8,
	       "Changed: max_queued_messages.\nChanged: server_reference.\nChanged: auto_id_prefix.\n"
	       "Changed: log_dest file.\n"
	       "Changed: max_connections of the listener at port 1883.\nChanged: max_qos of the listener at port 1883.\n"
	       "Changed: listener_allow_anonymous of the listener at port 1884.\n"
	       "Changed: max_topic_alias of the listener at /run/s.\n");
	/* The listeners are where they were. */
	assert_ptr_equal(first, &conf.listeners[0]);
	assert_int_equal(conf.listeners[0].port, 1883);
	assert_int_equal(conf.listeners[0].max_qos, 2);
	assert_int_equal(conf.listeners[0].max_connections, 0);
	assert_string_equal(conf.listeners[0].auto_id_prefix, "two-");
	assert_true(conf.listeners[0].allow_anonymous);
	assert_false(conf.listeners[1].allow_anonymous);
	assert_int_equal(conf.listeners[2].max_topic_alias, 3);
	assert_int_equal(conf.max_queued_messages, 5);
	assert_null(conf.server_reference);
	assert_string_equal(conf.log_file, "b.log");
}

static void test_mount_point(void **state)
{
	(void)state;
	read_text("listener 1883\nallow_anonymous true\nmount_point a/\n");
	finish(0);
	reload("listener 1883\nallow_anonymous true\nmount_point b/\n", 0,
	       "Warning: A change of mount_point of the listener at port 1883 counts when the broker is started again.\n");
	assert_string_equal(conf.listeners[0].mount_point, "a/");
}

static void test_reload_nothing(void **state)
{
	static const char text[] = "listener 1883\nallow_anonymous true\nresponse_information x\n";

	(void)state;
	read_text(text);
	finish(0);
	reload(text, 0, "");
	reload(text, 0, "");
	assert_string_equal(conf.response_information, "x");
}

static void test_reload_without_effect(void **state)
{
	(void)state;
	read_text("listener 1883\nlistener 1884\nmax_qos 1\nallow_anonymous true\nuser a\nworkers 2\n");
	finish(0);
	reload("listener 1885\nlistener 1883\nallow_anonymous true\nuser b\nworkers 3\nmax_packet_size 100\n", 0,
	       "Warning: A change of max_packet_size counts when the broker is started again.\n"
	       "Warning: A change of workers counts when the broker is started again.\n"
	       "Warning: A change of user counts when the broker is started again.\n"
	       "Warning: The listener at port 1884 is not in the configuration any more; it goes on as it is until the "
	       "broker is started again.\n"
	       "Warning: The new listener at port 1885 is opened when the broker is started again.\n");
	assert_string_equal(conf.user, "a");
	assert_int_equal(conf.workers, 2);
	assert_int_equal(conf.max_packet_size, 2000000);
	assert_int_equal(conf.nlisteners, 2);
	assert_int_equal(conf.listeners[1].max_qos, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_listener, begin, end),
		cmocka_unit_test_setup_teardown(test_no_listener_but_port, begin, end),
		cmocka_unit_test_setup_teardown(test_no_listener_no_anonymous, begin, end),
		cmocka_unit_test_setup_teardown(test_listeners, begin, end),
		cmocka_unit_test_setup_teardown(test_listener_refuses_anonymous, begin, end),
		cmocka_unit_test_setup_teardown(test_listener_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_default_listener, begin, end),
		cmocka_unit_test_setup_teardown(test_default_listener_is_local, begin, end),
		cmocka_unit_test_setup_teardown(test_port_and_bind_address, begin, end),
		cmocka_unit_test_setup_teardown(test_bind_address_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_listener_settings, begin, end),
		cmocka_unit_test_setup_teardown(test_per_listener_settings, begin, end),
		cmocka_unit_test_setup_teardown(test_per_listener_settings_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_listener_twice, begin, end),
		cmocka_unit_test_setup_teardown(test_reload, begin, end),
		cmocka_unit_test_setup_teardown(test_reload_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_mount_point, begin, end),
		cmocka_unit_test_setup_teardown(test_reload_without_effect, begin, end),
	};
	int failed;

	if (conf_files_begin())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return conf_files_end() ? 1 : failed;
}
