/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The database itself: its tables, its statements, how it is opened. For the store's files only; one thread at a time. */
#ifndef SHUNT_STORE_DB_H
#define SHUNT_STORE_DB_H

#include <sqlite3.h>

#include "store/store.h"

/* All statements there are, by name; their texts are in db.c. */
enum db_statement {
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_SESSION_PUT,
	DB_SESSION_AWAY,
	DB_SESSION_WILL,
	DB_SESSION_WILL_PUT,
	DB_SESSION_DELETE,
	DB_ENDED_PUT,
	DB_ENDED_NEXT,
	DB_ENDED_DELETE,
	DB_SUBSCRIPTION_PUT,
	DB_SUBSCRIPTION_DELETE,
	DB_SUBSCRIPTIONS_DELETE,
	DB_MESSAGE_PUT,
	DB_MESSAGE_UNREF,
	DB_MESSAGE_DELETE,
	DB_MESSAGE_GET,
	DB_DELIVERY_PUT,
	DB_DELIVERY_SENT,
	DB_DELIVERY_MESSAGE,
	DB_DELIVERY_RELEASED,
	DB_DELIVERY_DELETE,
	DB_DELIVERIES_OF,
	DB_HELD_PUT,
	DB_HELD_MESSAGE,
	DB_HELD_EARLY,
	DB_HELD_DELETE,
	DB_HELD_OF,
	DB_RETAINED_GET,
	DB_RETAINED_PUT,
	DB_RETAINED_DELETE,
	DB_BAN_PUT,
	DB_BAN_DELETE,
	DB_BANS_OVER,
	DB_META_PUT,
	DB_META_GET,
	DB_LOAD_SESSIONS,
	DB_LOAD_SUBSCRIPTIONS,
	DB_LOAD_RETAINED,
	DB_LOAD_BANS,
	DB_LAST_ID,
	DB_USED,
	DB_NAMESPACES,
	DB_NAMESPACE_PUT,
	DB_STATEMENTS
};

struct db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[DB_STATEMENTS];
	char *path;
	int lock_fd;
	uint8_t key[16];
	uint64_t last_id; /* without its low 8 bits: the largest there was when it was opened */
};

/* Open or make the file, lock it, bring it to the newest form. Logs what is wrong. 0 or -errno. */
int db_open(struct db *db, const struct store_config *config);
/* It was closed in order, if `clean`. */
void db_close(struct db *db, bool clean);

/* Remove all there is, but the key, within a transaction. */
int db_empty(struct db *db);

/* -errno of an error of SQLite's; -EBADMSG: the file is damaged. */
int db_error(int rc);

/* A statement, ready for the binding of parameters. */
sqlite3_stmt *db_use(struct db *db, enum db_statement which);
/* Run one that returns no rows, and reset it. SQLITE_OK or an error. */
int db_run(sqlite3_stmt *st);
/* The same with up to two parameters. */
int db_run1(struct db *db, enum db_statement which, uint64_t a);
int db_run2(struct db *db, enum db_statement which, uint64_t a, uint64_t b);
/* SQLITE_ROW with the first column, SQLITE_DONE without a row (*out 0), or an error; it is reset. */
int db_number(sqlite3_stmt *st, uint64_t *out);

void db_bind_number(sqlite3_stmt *st, int at, uint64_t n);
void db_bind_bytes(sqlite3_stmt *st, int at, const void *data, size_t len); /* a BLOB; borrowed; NULL is NULL */
void db_bind_text(sqlite3_stmt *st, int at, const void *data, size_t len);  /* the same as TEXT */

/* Message: columns qos, topic, payload, properties, expires, origin, ns from `column` on. NULL without memory. */
struct message *db_message(sqlite3_stmt *st, int column, uint64_t id);

/* Milliseconds of the wall clock. */
uint64_t db_now_ms(void);

/* Rows that have the same message usually follow one another: how many there are is written once, with the message. */
struct db_unit {
	struct message *message; /* borrowed */
	uint32_t refs;		 /* rows since it was last written */
};
/* Apply an operation, but no STORE_READ. SQLITE_OK or an error. apply.c */
int db_apply_op(struct db *db, struct db_unit *unit, const struct store_op *op);
/* After the last one of a transaction. */
int db_unit_end(struct db *db, struct db_unit *unit);
/* Remove some of what ended sessions left. *more: not all. */
int db_clean(struct db *db, unsigned rows, bool *more);

/* store_load(). load.c */
int db_load(struct db *db, const struct store_reader *reader, void *arg);

/* store_namespaces() and store_namespace(). load.c */
int db_namespaces(struct db *db, int (*each)(void *arg, uint64_t number, struct store_bytes name), void *arg);
int db_namespace(struct db *db, uint16_t number, const char *name);

/* Answer a page. page.c */
int db_read_page(struct db *db, uint64_t session, struct store_page *page);

#endif
