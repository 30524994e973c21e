// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The store by itself: what was sent to it is in the database, and comes back. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

/* A worker's part of it. */
struct fixture {
	char folder[64];
	char path[128];
	struct store *store;
	struct store_config config;
	struct loop loop;
	struct store_client client;
	struct store_page *page; /* the last one answered */
};

static void nothing(struct store_client *c)
{
	(void)c;
}

static void start(struct fixture *f)
{
	assert_int_equal(store_open(&f->store, &f->config), 0);
	f->client = (struct store_client){.store = f->store, .loop = &f->loop, .notice = nothing, .index = 3};
	assert_int_equal(store_start(f->store), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_types(0);
	strcpy(f->folder, "/tmp/shunt-store-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/shunt.db", f->folder);
	f->config = (struct store_config){.path = f->path};
	assert_int_equal(loop_open(&f->loop), 0);
	f->loop.outside_rcu = true;
	start(f);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	loop_turn(&f->loop, true, f); /* what came back */
	loop_close(&f->loop);
	nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	log_set_types(LOG_TYPE_DEFAULT);
	return 0;
}

/* Send, and wait until it is on disk. */
static void sync_all(struct fixture *f)
{
	store_flush(&f->client);
	while (!store_done(&f->client, store_ticket(&f->client)))
		loop_turn(&f->loop, false, f);
}

static void restart(struct fixture *f)
{
	sync_all(f);
	store_close(f->store);
	start(f);
}

static struct store_bytes text(const char *s)
{
	return (struct store_bytes){(uint8_t *)strdup(s), (uint32_t)strlen(s)};
}

static struct message *message(struct fixture *f, const char *topic, const char *payload)
{
	const struct mqtt_publish p = {
		.qos = 1,
		.topic = {(const uint8_t *)topic, (uint32_t)strlen(topic)},
		.payload = {(const uint8_t *)payload, (uint32_t)strlen(payload)},
	};
	struct message *m = message_stored(&p, (struct mqtt_str){(const uint8_t *)"\x03\x00\x01t", 4}, 77, 0);

	m->stored = store_new_id(&f->client);
	return m;
}

static uint64_t session_in(struct fixture *f, uint16_t ns, const char *id)
{
	struct store_op *op = store_op(&f->client, STORE_SESSION);

	op->session = store_new_id(&f->client);
	op->ns = ns;
	op->text = text(id);
	op->expiry = 100;
	return op->session;
}

static uint64_t session(struct fixture *f, const char *id)
{
	return session_in(f, 0, id);
}

/* A delivery of the message, whose identifier it returns. */
static uint64_t deliver(struct fixture *f, uint64_t session, struct message *m)
{
	struct store_op *op = store_op(&f->client, STORE_DELIVERY);

	op->session = session;
	op->id = store_new_id(&f->client);
	op->message = message_ref(m);
	op->qos = 1;
	return op->id;
}

static void say(struct fixture *f, enum store_kind kind, uint64_t session, uint64_t id, uint16_t pid)
{
	struct store_op *op = store_op(&f->client, kind);

	op->session = session;
	op->id = id;
	op->pid = pid;
}

/* The number that a query gives, asked by another connection, as an operator would. */
static long ask(const struct fixture *f, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	long n;

	assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (long)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void change(const struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static void answered(struct inbox_item *item, void *receiver)
{
	struct fixture *f = receiver;

	f->page = container_of(item, struct store_page, item);
}

static void ask_page(struct fixture *f, uint64_t session, struct store_page *page)
{
	struct store_op *op = store_op(&f->client, STORE_READ);

	op->session = session;
	op->page = page;
	page->item.receive = answered;
	f->page = NULL;
	store_flush(&f->client);
	while (!f->page)
		loop_turn(&f->loop, false, f);
	assert_ptr_equal(f->page, page);
}

static void read_page(struct fixture *f, uint64_t session, struct store_page *page)
{
	ask_page(f, session, page);
	assert_int_equal(page->error, 0);
}

static void assert_payload(const struct message *m, const char *payload)
{
	const struct mqtt_str p = message_payload(m);

	assert_int_equal(p.len, strlen(payload));
	assert_memory_equal(p.data, payload, p.len);
}

/* ---- what is loaded ---------------------------------------------------------------------------------------------- */

struct loaded {
	unsigned sessions, subscriptions, retained;
	char filters[256], topics[256], wills[256], ids[256], sources[256], bans[512];
	uint32_t deliveries;
	uint64_t bytes, expires_ns;
};

/* "a ", "7:a " in the namespace 7. */
static void add_text(char *to, uint16_t ns, const uint8_t *s, uint32_t len)
{
	if (ns)
		sprintf(to + strlen(to), "%u:", ns);
	strncat(to, (const char *)s, len);
	strcat(to, " ");
}

static int on_session(void *arg, const struct store_op *op, uint64_t away_ms, const struct store_op *will,
		      uint32_t deliveries, uint64_t bytes)
{
	struct loaded *l = arg;

	(void)away_ms;
	l->sessions++;
	l->deliveries += deliveries;
	l->bytes += bytes;
	assert_int_equal(op->expiry, 100);
	add_text(l->ids, op->ns, op->text.data, op->text.len);
	if (will) {
		const struct mqtt_str topic = message_topic(will->message);

		assert_int_equal(will->delay, 7);
		assert_true(will->retain);
		add_text(l->wills, will->message->ns, topic.data, topic.len);
	}
	return 0;
}

static int on_subscription(void *arg, uint16_t ns, struct store_bytes client, const struct store_op *op)
{
	struct loaded *l = arg;

	l->subscriptions++;
	assert_int_equal(client.len, 1);
	add_text(l->filters, ns, op->text.data, op->text.len);
	assert_int_equal(op->options, 2);
	assert_int_equal(op->number, 9);
	return 0;
}

static int on_retained(void *arg, const struct store_op *op)
{
	struct loaded *l = arg;
	const struct message *m = op->message;
	const struct mqtt_str topic = message_topic(m);
	const struct store_bytes *source[] = {&op->text, &op->username, &op->listener};

	l->retained++;
	l->expires_ns = m->expires ? m->expires_ns : 0;
	assert_int_equal(m->origin, 77);
	assert_int_equal(m->props_len, 4);
	add_text(l->topics, m->ns, topic.data, topic.len);
	for (int i = 0; i < 3; i++)
		add_text(l->sources, 0, source[i]->data ? source[i]->data : (const uint8_t *)"-",
			 source[i]->data ? source[i]->len : 1);
	return 0;
}

/* In hundreds of seconds: that this takes long does not matter. */
static long long hundreds(uint64_t ns)
{
	return (long long)((ns + 50 * NS_PER_S) / (100 * NS_PER_S));
}

static int on_ban(void *arg, const struct store_op *op)
{
	struct loaded *l = arg;
	size_t len = strlen(l->bans);
	uint64_t now = clock_ns();

	if (op->ns)
		len += (size_t)snprintf(l->bans + len, sizeof(l->bans) - len, "%u: ", op->ns);
	snprintf(l->bans + len, sizeof(l->bans) - len, "%u %.*s %lld %lld %d %.*s; ", op->number, (int)op->text.len,
		 (const char *)op->text.data, hundreds(now - op->order), op->id ? hundreds(op->id - now) : -1,
		 op->retain, (int)op->ids.len, (const char *)op->ids.data);
	return 0;
}

static struct loaded load(struct fixture *f)
{
	static const struct store_reader reader = {on_session, on_subscription, on_retained, on_ban};
	struct loaded l = {0};

	sync_all(f);
	store_close(f->store);
	assert_int_equal(store_open(&f->store, &f->config), 0);
	assert_int_equal(store_load(f->store, &reader, &l), 0);
	f->client = (struct store_client){.store = f->store, .loop = &f->loop, .notice = nothing, .index = 3};
	assert_int_equal(store_start(f->store), 0);
	return l;
}

static void subscribe(struct fixture *f, uint64_t s, const char *filter)
{
	struct store_op *op = store_op(&f->client, STORE_SUBSCRIBE);

	op->session = s;
	op->text = text(filter);
	op->options = 2;
	op->number = 9;
}

static void test_sessions(void **state)
{
	struct fixture *f = *state;
	uint64_t a = session(f, "a"), b = session(f, "b");
	struct message *m = message(f, "will/topic", "x");
	struct store_op *op;
	struct loaded l;

	subscribe(f, b, "z/#");
	subscribe(f, a, "y");
	subscribe(f, a, "x");
	subscribe(f, b, "z/#");
	op = store_op(&f->client, STORE_UNSUBSCRIBE);
	op->session = a;
	op->text = text("y");
	op = store_op(&f->client, STORE_WILL);
	op->session = b;
	op->message = m;
	op->retain = true;
	op->delay = 7;
	l = load(f);
	assert_int_equal(l.sessions, 2);
	assert_string_equal(l.ids, "a b ");
	assert_string_equal(l.filters, "z/# x ");
	assert_string_equal(l.wills, "will/topic ");
	op = store_op(&f->client, STORE_WILL); /* none any more */
	op->session = b;
	say(f, STORE_SESSION_END, a, 0, 0);
	l = load(f);
	assert_string_equal(l.ids, "b ");
	assert_string_equal(l.filters, "z/# ");
	assert_string_equal(l.wills, "");
	assert_int_equal(ask(f, "SELECT count(*) FROM message"), 0);
}

static void test_retained(void **state)
{
	struct fixture *f = *state;
	struct message *m = message(f, "t", "1"), *again = message(f, "t", "2"), *other = message(f, "o", "3");
	struct loaded l;

	other->expires = true;
	other->expires_ns = clock_ns() + 1000 * NS_PER_S;
	store_op(&f->client, STORE_RETAIN)->message = m;
	store_op(&f->client, STORE_RETAIN)->message = again;
	store_op(&f->client, STORE_RETAIN)->message = other;
	l = load(f);
	assert_string_equal(l.topics, "t o ");
	assert_int_equal(ask(f, "SELECT count(*) FROM message"), 2);
	assert_int_equal(ask(f, "SELECT payload = x'32' FROM message WHERE topic = 't'"), 1);
	store_op(&f->client, STORE_FORGET)->text = text("t");
	store_op(&f->client, STORE_FORGET)->text = text("never/there");
	l = load(f);
	assert_string_equal(l.topics, "o ");
	assert_in_range(l.expires_ns, clock_ns() + 900 * NS_PER_S, clock_ns() + 1000 * NS_PER_S);
	assert_int_equal(ask(f, "SELECT sum(refs) FROM message"), 1);
}

static int on_namespace(void *arg, uint64_t number, struct store_bytes name)
{
	add_text(arg, (uint16_t)number, name.data, name.len);
	return number == 99;
}

/* Namespaces have their names, sessions and messages their namespaces; what has the same name in two is not the same. */
static void test_namespaces(void **state)
{
	struct fixture *f = *state;
	struct message *m[3], *will = message(f, "w", "1");
	uint64_t s[3], last = 0;
	struct store_page page = {.all = true};
	struct store_op *op;
	struct loaded l;
	char names[64] = "";

	assert_int_equal(store_namespaces(f->store, on_namespace, names), 0);
	assert_string_equal(names, "");
	for (uint16_t ns = 0; ns < 3; ns++) {
		s[ns] = session_in(f, ns, "s");
		subscribe(f, s[ns], ns ? "x" : "y");
		m[ns] = message(f, "t", "1");
		m[ns]->ns = ns;
		store_op(&f->client, STORE_RETAIN)->message = message_ref(m[ns]);
		last = deliver(f, s[ns], m[ns]);
		message_unref(m[ns]);
	}
	will->ns = 2;
	op = store_op(&f->client, STORE_WILL);
	op->session = s[2];
	op->message = will;
	op->retain = true;
	op->delay = 7;
	l = load(f);
	assert_string_equal(l.ids, "s 1:s 2:s ");
	assert_string_equal(l.filters, "y 1:x 2:x ");
	assert_string_equal(l.topics, "t 1:t 2:t ");
	assert_string_equal(l.wills, "2:w ");
	read_page(f, s[2], &page);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.rows[0].id, last);
	assert_int_equal(page.rows[0].message->ns, 2);
	store_page_clear(&page);
	op = store_op(&f->client, STORE_FORGET);
	op->ns = 1;
	op->text = text("t");
	l = load(f);
	assert_string_equal(l.topics, "t 2:t ");
	sync_all(f);
	store_close(f->store);
	assert_int_equal(store_open(&f->store, &f->config), 0);
	assert_int_equal(store_namespace(f->store, 1, "one"), 0);
	assert_int_equal(store_namespace(f->store, 2, "one"), -EIO); /* that is taken, as is the number */
	assert_int_equal(store_namespace(f->store, 1, "two"), -EIO);
	assert_int_equal(store_namespace(f->store, 2, "two"), 0);
	store_close(f->store);
	start(f);
	assert_int_equal(store_namespaces(f->store, on_namespace, names), 0);
	assert_string_equal(names, "1:one 2:two ");
	change(f, "UPDATE namespace SET id = 99 WHERE id = 1");
	assert_int_equal(store_namespaces(f->store, on_namespace, names), 1);
}

/* Who published a retained message goes with it, as far as it is known, and so does the next one's. */
static void test_sources(void **state)
{
	struct fixture *f = *state;
	struct store_op *op = store_op(&f->client, STORE_RETAIN);

	op->message = message(f, "a", "1");
	op->text = text("c");
	op->username = text("u");
	op->listener = text("port 1883");
	op = store_op(&f->client, STORE_RETAIN);
	op->message = message(f, "b", "1");
	op->text = text("d");
	store_op(&f->client, STORE_RETAIN)->message = message(f, "c", "1");
	assert_string_equal(load(f).sources, "c u port 1883 d - - - - - ");
	op = store_op(&f->client, STORE_RETAIN);
	op->message = message(f, "a", "2");
	op->text = text("e");
	assert_string_equal(load(f).sources, "d - - - - - e - - ");
}

static void ban(struct fixture *f, unsigned kind, const char *who, int64_t ago, int64_t left, const char *reason)
{
	struct store_op *op = store_op(&f->client, STORE_BAN);

	op->number = kind;
	op->text = text(who);
	op->order = clock_ns() - (uint64_t)ago * NS_PER_S;
	op->id = left ? clock_ns() + (uint64_t)left * NS_PER_S : 0;
	op->retain = kind == 2;
	op->ids = text(reason);
}

/* Bans with their times, the last one of somebody; not those that are over or lifted, which leave the file. When the clock was
 * set back, none holds longer than it was to. */
static void test_bans(void **state)
{
	struct fixture *f = *state;
	struct store_op *op;

	ban(f, 0, "c", 0, 100, "first");
	ban(f, 0, "c", 1000, 2000, "second");
	ban(f, 1, "c", 500, 0, "");
	ban(f, 2, "192.0.2.0/24", 200, 86400, "floods");
	ban(f, 0, "over", 10, -5, "");
	ban(f, 0, "lifted", 10, 0, "");
	op = store_op(&f->client, STORE_UNBAN);
	op->text = text("lifted");
	op = store_op(&f->client, STORE_UNBAN);
	op->number = 1;
	op->text = text("never there");
	assert_string_equal(load(f).bans, "0 c 10 20 0 second; 1 c 5 -1 0 ; 2 192.0.2.0/24 2 864 1 floods; ");
	assert_int_equal(ask(f, "SELECT count(*) FROM ban"), 3);
	change(f, "UPDATE ban SET since = since + 5000000, until = until + 5000000");
	assert_string_equal(load(f).bans, "0 c 0 30 0 second; 1 c 0 -1 0 ; 2 192.0.2.0/24 0 866 1 floods; ");
	change(f, "DELETE FROM ban");
	for (uint16_t ns = 0; ns < 3; ns++) {
		op = store_op(&f->client, STORE_BAN);
		op->ns = ns;
		op->text = text("c");
		op->ids = text("");
		op->order = clock_ns();
	}
	op = store_op(&f->client, STORE_UNBAN);
	op->ns = 1;
	op->text = text("c");
	assert_string_equal(load(f).bans, "0 c 0 -1 0 ; 2: 0 c 0 -1 0 ; ");
}

/* Payloads are stored once however many sessions wait for them, and go with the last. */
static void test_payload_once(void **state)
{
	struct fixture *f = *state;
	uint64_t a = session(f, "a"), b = session(f, "b"), of_a, of_b;
	struct message *m = message(f, "temp\u00e9rature", "payload");
	struct loaded l;

	store_op(&f->client, STORE_RETAIN)->message = message_ref(m);
	of_a = deliver(f, a, m);
	of_b = deliver(f, b, m);
	l = load(f);
	assert_int_equal(l.deliveries, 2);
	assert_int_equal(l.bytes, 2 * message_size(m)); /* bytes, not characters */
	assert_int_equal(ask(f, "SELECT count(*) FROM message"), 1);
	assert_int_equal(ask(f, "SELECT refs FROM message"), 3);
	say(f, STORE_DELIVERED, a, of_a, 0);
	say(f, STORE_DELIVERED, a, of_a, 0); /* twice is once */
	store_op(&f->client, STORE_FORGET)->text = text("temp\u00e9rature");
	sync_all(f);
	assert_int_equal(ask(f, "SELECT refs FROM message"), 1);
	/* It was forgotten by all, but somebody still holds it and delivers it again. */
	say(f, STORE_DELIVERED, b, of_b, 0);
	sync_all(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM message"), 0);
	deliver(f, b, m);
	sync_all(f);
	assert_int_equal(ask(f, "SELECT refs FROM message"), 1);
	message_unref(m);
}

static void test_states(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s"), ids[4];
	struct message *m = message(f, "t", "a"), *n = message(f, "t", "b");
	struct store_page page = {.all = true};
	struct store_op *op;

	for (unsigned i = 0; i < 4; i++)
		ids[i] = deliver(f, s, i < 3 ? m : n);
	sync_all(f);
	say(f, STORE_SENT, s, ids[0], 1);
	say(f, STORE_SENT, s, ids[1], 2);
	say(f, STORE_RELEASED, s, ids[1], 0);
	op = store_op(&f->client, STORE_HELD);
	op->session = s;
	op->pid = 500;
	op->id = store_new_id(&f->client);
	op->message = message_ref(n);
	say(f, STORE_HELD_EARLY, s, 0, 500);
	restart(f);
	read_page(f, s, &page);
	assert_int_equal(page.n, 5);
	assert_false(page.more);
	assert_int_equal(page.rows[0].state, STORE_IS_HELD);
	assert_int_equal(page.rows[0].pid, 500);
	assert_null(page.rows[0].message);
	assert_int_equal(page.rows[1].state, STORE_WAITS_ACK);
	assert_int_equal(page.rows[1].pid, 1);
	assert_payload(page.rows[1].message, "a");
	assert_int_equal(page.rows[2].state, STORE_WAITS_COMP);
	assert_int_equal(page.rows[2].pid, 2);
	assert_null(page.rows[2].message);
	assert_int_equal(page.rows[3].state, STORE_QUEUED);
	assert_payload(page.rows[4].message, "b");
	store_page_clear(&page);
	assert_int_equal(ask(f, "SELECT sum(refs) FROM message"), 3);
	say(f, STORE_HELD_OVER, s, 0, 500);
	sync_all(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM held"), 0);
	message_unref(m);
	message_unref(n);
}

/* Page by page, in order, each once, while more arrive. */
static void test_pages(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s"), other = session(f, "other"), known[4] = {0}, last = 0;
	struct message *m = message(f, "t", "x");
	unsigned got = 0, sent = 0;
	bool more = true;

	for (; sent < 3 * STORE_PAGE + 10; sent++)
		deliver(f, sent % 3 ? s : other, m);
	for (unsigned i = 0; more; i++) {
		struct store_page page = {.known = known, .nknown = 4};

		read_page(f, s, &page);
		for (unsigned k = 0; k < page.n; k++) {
			assert_true(page.rows[k].id > last);
			last = known[page.rows[k].id & 0xff] = page.rows[k].id;
			got++;
		}
		more = page.more;
		store_page_clear(&page);
		if (i == 0)
			deliver(f, s, m);
	}
	assert_int_equal(got, sent - (sent + 2) / 3 + 1);
	message_unref(m);
}

/* What a session shared with others, which get it when it ends. */
static void test_shared(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s");
	struct message *m = message(f, "t", "x");
	struct store_page page = {.shared = true};
	struct store_op *op;

	deliver(f, s, m);
	op = store_op(&f->client, STORE_DELIVERY);
	op->session = s;
	op->id = store_new_id(&f->client);
	op->message = m;
	op->qos = 1;
	op->text = text("$share/g/t");
	op->ids = text("1234");
	read_page(f, s, &page);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.rows[0].text.len, 10);
	assert_memory_equal(page.rows[0].ids.data, "1234", 4);
	store_page_clear(&page);
}

/* A message that is delivered while the disk is busy is never written. */
static void test_undone(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s"), id;
	struct message *m = message(f, "t", "x");
	struct store_op *op;

	sync_all(f);
	store_unit(&f->client, true); /* nothing is written before its end */
	id = deliver(f, s, m);
	say(f, STORE_SENT, s, id, 1);
	op = store_op(&f->client, STORE_HELD);
	op->session = s;
	op->pid = 9;
	op->message = message_ref(m);
	store_flush(&f->client);
	say(f, STORE_RELEASED, s, id, 0);
	say(f, STORE_DELIVERED, s, id, 0);
	say(f, STORE_HELD_OVER, s, 0, 9);
	store_unit(&f->client, false);
	sync_all(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM delivery"), 0);
	assert_int_equal(ask(f, "SELECT count(*) FROM held"), 0);
	assert_int_equal(ask(f, "SELECT count(*) FROM message"), 0);
	assert_int_equal(m->refs, 1);
	message_unref(m);
}

/* Of one that was on disk before, only the end is written. */
static void test_sent_and_over(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s"), ids[3];
	struct message *m = message(f, "t", "x");

	for (unsigned i = 0; i < 3; i++)
		ids[i] = deliver(f, s, m);
	message_unref(m);
	sync_all(f);
	change(f,
	       "CREATE TRIGGER t BEFORE UPDATE ON delivery WHEN new.pid < 3 BEGIN SELECT RAISE(ABORT, 'written'); END");
	store_unit(&f->client, true);
	for (unsigned i = 0; i < 3; i++)
		say(f, STORE_SENT, s, ids[i], (uint16_t)(i + 1));
	store_flush(&f->client);
	say(f, STORE_DELIVERED, s, ids[1], 0);
	say(f, STORE_DELIVERED, s, ids[0], 0);
	store_unit(&f->client, false);
	sync_all(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM delivery"), 1);
	assert_int_equal(ask(f, "SELECT pid FROM delivery WHERE state = 1"), 3);
	assert_int_equal(ask(f, "SELECT refs FROM message"), 1);
}

static void test_unit(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s");
	struct message *m = message(f, "t", "x");
	struct store_client other = {.store = f->store, .loop = &f->loop, .notice = nothing, .index = 4};
	struct store_op *op;

	sync_all(f);
	store_unit(&f->client, true);
	deliver(f, s, m);
	store_flush(&f->client);
	/* What others say waits with it, so that the half unit is not on disk. */
	op = store_op(&other, STORE_SUBSCRIBE);
	op->session = s;
	op->text = text("f");
	store_flush(&other);
	for (int i = 0; i < 50; i++)
		loop_turn(&f->loop, true, f);
	assert_false(store_done(&other, 1));
	assert_int_equal(ask(f, "SELECT count(*) FROM delivery"), 0);
	deliver(f, s, m);
	store_unit(&f->client, false);
	sync_all(f);
	while (!store_done(&other, 1))
		loop_turn(&f->loop, false, f);
	assert_int_equal(ask(f, "SELECT refs FROM message"), 2);
	message_unref(m);
}

/* An end that leaves much behind: it is removed piece by piece. */
static void test_clean(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s");
	struct message *m = message(f, "t", "x");

	for (unsigned i = 0; i < 2000; i++)
		deliver(f, s, m);
	say(f, STORE_SESSION_END, s, 0, 0);
	sync_all(f);
	message_unref(m);
	while (ask(f, "SELECT count(*) FROM ended"))
		usleep(1000);
	assert_int_equal(ask(f, "SELECT count(*) FROM delivery"), 0);
	assert_int_equal(ask(f, "SELECT count(*) FROM message"), 0);
}

static void test_ids_grow(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s");

	restart(f);
	assert_true(store_new_id(&f->client) > s);
	assert_int_equal(store_new_id(&f->client) & 0xff, 3);
}

/* Also than the numbers by which what was sent is in order: they are younger than what they are for. */
static void test_order_grows(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s"), id, order;
	struct message *m = message(f, "t", "x");
	struct store_op *op;

	id = deliver(f, s, m);
	op = store_op(&f->client, STORE_SENT);
	op->session = s;
	op->id = id;
	op->pid = 1;
	for (unsigned i = 0; i < 10; i++)
		order = op->order = store_new_id(&f->client);
	message_unref(m);
	restart(f);
	assert_true(store_new_id(&f->client) > order);
}

/* ---- trouble ----------------------------------------------------------------------------------------------------- */

static void test_key(void **state)
{
	struct fixture *f = *state;
	uint8_t key[16];

	memcpy(key, store_key(f->store), sizeof(key));
	restart(f);
	assert_memory_equal(key, store_key(f->store), sizeof(key));
}

static void test_locked(void **state)
{
	struct fixture *f = *state;
	struct store *second;

	assert_int_equal(store_open(&second, &f->config), -EWOULDBLOCK);
	assert_null(second);
}

static void refuses(struct fixture *f, int error)
{
	struct store *s;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(store_open(&s, &f->config), error);
}

static void test_newer(void **state)
{
	struct fixture *f = *state;

	change(f, "PRAGMA user_version = 1000");
	refuses(f, -EPERM);
}

static void test_foreign(void **state)
{
	struct fixture *f = *state;

	change(f, "PRAGMA application_id = 1");
	refuses(f, -EPERM);
}

static void damage(struct fixture *f)
{
	int fd;

	session(f, "s");
	sync_all(f);
	store_close(f->store);
	f->store = NULL;
	fd = open(f->path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, 0), 32);
	close(fd);
}

static bool is_set_aside(const struct fixture *f)
{
	char command[128];

	snprintf(command, sizeof(command), "ls %s/shunt.db.damaged-* >/dev/null", f->folder);
	return system(command) == 0;
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;

	damage(f);
	start(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM session"), 0);
	assert_true(is_set_aside(f));
}

/* Overwrite the page of the file that has these bytes. */
static void damage_page(const struct fixture *f, const char *bytes)
{
	uint8_t page[4096];
	int fd = open(f->path, O_RDWR);
	off_t at = 0;

	while (pread(fd, page, sizeof(page), at) == (ssize_t)sizeof(page) &&
	       !memmem(page, sizeof(page), bytes, strlen(bytes)))
		at += (off_t)sizeof(page);
	memset(page, 0xa5, sizeof(page));
	assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
	close(fd);
}

/* A page that only the reading of a session needs, of a store that was closed in order: it opens, and what is not damaged
 * can be used; the next time that is seen and it is set aside. */
static void test_damaged_inside(void **state)
{
	enum { MESSAGES = 40, PAYLOAD = 3000 };
	struct fixture *f = *state;
	uint64_t s = session(f, "s"), other = session(f, "other");
	struct store_page page = {.all = true};
	char payload[PAYLOAD + 1];

	for (int i = 0; i < MESSAGES; i++) {
		struct message *m;

		memset(payload, 'x', PAYLOAD);
		payload[PAYLOAD] = '\0';
		snprintf(payload, sizeof(payload), "message %02d", i);
		payload[strlen(payload)] = 'x';
		m = message(f, "t", payload);
		deliver(f, s, m);
		message_unref(m);
	}
	sync_all(f);
	store_close(f->store);
	damage_page(f, "message 20");
	start(f);
	ask_page(f, s, &page);
	assert_int_equal(page.error, -EIO);
	store_page_clear(&page);
	page = (struct store_page){.all = true};
	read_page(f, other, &page);
	store_page_clear(&page);
	restart(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM session"), 0);
	assert_true(is_set_aside(f));
}

static void test_damaged_refused(void **state)
{
	struct fixture *f = *state;
	struct store *s;

	damage(f);
	f->config.refuse_damaged = true;
	assert_int_equal(store_open(&s, &f->config), -EBADMSG);
}

/* A disk that is full for a while: what was said waits, and is on disk later. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	uint64_t s = session(f, "s");
	struct rlimit old, small;
	struct message *m;
	char *payload = calloc(1, 100001);
	struct store_stats stats = {0};

	memset(payload, 'x', 100000);
	sync_all(f);
	m = message(f, "t", payload);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){4096, old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	deliver(f, s, m);
	store_flush(&f->client);
	while (!stats.failing) {
		loop_turn(&f->loop, true, f);
		store_stats(f->store, &stats);
	}
	assert_false(store_done(&f->client, store_ticket(&f->client)));
	assert_true(stats.error[0]);
	assert_int_equal(stats.waiting, 1);
	setrlimit(RLIMIT_FSIZE, &old);
	sync_all(f);
	do /* the client hears of it first */
		store_stats(f->store, &stats);
	while (stats.waiting);
	assert_false(stats.failing);
	assert_int_equal(ask(f, "SELECT length(payload) FROM message"), 100000);
	message_unref(m);
	free(payload);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sessions), TEST(test_retained),	TEST(test_sources),
		TEST(test_bans),     TEST(test_namespaces),	TEST(test_payload_once),
		TEST(test_states),   TEST(test_pages),		TEST(test_shared),
		TEST(test_undone),   TEST(test_unit),		TEST(test_clean),
		TEST(test_ids_grow), TEST(test_order_grows),	TEST(test_key),
		TEST(test_locked),   TEST(test_newer),		TEST(test_foreign),
		TEST(test_damaged),  TEST(test_damaged_inside), TEST(test_damaged_refused),
		TEST(test_full),     TEST(test_sent_and_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
