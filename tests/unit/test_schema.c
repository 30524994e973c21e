// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Databases of every form there was become databases of today, or stay as they were. */
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
#include "schema_1.h"
#include "store/db.h"
#include "store/schema.h"

struct fixture {
	char folder[64];
	char path[128];
	struct store_config config;
	sqlite3 *sqlite;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_types(0);
	strcpy(f->folder, "/tmp/shunt-schema-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/shunt.db", f->folder);
	f->config = (struct store_config){.path = f->path, .refuse_damaged = true};
	assert_int_equal(sqlite3_open(f->path, &f->sqlite), SQLITE_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[160];

	sqlite3_close(f->sqlite);
	snprintf(path, sizeof(path), "%s.lock", f->path);
	unlink(path);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	log_set_types(LOG_TYPE_DEFAULT);
	return 0;
}

static void change(const struct fixture *f, const char *sql)
{
	assert_int_equal(sqlite3_exec(f->sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* All rows of a query, their columns one after the other; free() it. */
static char *ask(sqlite3 *sqlite, const char *sql)
{
	sqlite3_stmt *st;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(st); i++)
			fprintf(f, "%s ", (const char *)sqlite3_column_text(st, i));
	sqlite3_finalize(st);
	fclose(f);
	return text;
}

static void assert_answer(const struct fixture *f, const char *sql, const char *answer)
{
	char *text = ask(f->sqlite, sql);

	assert_string_equal(text, answer);
	free(text);
}

/* ---- Shunt's own forms ------------------------------------------------------------------------------------------- */

/* What a database of the first form has comes over, into the tables that a new one has. */
static void test_first_form(void **state)
{
	static const char tables[] = "SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name";
	struct fixture *f = *state;
	struct store_page page = {.all = true};
	struct db db, fresh;
	struct store_config other = f->config;
	char path[160], version[16], *a, *b;
	bool more = true;

	change(f, schema_1);
	change(f, rows_1);
	sqlite3_close(f->sqlite);
	f->sqlite = NULL;
	assert_int_equal(db_open(&db, &f->config), 0);
	assert_int_equal(db.key[15], 15);
	assert_true(db.last_id >= 3585);
	assert_int_equal(db_read_page(&db, 257, &page), SQLITE_OK);
	assert_int_equal(page.n, 4);
	assert_int_equal(page.rows[0].state, STORE_IS_HELD);
	assert_int_equal(page.rows[0].pid, 500);
	assert_true(page.rows[0].message->expires);
	assert_int_equal(page.rows[1].state, STORE_WAITS_ACK);
	assert_int_equal(page.rows[1].pid, 5);
	assert_true(page.rows[1].retain);
	assert_int_equal(page.rows[1].message->props_len, 4);
	assert_int_equal(page.rows[2].state, STORE_WAITS_COMP);
	assert_int_equal(page.rows[3].state, STORE_QUEUED);
	assert_int_equal(page.rows[3].ids.len, 4);
	store_page_clear(&page);
	while (more)
		assert_int_equal(db_clean(&db, 100, &more), SQLITE_OK);
	a = ask(db.sqlite, tables);
	db_close(&db, true);

	assert_int_equal(sqlite3_open(f->path, &f->sqlite), SQLITE_OK);
	snprintf(version, sizeof(version), "%d ", store_schema.version);
	assert_answer(f, "PRAGMA user_version", version);
	assert_answer(f, "SELECT client_id, expiry, away, will, will_retain, will_delay FROM session",
		      "s 100 1700000000000 769 1 7 ");
	assert_answer(f, "SELECT session, filter, options, identifier FROM subscription", "257 t/# 2 9 ");
	assert_answer(f, "SELECT id, refs, expires FROM message ORDER BY id",
		      "769 1 (null) 1025 2 (null) 1281 1 4102444800000 1537 1 (null) ");
	assert_answer(f, "SELECT topic, message, client_id, username, listener FROM retained",
		      "r 1537 (null) (null) (null) ");
	assert_answer(f, "SELECT count(*) FROM ban", "0 ");

	snprintf(path, sizeof(path), "%s/fresh.db", f->folder);
	other.path = path;
	assert_int_equal(db_open(&fresh, &other), 0);
	b = ask(fresh.sqlite, tables);
	db_close(&fresh, true);
	unlink(path);
	strcat(path, ".lock");
	unlink(path);
	assert_string_equal(a, b);
	free(a);
	free(b);
}

/* Deliveries know the length of their message from form 2 on, to the byte: what is counted up by it is counted down by the
 * message. */
static void test_bytes_of_deliveries(void **state)
{
	static const unsigned lens[] = {0, 1, 122, 16378, 2097146};
	struct fixture *f = *state;
	struct store_page page = {.all = true};
	struct db db;
	char sql[256];

	change(f, schema_1);
	change(f, "INSERT INTO session(id, client_id, expiry) VALUES(256, 's', 1)");
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		snprintf(sql, sizeof(sql),
			 "INSERT INTO message VALUES(%u, 1, 1, '\xc3\xa9', zeroblob(%u), %s, NULL, 0);"
			 "INSERT INTO delivery VALUES(256, %u, %u, 0, 0, 0, 1, 0, 0, NULL, NULL)",
			 i + 1, lens[i], i % 2 ? "x'03000174'" : "NULL", i + 1, i + 1);
		change(f, sql);
	}
	assert_int_equal(db_open(&db, &f->config), 0);
	assert_int_equal(db_read_page(&db, 256, &page), SQLITE_OK);
	assert_int_equal(page.n, sizeof(lens) / sizeof(lens[0]));
	for (unsigned i = 0; i < page.n; i++) {
		char want[32];

		snprintf(sql, sizeof(sql), "SELECT bytes FROM delivery WHERE id = %u", i + 1);
		snprintf(want, sizeof(want), "%u ", message_size(page.rows[i].message));
		assert_answer(f, sql, want);
	}
	store_page_clear(&page);
	db_close(&db, true);
}

/* From form 3 on there are namespaces: what was there before is in the default one, and retained messages of others may have the
 * same topics. */
static void test_namespaces(void **state)
{
	struct fixture *f = *state;
	struct db db;

	change(f, schema_1);
	change(f, rows_1);
	assert_int_equal(db_open(&db, &f->config), 0);
	assert_answer(f, "SELECT count(*) FROM namespace", "0 ");
	assert_answer(f, "SELECT ns FROM session", "0 ");
	assert_answer(f, "SELECT DISTINCT ns FROM message", "0 ");
	assert_answer(f, "SELECT topic, ns, message FROM retained", "r 0 1537 ");
	db_close(&db, true);
	change(f, "INSERT INTO retained(topic, ns, message) VALUES('r', 1, 1025)");
	assert_int_equal(sqlite3_exec(f->sqlite, "INSERT INTO retained(topic, ns, message) VALUES('r', 1, 1281)", NULL,
				      NULL, NULL),
			 SQLITE_CONSTRAINT);
}

/* One that is not ours is not touched, not even to be read by many at once. */
static void test_foreign(void **state)
{
	struct fixture *f = *state;
	struct db db;

	change(f, "CREATE TABLE t(x)");
	assert_int_equal(db_open(&db, &f->config), -EPERM);
	assert_answer(f, "PRAGMA journal_mode", "delete ");
	assert_answer(f, "SELECT name FROM sqlite_schema", "t ");
}

static void test_newer(void **state)
{
	struct fixture *f = *state;
	struct db db;
	char sql[64];

	change(f, schema_1);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", store_schema.version + 1);
	change(f, sql);
	assert_int_equal(db_open(&db, &f->config), -EPERM);
	snprintf(sql, sizeof(sql), "%d ", store_schema.version + 1);
	assert_answer(f, "PRAGMA user_version", sql);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static const char *const steps[] = {
	"CREATE TABLE t(x); INSERT INTO t VALUES(1)",
	"ALTER TABLE t ADD COLUMN y; UPDATE t SET y = x + 1",
	"CREATE TABLE u AS SELECT x + y AS z FROM t; DROP TABLE t",
};

static int bring(const struct fixture *f, const char *const *text, int version)
{
	const struct schema schema = {version, text};
	int rc = schema_check(f->sqlite, f->path, &schema);

	return rc == SQLITE_OK ? schema_bring(f->sqlite, f->path, &schema) : rc;
}

/* From whatever form it comes, it gets to the newest. */
static void test_steps(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bring(f, steps, 1), SQLITE_OK);
	assert_answer(f, "SELECT * FROM t", "1 ");
	assert_int_equal(bring(f, steps, 1), SQLITE_OK);
	assert_answer(f, "SELECT * FROM t", "1 ");
	assert_int_equal(bring(f, steps, 2), SQLITE_OK);
	assert_answer(f, "SELECT * FROM t", "1 2 ");
	assert_int_equal(bring(f, steps, 3), SQLITE_OK);
	assert_answer(f, "SELECT * FROM u", "3 ");
	assert_answer(f, "PRAGMA user_version", "3 ");
	assert_int_equal(bring(f, steps, 2), SQLITE_AUTH);
}

static void test_all_steps(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bring(f, steps, 3), SQLITE_OK);
	assert_answer(f, "SELECT * FROM u", "3 ");
	assert_answer(f, "PRAGMA user_version", "3 ");
}

/* A step that fails, and those before it, were never done. */
static void test_failing_step(void **state)
{
	static const char *const failing[] = {
		"CREATE TABLE t(x); INSERT INTO t VALUES(1)",
		"ALTER TABLE t ADD COLUMN y; UPDATE t SET y = x + 1",
		"DELETE FROM t; INSERT INTO t VALUES(8, 9); INSERT INTO nowhere VALUES(1)",
	};
	struct fixture *f = *state;

	assert_int_equal(bring(f, failing, 1), SQLITE_OK);
	assert_int_equal(bring(f, failing, 3), SQLITE_AUTH);
	assert_answer(f, "SELECT * FROM t", "1 ");
	assert_answer(f, "PRAGMA user_version", "1 ");
	assert_answer(f, "SELECT sql FROM sqlite_schema", "CREATE TABLE t(x) ");
	assert_true(sqlite3_get_autocommit(f->sqlite));
	assert_int_equal(bring(f, failing, 2), SQLITE_OK);
	assert_answer(f, "SELECT * FROM t", "1 2 ");
}

/* Nor does a new file become half a database. */
static void test_failing_first(void **state)
{
	static const char *const failing[] = {"CREATE TABLE t(x); CREATE TABLE t(x)"};
	struct fixture *f = *state;

	assert_int_equal(bring(f, failing, 1), SQLITE_AUTH);
	assert_answer(f, "SELECT count(*) FROM sqlite_schema", "0 ");
	assert_answer(f, "PRAGMA user_version", "0 ");
}

static bool told; /* the log had a line of progress */

static void take_line(enum log_type type, const char *line, size_t len)
{
	(void)type;
	told = told || memmem(line, len, " to form 2: ", strlen(" to form 2: "));
}

static void was_told(sqlite3_context *context, int n, sqlite3_value **values)
{
	(void)n;
	(void)values;
	sqlite3_result_int(context, told);
}

/* A step that goes on until the log has said so. */
static void test_progress(void **state)
{
	static const char *const lasting[] = {
		"CREATE TABLE t(x)",
		"INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE NOT was_told())"
		" SELECT max(i) > 1 FROM n",
	};
	struct fixture *f = *state;

	told = false;
	sqlite3_create_function(f->sqlite, "was_told", 0, SQLITE_UTF8, NULL, was_told, NULL, NULL);
	assert_int_equal(bring(f, lasting, 1), SQLITE_OK);
	log_set_types(LOG_TYPE_INFORMATION);
	log_set_sink(take_line);
	assert_int_equal(log_set_dest(LOG_DEST_TOPIC, NULL), 0);
	assert_int_equal(bring(f, lasting, 2), SQLITE_OK);
	log_set_sink(NULL);
	assert_int_equal(log_set_dest(LOG_DEST_STDERR, NULL), 0);
	assert_true(told);
	assert_answer(f, "SELECT x FROM t", "1 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_form),	  TEST(test_bytes_of_deliveries),
		TEST(test_namespaces),	  TEST(test_foreign),
		TEST(test_newer),	  TEST(test_steps),
		TEST(test_all_steps),	  TEST(test_failing_step),
		TEST(test_failing_first), TEST(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
