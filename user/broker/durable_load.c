// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What comes back from the store: at the start, and page by page. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/route.h"
#include "broker/subscribe.h"
#include "broker/will.h"
#include "mqtt/topic.h"

/* ---- pages ------------------------------------------------------------------------------------------------------- */

/* The group of "$share/NAME/FILTER", with a reference; NULL: it is not there any more. */
static struct tree_share *find_share(struct broker *b, const struct store_bytes *text)
{
	struct mqtt_str name, filter;
	struct tree_share *share = NULL;
	struct tree_node *n;

	if (!text->data || topic_share((struct mqtt_str){text->data, text->len}, &name, &filter) != 1)
		return NULL;
	subscriptions_lock(b);
	n = tree_find(b->tree, filter);
	if (n)
		share = tree_find_share(n, name);
	if (share)
		tree_share_ref(share);
	subscriptions_unlock(b);
	return share;
}

static int take_row(struct broker *b, struct session *s, struct store_row *r)
{
	struct tree_share *share;
	int rc;

	if (r->state == STORE_IS_HELD)
		return session_take_held(s, r);
	/* Its message is gone: somebody else changed the database. */
	if (!r->message && r->state != STORE_WAITS_COMP) {
		session_stored_over(s, NULL, r->id);
		return session_knows(s, r->id);
	}
	share = find_share(b, &r->text);
	rc = session_knows(s, r->id);
	if (!rc)
		rc = session_take_row(s, r, share);
	if (rc && share)
		tree_share_unref(share);
	return rc;
}

static int take_page(struct broker *b, struct session *s, struct store_page *page)
{
	int rc = page->error;

	for (unsigned i = 0; i < page->n && !rc; i++)
		rc = take_row(b, s, &page->rows[i]);
	if (!rc)
		session_answered(s, page);
	return rc;
}

static void resume_loading(struct worker *w)
{
	struct list *l;

	while ((l = list_pop(&w->loading))) {
		struct conn *c = container_of(l, struct conn, loading);

		c->waits_for_session = false;
		if (!list_linked(&c->ready))
			list_push(&w->ready, &c->ready);
	}
}

/* Those that wait for a session that cannot be read: they may try again. */
static void refuse_loading(struct worker *w, const struct session *s)
{
	for (struct list *l = w->loading.next, *next; l != &w->loading; l = next) {
		struct conn *c = container_of(l, struct conn, loading);

		next = l->next;
		if (c->client_id && strcmp(c->client_id, s->id) == 0)
			conn_close(c, CLOSE_NO_MEMORY);
	}
}

static void receive_page(struct inbox_item *item, void *receiver)
{
	struct store_page *page = container_of(item, struct store_page, item);
	struct worker *w = receiver;
	struct session *s = page->asker;

	if (s) {
		int rc;

		s->tail.asked = NULL;
		rc = take_page(w->broker, s, page);
		if (rc) {
			log_error("Error: Unable to read the session of client %s from the store: %s.", s->id,
				  strerror(-rc));
			session_cool(s);
			refuse_loading(w, s);
			if (s->conn)
				conn_break(s->conn, CLOSE_NO_MEMORY);
		}
		session_pump(s);
	}
	resume_loading(w);
	store_page_clear(page);
	free(page);
}

bool durable_wait(struct conn *c, struct session *s)
{
	if (!s->tail.cold)
		return false;
	session_ask(s, receive_page);
	c->waits_for_session = true;
	list_push(&c->worker->loading, &c->loading);
	return true;
}

void durable_more(struct conn *c)
{
	session_ask(c->session, receive_page);
}

/* What an ended session had by shared subscriptions goes on. */
static void receive_shared(struct inbox_item *item, void *receiver)
{
	struct store_page *page = container_of(item, struct store_page, item);
	struct worker *w = receiver;

	for (unsigned i = 0; i < page->n; i++) {
		struct tree_share *share = page->rows[i].qos == 1 ? find_share(w->broker, &page->rows[i].text) : NULL;

		if (!share)
			continue;
		route_to_share(w, page->rows[i].message, share);
		tree_share_unref(share);
	}
	store_page_clear(page);
	free(page);
}

static bool has_shared(const struct session *s)
{
	for (size_t i = 0; s->subs.buckets && i <= s->subs.mask; i++)
		for (const struct table_node *n = s->subs.buckets[i]; n; n = n->next)
			if (container_of(n, struct subscription, by_node)->share_len)
				return true;
	return false;
}

void durable_session_ends(struct worker *w, struct session *s)
{
	struct store_page *page;
	struct store_op *op;

	session_ask_no_more(s);
	if (s->tail.active && has_shared(s)) {
		session_ask(s, receive_shared);
		page = s->tail.asked;
		session_ask_no_more(s);
		if (page) {
			page->all = false;
			page->shared = true;
		}
	}
	op = store_op(&w->store, STORE_SESSION_END);
	if (op)
		op->session = s->stored;
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

static int load_session(void *arg, const struct store_op *op, uint64_t away_ms, const struct store_op *will,
			uint32_t deliveries, uint64_t bytes)
{
	struct broker *b = arg;
	struct worker *w = worker_of(b, (const char *)op->text.data, op->text.len);
	struct session *s = worker_session_new(w, (const char *)op->text.data, op->text.len);
	uint64_t limit = b->conf->persistent_client_expiration;
	uint64_t left = limit && limit < op->expiry ? limit : op->expiry;

	if (!s || session_store(s, op->session, &w->store))
		return -ENOMEM;
	__atomic_add_fetch(&b->clients, 1, __ATOMIC_RELAXED);
	s->expiry_interval = op->expiry;
	s->stored_messages = deliveries;
	s->stored_bytes = bytes;
	session_cool(s);
	if (will)
		will_restore(w, s, will->message, will->retain, will->delay * UINT64_C(1000), away_ms);
	if (left != SESSION_NEVER_EXPIRES)
		worker_session_expires(w, s, left * 1000 > away_ms ? left * 1000 - away_ms : 0);
	return 0;
}

static int load_subscription(void *arg, struct store_bytes client, const struct store_op *op)
{
	struct broker *b = arg;
	struct worker *w = worker_of(b, (const char *)client.data, client.len);
	struct session *s = worker_session(w, (const char *)client.data, client.len);

	return s ? subscription_restore(b, s, (struct mqtt_str){op->text.data, op->text.len}, op->options, op->number)
		 : 0;
}

static int load_retained(void *arg, struct message *m)
{
	struct broker *b = arg;
	bool added = false;
	int rc;

	subscriptions_lock(b);
	rc = tree_retain(b->tree, m, &added);
	subscriptions_unlock(b);
	if (added)
		COUNTER_ADD(retained, 1);
	return rc == -E2BIG ? 0 : rc;
}

/* A folder that a service manager made for us, as root. */
static bool is_roots_and_empty(const char *folder)
{
	const struct dirent *entry;
	struct stat st;
	DIR *dir;
	bool empty = true;

	if (stat(folder, &st) || st.st_uid != 0)
		return false;
	dir = opendir(folder);
	if (!dir)
		return false;
	while (empty && (entry = readdir(dir)))
		empty = entry->d_name[0] == '.';
	closedir(dir);
	return empty;
}

int durable_prepare(const struct conf *conf, uid_t uid, gid_t gid)
{
	const char *folder = conf->persistence_location;
	int err = 0;

	if (!conf->persistence)
		return 0;
	if (mkdir(folder, 0700) && errno != EEXIST)
		err = -errno;
	else if (uid != (uid_t)-1 && is_roots_and_empty(folder) && chown(folder, uid, gid))
		err = -errno;
	if (err)
		log_error("Error: Unable to make the folder %s of the option persistence_location: %s.", folder,
			  strerror(-err));
	return err;
}

int durable_open(struct broker *b)
{
	const struct conf *conf = b->conf;
	struct store_config config = {
		.durability = conf->durability,
		.batch_ms = conf->durability_batch_ms,
		.refuse_damaged = conf->refuse_damaged,
	};
	char *path;
	int rc;

	if (!conf->persistence)
		return 0;
	path = conf_store_path(conf);
	if (!path) {
		log_error("Error: Out of memory.");
		return -ENOMEM;
	}
	config.path = path;
	rc = store_open(&b->store, &config);
	free(path);
	if (!rc)
		message_origin_key(store_key(b->store));
	return rc;
}

int durable_load(struct broker *b)
{
	static const struct store_reader reader = {load_session, load_subscription, load_retained};

	if (!b->store)
		return 0;
	for (unsigned i = 0; i < b->nworkers; i++)
		b->workers[i].store = (struct store_client){
			.store = b->store, .loop = &b->workers[i].loop, .notice = durable_notice, .index = i};
	return store_load(b->store, &reader, b);
}

int durable_start(struct broker *b)
{
	return b->store ? store_start(b->store) : 0;
}

void durable_close(struct broker *b)
{
	for (unsigned i = 0; b->workers && i < b->nworkers; i++)
		store_flush(&b->workers[i].store);
	store_close(b->store);
	b->store = NULL;
}
