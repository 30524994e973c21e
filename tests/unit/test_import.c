// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* mosquitto's files in the store: what is taken over and how it is found there, and what is not. */
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
#include "mosquitto_file.h"
#include "store/db.h"
#include "store/import.h"

enum { WRITTEN = 1700000000 };

struct fixture {
	char folder[64];
	char path[128];
	struct mosquitto_file file;
	struct import im;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_types(0);
	strcpy(f->folder, "/tmp/shunt-import-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/shunt.db", f->folder);
	mf_head(&f->file, 6);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[160];

	snprintf(path, sizeof(path), "%s.lock", f->path);
	unlink(path);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	log_set_types(LOG_TYPE_DEFAULT);
	return 0;
}

static int take(struct fixture *f, bool replace)
{
	f->im = (struct import){
		.path = f->path, .data = f->file.data, .len = f->file.len, .written = WRITTEN, .replace = replace};
	return store_import(&f->im);
}

static void change(const struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* All rows of a query, their columns one after the other. */
static void assert_answer(const struct fixture *f, const char *sql, const char *want)
{
	char text[1024] = "";
	sqlite3_stmt *st;
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			const char *value = (const char *)sqlite3_column_text(st, i);

			strncat(text, value ? value : "-", sizeof(text) - strlen(text) - 2);
			strcat(text, " ");
		}
	sqlite3_finalize(st);
	sqlite3_close(db);
	assert_string_equal(text, want);
}

static void assert_left(const struct fixture *f, enum import_left reason, uint64_t n)
{
	for (unsigned i = 0; i < LEFT_REASONS; i++) {
		assert_int_equal(f->im.counts.left[i], i == reason ? n : 0);
		assert_non_null(import_left_text((enum import_left)i));
	}
}

/* Neither is anything left of what was not taken over: each message has as many rows as it says. */
static void assert_refs(const struct fixture *f)
{
	assert_answer(
		f,
		"SELECT count(*) FROM message m WHERE refs != (SELECT count(*) FROM delivery WHERE message = m.id)"
		" + (SELECT count(*) FROM held WHERE message = m.id)"
		" + (SELECT count(*) FROM retained WHERE message = m.id)",
		"0 ");
}

/* ---- what is taken over ------------------------------------------------------------------------------------------ */

static void test_sessions(void **state)
{
	struct fixture *f = *state;

	mf_client(&f->file, "for-ever", UINT32_MAX, 0);
	mf_client(&f->file, "away", 100, WRITTEN - 10);	  /* ended 10 s ago: went 110 s ago */
	mf_client(&f->file, "connected", 200, 0);	  /* until it was written */
	mf_client(&f->file, "odd-clock", 300, INT64_MAX); /* not longer than that */
	mf_subscription(&f->file, "away", "b/+", 2, 0x0c, 9);
	mf_subscription(&f->file, "away", "$share/g/b", 1, 0, 0);
	mf_subscription(&f->file, "for-ever", "#", 0, 0, 0);
	assert_int_equal(take(f, false), 0);
	assert_answer(f, "SELECT client_id, expiry, away / 1000 FROM session ORDER BY id",
		      "for-ever 4294967295 1700000000 away 100 1699999890 connected 200 1700000000 odd-clock 300 "
		      "1700000000 ");
	assert_answer(
		f,
		"SELECT client_id, filter, options, identifier FROM subscription u JOIN session s ON s.id = u.session"
		" ORDER BY place",
		"away b/+ 14 9 away $share/g/b 1 0 for-ever # 0 0 ");
	assert_int_equal(f->im.counts.sessions, 4);
	assert_int_equal(f->im.counts.subscriptions, 3);
	assert_left(f, LEFT_REASONS, 0);
}

static void test_before_5(void **state)
{
	struct fixture *f = *state;

	mf_head(&f->file, 3);
	mf_message(&f->file, 1, 1, "p", "t", "x", 0, "", 0);
	mf_client(&f->file, "s", 0, WRITTEN - 50);
	mf_delivery(&f->file, "s", 1, 0, 1, MOSQUITTO_QUEUED, false, false, true, "", 0);
	assert_int_equal(take(f, false), 0);
	assert_answer(f, "SELECT client_id, expiry, away / 1000 FROM session", "s 4294967295 1699999950 ");
	assert_answer(f, "SELECT state, payload FROM delivery d JOIN message m ON m.id = d.message", "0 x ");
}

/* Every state, both ways. */
static void test_deliveries(void **state)
{
	struct fixture *f = *state;
	struct mosquitto_file *file = &f->file;

	mf_message(file, 1, 2, "p", "t", "one", 0, "\x05\x03\x00\x02hi", 6);
	mf_message(file, 2, 1, "", "u", "two", 0, "", 0);
	mf_client(file, "s", 100, 0);
	mf_delivery(file, "s", 1, 4, 2, MOSQUITTO_WAIT_PUBREL, true, false, false, "", 0);
	mf_delivery(file, "s", 1, 3, 2, MOSQUITTO_SEND_PUBREC, false, false, false, "", 0);
	mf_delivery(file, "s", 1, 2, 2, MOSQUITTO_QUEUED, false, false, false, "", 0);
	mf_delivery(file, "s", 2, 1, 2, MOSQUITTO_RESEND_PUBCOMP, false, false, false, "", 0);
	mf_delivery(file, "s", 1, 9, 2, MOSQUITTO_WAIT_PUBCOMP, false, true, true, "", 0);
	mf_delivery(file, "s", 1, 8, 2, MOSQUITTO_RESEND_PUBREL, false, true, true, "", 0);
	mf_delivery(file, "s", 1, 7, 2, MOSQUITTO_WAIT_PUBREC, false, true, true, "", 0);
	mf_delivery(file, "s", 2, 6, 1, MOSQUITTO_WAIT_PUBACK, true, true, true, "\x05\x0b\x07\x0b\x80\x01", 6);
	mf_delivery(file, "s", 2, 5, 1, MOSQUITTO_PUBLISH_QOS_1, false, true, true, "", 0);
	mf_delivery(file, "s", 1, 4, 2, MOSQUITTO_PUBLISH_QOS_2, false, true, true, "", 0);
	mf_delivery(file, "s", 2, 3, 1, MOSQUITTO_PUBLISH_QOS_1, false, false, true, "", 0);
	mf_delivery(file, "s", 2, 3, 1, MOSQUITTO_QUEUED, false, false, true, "", 0);
	assert_int_equal(take(f, false), 0);
	assert_answer(f,
		      "SELECT pid, payload, h.retain FROM held h LEFT JOIN message m ON m.id = h.message ORDER BY h.id",
		      "4 one 1 3 one 0 2 one 0 1 - 0 ");
	assert_answer(
		f,
		"SELECT state, pid, d.qos, retain, payload FROM delivery d LEFT JOIN message m ON m.id = d.message"
		" ORDER BY d.id",
		"2 9 2 0 - 2 8 2 0 - 1 7 2 0 one 1 6 1 1 two 1 5 1 0 two 1 4 2 0 one 0 0 1 0 two 0 0 1 0 two ");
	/* in the order they were sent */
	assert_answer(f, "SELECT pid FROM delivery WHERE pid ORDER BY sent", "9 8 7 6 5 4 ");
	assert_answer(f, "SELECT hex(identifiers) FROM delivery WHERE pid = 6", "0700000080000000 ");
	assert_answer(f, "SELECT qos, topic, hex(properties), origin = 0 FROM message ORDER BY id",
		      "2 t 0300026869 0 1 u  1 ");
	assert_int_equal(f->im.counts.held, 4);
	assert_int_equal(f->im.counts.in_flight, 6);
	assert_int_equal(f->im.counts.queued, 2);
	assert_left(f, LEFT_REASONS, 0);
	assert_refs(f);
}

static void test_retained(void **state)
{
	struct fixture *f = *state;
	uint64_t later = db_now_ms() / 1000 + 1000;
	char sql[512];

	mf_message(&f->file, 1, 1, "p", "r/1", "one", (int64_t)later, "", 0);
	mf_message(&f->file, 2, 0, "p", "r/2", "two", 1, "", 0);
	mf_message(&f->file, 3, 2, "p", "r/3", "three", INT64_MAX, "", 0);
	mf_retained(&f->file, 1);
	mf_retained(&f->file, 2);
	mf_retained(&f->file, 3);
	assert_int_equal(take(f, false), 0);
	assert_answer(f, "SELECT r.topic, qos, payload FROM retained r JOIN message m ON m.id = r.message ORDER BY 1",
		      "r/1 1 one r/2 0 two r/3 2 three ");
	assert_answer(f, "SELECT DISTINCT client_id, username, listener FROM retained", "p user port 1883 ");
	snprintf(sql, sizeof(sql),
		 "SELECT (SELECT abs(expires / 1000 - %llu) < 60 FROM message WHERE topic = 'r/1'),"
		 " (SELECT expires / 1000 <= strftime('%%s') + 0 FROM message WHERE topic = 'r/2'),"
		 " (SELECT expires / 1000 <= strftime('%%s') + 0 FROM message WHERE topic = 'r/3')",
		 (unsigned long long)later);
	assert_answer(f, sql, "1 1 1 ");
	assert_int_equal(f->im.counts.retained, 3);
	assert_refs(f);
}

/* ---- what is not ------------------------------------------------------------------------------------------------- */

static void test_left_sessions(void **state)
{
	struct fixture *f = *state;

	mf_client(&f->file, "ends", 0, 0);
	mf_client(&f->file, "s", 1, 0);
	assert_int_equal(take(f, false), 0);
	assert_left(f, LEFT_ENDED, 1);
	assert_answer(f, "SELECT client_id FROM session", "s ");
	mf_head(&f->file, 6);
	mf_client(&f->file, "s", 1, 0);
	mf_client(&f->file, "s", 2, 0);
	mf_client(&f->file, "", 3, 0);
	mf_client(&f->file, "\xff", 3, 0);
	assert_int_equal(take(f, true), 0);
	assert_left(f, LEFT_CLIENT_ID, 3);
	assert_answer(f, "SELECT client_id, expiry FROM session", "s 1 ");
}

static void test_left_subscriptions(void **state)
{
	struct fixture *f = *state;

	mf_client(&f->file, "s", 1, 0);
	mf_subscription(&f->file, "s", "a#", 1, 0, 0);
	mf_subscription(&f->file, "s", "$share/g", 1, 0, 0);
	mf_subscription(&f->file, "s", "a", 3, 0, 0);
	assert_int_equal(take(f, false), 0);
	assert_left(f, LEFT_FILTER, 3);
	mf_head(&f->file, 6);
	mf_subscription(&f->file, "s", "a", 1, 0, 0);
	assert_int_equal(take(f, true), 0);
	assert_left(f, LEFT_NO_SESSION, 1);
	assert_answer(f, "SELECT count(*) FROM subscription", "0 ");
}

static void left_delivery(struct fixture *f, uint64_t message, uint16_t pid, uint8_t qos, uint8_t state, bool out,
			  enum import_left reason)
{
	mf_head(&f->file, 6);
	mf_message(&f->file, 1, 2, "p", "t", "one", 0, "", 0);
	mf_message(&f->file, 2, 2, "p", "t/#", "two", 0, "", 0);
	mf_client(&f->file, "s", 100, 0);
	mf_delivery(&f->file, "s", 1, 5, 2, MOSQUITTO_WAIT_PUBREC, false, true, true, "", 0);
	mf_delivery(&f->file, "s", 1, 5, 2, MOSQUITTO_WAIT_PUBREL, false, true, false, "", 0);
	mf_delivery(&f->file, "s", message, pid, qos, state, false, false, out, "", 0);
	assert_int_equal(take(f, true), 0);
	assert_left(f, reason, 1);
	assert_answer(f, "SELECT pid FROM delivery", "5 ");
	assert_answer(f, "SELECT pid FROM held", "5 ");
	assert_refs(f);
}

static void test_left_deliveries(void **state)
{
	struct fixture *f = *state;

	left_delivery(f, 1, 0, 0, MOSQUITTO_QUEUED, true, LEFT_QOS_0);
	left_delivery(f, 3, 0, 1, MOSQUITTO_QUEUED, true, LEFT_NO_MESSAGE);
	left_delivery(f, 2, 0, 1, MOSQUITTO_QUEUED, true, LEFT_NO_MESSAGE);
	left_delivery(f, 1, 0, 1, MOSQUITTO_WAIT_PUBACK, true, LEFT_PID);
	left_delivery(f, 1, 5, 1, MOSQUITTO_WAIT_PUBACK, true, LEFT_PID);
	left_delivery(f, 1, 5, 2, MOSQUITTO_WAIT_PUBREL, false, LEFT_PID);
	left_delivery(f, 1, 6, 1, MOSQUITTO_WAIT_PUBCOMP, true, LEFT_STATE);
	left_delivery(f, 1, 6, 1, MOSQUITTO_QUEUED, false, LEFT_STATE);
	left_delivery(f, 1, 6, 2, MOSQUITTO_WAIT_PUBREC, false, LEFT_STATE);
	left_delivery(f, 1, 6, 2, MOSQUITTO_WAIT_PUBREL, true, LEFT_STATE);
	left_delivery(f, 1, 6, 2, 99, true, LEFT_STATE);
}

static void test_left_retained(void **state)
{
	struct fixture *f = *state;

	mf_message(&f->file, 1, 1, "p", "$SYS/x", "one", 0, "", 0);
	mf_message(&f->file, 2, 1, "p", "r", "", 0, "", 0);
	mf_message(&f->file, 3, 1, "p", "r/+", "x", 0, "", 0);
	for (uint64_t id = 1; id <= 3; id++)
		mf_retained(&f->file, id);
	assert_int_equal(take(f, false), 0);
	assert_left(f, LEFT_TOPIC, 3);
	assert_answer(f, "SELECT count(*) FROM message", "0 ");
	mf_head(&f->file, 6);
	mf_retained(&f->file, 1);
	assert_int_equal(take(f, false), 0);
	assert_left(f, LEFT_NO_MESSAGE, 1);
	mf_head(&f->file, 6);
	mf_unknown(&f->file);
	assert_int_equal(take(f, false), 0);
	assert_left(f, LEFT_UNKNOWN, 1);
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

/* What is there stays, unless it is to go. */
static void test_replace(void **state)
{
	struct fixture *f = *state;

	mf_message(&f->file, 1, 1, "p", "r", "x", 0, "", 0);
	mf_client(&f->file, "old", 1, 0);
	mf_delivery(&f->file, "old", 1, 0, 1, MOSQUITTO_QUEUED, false, false, true, "", 0);
	mf_retained(&f->file, 1);
	assert_int_equal(take(f, false), 0);
	change(f, "INSERT INTO namespace VALUES(1, 'hall'); INSERT INTO ban VALUES(0, 'old', 1, 0, NULL, 0, '')");
	mf_head(&f->file, 6);
	mf_client(&f->file, "new", 1, 0);
	assert_int_equal(take(f, false), -ENOTEMPTY);
	assert_answer(f, "SELECT client_id FROM session", "old ");
	assert_answer(f, "SELECT topic FROM retained", "r ");
	assert_int_equal(take(f, true), 0);
	assert_answer(f, "SELECT client_id FROM session", "new ");
	assert_answer(f,
		      "SELECT (SELECT count(*) FROM retained) + (SELECT count(*) FROM message)"
		      " + (SELECT count(*) FROM delivery)",
		      "0 ");
	assert_answer(f, "SELECT (SELECT count(*) FROM namespace) + (SELECT count(*) FROM ban)", "0 ");
}

/* A retained message alone makes it worth keeping. */
static void test_not_empty(void **state)
{
	struct fixture *f = *state;

	mf_message(&f->file, 1, 1, "p", "r", "x", 0, "", 0);
	mf_retained(&f->file, 1);
	assert_int_equal(take(f, false), 0);
	assert_int_equal(take(f, false), -ENOTEMPTY);
}

static void test_bad_file(void **state)
{
	struct fixture *f = *state;

	mf_client(&f->file, "s", 1, 0);
	f->file.len--;
	assert_int_equal(take(f, false), -EBADMSG);
	assert_int_equal(f->im.fault.offset, f->file.chunk);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void test_in_use(void **state)
{
	struct fixture *f = *state;
	const struct store_config config = {.path = f->path};
	struct db db;

	assert_int_equal(db_open(&db, &config), 0);
	assert_int_equal(take(f, true), -EWOULDBLOCK);
	db_close(&db, true);
	assert_int_equal(take(f, true), 0);
}

/* What the disk does not take was never begun. */
static void test_failure(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;

	mf_client(&f->file, "old", 1, 0);
	assert_int_equal(take(f, false), 0);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "CREATE TRIGGER t BEFORE INSERT ON subscription BEGIN SELECT RAISE(ABORT, 'no'); END",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	mf_head(&f->file, 6);
	mf_client(&f->file, "new", 1, 0);
	mf_subscription(&f->file, "new", "a", 1, 0, 0);
	assert_int_equal(take(f, true), -EIO);
	assert_answer(f, "SELECT client_id FROM session", "old ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sessions),	    TEST(test_before_5),      TEST(test_deliveries),
		TEST(test_retained),	    TEST(test_left_sessions), TEST(test_left_subscriptions),
		TEST(test_left_deliveries), TEST(test_left_retained), TEST(test_replace),
		TEST(test_not_empty),	    TEST(test_bad_file),      TEST(test_in_use),
		TEST(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
