// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The session's state machines: QoS 1 and 2 both ways, window, queue, retransmission, packet identifiers, limits. What
 * a session writes is decoded again from its connection's output. */
#include "broker/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mqtt_model.h"

enum { STREAM_MAX = 1 << 22 };

static struct conf conf;
static struct session *session;
static struct session_sink sink;
static uint8_t stream[STREAM_MAX];
static size_t stream_len, stream_at;
static unsigned flushes;

/* ---- a connection that takes everything, or nothing -------------------------------------------------------------- */

/* Write up to `limit` bytes of the output, as road NONE does. */
static void write_out(size_t limit)
{
	while (limit && !output_empty(&sink.out)) {
		struct iovec iov[4];
		size_t len, n = 0;
		int count = output_gather(&sink.out, iov, 4, 0, &len);

		for (int i = 0; i < count && n < limit; i++) {
			size_t part = iov[i].iov_len < limit - n ? iov[i].iov_len : limit - n;

			assert_true(stream_len + part <= STREAM_MAX);
			memcpy(stream + stream_len, iov[i].iov_base, part);
			stream_len += part;
			n += part;
		}
		output_written(&sink.out, n, len, 0);
		limit -= n;
	}
}

static void flush_nothing(struct session_sink *s)
{
	assert_ptr_equal(s, &sink);
	flushes++;
}

static void flush_all(struct session_sink *s)
{
	(void)s;
	write_out(SIZE_MAX);
}

/* The next packet the client gets; false: none. */
static bool next_packet(struct mqtt_packet *p)
{
	struct naive_header h;

	write_out(SIZE_MAX);
	if (stream_at == stream_len)
		return false;
	h = naive_header(stream + stream_at, stream_len - stream_at);
	assert_true(h.total > 0 && stream_at + (size_t)h.total <= stream_len);
	assert_int_equal(mqtt_decode_from_server(sink.version, stream[stream_at], stream + stream_at + h.header_len,
						 (size_t)h.total - h.header_len, p),
			 0);
	stream_at += (size_t)h.total;
	return true;
}

static void expect_publish(const char *payload, uint8_t qos, uint16_t pid, bool dup)
{
	struct mqtt_packet p = {0};

	assert_true(next_packet(&p));
	assert_int_equal(p.type, MQTT_PUBLISH);
	assert_true(mqtt_str_eq(p.publish.payload, mqtt_str(payload)));
	assert_int_equal(p.publish.qos, qos);
	assert_int_equal(p.pid, pid);
	assert_int_equal(p.publish.dup, dup);
}

static void expect_pubrel(uint16_t pid)
{
	struct mqtt_packet p = {0};

	assert_true(next_packet(&p));
	assert_int_equal(p.type, MQTT_PUBREL);
	assert_int_equal(p.pid, pid);
}

static void expect_nothing(void)
{
	struct mqtt_packet p;

	assert_false(next_packet(&p));
}

static void deliver(const char *payload, uint8_t qos, bool retained)
{
	struct message *m = message_new(
		&(struct mqtt_publish){.topic = mqtt_str("t"), .payload = mqtt_str(payload), .qos = qos}, NULL, 0);

	assert_non_null(m);
	session_deliver(session, m, (struct deliver_as){.qos = qos, .retain = retained, .subscribed = retained});
	message_unref(m);
}

static void deliver_number(unsigned n, uint8_t qos)
{
	char payload[16];

	snprintf(payload, sizeof(payload), "%u", n);
	deliver(payload, qos, false);
}

static void expect_number(unsigned n, uint8_t qos, uint16_t pid, bool dup)
{
	char payload[16];

	snprintf(payload, sizeof(payload), "%u", n);
	expect_publish(payload, qos, pid, dup);
}

static void reconnect(void)
{
	session_offline(session);
	output_clear(&sink.out);
	stream_at = stream_len = 0;
	session_online(session, &sink);
}

static int set_up(void **state)
{
	(void)state;
	conf = (struct conf){.max_inflight_messages = 20, .max_queued_messages = 100, .max_output_bytes = 100000};
	sink = (struct session_sink){.version = MQTT_3_1_1, .receive_max = UINT16_MAX};
	stream_at = stream_len = 0;
	flushes = 0;
	session = session_new(NULL, "client", 6, 0, &conf);
	if (!session)
		return -1;
	session->expiry_interval = SESSION_NEVER_EXPIRES;
	session_online(session, &sink);
	return 0;
}

static int tear_down(void **state)
{
	struct counters sum = {0};

	(void)state;
	session_offline(session);
	session_free(session);
	output_clear(&sink.out);
	counters_sum(NULL, 0, &sum);
	assert_int_equal(sum.stored_messages, 0); /* every reference was given back */
	return 0;
}

/* ---- to the client ----------------------------------------------------------------------------------------------- */

static void qos0(void **state)
{
	(void)state;
	deliver("a", 0, false);
	deliver("b", 0, true);
	expect_publish("a", 0, 0, false);
	expect_publish("b", 0, 0, false);
	assert_int_equal(stream[stream_len - 6], 0x31); /* RETAIN [MQTT-3.3.1-8] */
	expect_nothing();
}

static void qos1(void **state)
{
	(void)state;
	deliver("a", 1, false);
	expect_publish("a", 1, 1, false);
	assert_int_equal(session_puback(session, 2), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
	assert_int_equal(session_pubrec(session, 1, MQTT_RC_SUCCESS), MQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(session_pubcomp(session, 1), MQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(session_puback(session, 1), MQTT_RC_SUCCESS);
	assert_int_equal(session_puback(session, 1), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
	assert_int_equal(session_puback(session, 0), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
	reconnect();
	expect_nothing();
}

static void qos2(void **state)
{
	(void)state;
	deliver("a", 2, false);
	expect_publish("a", 2, 1, false);
	assert_int_equal(session_puback(session, 1), MQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(session_pubcomp(session, 1), MQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(session_pubrec(session, 1, MQTT_RC_SUCCESS), MQTT_RC_SUCCESS);
	assert_int_equal(session_pubrec(session, 1, MQTT_RC_SUCCESS), MQTT_RC_SUCCESS); /* again: PUBREL again */
	assert_int_equal(session_puback(session, 1), MQTT_RC_PROTOCOL_ERROR);
	assert_int_equal(session_pubcomp(session, 1), MQTT_RC_SUCCESS);
	assert_int_equal(session_pubcomp(session, 1), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
	assert_int_equal(session_pubrec(session, 1, MQTT_RC_SUCCESS), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
}

/* After a reconnect everything unacknowledged comes again, in the first order, with its identifier and DUP; of QoS 2
 * after PUBREC only PUBREL [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-4.3.3-1]. */
static void resend(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		deliver_number(i, i % 2 ? 1 : 2);
	for (unsigned i = 1; i <= 6; i++)
		expect_number(i, i % 2 ? 1 : 2, (uint16_t)i, false);
	assert_int_equal(session_puback(session, 3), MQTT_RC_SUCCESS);
	assert_int_equal(session_pubrec(session, 4, MQTT_RC_SUCCESS), MQTT_RC_SUCCESS);
	session_offline(session);
	deliver("offline", 1, false);
	deliver("lost", 0, false);
	reconnect();
	expect_number(1, 1, 1, true);
	expect_number(2, 2, 2, true);
	expect_pubrel(4);
	expect_number(5, 1, 5, true);
	expect_number(6, 2, 6, true);
	expect_publish("offline", 1, 7, false); /* never sent before */
	expect_nothing();
	assert_int_equal(session_pubcomp(session, 4), MQTT_RC_SUCCESS);
}

/* Acknowledged before it was its turn to be sent again. */
static void acknowledged_while_resending(void **state)
{
	(void)state;
	sink.flush = flush_nothing;
	conf.max_output_bytes = 1; /* one packet at a time */
	for (unsigned i = 1; i <= 3; i++) {
		deliver_number(i, 1);
		write_out(SIZE_MAX);
		session_pump(session);
	}
	reconnect();
	deliver("later", 1, false);
	assert_int_equal(session_puback(session, 2), MQTT_RC_SUCCESS);
	assert_int_equal(session_puback(session, 3), MQTT_RC_SUCCESS);
	expect_number(1, 1, 1, true);
	session_pump(session);
	expect_publish("later", 1, 4, false);
	expect_nothing();
}

static void window(void **state)
{
	(void)state;
	conf.max_inflight_messages = 3;
	for (unsigned i = 1; i <= 6; i++)
		deliver_number(i, 1 + i % 2);
	for (unsigned i = 1; i <= 3; i++)
		expect_number(i, (uint8_t)(1 + i % 2), (uint16_t)i, false);
	expect_nothing();
	assert_int_equal(session->queued, 3);
	assert_int_equal(session_puback(session, 2), MQTT_RC_SUCCESS);
	expect_number(4, 1, 4, false);
	expect_nothing();
	/* PUBREC alone does not open it: the identifier is in use until PUBCOMP. */
	assert_int_equal(session_pubrec(session, 1, MQTT_RC_SUCCESS), MQTT_RC_SUCCESS);
	expect_nothing();
	assert_int_equal(session_pubcomp(session, 1), MQTT_RC_SUCCESS);
	expect_number(5, 2, 5, false);
	deliver("0", 0, false); /* QoS 0 does not wait for the window */
	expect_publish("0", 0, 0, false);
}

static void receive_maximum(void **state)
{
	(void)state;
	conf.max_inflight_messages = 0;
	sink.receive_max = 2;
	for (unsigned i = 1; i <= 3; i++)
		deliver_number(i, 1);
	expect_number(1, 1, 1, false);
	expect_number(2, 1, 2, false);
	expect_nothing();
}

/* 1 to 65,535 and again from 1, without those in use; with all in use the next waits. */
static void identifiers(void **state)
{
	(void)state;
	conf.max_inflight_messages = 0;
	deliver("stays", 1, false);
	expect_publish("stays", 1, 1, false);
	for (unsigned i = 2; i <= 65535; i++) {
		deliver("x", 1, false);
		write_out(SIZE_MAX);
		stream_at = stream_len = 0;
		assert_int_equal(session_puback(session, (uint16_t)i), MQTT_RC_SUCCESS);
	}
	deliver("y", 1, false);
	expect_publish("y", 1, 2, false); /* 1 is still in use [MQTT-2.3.1-4] */
	for (unsigned i = 3; i <= 65535; i++) {
		deliver("x", 1, false);
		write_out(SIZE_MAX);
		stream_at = stream_len = 0;
	}
	assert_int_equal(session->sent.count, 65535);
	deliver("waits", 1, false);
	expect_nothing();
	assert_int_equal(session_puback(session, 4711), MQTT_RC_SUCCESS);
	expect_publish("waits", 1, 4711, false);
	/* Backwards: each is found at once. */
	for (unsigned i = 65535; i > 0; i--)
		assert_int_equal(session_puback(session, (uint16_t)i), MQTT_RC_SUCCESS);
	assert_int_equal(session->sent.count, 0);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void queue_limits(void **state)
{
	(void)state;
	conf.max_inflight_messages = 1;
	conf.max_queued_messages = 5;
	for (unsigned i = 1; i <= 8; i++)
		deliver_number(i, 1);
	assert_int_equal(session->queued, 5);
	assert_int_equal(session->dropped[DROP_QUEUE_FULL], 2);
	for (unsigned i = 1; i <= 6; i++) { /* the newest were dropped */
		expect_number(i, 1, (uint16_t)i, false);
		assert_int_equal(session_puback(session, (uint16_t)i), MQTT_RC_SUCCESS);
	}
	expect_nothing();
	conf.max_queued_messages = 0;
	conf.max_queued_bytes = 7; /* topic and payload have 2 */
	for (unsigned i = 1; i <= 8; i++)
		deliver_number(i, 1);
	assert_int_equal(session->queued, 3);
	assert_int_equal(session->queued_bytes, 6);
	assert_int_equal(session->dropped[DROP_QUEUE_FULL], 2 + 4);
}

static void offline_queue(void **state)
{
	(void)state;
	session_offline(session);
	deliver("gone", 0, false);
	deliver("kept", 1, false);
	conf.queue_qos0_messages = true;
	deliver("kept, too", 0, false);
	reconnect();
	expect_publish("kept, too", 0, 0, false);
	expect_publish("kept", 1, 1, false);
	expect_nothing();
	assert_int_equal(session_puback(session, 1), MQTT_RC_SUCCESS);
	session_offline(session);
	conf.max_queued_bytes = 4; /* for QoS 0, too; topic and payload have 2 */
	for (unsigned i = 0; i < 3; i++)
		deliver_number(i, 0);
	assert_int_equal(session->backlogged, 2);
	session_online(session, &sink);
	expect_number(0, 0, 0, false);
	expect_number(1, 0, 0, false);
	expect_nothing();
	assert_int_equal(session->backlog_bytes, 0);
	session->expiry_interval = 0;
	session_offline(session);
	deliver("of a clean session", 0, false);
	assert_int_equal(session->backlogged, 0);
}

/* The client reads nothing: QoS 0 is dropped at the limit, QoS 1 waits in its queue. */
static void slow_reader(void **state)
{
	(void)state;
	sink.flush = flush_nothing;
	conf.max_queued_messages = 10;
	for (unsigned i = 0; i < 15; i++)
		deliver_number(i, 0);
	assert_int_equal(session->dropped[DROP_QOS0_OUTPUT_FULL], 5);
	assert_int_equal(flushes, 5); /* only when it is full */
	for (unsigned i = 0; i < 12; i++)
		deliver_number(100 + i, 1);
	assert_int_equal(session->sent.count, 0);
	assert_int_equal(session->queued, 10);
	assert_int_equal(session->dropped[DROP_QUEUE_FULL], 2);
	assert_true(session->dropping);
	for (unsigned i = 0; i < 10; i++)
		expect_number(i, 0, 0, false);
	session_pump(session);
	for (unsigned i = 0; i < 10; i++)
		expect_number(100 + i, 1, (uint16_t)(i + 1), false);
	session_pump(session);
	assert_false(session->dropping);
}

/* A burst is no slow reader: when the limit is reached the socket is tried first. */
static void burst(void **state)
{
	(void)state;
	sink.flush = flush_all;
	conf.max_queued_messages = 10;
	for (unsigned i = 0; i < 1000; i++)
		deliver_number(i, 0);
	for (unsigned i = 0; i < 1000; i++)
		expect_number(i, 0, 0, false);
	assert_int_equal(session->dropped[DROP_QOS0_OUTPUT_FULL], 0);
}

/* The first message fits whatever the limit. */
static void first_always_fits(void **state)
{
	static char large[200000];

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	deliver(large, 0, false);
	deliver("too much", 0, false);
	assert_int_equal(session->dropped[DROP_QOS0_OUTPUT_FULL], 1);
	expect_publish(large, 0, 0, false);
	deliver(large, 1, false);
	expect_publish(large, 1, 1, false);
}

/* Retained messages of a new subscription wait when the output is full, and what comes later of QoS 0 waits behind
 * them. */
static void retained_burst(void **state)
{
	(void)state;
	sink.flush = flush_nothing;
	conf.max_queued_messages = 10;
	for (unsigned i = 0; i < 50; i++)
		deliver("retained", 0, true);
	assert_true(session_backlogged(session));
	deliver("live", 0, false);
	assert_int_equal(session->dropped[DROP_QOS0_OUTPUT_FULL], 1); /* the limit holds for live ones */
	for (unsigned i = 0; i < 50; i++) {
		expect_publish("retained", 0, 0, false);
		session_pump(session);
	}
	deliver("live again", 0, false);
	expect_publish("live again", 0, 0, false);
	expect_nothing();
	for (unsigned i = 0; i < 50; i++)
		deliver("retained", 1, true);
	assert_int_equal(session->dropped[DROP_QUEUE_FULL], 0);
}

/* ---- from the client --------------------------------------------------------------------------------------------- */

static struct message *published(const char *payload, const struct mqtt_props *props)
{
	struct message *m = message_new(
		&(struct mqtt_publish){.topic = mqtt_str("t"), .payload = mqtt_str(payload), .qos = 2}, props, 0);

	assert_non_null(m);
	return m;
}

static void hold(uint16_t pid, const char *payload)
{
	struct message *m = published(payload, NULL);

	assert_int_equal(session_receive(session, pid, false), 1);
	assert_int_equal(session_hold(session, pid, m, false), 0);
	message_unref(m);
}

static void expect_held(struct held_message h, const char *payload)
{
	assert_non_null(h.message);
	assert_true(mqtt_str_eq(message_payload(h.message), mqtt_str(payload)));
	message_unref(h.message);
}

static void incoming(void **state)
{
	struct held_message h;

	(void)state;
	hold(7, "seven");
	assert_int_equal(session_receive(session, 7, true), 0); /* again */
	assert_int_equal(session_receive(session, 7, false), 0);
	session_offline(session);
	session_online(session, &sink);
	assert_int_equal(session_receive(session, 7, true), 0); /* part of the session state */
	assert_int_equal(session_receive(session, 7, false), -EPROTO);
	assert_int_equal(session_pubrel(session, 7, &h), MQTT_RC_SUCCESS);
	expect_held(h, "seven");
	assert_int_equal(session_pubrel(session, 7, &h), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
	assert_null(h.message);
	for (unsigned pid = 1; pid <= 65535; pid++)
		hold((uint16_t)pid, "x");
	for (unsigned pid = 1; pid <= 65535; pid++) {
		assert_int_equal(session_pubrel(session, (uint16_t)(pid * 7919), &h), MQTT_RC_SUCCESS);
		expect_held(h, "x");
	}
	assert_int_equal(session->received.count, 0);
	assert_int_equal(session->held_bytes, 0);
	hold(1, "goes with the session");
	session_clear(session);
	assert_int_equal(session_receive(session, 1, false), 1);
}

/* More than a client may keep waiting is delivered in its order before it is released. */
static void overheld(void **state)
{
	static char large[SESSION_HELD_MAX / 2];
	struct held_message h;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	hold(1, "first");
	hold(2, large);
	assert_null(session_overheld(session).message);
	hold(3, large);
	expect_held(session_overheld(session), "first");
	expect_held(session_overheld(session), large);
	assert_null(session_overheld(session).message);
	assert_int_equal(session_receive(session, 1, true), 0); /* not delivered twice [MQTT-4.3.3-2] */
	assert_int_equal(session_pubrel(session, 1, &h), MQTT_RC_SUCCESS);
	assert_null(h.message);
	assert_int_equal(session_pubrel(session, 3, &h), MQTT_RC_SUCCESS);
	expect_held(h, large);
	assert_int_equal(session_pubrel(session, 2, &h), MQTT_RC_SUCCESS);
	assert_null(h.message);
}

/* ---- 5.0 --------------------------------------------------------------------------------------------------------- */

/* What is sent again counts against the Receive Maximum of the new connection, 5.0 [MQTT-3.3.4-9]. */
static void quota_on_resume(void **state)
{
	(void)state;
	sink.version = MQTT_5_0;
	for (unsigned i = 1; i <= 4; i++)
		deliver_number(i, i == 2 ? 2 : 1);
	for (uint16_t i = 1; i <= 4; i++)
		expect_number(i, i == 2 ? 2 : 1, i, false);
	assert_int_equal(session_pubrec(session, 2, MQTT_RC_SUCCESS), MQTT_RC_SUCCESS);
	sink.receive_max = 1;
	reconnect();
	expect_number(1, 1, 1, true);
	expect_pubrel(2); /* does not count */
	expect_nothing();
	assert_int_equal(session_pubcomp(session, 2), MQTT_RC_SUCCESS);
	expect_nothing();
	assert_int_equal(session_puback(session, 1), MQTT_RC_SUCCESS);
	expect_number(3, 1, 3, true);
	expect_nothing();
	assert_int_equal(session_puback(session, 77), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND); /* gives nothing */
	expect_nothing();
	assert_int_equal(session_puback(session, 3), MQTT_RC_SUCCESS);
	expect_number(4, 1, 4, true);
}

/* An error in PUBREC ends the handshake [MQTT-4.3.3-4]. */
static void refused_by_client(void **state)
{
	(void)state;
	sink.version = MQTT_5_0;
	sink.receive_max = 1;
	deliver_number(1, 2);
	deliver_number(2, 2);
	expect_number(1, 2, 1, false);
	assert_int_equal(session_pubrec(session, 1, MQTT_RC_QUOTA_EXCEEDED), MQTT_RC_SUCCESS);
	expect_number(2, 2, 2, false);
	assert_int_equal(session_pubcomp(session, 1), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
}

/* 5.0 [MQTT-3.1.2-24] [MQTT-3.1.2-25]: dropped for this client, as if it had been sent. */
static void too_large(void **state)
{
	(void)state;
	sink.version = MQTT_5_0;
	sink.max_packet = 12;
	deliver("much too large for it", 1, false);
	deliver("much too large for it", 0, false);
	deliver("fits", 1, false);
	expect_publish("fits", 1, 1, false);
	assert_int_equal(session->dropped[DROP_TOO_LARGE], 2);
	session_offline(session);
	sink.max_packet = 0;
	deliver("queued", 1, false);
	deliver("small", 2, false);
	sink.max_packet = 10;
	reconnect();
	expect_nothing();
	assert_int_equal(session->dropped[DROP_TOO_LARGE], 5); /* one of them in flight before */
	assert_int_equal(session->sent.count, 0);
}

/* 5.0 [MQTT-3.3.2-5]: what waited too long is not sent, and does not take the place of others. */
static void expiry(void **state)
{
	uint8_t buf[8];
	struct mqtt_props_writer w = {.buf = buf, .cap = sizeof(buf)};
	struct message *m;

	(void)state;
	conf.max_queued_messages = 2;
	mqtt_props_put_number(&w, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, 10);
	session_offline(session);
	for (int i = 0; i < 2; i++) {
		m = published("old", &w.props);
		message_published(m, 0); /* at boot */
		session_deliver(session, m, (struct deliver_as){.qos = 1});
		message_unref(m);
	}
	assert_int_equal(session->queued, 2);
	deliver("new", 1, false);
	assert_int_equal(session->dropped[DROP_EXPIRED], 2);
	session_online(session, &sink);
	expect_publish("new", 1, 1, false);
	expect_nothing();
}

/* Ours are assigned in the order of first use, as many as the client wants. */
static void aliases(void **state)
{
	struct alias_out a = {.max = 2};
	bool known;

	(void)state;
	for (int again = 0; again < 2; again++) {
		assert_int_equal(alias_out_get(&a, mqtt_str("one"), &known), 1);
		assert_int_equal(known, again);
		if (!known)
			alias_out_add(&a, mqtt_str("one"));
		assert_int_equal(alias_out_get(&a, mqtt_str("two"), &known), 2);
		assert_int_equal(known, again);
		if (!known)
			alias_out_add(&a, mqtt_str("two"));
		assert_int_equal(alias_out_get(&a, mqtt_str("three"), &known), 0);
		assert_false(known);
	}
	alias_out_clear(&a);
}

/* The client's: any number may come first, and be set again. */
static void client_aliases(void **state)
{
	struct alias_in a = {0};
	struct mqtt_str topic;

	(void)state;
	assert_false(alias_in_get(&a, 1, &topic));
	assert_int_equal(alias_in_set(&a, 5, mqtt_str("five")), 0);
	assert_false(alias_in_get(&a, 4, &topic));
	assert_false(alias_in_get(&a, 6, &topic));
	assert_int_equal(alias_in_set(&a, 5, mqtt_str("other")), 0);
	assert_int_equal(alias_in_set(&a, 65535, mqtt_str("last")), 0);
	assert_true(alias_in_get(&a, 5, &topic));
	assert_true(mqtt_str_eq(topic, mqtt_str("other")));
	assert_true(alias_in_get(&a, 65535, &topic));
	assert_true(mqtt_str_eq(topic, mqtt_str("last")));
	alias_in_clear(&a);
}

/* ---- the map of identifiers, against an array -------------------------------------------------------------------- */

static void pid_map(void **state)
{
	static bool model[65536];
	struct pid_map map = {0};
	uint64_t rng = 11;
	uint32_t count = 0;

	(void)state;
	for (unsigned n = 0; n < 400000; n++) {
		/* Runs that wrap around the table, and scattered ones. */
		uint16_t pid = (uint16_t)(n & 1024 ? rng_next(&rng) : 65400 + rng_below(&rng, 300));

		if (pid == 0) {
			assert_null(pid_map_get(&map, pid));
			continue;
		}
		assert_int_equal(pid_map_get(&map, pid) != NULL, model[pid]);
		if (model[pid]) {
			assert_ptr_equal(pid_map_take(&map, pid), &model[pid]);
			count--;
		} else {
			assert_null(pid_map_take(&map, pid));
			assert_int_equal(pid_map_put(&map, pid, &model[pid]), 0);
			count++;
		}
		model[pid] = !model[pid];
		assert_int_equal(map.count, count);
	}
	for (unsigned pid = 1; pid <= 65535; pid++)
		assert_int_equal(pid_map_get(&map, (uint16_t)pid) != NULL, model[pid]);
	pid_map_clear(&map);
}

/* ---- random: a client that acknowledges late, reconnects, and reads in pieces ------------------------------------ */

enum { RANDOM_MESSAGES = 20000 };

struct client {
	uint16_t unacked[65536]; /* identifiers of QoS 1 and 2 in the order of arrival */
	unsigned first, last;
	unsigned next[3]; /* number expected next, by QoS */
	uint8_t awaits_rel[65536];
};

static void client_publish(struct client *c, const struct mqtt_packet *p)
{
	uint8_t qos = p->publish.qos;
	unsigned number = 0;

	for (uint32_t i = 0; i < p->publish.payload.len; i++)
		number = number * 10 + (p->publish.payload.data[i] - '0');
	/* In order; only what was sent before may come again, with DUP. */
	assert_true(number <= c->next[qos] || qos == 0);
	if (number < c->next[qos])
		assert_true(p->publish.dup);
	else
		c->next[qos] = number + 1;
	if (qos)
		c->unacked[c->last++ % COUNT(c->unacked)] = p->pid;
}

static void client_acknowledge(struct client *c)
{
	uint16_t pid;

	if (c->first == c->last)
		return;
	pid = c->unacked[c->first++ % COUNT(c->unacked)];
	if (session_puback(session, pid) == MQTT_RC_PROTOCOL_ERROR) {
		assert_int_equal(session_pubrec(session, pid, MQTT_RC_SUCCESS), MQTT_RC_SUCCESS);
		if (pid % 3) /* the others forget it until the reconnect */
			assert_int_equal(session_pubcomp(session, pid), MQTT_RC_SUCCESS);
	}
}

static void client_read(struct client *c)
{
	struct mqtt_packet p;

	while (next_packet(&p)) {
		if (p.type == MQTT_PUBREL)
			assert_int_equal(session_pubcomp(session, p.pid), MQTT_RC_SUCCESS);
		else
			client_publish(c, &p);
	}
	stream_at = stream_len = 0;
	session_pump(session);
}

static void random_client(void **state)
{
	static struct client c;
	unsigned sent[3] = {0};
	uint64_t rng = 99;

	(void)state;
	memset(&c, 0, sizeof(c));
	conf.max_queued_messages = 0;
	conf.max_output_bytes = 300;
	for (unsigned n = 0; n < RANDOM_MESSAGES; n++) {
		uint8_t qos = (uint8_t)(1 + rng_below(&rng, 2));

		deliver_number(sent[qos]++, qos);
		if (rng_below(&rng, 4) == 0)
			client_read(&c);
		while (rng_below(&rng, 3))
			client_acknowledge(&c);
		if (rng_below(&rng, 500) == 0) {
			c.first = c.last = 0;
			reconnect();
		}
	}
	for (unsigned idle = 0; idle < 3 * RANDOM_MESSAGES && (c.next[1] < sent[1] || c.next[2] < sent[2]); idle++) {
		client_read(&c);
		client_acknowledge(&c);
		if (idle % 200 == 199) { /* PUBCOMPs that were forgotten fill the window */
			c.first = c.last = 0;
			reconnect();
		}
	}
	assert_int_equal(c.next[1], sent[1]); /* nothing lost */
	assert_int_equal(c.next[2], sent[2]);
}

#define session_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		session_test(qos0),
		session_test(qos1),
		session_test(qos2),
		session_test(resend),
		session_test(acknowledged_while_resending),
		session_test(window),
		session_test(receive_maximum),
		session_test(identifiers),
		session_test(queue_limits),
		session_test(offline_queue),
		session_test(slow_reader),
		session_test(burst),
		session_test(first_always_fits),
		session_test(retained_burst),
		session_test(incoming),
		session_test(overheld),
		session_test(quota_on_resume),
		session_test(refused_by_client),
		session_test(too_large),
		session_test(expiry),
		cmocka_unit_test(aliases),
		cmocka_unit_test(client_aliases),
		session_test(random_client),
		cmocka_unit_test(pid_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
