/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The first form of the store, as it was released, with something in every table: never to be changed. Whoever changes
 * user/store/schema.c sees by it that what is on people's disks still comes over. */
#ifndef SHUNT_SCHEMA_1_H
#define SHUNT_SCHEMA_1_H

static const char schema_1[] =
	"PRAGMA application_id = 1399352948; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE session(id INTEGER PRIMARY KEY, client_id TEXT NOT NULL, expiry INTEGER NOT NULL, away INTEGER,"
	" will INTEGER, will_retain INTEGER, will_delay INTEGER);"
	"CREATE TABLE ended(session INTEGER PRIMARY KEY);"
	"CREATE TABLE subscription(place INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL,"
	" filter TEXT NOT NULL, options INTEGER NOT NULL, identifier INTEGER NOT NULL, UNIQUE(session, filter));"
	"CREATE TABLE message(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, qos INTEGER NOT NULL, topic TEXT NOT NULL,"
	" payload BLOB NOT NULL, properties BLOB, expires INTEGER, origin INTEGER NOT NULL);"
	"CREATE TABLE delivery(session INTEGER, id INTEGER, message INTEGER, state INTEGER NOT NULL, pid INTEGER,"
	" sent INTEGER,"
	" qos INTEGER NOT NULL, retain INTEGER NOT NULL, subscribed INTEGER NOT NULL, identifiers BLOB, share TEXT,"
	" PRIMARY KEY(session, id)) WITHOUT ROWID;"
	"CREATE TABLE held(session INTEGER, pid INTEGER, id INTEGER NOT NULL, message INTEGER, retain INTEGER NOT NULL,"
	" PRIMARY KEY(session, pid)) WITHOUT ROWID;"
	"CREATE TABLE retained(topic TEXT PRIMARY KEY, message INTEGER NOT NULL) WITHOUT ROWID;";

/* Session 257 of client s, with a will, a subscription, a delivery that waits, one that was sent and one that waits for
 * PUBCOMP, and a held message; session 513, which ended; a retained message. */
static const char rows_1[] =
	"INSERT INTO meta VALUES('key', x'000102030405060708090a0b0c0d0e0f'), ('clean', x'01');"
	"INSERT INTO session VALUES(257, 's', 100, 1700000000000, 769, 1, 7);"
	"INSERT INTO ended VALUES(513);"
	"INSERT INTO subscription(session, filter, options, identifier) VALUES(257, 't/#', 2, 9);"
	"INSERT INTO message VALUES(769, 1, 1, 'will', x'77', NULL, NULL, 77),"
	" (1025, 2, 1, 't/1', x'6f6e65', x'03000174', NULL, 77), (1281, 1, 2, 't/2', x'74776f', NULL, 4102444800000, 77),"
	" (1537, 1, 1, 'r', x'72', NULL, NULL, 77), (1793, 1, 1, 'gone', x'67', NULL, NULL, 77);"
	"INSERT INTO delivery VALUES(257, 2049, 1025, 0, 0, 0, 1, 0, 0, x'09000000', NULL),"
	" (257, 2305, 1025, 1, 5, 3073, 1, 1, 0, NULL, NULL), (257, 2561, NULL, 2, 6, 3329, 2, 0, 0, NULL, NULL),"
	" (513, 2817, 1793, 0, 0, 0, 1, 0, 0, NULL, NULL);"
	"INSERT INTO held VALUES(257, 500, 3585, 1281, 1);"
	"INSERT INTO retained VALUES('r', 1537);";

#endif
