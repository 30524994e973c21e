// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a session drops when a queue of it is full, by queue_policy, and what the log says of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "broker/session.h"

static struct conf conf;
static struct session *session;
static struct session_sink sink;
static char logged[4096]; /* the lines, without their time */
static unsigned dirty;

/* ---- what the session is given, and what it sends ---------------------------------------------------------------- */

static void on_log(enum log_type type, const char *text, size_t len)
{
	size_t at = strlen(logged);

	(void)type;
	snprintf(logged + at, sizeof(logged) - at, "%.*s\n", (int)len, text);
}

static void on_dirty(struct session_sink *s)
{
	assert_ptr_equal(s, &sink);
	dirty++;
}

static void deliver_as(char payload, uint8_t qos, bool subscribed)
{
	const struct mqtt_publish p = {
		.topic = mqtt_str("t"), .payload = {.data = (const uint8_t *)&payload, .len = 1}, .qos = qos};
	struct message *m = message_new(&p, NULL, 0);

	assert_non_null(m);
	session_deliver(session, m, (struct deliver_as){.qos = qos, .subscribed = subscribed, .retain = subscribed});
	message_unref(m);
}

/* One message for each letter. */
static void deliver(const char *payloads, uint8_t qos)
{
	for (; *payloads; payloads++)
		deliver_as(*payloads, qos, false);
}

/* The payloads that the client gets, which acknowledges each. */
static void expect(const char *payloads)
{
	char got[64] = "";
	size_t n = 0;

	session_pump(session);
	while (!output_empty(&sink.out)) {
		struct iovec iov[2];
		const uint8_t *p;
		size_t len, topic;

		assert_int_equal(output_gather(&sink.out, iov, 2, 1, &len), 1); /* a packet at a time */
		p = iov[0].iov_base;
		topic = p[3];
		if (p[0] >> 4 == MQTT_PUBLISH) {
			uint8_t qos = p[0] >> 1 & 3;
			uint16_t pid = qos ? (uint16_t)(p[4 + topic] << 8 | p[5 + topic]) : 0;

			assert_true(n + 1 < sizeof(got));
			got[n++] = (char)p[len - 1];
			output_written(&sink.out, len, len, 1);
			if (qos == 1)
				assert_int_equal(session_puback(session, pid), MQTT_RC_SUCCESS);
			if (qos == 2) {
				assert_int_equal(session_pubrec(session, pid, 0), MQTT_RC_SUCCESS);
				assert_int_equal(session_pubcomp(session, pid), MQTT_RC_SUCCESS);
			}
		} else {
			output_written(&sink.out, len, len, 1);
		}
		session_pump(session);
	}
	assert_string_equal(got, payloads);
}

static int set_up(void **state)
{
	(void)state;
	conf = (struct conf){.max_inflight_messages = 1, .max_queued_messages = 3, .max_output_bytes = 100000};
	sink = (struct session_sink){
		.version = MQTT_3_1_1, .receive_max = UINT16_MAX, .peer = "192.0.2.1:5", .dirty = on_dirty};
	session = session_new(NULL, "slow", 4, 0, &conf);
	if (!session)
		return -1;
	session->expiry_interval = SESSION_NEVER_EXPIRES;
	session_online(session, &sink);
	*logged = '\0';
	dirty = 0;
	log_set_timestamp(false, NULL);
	log_set_sink(on_log);
	return log_set_dest(LOG_DEST_TOPIC, NULL);
}

static int tear_down(void **state)
{
	struct counters sum = {0};

	(void)state;
	log_set_dest(LOG_DEST_STDERR, NULL);
	session_offline(session);
	session_free(session);
	output_clear(&sink.out);
	counters_sum(NULL, 0, &sum);
	assert_int_equal(sum.stored_messages, 0); /* every reference was given back */
	return 0;
}

static uint64_t dropped(enum drop_reason reason)
{
	return session_dropped(session, reason);
}

/* ---- the policies ------------------------------------------------------------------------------------------------ */

static void newest(void **state)
{
	(void)state;
	for (uint8_t qos = 1; qos <= 2; qos++) { /* the first is in flight */
		deliver("abcdefg", qos);
		assert_int_equal(dropped(DROP_QUEUE_FULL), 3 * qos);
		expect("abcd");
	}
	deliver("abcdefg", 0); /* of QoS 0 the output has room for as many */
	assert_int_equal(dropped(DROP_QOS0_OUTPUT_FULL), 4);
	expect("abc");
}

static void oldest(void **state)
{
	(void)state;
	conf.queue_policy = CONF_QUEUE_OLDEST;
	for (uint8_t qos = 1; qos <= 2; qos++) {
		deliver("abcdefg", qos);
		assert_int_equal(dropped(DROP_QUEUE_FULL), 3 * qos);
		expect("aefg"); /* what is in flight stays */
	}
	deliver("abcdefghi", 0); /* what is in the output stays, and as many wait behind it */
	assert_int_equal(dropped(DROP_QOS0_OUTPUT_FULL), 3);
	expect("abcghi");
	deliver("j", 0);
	expect("j");
}

static void oldest_by_bytes(void **state)
{
	(void)state;
	conf.queue_policy = CONF_QUEUE_OLDEST;
	conf.max_queued_messages = 0;
	conf.max_queued_bytes = 5; /* topic and payload have 2 */
	deliver("abcdef", 1);
	assert_int_equal(dropped(DROP_QUEUE_FULL), 3);
	expect("aef");
	conf.max_queued_bytes = 1; /* nothing that waits can make room then */
	deliver("abc", 1);
	assert_int_equal(dropped(DROP_QUEUE_FULL), 3 + 2);
	expect("a");
}

static void offline(void **state)
{
	static const struct {
		enum conf_queue_policy policy;
		const char *get;
	} cases[] = {{CONF_QUEUE_NEWEST, "abc"}, {CONF_QUEUE_OLDEST, "efg"}, {CONF_QUEUE_DISCONNECT, "abc"}};
	uint64_t drops = 0;

	(void)state;
	conf.queue_qos0_messages = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint8_t qos = 0; qos <= 2; qos++) {
			conf.queue_policy = cases[i].policy;
			session_offline(session);
			deliver("abcdefg", qos);
			drops += 4;
			assert_int_equal(dropped(DROP_QUEUE_FULL), drops);
			session_online(session, &sink);
			expect(cases[i].get);
		}
	assert_false(sink.behind);
}

static void disconnect(void **state)
{
	(void)state;
	conf.queue_policy = CONF_QUEUE_DISCONNECT;
	deliver("abcd", 1);
	assert_false(sink.behind);
	dirty = 0;
	deliver("e", 1);
	assert_true(sink.behind);
	assert_int_equal(dirty, 1); /* at the end of the turn it is seen */
	assert_int_equal(dropped(DROP_QUEUE_FULL), 1);
	sink.behind = false;
	expect("abcd"); /* as far as there is time */
	deliver("abcd", 0);
	assert_true(sink.behind);
	assert_int_equal(dropped(DROP_QOS0_OUTPUT_FULL), 1);
	expect("abc");
}

/* Retained messages of a new subscription have their own limit: a live one does not drive them out. */
static void oldest_and_retained(void **state)
{
	(void)state;
	conf.queue_policy = CONF_QUEUE_OLDEST;
	for (const char *p = "abcdefgh"; *p; p++)
		deliver_as(*p, 1, true);
	deliver("i", 1);
	assert_int_equal(dropped(DROP_QUEUE_FULL), 1);
	expect("abcdefgh");
}

static void no_limit(void **state)
{
	(void)state;
	conf.max_queued_messages = 0;
	conf.max_output_bytes = 0;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		for (unsigned i = 0; i < 20000; i++)
			deliver("x", qos);
	}
	session_offline(session);
	for (unsigned i = 0; i < 20000; i++)
		deliver("x", 1);
	for (unsigned i = 0; i < DROP_REASONS; i++)
		assert_int_equal(dropped(i), 0);
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static void said_once_an_episode(void **state)
{
	static const char first[] =
		"Outgoing messages are being dropped for client slow [192.0.2.1:5]: its queue is full.\n";

	(void)state;
	deliver("abcdef", 1);
	assert_string_equal(logged, first);
	deliver("gh", 1);
	deliver("abcde", 0);
	assert_string_equal(logged, first);
	expect("aabbcd"); /* a in flight and QoS 0 in the output come before what is queued */
	assert_string_equal(logged + strlen(first), "No more messages are being dropped for client slow [192.0.2.1:5]: "
						    "there were 7 (3 qos0_output_full, 4 queue_full).\n");
	*logged = '\0';
	session_offline(session);
	deliver("abcd", 1);
	assert_string_equal(
		logged, "Outgoing messages are being dropped for client slow [not connected]: its queue is full.\n");
	*logged = '\0';
	session_drops_end(session);
	assert_string_equal(
		logged,
		"No more messages are being dropped for client slow [not connected]: there were 1 (1 queue_full).\n");
}

static void too_large_is_said_once_a_connection(void **state)
{
	(void)state;
	sink.version = MQTT_5_0;
	sink.max_packet = 5;
	deliver("ab", 0);
	deliver("c", 1);
	assert_int_equal(dropped(DROP_TOO_LARGE), 3);
	assert_string_equal(
		logged, "Messages above the Maximum Packet Size of client slow [192.0.2.1:5] are not sent to it.\n");
}

#define policy_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		policy_test(newest),
		policy_test(oldest),
		policy_test(oldest_by_bytes),
		policy_test(offline),
		policy_test(disconnect),
		policy_test(oldest_and_retained),
		policy_test(no_limit),
		policy_test(said_once_an_episode),
		policy_test(too_large_is_said_once_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
