// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/batch.h"
#include "store/db.h"

enum {
	RETRY_MS = 1000,
	LAZY_MS = 1000,	  /* between commits that nobody waits for */
	CLEAN_ROWS = 256, /* at once, of sessions that ended */
};

struct store {
	struct db db;
	enum store_durability durability;
	uint32_t batch_ms;
	uint64_t next_id; /* atomic */
	pthread_t thread;
	bool started;
	bool damaged; /* that was seen: the thread's, while it runs */

	/* the thread's */
	struct loop loop;
	struct list group; /* batches that are not on disk */
	struct store_fold fold;
	unsigned open_units;
	bool stopping, cleaning;
	bool due; /* the group is to be committed now */
	struct timer commit;

	/* for store_stats() */
	uint64_t operations, waiting; /* atomic */
	pthread_mutex_t lock;
	struct store_stats stats; /* the rest; under the lock */
};

/* ---- batches ----------------------------------------------------------------------------------------------------- */

void store_op_clear(struct store_op *op)
{
	message_drop(&op->message);
	free(op->text.data);
	free(op->ids.data);
	free(op->username.data);
	free(op->listener.data);
}

void store_batch_free(struct store_batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		store_op_clear(&b->entry[i].op);
	free(b);
}

uint64_t store_new_id(struct store_client *c)
{
	return __atomic_add_fetch(&c->store->next_id, 1, __ATOMIC_RELAXED) << 8 | c->index;
}

void store_name_message(struct store_client *c, struct message *m)
{
	uint64_t none = 0;

	if (!__atomic_load_n(&m->stored, __ATOMIC_RELAXED))
		__atomic_compare_exchange_n(&m->stored, &none, store_new_id(c), false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

struct store_op *store_op(struct store_client *c, enum store_kind kind)
{
	struct store_batch *b = c->batch;
	struct store_entry *e;

	if (b && b->n == STORE_BATCH) {
		store_flush(c);
		b = NULL;
	}
	if (!b) {
		b = malloc(sizeof(*b));
		if (!b) {
			store_failed(c);
			return NULL;
		}
		b->client = c;
		b->bytes = 0;
		b->n = 0;
		c->batch = b;
	}
	e = &b->entry[b->n++];
	c->operations++;
	e->op = (struct store_op){.kind = kind};
	return &e->op;
}

void store_unit(struct store_client *c, bool begin)
{
	c->in_unit = begin;
	/* The store waits for the end of the unit that an earlier batch began. */
	if (!begin && !c->batch && c->unit_sent)
		(void)!store_op(c, STORE_NOTHING);
}

static void receive_batch(struct inbox_item *item, void *receiver);

void store_flush(struct store_client *c)
{
	struct store_batch *b = c->batch;

	if (!b)
		return;
	for (unsigned i = 0; i < b->n; i++)
		b->bytes += sizeof(b->entry[0]) + (b->entry[i].op.message ? message_size(b->entry[i].op.message) : 0);
	c->batch = NULL;
	c->sent++;
	c->pending += b->bytes;
	b->in_unit = c->unit_sent = c->in_unit;
	b->item.receive = receive_batch;
	loop_send(&c->store->loop, &b->item);
}

/* In the client's thread again. */
static void receive_done(struct inbox_item *item, void *receiver)
{
	struct store_batch *b = container_of(item, struct store_batch, item);
	struct store_client *c = b->client;

	(void)receiver;
	c->done++;
	c->pending -= b->bytes;
	store_batch_free(b);
	c->notice(c);
}

/* ---- the group: all of it in one transaction ------------------------------------------------------------------------ */

/* A page of the file is damaged that nothing has needed until now: opening does not look at all of them when it was closed
 * in order. Now it was not, and the next start does. */
static void found_damaged(struct store *s)
{
	if (!s->damaged)
		log_error(
			"Error: The store %s is damaged: %s. Who has something there cannot connect; a restart of the "
			"daemon looks at all of it, see the option persistence_damaged.",
			s->db.path, sqlite3_errmsg(s->db.sqlite));
	s->damaged = true;
}

static int answer(struct store *s, struct store_client *c, struct store_op *op)
{
	struct store_page *page = op->page;
	int rc = db_read_page(&s->db, op->session, page);

	if (rc != SQLITE_OK) {
		if (db_error(rc) == -EBADMSG)
			found_damaged(s);
		store_page_clear(page);
		page->error = rc == SQLITE_NOMEM ? -ENOMEM : -EIO;
	}
	op->kind = STORE_NOTHING; /* the group may have to be tried again */
	loop_send(c->loop, &page->item);
	return SQLITE_OK;
}

static int apply_batch(struct store *s, struct db_unit *unit, struct store_batch *b)
{
	int rc = SQLITE_OK;

	for (unsigned i = 0; i < b->n && rc == SQLITE_OK; i++) {
		struct store_op *op = &b->entry[i].op;

		if (op->kind == STORE_SESSION_END)
			s->cleaning = true;
		if (op->kind != STORE_READ) {
			rc = db_apply_op(&s->db, unit, op);
			continue;
		}
		rc = db_unit_end(&s->db, unit);
		if (rc == SQLITE_OK)
			rc = answer(s, b->client, op);
	}
	return rc;
}

static int apply_group(struct store *s)
{
	struct db_unit unit = {0};
	int rc = db_run(db_use(&s->db, DB_BEGIN));

	for (struct list *l = s->group.next; l != &s->group && rc == SQLITE_OK; l = l->next)
		rc = apply_batch(s, &unit, container_of(l, struct store_batch, link));
	if (rc == SQLITE_OK)
		rc = db_unit_end(&s->db, &unit);
	if (rc == SQLITE_OK)
		rc = db_run(db_use(&s->db, DB_COMMIT));
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->db.sqlite))
		db_run(db_use(&s->db, DB_ROLLBACK));
	return rc;
}

static void give_back(struct store *s)
{
	struct list *l;

	store_fold_forget(&s->fold);
	while ((l = list_pop(&s->group))) {
		struct store_batch *b = container_of(l, struct store_batch, link);

		unsigned n = b->n;

		if (s->stopping) {
			store_batch_free(b);
		} else {
			b->item.receive = receive_done;
			loop_send(b->client->loop, &b->item);
		}
		/* Who sees that nothing waits any more: the workers know it, too. */
		__atomic_sub_fetch(&s->waiting, n, __ATOMIC_RELEASE);
	}
}

static void note(struct store *s, int rc, const char *error, uint64_t took_ns)
{
	struct store_stats *st = &s->stats;
	bool was;

	pthread_mutex_lock(&s->lock);
	was = st->failing;
	st->failing = rc != SQLITE_OK;
	if (rc == SQLITE_OK) {
		st->commits++;
		if (took_ns / 1000 > st->slowest_us)
			st->slowest_us = took_ns / 1000;
	} else {
		st->failures++;
		snprintf(st->error, sizeof(st->error), "%s", error);
	}
	pthread_mutex_unlock(&s->lock);
	if (rc != SQLITE_OK && !was)
		log_error("Error: Unable to write the store %s: %s. Nothing is lost, but what must be on disk is not "
			  "acknowledged until it is; trying again each second.",
			  s->db.path, error);
	else if (rc == SQLITE_OK && was)
		log_notice("The store %s can be written again.", s->db.path);
}

static void commit_late(struct timer *t)
{
	container_of(t, struct store, commit)->due = true;
}

static void commit_group(struct store *s)
{
	uint64_t begin = clock_ns();
	int rc;

	s->due = false;
	rc = apply_group(s);
	note(s, rc, sqlite3_errmsg(s->db.sqlite), clock_ns() - begin);
	if (rc == SQLITE_OK)
		give_back(s);
	else if (!s->stopping)
		loop_after(&s->loop, &s->commit, RETRY_MS, commit_late);
}

static void clean(struct store *s)
{
	bool more = true;
	int rc = db_run(db_use(&s->db, DB_BEGIN));

	if (rc == SQLITE_OK)
		rc = db_clean(&s->db, CLEAN_ROWS, &more);
	if (rc == SQLITE_OK)
		rc = db_run(db_use(&s->db, DB_COMMIT));
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(s->db.sqlite))
		db_run(db_use(&s->db, DB_ROLLBACK));
	s->cleaning = rc == SQLITE_OK && more;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void receive_batch(struct inbox_item *item, void *receiver)
{
	struct store_batch *b = container_of(item, struct store_batch, item);
	struct store *s = receiver;
	struct store_client *c = b->client;

	s->open_units += b->in_unit - c->open_unit;
	c->open_unit = b->in_unit;
	__atomic_add_fetch(&s->waiting, b->n, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->operations, b->n, __ATOMIC_RELAXED);
	store_fold(&s->fold, b);
	list_init(&b->link);
	list_push(&s->group, &b->link);
	for (unsigned i = 0; i < b->n; i++)
		s->due |= b->entry[i].op.kind == STORE_READ;
	if (s->commit.armed)
		return;
	if (s->durability == STORE_SYNC)
		s->due = true;
	else
		loop_after(&s->loop, &s->commit, s->durability == STORE_BATCHES ? s->batch_ms : LAZY_MS, commit_late);
}

static void receive_stop(struct inbox_item *item, void *receiver)
{
	(void)item;
	((struct store *)receiver)->stopping = true;
}

static void *run(void *arg)
{
	struct store *s = arg;

	pthread_setname_np(pthread_self(), "store");
	while (!s->stopping) {
		/* What is left of a unit is on its way. */
		bool now = s->due && !s->open_units;

		if (now && !list_empty(&s->group))
			commit_group(s);
		else if (s->cleaning)
			clean(s);
		loop_turn(&s->loop, s->cleaning || (s->due && !s->open_units), s);
	}
	if (!list_empty(&s->group))
		commit_group(s);
	return NULL;
}

int store_start(struct store *s)
{
	int rc = loop_open(&s->loop);

	if (rc)
		return rc;
	s->loop.outside_rcu = true;
	rc = -pthread_create(&s->thread, NULL, run, s);
	s->started = !rc;
	return rc;
}

int store_namespaces(struct store *s, int (*each)(void *arg, uint64_t number, struct store_bytes name), void *arg)
{
	int rc = db_namespaces(&s->db, each, arg);

	s->damaged = rc == -EBADMSG;
	return rc;
}

int store_namespace(struct store *s, uint16_t number, const char *name)
{
	return db_namespace(&s->db, number, name);
}

int store_load(struct store *s, const struct store_reader *reader, void *arg)
{
	int rc = db_load(&s->db, reader, arg);

	s->damaged = rc == -EBADMSG;
	return rc;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int store_open(struct store **out, const struct store_config *config)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->durability = config->durability;
	s->batch_ms = config->batch_ms;
	s->loop.epoll_fd = s->loop.wake_fd = -1;
	s->cleaning = true; /* there may be something left */
	pthread_mutex_init(&s->lock, NULL);
	list_init(&s->group);
	rc = db_open(&s->db, config);
	if (rc) {
		pthread_mutex_destroy(&s->lock);
		free(s);
		return rc;
	}
	s->next_id = s->db.last_id >> 8;
	*out = s;
	return 0;
}

const uint8_t *store_key(const struct store *s)
{
	return s->db.key;
}

bool store_waits(const struct store *s)
{
	return s->durability == STORE_SYNC;
}

/* What was sent to a thread that never ran. */
static void drop_unreceived(struct store *s)
{
	struct inbox_item *item = inbox_take(&s->loop.inbox);

	while (item) {
		struct store_batch *b = container_of(item, struct store_batch, item);

		item = item->next;
		store_batch_free(b);
	}
}

void store_close(struct store *s)
{
	struct inbox_item stop = {.receive = receive_stop};

	if (!s)
		return;
	if (s->started) {
		loop_send(&s->loop, &stop);
		pthread_join(s->thread, NULL);
	}
	drop_unreceived(s);
	if (!list_empty(&s->group)) {
		log_error("Error: %llu changes could not be written to the store %s and are lost.",
			  (unsigned long long)s->waiting, s->db.path);
		give_back(s);
	}
	db_close(&s->db, !s->stats.failing && !s->damaged);
	table_free(&s->fold.table);
	loop_close(&s->loop);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void store_stats(struct store *s, struct store_stats *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->stats;
	out->waiting = __atomic_load_n(&s->waiting, __ATOMIC_RELAXED);
	out->operations = __atomic_load_n(&s->operations, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&s->lock);
}
