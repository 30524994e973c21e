// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What was there before the daemon started. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/db.h"

enum { PROGRESS_S = 2 };

struct loading {
	struct db *db;
	const struct store_reader *reader;
	void *arg;
	const char *what;
	uint64_t rows, told_ns;
};

/* A line now and then, so that nobody thinks it hangs. */
static void progress(struct loading *l)
{
	uint64_t now = clock_ns();

	l->rows++;
	if (now - l->told_ns < PROGRESS_S * NS_PER_S)
		return;
	l->told_ns = now;
	log_info("Loading the store %s: %llu %s.", l->db->path, (unsigned long long)l->rows, l->what);
}

static struct store_bytes text(sqlite3_stmt *st, int column)
{
	return (struct store_bytes){(uint8_t *)sqlite3_column_text(st, column),
				    (uint32_t)sqlite3_column_bytes(st, column)};
}

static int session(struct loading *l, sqlite3_stmt *st)
{
	const struct store_op op = {.kind = STORE_SESSION,
				    .session = (uint64_t)sqlite3_column_int64(st, 0),
				    .text = text(st, 1),
				    .ns = (uint16_t)sqlite3_column_int(st, 16),
				    .expiry = (uint32_t)sqlite3_column_int64(st, 2)};
	uint64_t will_id = (uint64_t)sqlite3_column_int64(st, 4), now = db_now_ms(), away = now;
	struct store_op will = {.kind = STORE_WILL,
				.session = op.session,
				.retain = sqlite3_column_int(st, 5),
				.delay = (uint32_t)sqlite3_column_int64(st, 6)};
	int rc;

	if (sqlite3_column_type(st, 3) != SQLITE_NULL)
		away = (uint64_t)sqlite3_column_int64(st, 3);
	if (will_id && sqlite3_column_type(st, 7) != SQLITE_NULL) {
		will.message = db_message(st, 7, will_id);
		if (!will.message)
			return -ENOMEM;
	}
	rc = l->reader->session(l->arg, &op, now > away ? now - away : 0, will.message ? &will : NULL,
				(uint32_t)sqlite3_column_int64(st, 14), (uint64_t)sqlite3_column_double(st, 15));
	message_drop(&will.message);
	return rc;
}

static int subscription(struct loading *l, sqlite3_stmt *st)
{
	const struct store_op op = {.kind = STORE_SUBSCRIBE,
				    .text = text(st, 1),
				    .options = (uint8_t)sqlite3_column_int(st, 2),
				    .number = (uint32_t)sqlite3_column_int64(st, 3)};

	return l->reader->subscription(l->arg, (uint16_t)sqlite3_column_int(st, 4), text(st, 0), &op);
}

static int retained(struct loading *l, sqlite3_stmt *st)
{
	const struct store_op op = {.kind = STORE_RETAIN,
				    .message = db_message(st, 4, (uint64_t)sqlite3_column_int64(st, 0)),
				    .text = text(st, 1),
				    .username = text(st, 2),
				    .listener = text(st, 3)};
	int rc;

	if (!op.message)
		return -ENOMEM;
	rc = l->reader->retained(l->arg, &op);
	message_unref(op.message);
	return rc;
}

static int cannot_read(const struct db *db, int rc)
{
	log_error("Error: Unable to read the store %s: %s.", db->path, sqlite3_errmsg(db->sqlite));
	return db_error(rc);
}

static int cannot_write(const struct db *db, int rc)
{
	log_error("Error: Unable to write the store %s: %s.", db->path, sqlite3_errmsg(db->sqlite));
	return db_error(rc);
}

static uint64_t number(sqlite3_stmt *st, int column)
{
	sqlite3_int64 n = sqlite3_column_int64(st, column);

	return n > 0 ? (uint64_t)n : 0;
}

static int ban(struct loading *l, sqlite3_stmt *st)
{
	uint64_t now = db_now_ms(), since = number(st, 3), until = number(st, 4);
	struct store_op op = {.kind = STORE_BAN,
			      .number = (uint32_t)sqlite3_column_int64(st, 0),
			      .text = text(st, 1),
			      .ns = (uint16_t)sqlite3_column_int(st, 2),
			      .order = clock_ns() - (now > since ? now - since : 0) * NS_PER_MS,
			      .retain = sqlite3_column_int(st, 5),
			      .ids = text(st, 6)};
	uint64_t left = until > now ? until - now : 0;

	/* When the clock was set back it need not hold longer than it was to. */
	if (until > since && left > until - since)
		left = until - since;
	if (sqlite3_column_type(st, 4) != SQLITE_NULL)
		op.id = clock_ns() + left * NS_PER_MS;
	return l->reader->ban(l->arg, &op);
}

static int each(struct loading *l, enum db_statement which, const char *what,
		int (*row)(struct loading *, sqlite3_stmt *))
{
	sqlite3_stmt *st = db_use(l->db, which);
	int rc, err = 0;

	l->what = what;
	l->rows = 0;
	l->told_ns = clock_ns();
	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		err = row(l, st);
		progress(l);
	}
	if (!err && rc != SQLITE_DONE)
		err = cannot_read(l->db, rc);
	sqlite3_reset(st);
	return err;
}

int db_namespaces(struct db *db, int (*each)(void *arg, uint64_t number, struct store_bytes name), void *arg)
{
	sqlite3_stmt *st = db_use(db, DB_NAMESPACES);
	int rc, err = 0;

	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW)
		err = each(arg, (uint64_t)sqlite3_column_int64(st, 0), text(st, 1));
	if (!err && rc != SQLITE_DONE)
		err = cannot_read(db, rc);
	sqlite3_reset(st);
	return err;
}

int db_namespace(struct db *db, uint16_t number, const char *name)
{
	sqlite3_stmt *st = db_use(db, DB_NAMESPACE_PUT);
	int rc;

	db_bind_number(st, 1, number);
	db_bind_text(st, 2, name, strlen(name));
	rc = db_run(st);
	if (rc == SQLITE_OK)
		return 0;
	return cannot_write(db, rc);
}

static int load_bans(struct loading *l)
{
	int rc = db_run1(l->db, DB_BANS_OVER, db_now_ms());

	return rc == SQLITE_OK ? each(l, DB_LOAD_BANS, "bans", ban) : cannot_write(l->db, rc);
}

int db_load(struct db *db, const struct store_reader *reader, void *arg)
{
	struct loading l = {.db = db, .reader = reader, .arg = arg};
	uint64_t sessions = 0, retained_messages = 0;
	int rc = each(&l, DB_LOAD_SESSIONS, "sessions", session);

	sessions = l.rows;
	if (!rc)
		rc = each(&l, DB_LOAD_SUBSCRIPTIONS, "subscriptions", subscription);
	if (!rc)
		rc = each(&l, DB_LOAD_RETAINED, "retained messages", retained);
	retained_messages = l.rows;
	if (!rc)
		rc = load_bans(&l);
	if (!rc)
		log_info("Loaded %llu sessions and %llu retained messages from %s.", (unsigned long long)sessions,
			 (unsigned long long)retained_messages, db->path);
	return rc;
}
