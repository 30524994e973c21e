// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What sessions have in the store and not in memory: it comes back page by page. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/route.h"
#include "broker/subscribe.h"
#include "mqtt/topic.h"

/* The group of "$share/NAME/FILTER", with a reference; NULL: it is not there any more. */
static struct tree_share *find_share(struct broker *b, const struct namespace *space, const struct store_bytes *text)
{
	struct mqtt_str name, filter;
	struct tree_share *share = NULL;
	struct tree_node *n;

	if (!text->data || topic_share((struct mqtt_str){text->data, text->len}, &name, &filter) != 1)
		return NULL;
	subscriptions_lock(b);
	n = tree_find(space->tree, filter);
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

	if (r->message) /* whatever the file says */
		r->message->ns = s->space->number;
	if (r->state == STORE_IS_HELD)
		return session_take_held(s, r);
	/* Its message is gone: somebody else changed the database. */
	if (!r->message && r->state != STORE_WAITS_COMP) {
		session_stored_over(s, NULL, r->id);
		return session_knows(s, r->id);
	}
	share = find_share(b, s->space, &r->text);
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
		if (c->client_id && conn_namespace(c) == s->space && strcmp(c->client_id, s->id) == 0)
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
			log_error("Error: Unable to read the session of client %s from the store: %s.", s->name,
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
		struct message *m = page->rows[i].qos == 1 ? page->rows[i].message : NULL;
		struct tree_share *share;

		if (!m || m->ns >= w->broker->nnamespaces)
			continue;
		share = find_share(w->broker, message_namespace(w->broker, m), &page->rows[i].text);
		if (!share)
			continue;
		route_to_share(w, m, share);
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
