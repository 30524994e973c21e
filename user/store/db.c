// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/schema.h"

#define MESSAGE_COLUMNS "m.qos, m.topic, m.payload, m.properties, m.expires, m.origin, m.ns"

static const char *const texts[DB_STATEMENTS] = {
	[DB_BEGIN] = "BEGIN IMMEDIATE",
	[DB_COMMIT] = "COMMIT",
	[DB_ROLLBACK] = "ROLLBACK",
	[DB_SESSION_PUT] = "INSERT INTO session(id, client_id, expiry, away, ns) VALUES(?1, ?2, ?3, ?4, ?5)"
			   " ON CONFLICT(id) DO UPDATE SET expiry = ?3, away = ?4",
	[DB_SESSION_AWAY] = "UPDATE session SET away = ?2 WHERE id = ?1",
	[DB_SESSION_WILL] = "SELECT will FROM session WHERE id = ?1",
	[DB_SESSION_WILL_PUT] = "UPDATE session SET will = ?2, will_retain = ?3, will_delay = ?4 WHERE id = ?1",
	[DB_SESSION_DELETE] = "DELETE FROM session WHERE id = ?1",
	[DB_ENDED_PUT] = "INSERT OR IGNORE INTO ended VALUES(?1)",
	[DB_ENDED_NEXT] = "SELECT session FROM ended LIMIT 1",
	[DB_ENDED_DELETE] = "DELETE FROM ended WHERE session = ?1",
	[DB_SUBSCRIPTION_PUT] = "INSERT INTO subscription(session, filter, options, identifier) VALUES(?1, ?2, ?3, ?4)"
				" ON CONFLICT(session, filter) DO UPDATE SET options = ?3, identifier = ?4",
	[DB_SUBSCRIPTION_DELETE] = "DELETE FROM subscription WHERE session = ?1 AND filter = ?2",
	[DB_SUBSCRIPTIONS_DELETE] = "DELETE FROM subscription WHERE session = ?1",
	[DB_MESSAGE_PUT] = "INSERT INTO message(id, refs, qos, topic, payload, properties, expires, origin, ns)"
			   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(id) DO UPDATE SET refs = refs + ?2,"
			   " expires = ?7",
	[DB_MESSAGE_UNREF] = "UPDATE message SET refs = refs - 1 WHERE id = ?1",
	[DB_MESSAGE_DELETE] = "DELETE FROM message WHERE id = ?1 AND refs <= 1",
	[DB_MESSAGE_GET] = "SELECT " MESSAGE_COLUMNS " FROM message m WHERE m.id = ?1",
	[DB_DELIVERY_PUT] =
		"INSERT INTO delivery(session, id, message, state, pid, qos, retain, subscribed, identifiers,"
		" share, sent, bytes) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 FROM session"
		" WHERE session.id = ?1 ON CONFLICT DO NOTHING",
	[DB_DELIVERY_SENT] = "UPDATE delivery SET state = 1, pid = ?3, sent = ?4 WHERE session = ?1 AND id = ?2",
	[DB_DELIVERY_MESSAGE] = "SELECT message FROM delivery WHERE session = ?1 AND id = ?2",
	[DB_DELIVERY_RELEASED] = "UPDATE delivery SET state = 2, message = NULL WHERE session = ?1 AND id = ?2",
	[DB_DELIVERY_DELETE] = "DELETE FROM delivery WHERE session = ?1 AND id = ?2 RETURNING message",
	[DB_DELIVERIES_OF] =
		"SELECT d.id, d.state, d.pid, d.qos, d.retain, d.subscribed, d.identifiers, d.share, d.sent, d.message, " MESSAGE_COLUMNS
		" FROM delivery d LEFT JOIN message m ON m.id = d.message WHERE d.session = ?1"
		" ORDER BY d.id",
	[DB_HELD_PUT] = "INSERT INTO held(session, pid, id, message, retain) VALUES(?1, ?2, ?3, ?4, ?5)"
			" ON CONFLICT DO NOTHING",
	[DB_HELD_MESSAGE] = "SELECT message FROM held WHERE session = ?1 AND pid = ?2",
	[DB_HELD_EARLY] = "UPDATE held SET message = NULL WHERE session = ?1 AND pid = ?2",
	[DB_HELD_DELETE] = "DELETE FROM held WHERE session = ?1 AND pid = ?2 RETURNING message",
	[DB_HELD_OF] = "SELECT h.id, h.pid, h.retain, h.message, " MESSAGE_COLUMNS
		       " FROM held h LEFT JOIN message m ON m.id = h.message WHERE h.session = ?1 ORDER BY h.id",
	[DB_RETAINED_GET] = "SELECT message FROM retained WHERE topic = ?1 AND ns = ?2",
	[DB_RETAINED_PUT] = "INSERT OR REPLACE INTO retained(topic, ns, message, client_id, username, listener)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[DB_RETAINED_DELETE] = "DELETE FROM retained WHERE topic = ?1 AND ns = ?2",
	[DB_BAN_PUT] = "INSERT OR REPLACE INTO ban VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[DB_BAN_DELETE] = "DELETE FROM ban WHERE kind = ?1 AND who = ?2 AND ns = ?3",
	[DB_BANS_OVER] = "DELETE FROM ban WHERE until <= ?1",
	[DB_META_PUT] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2)",
	[DB_META_GET] = "SELECT value FROM meta WHERE name = ?1",
	[DB_LOAD_SESSIONS] =
		"SELECT s.id, s.client_id, s.expiry, s.away, s.will, s.will_retain, s.will_delay, " MESSAGE_COLUMNS
		", (SELECT count(*) FROM delivery d WHERE d.session = s.id AND d.message IS NOT NULL),"
		" (SELECT total(bytes) FROM delivery d WHERE d.session = s.id AND d.message IS NOT NULL), s.ns"
		" FROM session s LEFT JOIN message m ON m.id = s.will",
	[DB_LOAD_SUBSCRIPTIONS] =
		"SELECT s.client_id, u.filter, u.options, u.identifier, s.ns FROM subscription u JOIN session s"
		" ON s.id = u.session ORDER BY u.place",
	/* In the order in which messages are in the file: it may be far larger than what is kept of it in memory. */
	[DB_LOAD_RETAINED] = "WITH r(id, client_id, username, listener) AS MATERIALIZED"
			     " (SELECT message, client_id, username, listener FROM retained ORDER BY message LIMIT -1)"
			     " SELECT m.id, r.client_id, r.username, r.listener, " MESSAGE_COLUMNS
			     " FROM r CROSS JOIN message m ON m.id = r.id",
	[DB_LOAD_BANS] = "SELECT kind, who, ns, since, until, automatic, reason FROM ban",
	[DB_LAST_ID] =
		"SELECT max((SELECT coalesce(max(id), 0) FROM message), (SELECT coalesce(max(id), 0) FROM session),"
		" (SELECT max(coalesce(max(id), 0), coalesce(max(sent), 0)) FROM delivery), (SELECT coalesce(max(id), 0) FROM held),"
		" (SELECT coalesce(max(session), 0) FROM ended))",
	[DB_NAMESPACES] = "SELECT id, name FROM namespace ORDER BY id",
	[DB_NAMESPACE_PUT] = "INSERT INTO namespace(id, name) VALUES(?1, ?2)",
	[DB_USED] = "SELECT EXISTS(SELECT 1 FROM session) OR EXISTS(SELECT 1 FROM retained)",
};

/* ---- statements -------------------------------------------------------------------------------------------------- */

sqlite3_stmt *db_use(struct db *db, enum db_statement which)
{
	return db->statements[which];
}

int db_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	while (rc == SQLITE_ROW)
		rc = sqlite3_step(st);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void db_bind_number(sqlite3_stmt *st, int at, uint64_t n)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)n);
}

void db_bind_bytes(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	if (data)
		sqlite3_bind_blob64(st, at, data, len, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

void db_bind_text(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	if (data)
		sqlite3_bind_text64(st, at, data, len, SQLITE_STATIC, SQLITE_UTF8);
	else
		sqlite3_bind_null(st, at);
}

int db_run1(struct db *db, enum db_statement which, uint64_t a)
{
	sqlite3_stmt *st = db_use(db, which);

	db_bind_number(st, 1, a);
	return db_run(st);
}

int db_run2(struct db *db, enum db_statement which, uint64_t a, uint64_t b)
{
	sqlite3_stmt *st = db_use(db, which);

	db_bind_number(st, 1, a);
	db_bind_number(st, 2, b);
	return db_run(st);
}

int db_number(sqlite3_stmt *st, uint64_t *out)
{
	int rc = sqlite3_step(st);
	int end = rc;

	*out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
	while (end == SQLITE_ROW) /* RETURNING has done its work, but is over only then */
		end = sqlite3_step(st);
	sqlite3_reset(st);
	return end == SQLITE_DONE ? rc : end;
}

uint64_t db_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / NS_PER_MS;
}

static void take_expires(struct message *m, sqlite3_int64 expires)
{
	uint64_t now = db_now_ms();

	m->expires = true;
	if (expires < 0)
		m->expiry = (uint32_t)-expires;
	else
		m->expires_ns = clock_ns() + ((uint64_t)expires > now ? (uint64_t)expires - now : 0) * NS_PER_MS;
}

struct message *db_message(sqlite3_stmt *st, int column, uint64_t id)
{
	const struct mqtt_publish publish = {
		.qos = (uint8_t)sqlite3_column_int(st, column),
		.topic = {sqlite3_column_blob(st, column + 1), (uint32_t)sqlite3_column_bytes(st, column + 1)},
		.payload = {sqlite3_column_blob(st, column + 2), (uint32_t)sqlite3_column_bytes(st, column + 2)},
	};
	const struct mqtt_str props = {sqlite3_column_blob(st, column + 3),
				       (uint32_t)sqlite3_column_bytes(st, column + 3)};
	struct message *m = message_stored(&publish, props, (uint64_t)sqlite3_column_int64(st, column + 5), id);

	if (m)
		m->ns = (uint16_t)sqlite3_column_int(st, column + 6);
	if (m && sqlite3_column_type(st, column + 4) != SQLITE_NULL)
		take_expires(m, sqlite3_column_int64(st, column + 4));
	return m;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

int db_error(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_FULL:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

static int exec(struct db *db, const char *sql)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
}

int db_empty(struct db *db)
{
	return exec(db, "DELETE FROM session; DELETE FROM ended; DELETE FROM subscription; DELETE FROM message;"
			" DELETE FROM delivery; DELETE FROM held; DELETE FROM retained;"
			" DELETE FROM namespace; DELETE FROM ban");
}

static int prepare(struct db *db)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < DB_STATEMENTS && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(db->sqlite, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
	return rc;
}

static int meta_put(struct db *db, const char *name, const void *data, size_t len)
{
	sqlite3_stmt *st = db_use(db, DB_META_PUT);

	db_bind_text(st, 1, name, strlen(name));
	db_bind_bytes(st, 2, data, len);
	return db_run(st);
}

/* SQLITE_OK with *found, or an error. */
static int meta_get(struct db *db, const char *name, void *data, size_t len, bool *found)
{
	sqlite3_stmt *st = db_use(db, DB_META_GET);
	int rc;

	db_bind_text(st, 1, name, strlen(name));
	rc = sqlite3_step(st);
	*found = rc == SQLITE_ROW && (size_t)sqlite3_column_bytes(st, 0) == len;
	if (*found)
		memcpy(data, sqlite3_column_blob(st, 0), len);
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int take_key(struct db *db)
{
	bool found;
	int rc = meta_get(db, "key", db->key, sizeof(db->key), &found);

	if (rc != SQLITE_OK || found)
		return rc;
	if (getrandom(db->key, sizeof(db->key), 0) != (ssize_t)sizeof(db->key))
		return SQLITE_IOERR;
	return meta_put(db, "key", db->key, sizeof(db->key));
}

/* After anything but an orderly end the pages are looked through: a disk may have lied about what it wrote. */
static int check_pages(struct db *db)
{
	sqlite3_stmt *st = NULL;
	uint8_t clean = 0;
	bool found;
	int rc = meta_get(db, "clean", &clean, 1, &found);

	if (rc != SQLITE_OK || !found || clean)
		return rc;
	log_info("The store %s was not closed in order; checking it.", db->path);
	rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		rc = strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
	sqlite3_finalize(st);
	return rc;
}

static int set_durability(struct db *db, const struct store_config *config)
{
	int rc = exec(db, "PRAGMA journal_mode = WAL");

	/* Not OFF: a power cut could then tear the database itself, and not all of that can be seen. NORMAL syncs when the
	 * log goes into it, after thousands of changes. */
	if (rc == SQLITE_OK)
		rc = exec(db, config->durability == STORE_NEVER ? "PRAGMA synchronous = NORMAL"
								: "PRAGMA synchronous = FULL");
	/* What is not committed is written by COMMIT only: on a disk that is full, all before it can still be done, and
	 * what sessions have be read behind it. */
	if (rc == SQLITE_OK)
		rc = exec(db, "PRAGMA cache_spill = OFF");
	return rc;
}

/* The file of who comes from mosquitto is not damaged, it is his own. */
static bool is_mosquittos(const struct db *db)
{
	static const char magic[] = "\x00\xb5\x00mosquitto db";
	char begin[sizeof(magic) - 1];
	int fd = open(db->path, O_RDONLY | O_CLOEXEC);
	bool is = fd >= 0 && read(fd, begin, sizeof(begin)) == (ssize_t)sizeof(begin) &&
		  memcmp(begin, magic, sizeof(begin)) == 0;

	if (fd >= 0)
		close(fd);
	if (is)
		log_error("Error: %s was written by mosquitto. Give Shunt's store another name with the option "
			  "persistence_file.",
			  db->path);
	return is;
}

static int open_file(struct db *db, const struct store_config *config)
{
	/* What SQLite makes is for all to read; the files beside it get the same mode. */
	int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc;

	/* Before SQLite has it open: closing it would give up SQLite's locks. */
	if (fd >= 0)
		close(fd);
	rc = sqlite3_open_v2(db->path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			     NULL);

	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(db->sqlite, 1);
		sqlite3_busy_timeout(db->sqlite, 5000); /* somebody may be looking */
		rc = schema_check(db->sqlite, db->path, &store_schema);
	}
	if (rc == SQLITE_OK) /* not before: it writes into the file */
		rc = set_durability(db, config);
	if (rc == SQLITE_OK)
		rc = schema_bring(db->sqlite, db->path, &store_schema);
	if (rc == SQLITE_OK)
		rc = prepare(db);
	if (rc == SQLITE_OK)
		rc = check_pages(db);
	if (rc == SQLITE_OK)
		rc = take_key(db);
	if (rc == SQLITE_OK)
		rc = meta_put(db, "clean", "", 1);
	if (rc == SQLITE_OK) {
		int row = db_number(db_use(db, DB_LAST_ID), &db->last_id);

		rc = row == SQLITE_ROW ? SQLITE_OK : row;
	}
	return rc;
}

static void close_file(struct db *db)
{
	for (unsigned i = 0; i < DB_STATEMENTS; i++) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
	}
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
}

/* Give the damaged files another name. */
static int set_aside(struct db *db)
{
	static const char *const suffixes[] = {"-wal", "-shm", ""};
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	if (!strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm))
		return -EINVAL;
	for (unsigned i = 0; i < 3; i++) {
		char *from = NULL, *to = NULL;
		bool failed = asprintf(&from, "%s%s", db->path, suffixes[i]) < 0 ||
			      asprintf(&to, "%s.damaged-%s%s", db->path, stamp, suffixes[i]) < 0 ||
			      (rename(from, to) && errno != ENOENT);
		int err = errno;

		free(from);
		free(to);
		if (failed)
			return -err;
	}
	log_warning(
		"Warning: The store %s is damaged. It was renamed to %s.damaged-%s (sqlite3's .recover may get more "
		"out of it); starting with an empty one.",
		db->path, db->path, stamp);
	return 0;
}

/* Two daemons must not write the same store. SQLite's own locks would let them. */
static int lock(struct db *db)
{
	char *path;
	int rc = 0;

	if (asprintf(&path, "%s.lock", db->path) < 0)
		return -ENOMEM;
	db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock_fd < 0 || flock(db->lock_fd, LOCK_EX | LOCK_NB)) {
		rc = -errno;
		if (rc == -EWOULDBLOCK)
			log_error("Error: The store %s is in use by another process.", db->path);
		else
			log_error("Error: Unable to open %s: %s. See the option persistence_location.", path,
				  strerror(-rc));
	}
	free(path);
	return rc;
}

int db_open(struct db *db, const struct store_config *config)
{
	int rc, err;

	*db = (struct db){.lock_fd = -1};
	db->path = strdup(config->path);
	if (!db->path)
		return -ENOMEM;
	err = is_mosquittos(db) ? -EPERM : lock(db);
	if (err)
		goto out;
	rc = open_file(db, config);
	if (db_error(rc) == -EBADMSG && !config->refuse_damaged) {
		close_file(db);
		err = set_aside(db);
		if (err) {
			log_error("Error: The store %s is damaged and cannot be renamed: %s.", db->path,
				  strerror(-err));
			goto out;
		}
		rc = open_file(db, config);
	}
	err = db_error(rc);
	if (err && rc != SQLITE_AUTH)
		log_error("Error: Unable to open the store %s: %s.%s", db->path,
			  db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(rc),
			  err == -EBADMSG ? " Move it away, or set persistence_damaged to \"set_aside\"." : "");
	if (rc == SQLITE_AUTH)
		err = -EPERM;
out:
	if (err)
		db_close(db, false);
	return err;
}

void db_close(struct db *db, bool clean)
{
	if (db->sqlite && clean)
		meta_put(db, "clean", "\1", 1);
	close_file(db);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	db->lock_fd = -1;
	free(db->path);
	db->path = NULL;
}
