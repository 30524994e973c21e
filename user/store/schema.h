/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The tables of the database, and how an older database gets those of today. For the store's files only; whoever calls
 * has the connection for itself. */
#ifndef SHUNT_STORE_SCHEMA_H
#define SHUNT_STORE_SCHEMA_H

#include <sqlite3.h>

/* The form of a database is a number, its PRAGMA user_version: how many of the steps were done. Step 0 makes all tables
 * in an empty file, each later one changes what the one before left. A step that was released is never changed again. */
struct schema {
	int version;		  /* the newest form: the number of steps */
	const char *const *steps; /* SQL, of one or more statements */
};

/* Shunt's own. */
extern const struct schema store_schema;

/* Is it a database whose form is known, or an empty one? SQLITE_OK, SQLITE_AUTH after logging why not, or another error of
 * SQLite. Writes nothing. */
int schema_check(sqlite3 *sqlite, const char *path, const struct schema *schema);

/* Bring one that schema_check() took to the newest form: as a whole or, with an error, not at all. SQLITE_OK; SQLITE_AUTH
 * after logging an error; or SQLITE_CORRUPT or SQLITE_NOTADB, which the caller may know what to do about. */
int schema_bring(sqlite3 *sqlite, const char *path, const struct schema *schema);

#endif
