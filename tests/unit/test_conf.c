// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The configuration: every option, the syntax of the file, and the words of every error. Listeners are in
 * test_conf_listeners.c, the guard in test_conf_guard.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

#include "conf_files.h"

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* A value other than the default for every option with a plain field, and what the field is then. */
static const struct sample {
	const char *name, *value;
	uint64_t number;
	const char *text; /* the field is a string */
} samples[] = {
	{"max_connections", "17", 17, NULL},
	{"max_connections", "-1", 0, NULL},
	{"max_connections", "4294967295", UINT32_MAX, NULL},
	{"max_connection_rate", "100", 100, NULL},
	{"global_max_connection_rate", "1000000", 1000000, NULL},
	{"max_sessions", "4294967295", UINT32_MAX, NULL},
	{"memory_limit", "auto", CONF_MEMORY_AUTO, NULL},
	{"memory_limit", "100000000", 100000000, NULL},
	{"memory_limit", "0", 0, NULL},
	{"max_publish_rate", "1000000000", 1000000000, NULL},
	{"max_publish_bytes", "4294967295", UINT32_MAX, NULL},
	{"max_subscriptions", "7", 7, NULL},
	{"max_topic_levels", "200", 200, NULL},
	{"auth_http_url", "https://users.example.org/login?a=b", 0, "https://users.example.org/login?a=b"},
	{"auth_http_cafile", "/etc/shunt/ca.crt", 0, "/etc/shunt/ca.crt"},
	{"auth_http_timeout", "300", 300, NULL},
	{"auth_http_cache", "86400", 86400, NULL},
	{"auth_http_max_pending", "1000000", 1000000, NULL},
	{"listener_auth_http_url", "http://127.0.0.1:8080/", 0, "http://127.0.0.1:8080/"},
	{"ban_after_failures", "10", 10, NULL},
	{"ban_after_flapping", "20", 20, NULL},
	{"ban_flapping", "address", 1, NULL},
	{"ban_flapping", "client", 0, NULL},
	{"ban_window", "30", 30, NULL},
	{"ban_time", "31536000", 31536000, NULL},
	{"max_retained_messages", "7", 7, NULL},
	{"max_retained_bytes", "10000000000", 10000000000, NULL},
	{"max_retained_payload", "268435455", 268435455, NULL},
	{"max_retained_levels", "200", 200, NULL},
	{"socket_domain", "ipv4", AF_INET, NULL},
	{"socket_domain", "ipv6", AF_INET6, NULL},
	{"listener_allow_anonymous", "true", 1, NULL},
	{"listener_allow_anonymous", "false", 0, NULL},
	{"listener_auto_id_prefix", "edge 7-", 0, "edge 7-"},
	{"mount_point", "hall 7/", 0, "hall 7/"},
	{"namespace", "Plant_a-7.1", 0, "Plant_a-7.1"},
	{"listener_password_file", "/etc/shunt/own users", 0, "/etc/shunt/own users"},
	{"listener_acl_file", "/etc/shunt/own rules", 0, "/etc/shunt/own rules"},
	{"protocol", "websockets", CONF_WEBSOCKETS, NULL},
	{"protocol", "mqtt", CONF_MQTT, NULL},
	{"protocol", "mqtt-sn", CONF_MQTT_SN, NULL},
	{"mqtt_sn_gateway_id", "255", 255, NULL},
	{"mqtt_sn_advertise", "900", 900, NULL},
	{"mqtt_sn_multicast", "225.1.1.1", 0, "225.1.1.1"},
	{"mqtt_sn_multicast", "ff02::1:2", 0, "ff02::1:2"},
	{"mqtt_sn_predefined", "/etc/shunt/my topics", 0, "/etc/shunt/my topics"},
	{"mqtt_sn_qos_minus_one", "all sensors", 0, "all sensors"},
	{"mqtt_sn_retry", "10", 10, NULL},
	{"mqtt_sn_retries", "0", 0, NULL},
	{"mqtt_sn_max_topics", "65534", 65534, NULL},
	{"mqtt_sn_max_size", "64", 64, NULL},
	{"mqtt_sn_max_rate", "0", 0, NULL},
	{"bind_interface", "eth0.7", 0, "eth0.7"},
	{"socket_name", "mqtt", 0, "mqtt"},
	{"certfile", "/etc/shunt/my certfile", 0, "/etc/shunt/my certfile"},
	{"keyfile", "/etc/shunt/my keyfile", 0, "/etc/shunt/my keyfile"},
	{"cafile", "/etc/shunt/my cafile", 0, "/etc/shunt/my cafile"},
	{"capath", "/etc/shunt/my capath", 0, "/etc/shunt/my capath"},
	{"crlfile", "/etc/shunt/my crlfile", 0, "/etc/shunt/my crlfile"},
	{"dhparamfile", "/etc/shunt/my dhparamfile", 0, "/etc/shunt/my dhparamfile"},
	{"listener_psk_file", "/etc/shunt/my listener_psk_file", 0, "/etc/shunt/my listener_psk_file"},
	{"psk_file", "/etc/shunt/my psk_file", 0, "/etc/shunt/my psk_file"},
	{"tls_version", "tlsv1.3", 0, "tlsv1.3"},
	{"tls_keyform", "pem", 0, "pem"},
	{"ciphers", "ECDHE+AESGCM:!aNULL", 0, "ECDHE+AESGCM:!aNULL"},
	{"ciphers_tls1.3", "TLS_AES_128_GCM_SHA256", 0, "TLS_AES_128_GCM_SHA256"},
	{"psk_hint", "edge #7", 0, "edge #7"},
	{"require_certificate", "true", 1, NULL},
	{"use_identity_as_username", "true", 1, NULL},
	{"use_subject_as_username", "true", 1, NULL},
	{"jwt_issuer", "https://login.example.org", 0, "https://login.example.org"},
	{"jwt_audience", "the broker", 0, "the broker"},
	{"jwt_username_claim", "email", 0, "email"},
	{"jwt_leeway", "60", 60, NULL},
	{"websockets_headers_size", "512", 512, NULL},
	{"websockets_headers_size", "0", 0, NULL},
	{"enable_proxy_protocol", "2", 2, NULL},
	{"proxy_protocol_v2_require_tls", "true", 1, NULL},
	{"per_listener_settings", "true", 1, NULL},
	{"global_max_clients", "100", 100, NULL},
	{"global_max_clients", "-1", 0, NULL},
	{"global_max_connections", "100", 100, NULL},
	{"global_max_connections", "-5", 0, NULL},
	{"allow_anonymous", "true", 1, NULL},
	{"allow_anonymous", "false", 0, NULL},
	{"max_packet_size", "65536", 65536, NULL},
	{"max_packet_size", "0", 0, NULL},
	{"max_keepalive", "65535", 65535, NULL},
	{"max_qos", "1", 1, NULL},
	{"max_topic_alias", "65535", 65535, NULL},
	{"max_topic_alias_broker", "0", 0, NULL},
	{"accept_protocol_versions", "5", 1U << 5, NULL},
	{"accept_protocol_versions", "4, 3", 1U << 3 | 1U << 4, NULL},
	{"use_username_as_clientid", "true", 1, NULL},
	{"message_size_limit", "100", 100, NULL},
	{"max_inflight_bytes", "10000000000", 10000000000, NULL},
	{"upgrade_outgoing_qos", "true", 1, NULL},
	{"allow_duplicate_messages", "true", 1, NULL},
	{"wildcard_subscriptions", "false", 0, NULL},
	{"shared_subscriptions", "false", 0, NULL},
	{"subscription_identifiers", "false", 0, NULL},
	{"server_reference", "a.example:1883 b.example", 0, "a.example:1883 b.example"},
	{"response_information", "replies/", 0, "replies/"},
	{"scram_file", "/etc/shunt/scram", 0, "/etc/shunt/scram"},
	{"password_file", "/etc/shunt/users", 0, "/etc/shunt/users"},
	{"acl_file", "/etc/shunt/rules", 0, "/etc/shunt/rules"},
	{"acl_subscribe", "any", CONF_ACL_ANY, NULL},
	{"acl_subscribe", "all", CONF_ACL_ALL, NULL},
	{"acl_subscribe", "never", CONF_ACL_NEVER, NULL},
	{"max_inflight_messages", "0", 0, NULL},
	{"max_queued_messages", "4294967295", 4294967295, NULL},
	{"max_queued_messages", "-1", 0, NULL},
	{"max_queued_bytes", "10000000000", 10000000000, NULL},
	{"max_queued_bytes", "-1", 0, NULL},
	{"max_inflight_messages", "-1", 0, NULL},
	{"max_inflight_bytes", "-1", 0, NULL},
	{"max_output_bytes", "8192", 8192, NULL},
	{"max_output_bytes", "0", 0, NULL},
	{"queue_policy", "oldest", CONF_QUEUE_OLDEST, NULL},
	{"queue_policy", "disconnect", CONF_QUEUE_DISCONNECT, NULL},
	{"queue_policy", "newest", CONF_QUEUE_NEWEST, NULL},
	{"durable_queue_policy", "drop", 1, NULL},
	{"durable_queue_policy", "refuse", 0, NULL},
	{"queue_qos0_messages", "true", 1, NULL},
	{"persistent_client_expiration", "90s", 90, NULL},
	{"persistent_client_expiration", "2h", 7200, NULL},
	{"persistent_client_expiration", "14d", 14 * 86400, NULL},
	{"persistent_client_expiration", "3w", 21 * 86400, NULL},
	{"persistent_client_expiration", "2m", 60 * 86400, NULL},
	{"persistent_client_expiration", "4294967295y", UINT64_C(4294967295) * 365 * 86400, NULL},
	{"persistence", "true", 1, NULL},
	{"persistence_location", "/var/lib/other/", 0, "/var/lib/other/"},
	{"persistence_file", "edge.db", 0, "edge.db"},
	{"persistence_damaged", "refuse", 1, NULL},
	{"persistence_damaged", "set_aside", 0, NULL},
	{"durability", "sync", STORE_SYNC, NULL},
	{"durability", "off", STORE_NEVER, NULL},
	{"durability", "batch 50", STORE_BATCHES, NULL},
	{"retain_available", "false", 0, NULL},
	{"check_retain_source", "false", 0, NULL},
	{"allow_zero_length_clientid", "off", 0, NULL},
	{"auto_id_prefix", "edge 7 ", 0, "edge 7"},
	{"sys_interval", "0", 0, NULL},
	{"workers", "3", 3, NULL},
	{"set_tcp_nodelay", "0", 0, NULL},
	{"user", "mosquitto", 0, "mosquitto"},
	{"pid_file", "/run/with a space.pid", 0, "/run/with a space.pid"},
	{"control_socket", "/tmp/c", 0, "/tmp/c"},
	{"http_listener", "[::1]:9883", 0, "[::1]:9883"},
	{"http_tokens", "/etc/shunt/tokens", 0, "/etc/shunt/tokens"},
	{"seccomp", "false", SANDBOX_OFF, NULL},
	{"seccomp", "on", SANDBOX_ON, NULL},
	{"seccomp", "log", SANDBOX_LOG, NULL},
	{"fastpath", "false", FP_MODE_OFF, NULL},
	{"fastpath", "off", FP_MODE_OFF, NULL},
	{"fastpath", "on", FP_MODE_ON, NULL},
	{"fastpath", "require", FP_MODE_REQUIRE, NULL},
	{"fastpath_local", "off", 0, NULL},
	{"fastpath_flows", "1000", 1000, NULL},
	{"bpf_pin_path", "/sys/fs/bpf/other", 0, "/sys/fs/bpf/other"},
	{"log_dest", "stdout", LOG_DEST_STDOUT, NULL},
	{"log_dest", "none", 0, NULL},
	{"log_dest", "syslog", LOG_DEST_SYSLOG, NULL},
	{"log_dest", "topic", LOG_DEST_TOPIC, NULL},
	{"log_dest", "stdout unbuffered", LOG_DEST_STDOUT, NULL},
	{"log_dest", "stderr # as ever", LOG_DEST_STDERR, NULL},
	{"log_facility", "0", 0, NULL},
	{"log_facility", "7", 7, NULL},
	{"log_type", "debug", LOG_TYPE_DEBUG, NULL},
	{"log_type", "websockets", 0, NULL},
	{"log_type", "internal", 0, NULL},
	{"log_timestamp", "false", 0, NULL},
	{"log_timestamp_format", "%Y-%m-%dT%H:%M:%S", 0, "%Y-%m-%dT%H:%M:%S"},
	{"connection_messages", "false", 0, NULL},
};

static const struct conf_option *find_option(const char *name)
{
	for (size_t i = 0; i < conf_noptions; i++) {
		if (!strcmp(conf_options[i].name, name))
			return &conf_options[i];
	}
	fail_msg("no option %s", name);
	return NULL;
}

static void test_every_option(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		const struct conf_option *o = find_option(s->name);
		char line[256], *field;
		uint64_t number = 0;

		conf_free(&conf);
		assert_int_equal(conf_init(&conf), 0);
		assert_int_equal(conf_line(&conf, "listener 1883", "test"), 0);
		snprintf(line, sizeof(line), "%s %s", s->name, s->value);
		assert_int_equal(conf_line(&conf, line, "test"), 0);
		field = o->scope == CONF_LISTENER ? (char *)&conf.listeners[0] : (char *)&conf;
		field += o->offset;
		if (s->text) {
			assert_string_equal(*(char **)field, s->text);
			continue;
		}
		memcpy(&number, field, o->size);
		if (number != s->number)
			fail_msg("%s: %llu", line, (unsigned long long)number);
	}
	assert_logged("");
}

/* No option without a sample, but for those that have tests of their own. */
static void test_samples_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_noptions; i++) {
		const char *name = conf_options[i].name;
		bool found = conf_options[i].type == CONF_ACTION || conf_options[i].type == CONF_LIST ||
			     !strcmp(name, "fastpath_cgroup") || !strncmp(name, "guard_", strlen("guard_"));

		for (size_t j = 0; j < sizeof(samples) / sizeof(samples[0]); j++)
			found |= !strcmp(name, samples[j].name);
		if (!found)
			fail_msg("%s is not tested", name);
	}
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		assert_non_null(o->argument);
		assert_true(!o->value != !o->fallback);
		assert_true(strlen(o->help) > 10 && isupper((unsigned char)o->help[0]));
		if (o->type == CONF_OTHER || o->type == CONF_ACTION || o->type == CONF_LIST)
			assert_non_null(o->parse);
		if (o->type == CONF_STRING || o->type == CONF_LIST)
			assert_int_equal(o->size, sizeof(char *));
		if (o->old_name)
			assert_string_not_equal(o->old_name, o->name);
		assert_int_equal(o->type == CONF_UINT, o->max != 0);
		if (o->type == CONF_BOOL)
			assert_int_equal(o->size, sizeof(bool));
		if (o->type == CONF_UINT && o->size < sizeof(uint64_t))
			assert_true(o->max >> (8 * o->size) == 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(o->name, conf_options[j].name);
		for (size_t j = 0; conf_foreign_name(j); j++)
			assert_string_not_equal(o->name, conf_foreign_name(j));
	}
	for (size_t j = 1; conf_foreign_name(j); j++)
		assert_true(strcmp(conf_foreign_name(j - 1), conf_foreign_name(j)) < 0);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(conf.nlisteners, 0);
	assert_int_equal(conf.allow_anonymous, -1);
	assert_false(conf.per_listener_settings);
	assert_int_equal(conf.global_max_clients, 0);
	assert_int_equal(conf.global_max_connections, 0);
	assert_int_equal(conf.log_facility, -1);
	assert_int_equal(conf.workers, 0);
	assert_int_equal(conf.max_inflight_messages, 20);
	assert_int_equal(conf.max_queued_messages, 1000);
	assert_int_equal(conf.max_queued_bytes, 0);
	assert_int_equal(conf.max_output_bytes, 1 << 20);
	assert_false(conf.queue_qos0_messages);
	assert_int_equal(conf.max_packet_size, 2000000);
	assert_int_equal(conf.max_keepalive, 0);
	assert_true(conf.retain_available);
	assert_true(conf.allow_zero_length_clientid);
	assert_string_equal(conf.auto_id_prefix, "auto-");
	assert_int_equal(conf.sys_interval, 10);
	assert_int_equal(conf.max_inflight_bytes, 0);
	assert_int_equal(conf.message_size_limit, 0);
	assert_false(conf.upgrade_outgoing_qos);
	assert_false(conf.allow_duplicate_messages);
	assert_true(conf.check_retain_source);
	assert_true(conf.wildcard_subscriptions);
	assert_true(conf.shared_subscriptions);
	assert_true(conf.subscription_identifiers);
	assert_null(conf.server_reference);
	assert_null(conf.response_information);
	assert_null(conf.scram_file);
	assert_int_equal(conf.persistent_client_expiration, 0);
	assert_true(conf.set_tcp_nodelay);
	assert_true(conf.connection_messages);
	assert_int_equal(conf.log_types, LOG_TYPE_DEFAULT);
	assert_int_equal(conf.log_dests, LOG_DEST_STDERR);
	assert_null(conf.log_file);
	assert_true(conf.log_timestamp);
	assert_null(conf.log_timestamp_format);
	assert_null(conf.user);
	assert_null(conf.pid_file);
	assert_int_equal(conf.fastpath, FP_MODE_ON);
	assert_true(conf.fastpath_local);
	assert_string_equal(conf.bpf_pin_path, "/sys/fs/bpf/shunt");
	assert_null(conf.control_socket);

	read_text("listener 1883\n");
	assert_int_equal(conf.listeners[0].max_connections, 0);
	assert_int_equal(conf.listeners[0].max_qos, 2);
	assert_int_equal(conf.listeners[0].max_topic_alias, 10);
	assert_int_equal(conf.listeners[0].max_topic_alias_broker, 10);
	assert_int_equal(conf.listeners[0].accept_versions, 1U << 3 | 1U << 4 | 1U << 5);
	assert_false(conf.listeners[0].use_username_as_clientid);
}

/* ---- syntax ----------------------------------------------------------------------------------------------------- */

static void test_syntax(void **state)
{
	(void)state;
	read_text("# a comment\r\n"
		  "\r\n"
		  "   \t \n"
		  "workers 1\r\n"
		  "  \tmax_keepalive \t 30  \t \r\n"
		  "auto_id_prefix a # b\n"
		  "sys_interval 5");
	assert_int_equal(conf.workers, 1);
	assert_int_equal(conf.max_keepalive, 30);
	assert_string_equal(conf.auto_id_prefix, "a # b");
	assert_int_equal(conf.sys_interval, 5);

	read_text("sys_interval 6\nauto_id_prefix c\nsys_interval 7\nauto_id_prefix d\n");
	assert_int_equal(conf.sys_interval, 7);
	assert_string_equal(conf.auto_id_prefix, "d");

	read_text("");
}

static void test_syntax_errors(void **state)
{
	static const char nul[] = "workers 1\nworkers\0 2\n";

	(void)state;
	assert_error(" # x", "a comment begins in the first column: take away what is before the \"#\".");
	assert_error("workers", "workers needs a value: write \"workers COUNT\".");
	assert_error("workers  \t", "workers needs a value: write \"workers COUNT\".");
	write_file("test.conf", nul, sizeof(nul) - 1);
	assert_int_equal(conf_file(&conf, "test.conf"), -1);
	assert_logged("Error in test.conf:2: there is a NUL byte in the line.\n");
	assert_int_equal(conf_file(&conf, "missing.conf"), -1);
	assert_logged("Error: Unable to read configuration file missing.conf: No such file or directory.\n");
	assert_int_equal(conf_file(&conf, "."), -1);
	assert_logged("Error: Unable to read configuration file .: Is a directory.\n");
	assert_int_equal(conf_line(&conf, "workers 700", "-o \"workers 700\""), -1);
	assert_logged("Error in -o \"workers 700\": workers: \"700\" is not a whole number from 0 to 256.\n");
	assert_int_equal(conf_line(&conf, " ", "-o \" \""), -1);
	assert_logged("Error in -o \" \": there is no option in it: write NAME VALUE.\n");
}

static void test_long_line(void **state)
{
	enum { LENGTH = 10000000 };
	char *line = malloc(LENGTH);

	(void)state;
	assert_non_null(line);
	memset(line, 'x', LENGTH);
	write_file("test.conf", line, LENGTH);
	assert_int_equal(conf_file(&conf, "test.conf"), -1);
	assert_logged(
		"Error in test.conf:1: unknown option \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxx\"; shunt.conf(5) lists those there are.\n");
	free(line);
}

static void test_all_errors_are_reported(void **state)
{
	(void)state;
	write_text("test.conf", "workers 300\nsys_interval 5\nnonsense 1\nlistener 65536\n");
	assert_int_equal(conf_file(&conf, "test.conf"), -1);
	assert_logged("Error in test.conf:1: workers: \"300\" is not a whole number from 0 to 256.\n"
		      "Error in test.conf:3: unknown option \"nonsense\"; shunt.conf(5) lists those there are.\n"
		      "Error in test.conf:4: listener: \"65536\" is not a port number from 1 to 65535.\n");
	assert_int_equal(conf.sys_interval, 5);
	assert_int_equal(conf.workers, 0);
}

static void test_values_that_are_wrong(void **state)
{
	static const char *const versions[] = {"6", "3.1", "34", ",", "3;4", "2,3"};

	(void)state;
	assert_error("retain_available yes", "retain_available: \"yes\" is neither true nor false.");
	assert_error("allow_anonymous maybe", "allow_anonymous: \"maybe\" is neither true nor false.");
	read_text("listener 1883\n");
	assert_error("max_qos -1", "max_qos: \"-1\" is not a whole number from 0 to 2.");
	assert_error("max_qos 1 2", "max_qos: \"1 2\" is not a whole number from 0 to 2.");
	assert_error("maximum_qos 3", "max_qos: \"3\" is not a whole number from 0 to 2.");
	for (size_t k = 0; k < sizeof(versions) / sizeof(versions[0]); k++) {
		char line[64], message[128];

		snprintf(line, sizeof(line), "accept_protocol_versions %s", versions[k]);
		snprintf(message, sizeof(message),
			 "accept_protocol_versions: \"%s\" is not a list of 3, 4 and 5, as in 3,4,5.", versions[k]);
		assert_error(line, message);
	}
	assert_error("workers 0x10", "workers: \"0x10\" is not a whole number from 0 to 256.");
	assert_error("max_keepalive 65536", "max_keepalive: \"65536\" is not a whole number from 0 to 65535.");
	assert_error("max_queued_bytes 99999999999999999999",
		     "max_queued_bytes: \"99999999999999999999\" is not a whole number from 0 to 9223372036854775807.");
	assert_error("max_packet_size 19", "max_packet_size: \"19\" is not 0 or a whole number from 20 to 268435460.");
	assert_error("max_output_bytes 4095",
		     "max_output_bytes: \"4095\" is not 0 or a whole number from 4096 to 9223372036854775807.");
	assert_error("persistent_client_expiration 14",
		     "persistent_client_expiration: \"14\" is not a number and one of the "
		     "letters s h d w m y, as in 14d.");
	assert_error("persistent_client_expiration d",
		     "persistent_client_expiration: \"d\" is not a number and one of the "
		     "letters s h d w m y, as in 14d.");
	assert_error(
		"persistent_client_expiration 11111111111111111111111111d",
		"persistent_client_expiration: \"11111111111111111111111111d\" is not a number and one of the letters "
		"s h d w m y, as in 14d.");
	assert_error("fastpath maybe", "fastpath: \"maybe\" is none of true, false, require.");
	assert_error("fastpath_local require", "fastpath_local: \"require\" is neither true nor false.");
	assert_error("bpf_pin_path shunt",
		     "bpf_pin_path: \"shunt\" is not a path that begins with / and has at most 150 characters.");
	assert_error("log_type chatter",
		     "log_type: \"chatter\" is none of error, warning, notice, information, subscribe, "
		     "unsubscribe, debug, all, none.");
	assert_error("log_dest dlt", "log_dest: mosquitto logs to \"dlt\", Shunt 0.1.0 does not.");
	assert_error("log_dest stderr file",
		     "log_dest: \"stderr file\" is none of stderr, stdout, syslog, topic, none, file PATH.");
	assert_error("log_facility 8", "log_facility: \"8\" is not a whole number from 0 to 7.");
	assert_error("log_dest file", "log_dest: which file? Write \"log_dest file PATH\".");
	assert_error("log_timestamp_format %c%c%c%c%c%c%c%c%c%c%c%c%c",
		     "log_timestamp_format: the format and its result may have at most 63 characters.");
	assert_error(
		"control_socket /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaa",
		"control_socket: the path has 108 characters, a Unix socket may have at most 107.");
}

static void test_unknown_names(void **state)
{
	(void)state;
	assert_error("max_inflght_messages 5",
		     "unknown option \"max_inflght_messages\"; the nearest is max_inflight_messages.");
	assert_error("lsitener 1883", "unknown option \"lsitener\"; the nearest is listener.");
	assert_error("fast_path true", "unknown option \"fast_path\"; the nearest is fastpath.");
	assert_error("max_qos=1 2", "unknown option \"max_qos=1\"; the nearest is max_qos.");
	assert_error("x 1", "unknown option \"x\"; shunt.conf(5) lists those there are.");
	assert_error("http_dir /etc/p",
		     "http_dir is an option of mosquitto that Shunt 0.1.0 does not have: take the line out.");
	assert_error("plugin_opt_file x",
		     "plugin_opt_file is an option of mosquitto that Shunt 0.1.0 does not have: take the line out.");
	for (size_t i = 0; conf_foreign_name(i); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s x", conf_foreign_name(i));
		assert_int_equal(conf_line(&conf, line, "x"), -1);
	}
}

/* ---- the log ---------------------------------------------------------------------------------------------------- */

static void test_log_lines_add_up(void **state)
{
	(void)state;
	read_text("log_type error\nlog_type subscribe unsubscribe\nlog_dest file a b.log\nlog_dest stdout\n");
	assert_int_equal(conf.log_types, LOG_TYPE_ERROR | LOG_TYPE_SUBSCRIBE | LOG_TYPE_UNSUBSCRIBE);
	assert_int_equal(conf.log_dests, LOG_DEST_FILE | LOG_DEST_STDOUT);
	assert_string_equal(conf.log_file, "a b.log");
	read_text("log_type none\nlog_type notice\nlog_dest none\n");
	assert_int_equal(conf.log_types, LOG_TYPE_NOTICE);
	assert_int_equal(conf.log_dests, 0);
	read_text("log_type all\nlog_dest stderr\n");
	assert_int_equal(conf.log_types, LOG_TYPE_ALL);
	assert_int_equal(conf.log_dests, LOG_DEST_STDERR);
}

/* What asks for nothing that this version does not do. */
static void test_accepted(void **state)
{
	(void)state;
	read_text("persistence false\nretained_persistence 0\nretain_expiry_interval 10\nautosave_interval 1800\n"
		  "autosave_on_changes false\n");
	assert_error("durability batch",
		     "durability: \"batch\" is not \"sync\", \"off\", or \"batch\" and a number of milliseconds from 1 "
		     "to 3600000.");
	assert_error(
		"durability batch 0",
		"durability: \"batch 0\" is not \"sync\", \"off\", or \"batch\" and a number of milliseconds from 1 "
		"to 3600000.");
	assert_error("persistence_damaged x", "persistence_damaged: \"x\" is neither \"set_aside\" nor \"refuse\".");
	assert_error("persistence_file a/b", "persistence_file: \"a/b\" is not the name of a file; its folder is the "
					     "option persistence_location.");
	assert_error("autosave_interval x", "autosave_interval: \"x\" is neither a number nor true or false.");
	assert_error("persistence x", "persistence: \"x\" is neither true nor false.");
	assert_error("retain_expiry_interval 0",
		     "retain_expiry_interval: \"0\" is not a whole number from 1 to 4294967295.");
}

/* ---- include_dir ------------------------------------------------------------------------------------------------ */

static void make_folder(const char *name)
{
	assert_int_equal(mkdir(name, 0700), 0);
}

static void test_include_order(void **state)
{
	static const char *const names[] = {"b.conf",  "A.conf",  "01.conf", "a.conf", "B.conf", "00.conf",
					    "a0.conf", "A1.conf", "a.confx", "conf",   ".conf",	 "not"};

	(void)state;
	make_folder("order.d");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "order.d/%s", names[i]);
		write_text(path, "workers 900\n");
	}
	write_text("test.conf", "include_dir order.d\n");
	assert_int_equal(conf_file(&conf, "test.conf"), -1);
#define WRONG ".conf:1: workers: \"900\" is not a whole number from 0 to 256.\n"
	assert_logged("Error in order.d/00" WRONG "Error in order.d/01" WRONG "Error in order.d/A" WRONG
		      "Error in order.d/A1" WRONG "Error in order.d/a" WRONG "Error in order.d/a0" WRONG
		      "Error in order.d/B" WRONG "Error in order.d/b" WRONG);
#undef WRONG
}

static void test_include(void **state)
{
	char line[128];

	(void)state;
	make_folder("include.d");
	make_folder("empty.d");
	write_text("include.d/1.conf", "listener 1883\nsys_interval 3\n");
	write_text("include.d/2.conf", "listener 1884\nmax_connections 8\n");
	/* In the place of the line: what comes before and after counts as such; but a listener ends with its file. Relative
	 * to the working folder. */
	read_text("sys_interval 1\nlistener 1882\ninclude_dir include.d\ninclude_dir empty.d\nmax_connections 9\n");
	assert_int_equal(conf.sys_interval, 3);
	assert_int_equal(conf.nlisteners, 3);
	assert_int_equal(conf.listeners[0].max_connections, 9);
	assert_string_equal(conf.listeners[1].where, "include.d/1.conf:1");
	assert_int_equal(conf.listeners[1].max_connections, 0);
	assert_int_equal(conf.listeners[2].max_connections, 8);

	snprintf(line, sizeof(line), "include_dir %s/include.d", conf_files_dir);
	assert_int_equal(conf_line(&conf, line, "-o"), 0);
	assert_int_equal(conf.nlisteners, 5);

	assert_error("include_dir nowhere.d", "include_dir: nowhere.d cannot be read: No such file or directory.");
	write_text("include.d/3.conf", "include_dir empty.d\n");
	write_text("test.conf", "include_dir include.d\ninclude_dir empty.d\n");
	assert_int_equal(conf_file(&conf, "test.conf"), -1);
	assert_logged("Error in include.d/3.conf:1: include_dir is allowed in the main configuration file only.\n");
}

/* ---- documentation ---------------------------------------------------------------------------------------------- */

static void test_documents(void **state)
{
	char *help = NULL, *man = NULL;
	size_t help_len, man_len;
	FILE *f;

	(void)state;
	f = open_memstream(&help, &help_len);
	conf_help(f);
	fclose(f);
	f = open_memstream(&man, &man_len);
	conf_man(f);
	fclose(f);
	assert_memory_equal(man, ".\\\" ", 4);
	assert_non_null(strstr(man, "\n.TH SHUNT.CONF 5 "));
	for (size_t i = 0; i < conf_noptions; i++) {
		char item[128];

		snprintf(item, sizeof(item), "\n  %s %s\n", conf_options[i].name, conf_options[i].argument);
		assert_true(strstr(help, item) || !strncmp(help, item + 1, strlen(item) - 1));
		snprintf(item, sizeof(item), "\n.TP\n\\fB%s\\fR \\fI", conf_options[i].name);
		assert_non_null(strstr(man, item));
	}
	for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, "        ", 8) == 0)
			assert_true(strlen(line) <= 80);
		assert_null(strchr(line, '`'));
	}
	assert_null(strchr(man, '`'));
	free(help);
	free(man);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, begin, end),
		cmocka_unit_test_setup_teardown(test_defaults, begin, end),
		cmocka_unit_test_setup_teardown(test_samples_are_complete, begin, end),
		cmocka_unit_test_setup_teardown(test_every_option, begin, end),
		cmocka_unit_test_setup_teardown(test_syntax, begin, end),
		cmocka_unit_test_setup_teardown(test_syntax_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_long_line, begin, end),
		cmocka_unit_test_setup_teardown(test_all_errors_are_reported, begin, end),
		cmocka_unit_test_setup_teardown(test_values_that_are_wrong, begin, end),
		cmocka_unit_test_setup_teardown(test_unknown_names, begin, end),
		cmocka_unit_test_setup_teardown(test_log_lines_add_up, begin, end),
		cmocka_unit_test_setup_teardown(test_accepted, begin, end),
		cmocka_unit_test_setup_teardown(test_include_order, begin, end),
		cmocka_unit_test_setup_teardown(test_include, begin, end),
		cmocka_unit_test_setup_teardown(test_documents, begin, end),
	};
	int failed;

	if (conf_files_begin())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return conf_files_end() ? 1 : failed;
}
