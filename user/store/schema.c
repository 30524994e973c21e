// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/schema.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	PROGRESS_S = 2,
	PROGRESS_OPS = 100000,	     /* of SQLite's machine between two looks at the clock: a millisecond or so */
	APPLICATION_ID = 0x53686e74, /* "Shnt": what file(1) sees */
};

/* Times are milliseconds since 1970. */
static const char first[] =
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	/* away: since when it is not connected, NULL while it is */
	"CREATE TABLE session(id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, expiry INTEGER NOT NULL, away INTEGER,"
	" will INTEGER, will_retain INTEGER, will_delay INTEGER);"
	/* sessions that ended, whose deliveries are being removed */
	"CREATE TABLE ended(session INTEGER PRIMARY KEY);"
	/* place: in the order they were made */
	"CREATE TABLE subscription(place INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL,"
	" filter TEXT NOT NULL, options INTEGER NOT NULL, identifier INTEGER NOT NULL, UNIQUE(session, filter));"
	/* refs: rows of session, delivery, held and retained that have it; expires: of a will seconds, as a negative number,
	 * until it is published */
	"CREATE TABLE message(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, qos INTEGER NOT NULL, topic TEXT NOT NULL,"
	" payload BLOB NOT NULL, properties BLOB, expires INTEGER, origin INTEGER NOT NULL);"
	/* state: enum store_state; sent: in the order they were sent */
	"CREATE TABLE delivery(session INTEGER, id INTEGER, message INTEGER, state INTEGER NOT NULL, pid INTEGER,"
	" sent INTEGER,"
	" qos INTEGER NOT NULL, retain INTEGER NOT NULL, subscribed INTEGER NOT NULL, identifiers BLOB, share TEXT,"
	" PRIMARY KEY(session, id)) WITHOUT ROWID;"
	"CREATE TABLE held(session INTEGER, pid INTEGER, id INTEGER NOT NULL, message INTEGER, retain INTEGER NOT NULL,"
	" PRIMARY KEY(session, pid)) WITHOUT ROWID;"
	"CREATE TABLE retained(topic TEXT PRIMARY KEY, message INTEGER NOT NULL) WITHOUT ROWID;";

/* bytes: message_size() of the message. To add them up from the messages themselves took most of a start with many. */
static const char bytes_of_delivery[] =
	"ALTER TABLE delivery ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
	"UPDATE delivery SET bytes = coalesce((SELECT length(CAST(topic AS BLOB)) + length(payload)"
	" + coalesce(length(properties), 0) FROM message WHERE id = delivery.message), 0)";

/* namespace: the names of all but the default one, 0. ns: such a number. */
static const char namespaces[] =
	"CREATE TABLE namespace(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"ALTER TABLE session ADD COLUMN ns INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE message ADD COLUMN ns INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE retained_in(topic TEXT NOT NULL, ns INTEGER NOT NULL, message INTEGER NOT NULL, PRIMARY KEY(topic, ns))"
	" WITHOUT ROWID;"
	"INSERT INTO retained_in SELECT topic, 0, message FROM retained;"
	"DROP TABLE retained;"
	"ALTER TABLE retained_in RENAME TO retained";

/* Who published it: identifier, user name and the listener it came in by; NULL: none, or not known. */
static const char source_of_retained[] = "ALTER TABLE retained ADD COLUMN client_id TEXT;"
					 "ALTER TABLE retained ADD COLUMN username TEXT;"
					 "ALTER TABLE retained ADD COLUMN listener TEXT";

/* kind: numbers of enum ban_kind; until: NULL without end */
static const char bans[] =
	"CREATE TABLE ban(kind INTEGER, who TEXT, ns INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,"
	" automatic INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY(kind, who, ns)) WITHOUT ROWID";

static const char *const steps[] = {first, bytes_of_delivery, namespaces, source_of_retained, bans};

const struct schema store_schema = {sizeof(steps) / sizeof(steps[0]), steps};

/* The number that a query gives, 0 without a row. */
static int number_of(sqlite3 *sqlite, const char *sql, int *out)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(sqlite, sql, -1, &st, NULL);

	*out = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int schema_check(sqlite3 *sqlite, const char *path, const struct schema *schema)
{
	int id, version, tables;
	int rc = number_of(sqlite, "PRAGMA application_id", &id);

	if (rc == SQLITE_OK)
		rc = number_of(sqlite, "PRAGMA user_version", &version);
	if (rc == SQLITE_OK)
		rc = number_of(sqlite, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc != SQLITE_OK)
		return rc;
	if (tables && id != APPLICATION_ID) {
		log_error("Error: %s is an SQLite database, but not one of Shunt's: choose another file or folder.",
			  path);
		return SQLITE_AUTH;
	}
	if (version > schema->version) {
		log_error("Error: %s was written by a newer Shunt (its form is %d, this one knows %d): run that, or "
			  "choose another file.",
			  path, version, schema->version);
		return SQLITE_AUTH;
	}
	return SQLITE_OK;
}

static int exec(sqlite3 *sqlite, const char *sql)
{
	return sqlite3_exec(sqlite, sql, NULL, NULL, NULL);
}

/* In a transaction. */
static int do_steps(sqlite3 *sqlite, const struct schema *schema, int from)
{
	char sql[96];
	int rc = SQLITE_OK;

	for (int i = from; i < schema->version && rc == SQLITE_OK; i++)
		rc = exec(sqlite, schema->steps[i]);
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", APPLICATION_ID,
		 schema->version);
	return rc == SQLITE_OK ? exec(sqlite, sql) : rc;
}

struct progress {
	const char *path;
	int to;
	uint64_t began_ns, told_ns;
};

/* A line now and then, so that nobody thinks it hangs. */
static int tell_progress(void *arg)
{
	struct progress *p = arg;
	uint64_t now = clock_ns();

	if (now - p->told_ns >= PROGRESS_S * NS_PER_S) {
		p->told_ns = now;
		log_info("Bringing the store %s to form %d: %llu s.", p->path, p->to,
			 (unsigned long long)((now - p->began_ns) / NS_PER_S));
	}
	return 0;
}

static void log_failure(sqlite3 *sqlite, const char *path, int from, int to)
{
	if (from)
		log_error("Error: Unable to bring the store %s from form %d to form %d: %s. It is as it was.", path,
			  from, to, sqlite3_errmsg(sqlite));
	else
		log_error("Error: Unable to make the tables of the store %s: %s.", path, sqlite3_errmsg(sqlite));
}

int schema_bring(sqlite3 *sqlite, const char *path, const struct schema *schema)
{
	struct progress p = {path, schema->version, clock_ns(), clock_ns()};
	int from;
	int rc = number_of(sqlite, "PRAGMA user_version", &from);

	if (rc != SQLITE_OK || from == schema->version)
		return rc;
	if (from) /* it may take a while */
		log_notice("Bringing the store %s from form %d to form %d.", path, from, schema->version);
	sqlite3_progress_handler(sqlite, PROGRESS_OPS, tell_progress, &p);
	rc = exec(sqlite, "BEGIN IMMEDIATE");
	if (rc == SQLITE_OK)
		rc = do_steps(sqlite, schema, from);
	sqlite3_progress_handler(sqlite, 0, NULL, NULL);
	if (rc == SQLITE_OK)
		return rc;
	if ((rc & 0xff) != SQLITE_CORRUPT && (rc & 0xff) != SQLITE_NOTADB) {
		log_failure(sqlite, path, from, schema->version);
		rc = SQLITE_AUTH;
	}
	if (!sqlite3_get_autocommit(sqlite))
		exec(sqlite, "ROLLBACK");
	return rc;
}
