// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a session has in the store, read back. */
#include <stdlib.h>
#include <string.h>

#include "store/db.h"

void store_page_clear(struct store_page *page)
{
	for (unsigned i = 0; i < page->n; i++) {
		struct store_row *r = &page->rows[i];

		message_drop(&r->message);
		free(r->text.data);
		free(r->ids.data);
	}
	free(page->rows);
	page->rows = NULL;
	page->n = 0;
}

static int copy(sqlite3_stmt *st, int column, struct store_bytes *out)
{
	const void *from = sqlite3_column_blob(st, column);

	*out = (struct store_bytes){.len = (uint32_t)sqlite3_column_bytes(st, column)};
	if (!from)
		return SQLITE_OK;
	out->data = malloc(out->len);
	if (!out->data)
		return SQLITE_NOMEM;
	memcpy(out->data, from, out->len);
	return SQLITE_OK;
}

/* A new row at the end; NULL without memory. */
static struct store_row *append(struct store_page *page)
{
	struct store_row *rows;

	if ((page->n & (page->n - 1)) == 0) { /* full: it is as long as a power of two */
		rows = realloc(page->rows, (page->n ? 2 * page->n : 1) * sizeof(*rows));
		if (!rows)
			return NULL;
		page->rows = rows;
	}
	page->rows[page->n] = (struct store_row){0};
	return &page->rows[page->n++];
}

/* Messages of this page are read once. */
static int take_message(sqlite3_stmt *st, int column, struct store_page *page, struct store_row *r)
{
	uint64_t id = (uint64_t)sqlite3_column_int64(st, column);

	if (!id || sqlite3_column_type(st, column + 1) == SQLITE_NULL)
		return SQLITE_OK;
	if (page->n > 1 && r[-1].message && r[-1].message->stored == id)
		r->message = message_ref(r[-1].message);
	else
		r->message = db_message(st, column + 1, id);
	return r->message ? SQLITE_OK : SQLITE_NOMEM;
}

static int read_held(struct db *db, uint64_t session, struct store_page *page)
{
	sqlite3_stmt *st = db_use(db, DB_HELD_OF);
	int rc;

	db_bind_number(st, 1, session);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_row *r = append(page);

		if (!r) {
			rc = SQLITE_NOMEM;
			break;
		}
		r->state = STORE_IS_HELD;
		r->id = (uint64_t)sqlite3_column_int64(st, 0);
		r->pid = (uint16_t)sqlite3_column_int(st, 1);
		r->retain = sqlite3_column_int(st, 2);
		rc = take_message(st, 3, page, r);
		if (rc != SQLITE_OK)
			break;
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool is_known(const struct store_page *page, uint64_t id)
{
	return (id & 0xff) < page->nknown && id <= page->known[id & 0xff];
}

static int take_delivery(sqlite3_stmt *st, struct store_page *page)
{
	struct store_row *r = append(page);
	int rc;

	if (!r)
		return SQLITE_NOMEM;
	r->id = (uint64_t)sqlite3_column_int64(st, 0);
	r->state = (enum store_state)sqlite3_column_int(st, 1);
	r->pid = (uint16_t)sqlite3_column_int(st, 2);
	r->qos = (uint8_t)sqlite3_column_int(st, 3);
	r->retain = sqlite3_column_int(st, 4);
	r->subscribed = sqlite3_column_int(st, 5);
	rc = copy(st, 6, &r->ids);
	if (rc == SQLITE_OK)
		rc = copy(st, 7, &r->text);
	r->order = (uint64_t)sqlite3_column_int64(st, 8);
	return rc == SQLITE_OK ? take_message(st, 9, page, r) : rc;
}

/* Is this row asked for? */
static bool wanted(sqlite3_stmt *st, const struct store_page *page)
{
	if (page->shared && (sqlite3_column_type(st, 7) == SQLITE_NULL || sqlite3_column_type(st, 9) == SQLITE_NULL))
		return false;
	if (!page->all && !page->shared && sqlite3_column_int(st, 1) != STORE_QUEUED)
		return false;
	return !is_known(page, (uint64_t)sqlite3_column_int64(st, 0));
}

static int read_deliveries(struct db *db, uint64_t session, struct store_page *page)
{
	sqlite3_stmt *st = db_use(db, DB_DELIVERIES_OF);
	unsigned queued = 0;
	int rc;

	db_bind_number(st, 1, session);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (!wanted(st, page))
			continue;
		/* What a session leaves to others is read at once: it ends behind this. */
		if (!page->shared && sqlite3_column_int(st, 1) == STORE_QUEUED && queued++ == STORE_PAGE) {
			page->more = true;
			rc = SQLITE_DONE;
			break;
		}
		rc = take_delivery(st, page);
		if (rc != SQLITE_OK)
			break;
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Held, sent, queued. */
static int rank(const struct store_row *r)
{
	return r->state == STORE_IS_HELD ? 0 : r->state != STORE_QUEUED ? 1 : 2;
}

static int compare(const void *x, const void *y)
{
	const struct store_row *a = x, *b = y;
	uint64_t i = rank(a) == 1 ? a->order : a->id, j = rank(b) == 1 ? b->order : b->id;

	return rank(a) != rank(b) ? rank(a) - rank(b) : i < j ? -1 : i > j;
}

int db_read_page(struct db *db, uint64_t session, struct store_page *page)
{
	int rc = page->all ? read_held(db, session, page) : SQLITE_OK;

	if (rc == SQLITE_OK)
		rc = read_deliveries(db, session, page);
	if (page->all && page->n)
		qsort(page->rows, page->n, sizeof(page->rows[0]), compare);
	return rc;
}
