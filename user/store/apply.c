// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Operations become rows. */
#include "base/clock.h"
#include "store/db.h"

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* Wall clock of the time when it expires. Of a will, which is not published yet, the interval, as a negative number. */
static void bind_expires(sqlite3_stmt *st, int at, const struct message *m)
{
	uint64_t now = clock_ns(), expires = __atomic_load_n(&m->expires_ns, __ATOMIC_RELAXED);

	if (!m->expires)
		sqlite3_bind_null(st, at);
	else if (!expires)
		sqlite3_bind_int64(st, at, -(sqlite3_int64)m->expiry);
	else
		db_bind_number(st, at, db_now_ms() + (expires > now ? (expires - now) / NS_PER_MS : 0));
}

/* So many more rows have it. It may be in the table or not: it was forgotten, or comes first this way. */
static int message_wanted(struct db *db, const struct message *m, uint32_t refs)
{
	const struct mqtt_str topic = message_topic(m), payload = message_payload(m), props = message_props(m);
	sqlite3_stmt *st = db_use(db, DB_MESSAGE_PUT);

	db_bind_number(st, 1, m->stored);
	db_bind_number(st, 2, refs);
	db_bind_number(st, 3, m->qos);
	db_bind_text(st, 4, topic.data, topic.len);
	sqlite3_bind_blob64(st, 5, payload.data, payload.len, SQLITE_STATIC);
	db_bind_bytes(st, 6, props.len ? props.data : NULL, props.len);
	bind_expires(st, 7, m);
	db_bind_number(st, 8, m->origin);
	db_bind_number(st, 9, m->ns);
	return db_run(st);
}

/* A row that had it is gone. Most messages have one row: to count down first would write theirs twice. */
static int message_unwanted(struct db *db, uint64_t id)
{
	int rc;

	if (!id)
		return SQLITE_OK;
	rc = db_run1(db, DB_MESSAGE_DELETE, id);
	if (rc != SQLITE_OK || sqlite3_changes(db->sqlite))
		return rc;
	return db_run1(db, DB_MESSAGE_UNREF, id);
}

/* Run a statement whose row is a message identifier or nothing, and that row has the message no more. */
static int message_let_go(struct db *db, sqlite3_stmt *st)
{
	uint64_t id;
	int rc = db_number(st, &id);

	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? SQLITE_OK : rc;
	return message_unwanted(db, id);
}

static sqlite3_stmt *use2(struct db *db, enum db_statement which, uint64_t a, uint64_t b)
{
	sqlite3_stmt *st = db_use(db, which);

	db_bind_number(st, 1, a);
	db_bind_number(st, 2, b);
	return st;
}

static sqlite3_stmt *use_text(struct db *db, enum db_statement which, int at, const struct store_bytes *text)
{
	sqlite3_stmt *st = db_use(db, which);

	db_bind_text(st, at, text->data, text->len);
	return st;
}

int db_unit_end(struct db *db, struct db_unit *unit)
{
	int rc = SQLITE_OK;

	if (unit->refs)
		rc = message_wanted(db, unit->message, unit->refs);
	*unit = (struct db_unit){0};
	return rc;
}

/* One more row has it; rows that follow one another usually have the same. */
static int want(struct db *db, struct db_unit *unit, struct message *m)
{
	int rc = SQLITE_OK;

	if (unit->message != m)
		rc = db_unit_end(db, unit);
	unit->message = m;
	unit->refs++;
	return rc;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static int put_session(struct db *db, const struct store_op *op)
{
	sqlite3_stmt *st = use_text(db, DB_SESSION_PUT, 2, &op->text);

	db_bind_number(st, 1, op->session);
	db_bind_number(st, 3, op->expiry);
	if (op->away)
		db_bind_number(st, 4, db_now_ms());
	else
		sqlite3_bind_null(st, 4);
	db_bind_number(st, 5, op->ns);
	return db_run(st);
}

static int drop_will(struct db *db, uint64_t session)
{
	sqlite3_stmt *st = db_use(db, DB_SESSION_WILL);

	db_bind_number(st, 1, session);
	return message_let_go(db, st);
}

static int put_will(struct db *db, struct db_unit *unit, const struct store_op *op)
{
	sqlite3_stmt *st;
	int rc = drop_will(db, op->session);

	if (rc == SQLITE_OK && op->message)
		rc = want(db, unit, op->message);
	if (rc != SQLITE_OK)
		return rc;
	st = db_use(db, DB_SESSION_WILL_PUT);
	db_bind_number(st, 1, op->session);
	if (op->message)
		db_bind_number(st, 2, op->message->stored);
	else
		sqlite3_bind_null(st, 2);
	db_bind_number(st, 3, op->retain);
	db_bind_number(st, 4, op->delay);
	return db_run(st);
}

/* What it may have much of is left to db_clean(). */
static int end_session(struct db *db, uint64_t session)
{
	int rc = drop_will(db, session);

	if (rc == SQLITE_OK)
		rc = db_run1(db, DB_SUBSCRIPTIONS_DELETE, session);
	if (rc == SQLITE_OK)
		rc = db_run1(db, DB_SESSION_DELETE, session);
	return rc == SQLITE_OK ? db_run1(db, DB_ENDED_PUT, session) : rc;
}

static int put_subscription(struct db *db, const struct store_op *op)
{
	sqlite3_stmt *st = use_text(db, DB_SUBSCRIPTION_PUT, 2, &op->text);

	db_bind_number(st, 1, op->session);
	db_bind_number(st, 3, op->options);
	db_bind_number(st, 4, op->number);
	return db_run(st);
}

static int delete_subscription(struct db *db, const struct store_op *op)
{
	sqlite3_stmt *st = use_text(db, DB_SUBSCRIPTION_DELETE, 2, &op->text);

	db_bind_number(st, 1, op->session);
	return db_run(st);
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static int put_delivery(struct db *db, struct db_unit *unit, const struct store_op *op)
{
	sqlite3_stmt *st = db_use(db, DB_DELIVERY_PUT);
	int rc;

	db_bind_number(st, 1, op->session);
	db_bind_number(st, 2, op->id);
	db_bind_number(st, 3, op->message->stored);
	db_bind_number(st, 4, op->pid ? STORE_WAITS_ACK : STORE_QUEUED);
	db_bind_number(st, 5, op->pid);
	db_bind_number(st, 6, op->qos);
	db_bind_number(st, 7, op->retain);
	db_bind_number(st, 8, op->subscribed);
	db_bind_bytes(st, 9, op->ids.data, op->ids.len);
	db_bind_text(st, 10, op->text.data, op->text.len);
	db_bind_number(st, 11, op->order);
	db_bind_number(st, 12, message_size(op->message));
	rc = db_run(st);
	/* The session may have ended since the message was on its way to it. */
	return rc == SQLITE_OK && sqlite3_changes(db->sqlite) ? want(db, unit, op->message) : rc;
}

static int sent(struct db *db, const struct store_op *op)
{
	sqlite3_stmt *st = use2(db, DB_DELIVERY_SENT, op->session, op->id);

	db_bind_number(st, 3, op->pid);
	db_bind_number(st, 4, op->order);
	return db_run(st);
}

static int released(struct db *db, const struct store_op *op)
{
	int rc = message_let_go(db, use2(db, DB_DELIVERY_MESSAGE, op->session, op->id));

	return rc == SQLITE_OK ? db_run2(db, DB_DELIVERY_RELEASED, op->session, op->id) : rc;
}

static int put_held(struct db *db, struct db_unit *unit, const struct store_op *op)
{
	sqlite3_stmt *st = use2(db, DB_HELD_PUT, op->session, op->pid);
	int rc = op->message ? want(db, unit, op->message) : SQLITE_OK;

	if (rc != SQLITE_OK)
		return rc;
	db_bind_number(st, 3, op->id);
	if (op->message)
		db_bind_number(st, 4, op->message->stored);
	else
		sqlite3_bind_null(st, 4);
	db_bind_number(st, 5, op->retain);
	return db_run(st);
}

static int held_early(struct db *db, const struct store_op *op)
{
	int rc = message_let_go(db, use2(db, DB_HELD_MESSAGE, op->session, op->pid));

	return rc == SQLITE_OK ? db_run2(db, DB_HELD_EARLY, op->session, op->pid) : rc;
}

/* ---- retained messages ------------------------------------------------------------------------------------------- */

/* A statement of this topic's. */
static sqlite3_stmt *use_topic(struct db *db, enum db_statement which, uint16_t ns, const struct store_bytes *topic)
{
	sqlite3_stmt *st = use_text(db, which, 1, topic);

	db_bind_number(st, 2, ns);
	return st;
}

static int forget(struct db *db, uint16_t ns, const struct store_bytes *topic)
{
	int rc = message_let_go(db, use_topic(db, DB_RETAINED_GET, ns, topic));

	return rc == SQLITE_OK ? db_run(use_topic(db, DB_RETAINED_DELETE, ns, topic)) : rc;
}

static int retain(struct db *db, struct db_unit *unit, const struct store_op *op)
{
	const struct mqtt_str topic = message_topic(op->message);
	const struct store_bytes text = {(uint8_t *)topic.data, topic.len};
	uint16_t ns = op->message->ns;
	sqlite3_stmt *st;
	int rc = message_let_go(db, use_topic(db, DB_RETAINED_GET, ns, &text));

	if (rc == SQLITE_OK)
		rc = want(db, unit, op->message);
	if (rc != SQLITE_OK)
		return rc;
	st = use_topic(db, DB_RETAINED_PUT, ns, &text);
	db_bind_number(st, 3, op->message->stored);
	db_bind_text(st, 4, op->text.data, op->text.len);
	db_bind_text(st, 5, op->username.data, op->username.len);
	db_bind_text(st, 6, op->listener.data, op->listener.len);
	return db_run(st);
}

/* ---- bans -------------------------------------------------------------------------------------------------------- */

static int put_ban(struct db *db, const struct store_op *op)
{
	sqlite3_stmt *st = db_use(db, DB_BAN_PUT);
	uint64_t now = clock_ns(), wall = db_now_ms();

	db_bind_number(st, 1, op->number);
	db_bind_text(st, 2, op->text.data, op->text.len);
	db_bind_number(st, 3, op->ns);
	db_bind_number(st, 4, wall - (now - op->order) / NS_PER_MS);
	if (op->id)
		db_bind_number(st, 5, wall + (op->id > now ? (op->id - now) / NS_PER_MS : 0));
	else
		sqlite3_bind_null(st, 5);
	db_bind_number(st, 6, op->retain);
	db_bind_text(st, 7, op->ids.data, op->ids.len);
	return db_run(st);
}

static int delete_ban(struct db *db, const struct store_op *op)
{
	sqlite3_stmt *st = db_use(db, DB_BAN_DELETE);

	db_bind_number(st, 1, op->number);
	db_bind_text(st, 2, op->text.data, op->text.len);
	db_bind_number(st, 3, op->ns);
	return db_run(st);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

int db_apply_op(struct db *db, struct db_unit *unit, const struct store_op *op)
{
	int rc = SQLITE_OK;

	/* What follows may let go of a message: those that want it must have said so. */
	if (op->kind != STORE_DELIVERY && op->kind != STORE_HELD)
		rc = db_unit_end(db, unit);
	if (rc != SQLITE_OK)
		return rc;
	switch (op->kind) {
	case STORE_NOTHING:
		return SQLITE_OK;
	case STORE_SESSION:
		return put_session(db, op);
	case STORE_SESSION_END:
		return end_session(db, op->session);
	case STORE_WILL:
		return put_will(db, unit, op);
	case STORE_SUBSCRIBE:
		return put_subscription(db, op);
	case STORE_UNSUBSCRIBE:
		return delete_subscription(db, op);
	case STORE_DELIVERY:
		return put_delivery(db, unit, op);
	case STORE_SENT:
		return sent(db, op);
	case STORE_RELEASED:
		return released(db, op);
	case STORE_DELIVERED:
		return message_let_go(db, use2(db, DB_DELIVERY_DELETE, op->session, op->id));
	case STORE_HELD:
		return put_held(db, unit, op);
	case STORE_HELD_EARLY:
		return held_early(db, op);
	case STORE_HELD_OVER:
		return message_let_go(db, use2(db, DB_HELD_DELETE, op->session, op->pid));
	case STORE_RETAIN:
		return retain(db, unit, op);
	case STORE_FORGET:
		return forget(db, op->ns, &op->text);
	case STORE_BAN:
		return put_ban(db, op);
	case STORE_UNBAN:
		return delete_ban(db, op);
	case STORE_READ:
		break;
	}
	return SQLITE_MISUSE;
}

/* Rows of a session that ended, at most `left` of them: each is found, removed, and lets go of its message. */
static int clean_rows(struct db *db, enum db_statement find, int key, enum db_statement remove, uint64_t session,
		      unsigned *left)
{
	while (*left) {
		sqlite3_stmt *st = db_use(db, find);
		uint64_t row = 0;
		int rc;

		db_bind_number(st, 1, session);
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			row = (uint64_t)sqlite3_column_int64(st, key);
		sqlite3_reset(st);
		if (rc != SQLITE_ROW)
			return rc == SQLITE_DONE ? SQLITE_OK : rc;
		rc = message_let_go(db, use2(db, remove, session, row));
		if (rc != SQLITE_OK)
			return rc;
		--*left;
	}
	return SQLITE_OK;
}

int db_clean(struct db *db, unsigned rows, bool *more)
{
	for (;;) {
		uint64_t session;
		int rc = db_number(db_use(db, DB_ENDED_NEXT), &session);

		*more = rc == SQLITE_ROW;
		if (rc != SQLITE_ROW)
			return rc == SQLITE_DONE ? SQLITE_OK : rc;
		rc = clean_rows(db, DB_DELIVERIES_OF, 0, DB_DELIVERY_DELETE, session, &rows);
		if (rc == SQLITE_OK)
			rc = clean_rows(db, DB_HELD_OF, 1, DB_HELD_DELETE, session, &rows);
		if (rc != SQLITE_OK || !rows)
			return rc;
		rc = db_run1(db, DB_ENDED_DELETE, session);
		if (rc != SQLITE_OK)
			return rc;
	}
}
