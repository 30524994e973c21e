// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/log.h"
#include "journal.h"

enum { TEXT = 1 << 16 };

static char base[64];

unsigned run_dice(struct run *r, unsigned sides)
{
	return (unsigned)(journal_random(&r->random) % sides);
}

/* ---- folders ------------------------------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_folder(const char *folder)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_folder(char *out, size_t len, const char *name)
{
	snprintf(out, len, "%s/%s", base, name);
	remove_folder(out);
	assert_int_equal(mkdir(out, 0700), 0);
}

const char *steps_base(void)
{
	return base;
}

int steps_set_up(void **state)
{
	(void)state;
	log_set_types(0);
	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/shunt-store-XXXXXX" : "/tmp/shunt-store-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

int steps_tear_down(void **state)
{
	(void)state;
	remove_folder(base);
	return 0;
}

void run_remove(struct run *r)
{
	remove_folder(r->folder);
}

/* ---- a store ------------------------------------------------------------------------------------------------------ */

void run_no_notice(struct store_client *c)
{
	(void)c;
}

void run_start(struct run *r, void (*notice)(struct store_client *))
{
	assert_int_equal(store_open(&r->store, &r->config), 0);
	r->client = (struct store_client){.store = r->store, .loop = &r->loop, .notice = notice, .index = 1};
	assert_int_equal(store_start(r->store), 0);
}

void run_begin(struct run *r, const char *name, enum store_durability durability, uint64_t seed)
{
	make_folder(r->folder, sizeof(r->folder), name);
	snprintf(r->path, sizeof(r->path), "%s/shunt.db", r->folder);
	r->config = (struct store_config){.path = r->path, .durability = durability, .batch_ms = 1};
	r->random = seed;
	assert_int_equal(loop_open(&r->loop), 0);
	r->loop.outside_rcu = true;
}

void run_end(struct run *r)
{
	store_close(r->store);
	loop_turn(&r->loop, true, r);
	loop_close(&r->loop);
}

void run_wait(struct run *r, uint64_t ticket)
{
	while (!store_done(&r->client, ticket))
		loop_turn(&r->loop, false, r);
}

/* ---- a step: one unit --------------------------------------------------------------------------------------------- */

static struct message *message(struct run *r, const char *topic, unsigned step, size_t len)
{
	char payload[8192];
	const struct mqtt_publish p = {
		.qos = 2,
		.topic = {(const uint8_t *)topic, (uint32_t)strlen(topic)},
		.payload = {(const uint8_t *)payload, (uint32_t)len},
	};
	char number[16];
	struct message *m;

	assert_true(len >= 8 && len <= sizeof(payload));
	snprintf(number, sizeof(number), "%08u", step);
	memset(payload, 'a' + (int)(step % 26), len);
	memcpy(payload, number, 8);
	m = message_stored(&p, (struct mqtt_str){0}, 7, 0);
	assert_non_null(m);
	store_name_message(&r->client, m);
	return m;
}

static struct store_op *say(struct run *r, enum store_kind kind, uint64_t session)
{
	struct store_op *op = store_op(&r->client, kind);

	assert_non_null(op);
	op->session = session;
	return op;
}

static struct store_bytes text(const char *s)
{
	return (struct store_bytes){(uint8_t *)strdup(s), (uint32_t)strlen(s)};
}

static void say_session(struct run *r)
{
	unsigned i = run_dice(r, SESSIONS);
	char name[16];
	struct store_op *op;

	if (r->sessions[i]) {
		op = say(r, STORE_SESSION, r->sessions[i]); /* it goes or comes */
		op->away = run_dice(r, 2);
		op->text = text("");
	} else {
		r->sessions[i] = store_new_id(&r->client);
		snprintf(name, sizeof(name), "s%u", r->named++);
		op = say(r, STORE_SESSION, r->sessions[i]);
		op->text = text(name);
	}
	op->expiry = 100 + run_dice(r, 5);
}

static void forget_rows(struct run *r, uint64_t session)
{
	for (unsigned i = 0; i < r->nrows;)
		if (r->rows[i].session == session)
			r->rows[i] = r->rows[--r->nrows];
		else
			i++;
}

static void say_end(struct run *r)
{
	uint64_t *s = &r->sessions[run_dice(r, SESSIONS)];

	if (!*s || run_dice(r, 4))
		return;
	say(r, STORE_SESSION_END, *s);
	forget_rows(r, *s);
	*s = 0;
}

static void say_will(struct run *r, unsigned step)
{
	uint64_t s = r->sessions[run_dice(r, SESSIONS)];
	struct store_op *op;

	if (!s)
		return;
	op = say(r, STORE_WILL, s);
	op->message = run_dice(r, 3) ? message(r, "will", step, 100) : NULL;
	op->delay = run_dice(r, 9);
}

static void say_subscription(struct run *r)
{
	uint64_t s = r->sessions[run_dice(r, SESSIONS)];
	char filter[16];
	struct store_op *op;

	if (!s)
		return;
	op = say(r, run_dice(r, 3) ? STORE_SUBSCRIBE : STORE_UNSUBSCRIBE, s);
	snprintf(filter, sizeof(filter), "f/%u", run_dice(r, 6));
	op->text = text(filter);
	op->options = (uint8_t)run_dice(r, 3);
}

static void add_row(struct run *r, struct store_op *op, struct message *m, enum store_state state)
{
	op->id = store_new_id(&r->client);
	op->message = message_ref(m);
	op->qos = 2;
	r->rows[r->nrows++] = (struct row){op->session, op->id, op->pid, state};
}

/* A message for some of the sessions. */
static void say_message(struct run *r, unsigned step)
{
	struct message *m = message(r, "t", step, 8 + run_dice(r, 6000));

	for (unsigned i = 0; i < SESSIONS; i++)
		if (r->sessions[i] && r->nrows < ROWS && run_dice(r, 2))
			add_row(r, say(r, STORE_DELIVERY, r->sessions[i]), m, STORE_QUEUED);
	message_unref(m);
}

static void say_held(struct run *r, unsigned step)
{
	uint64_t s = r->sessions[run_dice(r, SESSIONS)];
	struct message *m;
	struct store_op *op;

	if (!s || r->nrows == ROWS)
		return;
	m = message(r, "held", step, 8 + run_dice(r, 600));
	op = say(r, STORE_HELD, s);
	op->pid = ++r->pid;
	add_row(r, op, m, STORE_IS_HELD);
	message_unref(m);
}

/* What waits goes on. */
static void say_progress(struct run *r)
{
	struct row *row = &r->rows[run_dice(r, r->nrows)];
	struct store_op *op;

	switch (row->state) {
	case STORE_QUEUED:
		op = say(r, STORE_SENT, row->session);
		op->pid = ++r->pid;
		op->order = store_new_id(&r->client);
		op->id = row->id;
		row->state = STORE_WAITS_ACK;
		return;
	case STORE_WAITS_ACK:
		say(r, STORE_RELEASED, row->session)->id = row->id;
		row->state = STORE_WAITS_COMP;
		return;
	case STORE_WAITS_COMP:
		say(r, STORE_DELIVERED, row->session)->id = row->id;
		break;
	case STORE_IS_HELD:
		say(r, STORE_HELD_OVER, row->session)->pid = row->pid;
		break;
	}
	*row = r->rows[--r->nrows];
}

static void say_retained(struct run *r, unsigned step)
{
	char topic[16];

	snprintf(topic, sizeof(topic), "r/%u", run_dice(r, 5));
	if (run_dice(r, 3))
		say(r, STORE_RETAIN, 0)->message = message(r, topic, step, 8 + run_dice(r, 3000));
	else
		say(r, STORE_FORGET, 0)->text = text(topic);
}

/* All of a step is one unit, and ends with its number. */
void run_step(struct run *r, unsigned step)
{
	store_unit(&r->client, true);
	for (unsigned n = 1 + run_dice(r, 4); n; n--) {
		unsigned what = run_dice(r, 16);

		if (what < 2)
			say_session(r);
		else if (what == 2)
			say_end(r);
		else if (what == 3)
			say_will(r, step);
		else if (what == 4)
			say_subscription(r);
		else if (what == 5)
			say_retained(r, step);
		else if (what < 9)
			say_message(r, step);
		else if (what == 9)
			say_held(r, step);
		else if (r->nrows)
			say_progress(r);
	}
	say(r, STORE_RETAIN, 0)->message = message(r, "step", step, 8);
	store_unit(&r->client, false);
	store_flush(&r->client);
}

/* ---- what a store has --------------------------------------------------------------------------------------------- */

static const char *const questions[] = {
	"SELECT 'session', client_id, expiry, away IS NULL, substr(m.payload, 1, 8), length(m.payload), will_delay"
	" FROM session LEFT JOIN message m ON m.id = will ORDER BY client_id",
	"SELECT 'subscription', client_id, filter, options FROM subscription JOIN session ON session.id = session"
	" ORDER BY place",
	"SELECT 'delivery', client_id, state, d.pid, rank() OVER (PARTITION BY d.session ORDER BY sent),"
	" substr(m.payload, 1, 8), length(m.payload), trim(substr(m.payload, 9), substr(m.payload, 9, 1)) = ''"
	" FROM delivery d JOIN session s ON s.id = d.session LEFT JOIN message m ON m.id = d.message"
	" ORDER BY client_id, d.id",
	"SELECT 'held', client_id, pid, substr(m.payload, 1, 8), length(m.payload) FROM held h JOIN session s"
	" ON s.id = h.session LEFT JOIN message m ON m.id = h.message ORDER BY client_id, h.id",
	"SELECT 'retained', r.topic, m.topic, substr(m.payload, 1, 8), length(m.payload) FROM retained r"
	" LEFT JOIN message m ON m.id = r.message ORDER BY r.topic",
	/* Messages that nobody has, or others than say so: never any. */
	"SELECT 'wrong', m.id, m.refs FROM message m WHERE refs != (SELECT count(*) FROM session WHERE will = m.id)"
	" + (SELECT count(*) FROM delivery WHERE message = m.id) + (SELECT count(*) FROM held WHERE message = m.id)"
	" + (SELECT count(*) FROM retained WHERE message = m.id) OR refs = 0",
};

static void add_rows(sqlite3 *db, const char *sql, char *out, size_t *at)
{
	sqlite3_stmt *st;
	int rc;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			const unsigned char *s = sqlite3_column_text(st, i);

			*at += (size_t)snprintf(out + *at, TEXT - *at, "%s ", s ? (const char *)s : "-");
			assert_true(*at < TEXT);
		}
		*at += (size_t)snprintf(out + *at, TEXT - *at, "\n");
	}
	assert_int_equal(rc, SQLITE_DONE);
	sqlite3_finalize(st);
}

static sqlite3 *open_beside(const struct run *r)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(r->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	return db;
}

bool run_intact(const struct run *r)
{
	sqlite3 *db = open_beside(r);
	sqlite3_stmt *st = NULL;
	bool intact = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL) == SQLITE_OK &&
		      sqlite3_step(st) == SQLITE_ROW && !strcmp((const char *)sqlite3_column_text(st, 0), "ok");

	sqlite3_finalize(st);
	sqlite3_close(db);
	return intact;
}

/* As text, to be freed. */
char *run_contents(const struct run *r)
{
	char *out = malloc(TEXT), *shorter;
	size_t at = 0;
	sqlite3 *db = open_beside(r);

	assert_non_null(out);
	out[0] = 0;
	assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		add_rows(db, questions[i], out, &at);
	sqlite3_close(db);
	assert_null(strstr(out, "wrong"));
	shorter = strdup(out);
	free(out);
	return shorter;
}

unsigned run_step_of(const char *contents)
{
	const char *at = strstr(contents, "retained step step ");

	return at ? (unsigned)strtoul(at + strlen("retained step step "), NULL, 10) : 0;
}
