// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Sessions of the store without memory: each allocation fails in its turn (the linker leads them here, see the Makefile).
 * Nothing that was promised is given up for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "broker/session.h"
#include "failing_malloc.h"
#include "store/batch.h"

/* A session, online, of a store that is never written. */
struct fixture {
	char folder[64], path[96];
	struct store *store;
	struct store_client client;
	struct conf conf;
	struct session *session;
	struct session_sink sink;
};

static void no_output(struct session_sink *sink)
{
	(void)sink;
}

static void begin(struct fixture *f)
{
	struct store_config config = {0};

	memset(f, 0, sizeof(*f));
	strcpy(f->folder, "/tmp/shunt-session-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/shunt.db", f->folder);
	config.path = f->path;
	assert_int_equal(store_open(&f->store, &config), 0);
	f->client = (struct store_client){.store = f->store, .index = 1};
	f->conf.max_inflight_messages = 20;
	f->session = session_new(NULL, "s", 1, 0, &f->conf);
	assert_non_null(f->session);
	assert_int_equal(session_store(f->session, store_new_id(&f->client), &f->client), 0);
	f->sink = (struct session_sink){.version = MQTT_5_0,
					.receive_max = UINT16_MAX,
					.dirty = no_output,
					.flush = no_output,
					.waits = no_output,
					.more = no_output};
	session_online(f->session, &f->sink);
}

static void end(struct fixture *f)
{
	char command[128];

	session_offline(f->session);
	output_clear(&f->sink.out);
	session_clear(f->session);
	session_free(f->session);
	store_flush(&f->client);
	store_close(f->store);
	snprintf(command, sizeof(command), "rm -r %s", f->folder);
	assert_int_equal(system(command), 0);
}

static struct message *message(void)
{
	struct message *m = message_new(
		&(struct mqtt_publish){.topic = mqtt_str("t"), .payload = mqtt_str("x"), .qos = 2}, NULL, 0);

	assert_non_null(m);
	return m;
}

/* How often this was said to the store. */
static unsigned said(const struct fixture *f, enum store_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; f->client.batch && i < f->client.batch->n; i++)
		n += f->client.batch->entry[i].op.kind == kind;
	return n;
}

/* Do it with the first allocation failing, then the second, and so on, until all succeed. */
static void each(void (*test)(struct fixture *, long fail_at))
{
	long used = 1;

	for (long n = 0; used; n++) {
		struct fixture f = {0};

		begin(&f);
		test(&f, n);
		used = left < 0; /* one has failed */
		left = -1;
		end(&f);
		assert_true(n < 100);
	}
}

/* What is not said counts as a failure. */
static void say(struct fixture *f, long fail_at)
{
	struct store_op *op;

	left = fail_at;
	op = store_op(&f->client, STORE_FORGET);
	assert_int_equal(f->client.failures, op ? 0 : 1);
}

static void test_say(void **state)
{
	(void)state;
	each(say);
}

/* A message of QoS 2 that cannot be held, or said to be held, is not known: else a PUBREC would follow when it comes
 * again. */
static void hold(struct fixture *f, long fail_at)
{
	struct message *m = message();
	int rc;

	left = fail_at;
	rc = session_hold(f->session, 7, m, false);
	assert_int_equal(session_receive(f->session, 7, true), rc ? 1 : 0);
	assert_int_equal(said(f, STORE_HELD), rc ? 0 : 1);
	message_unref(m);
}

static void test_hold(void **state)
{
	(void)state;
	each(hold);
}

/* A delivery that the store has is sent, or in the queue, or read from the store later, and the store is never told that
 * it is over. */
static void deliver(struct fixture *f, long fail_at)
{
	struct message *m = message();
	struct deliver_as as = {.qos = 1};

	assert_int_equal(session_store_delivery(f->session, &f->client, m, &as), 0);
	left = fail_at;
	session_deliver(f->session, m, as);
	if (f->session->tail.active)
		assert_false(session_waits(f->session));
	else if (f->sink.failed)
		assert_int_equal(f->session->queued, 1);
	else
		assert_false(output_empty(&f->sink.out));
	assert_int_equal(said(f, STORE_DELIVERED), 0);
	message_unref(m);
}

static void test_deliver(void **state)
{
	(void)state;
	each(deliver);
}

/* It is taken when it comes again, from the store. */
static void test_left(void **state)
{
	struct fixture f = {0};
	struct message *m = message();
	struct deliver_as first = {.qos = 1}, as = {.qos = 1};

	(void)state;
	begin(&f);
	assert_int_equal(session_store_delivery(f.session, &f.client, m, &first), 0);
	assert_int_equal(session_store_delivery(f.session, &f.client, m, &as), 0);
	session_deliver(f.session, m, first);
	left = 0;
	session_deliver(f.session, m, as);
	left = -1;
	assert_true(f.session->tail.active);
	assert_in_range(f.session->tail.known[1], first.stored, as.stored - 1);
	assert_int_equal(f.session->tail.passed[1], as.stored);
	message_unref(m);
	end(&f);
}

/* A PUBREL that comes again says so to the store again, which may not have heard it. */
static void test_pubrel(void **state)
{
	struct fixture f = {0};
	struct held_message h;

	(void)state;
	begin(&f);
	assert_int_equal(session_pubrel(f.session, 7, &h), MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND);
	assert_int_equal(said(&f, STORE_HELD_OVER), 1);
	end(&f);
}

static int quiet(void **state)
{
	(void)state;
	log_set_types(0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_say),  cmocka_unit_test(test_hold),   cmocka_unit_test(test_deliver),
		cmocka_unit_test(test_left), cmocka_unit_test(test_pubrel),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
