// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "broker/banning.h"
#include "broker/conn.h"
#include "broker/durable.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/replay.h"
#include "broker/route.h"
#include "broker/subscribe.h"
#include "broker/sys.h"
#include "broker/tell.h"
#include "broker/will.h"

enum {
	HEARTBEAT_MS = 100,
	HEARTBEAT_IDLE_MS = 1000, /* for PINGREQ, and to look if more are wanted */
	EXPIRE_MS = 1000,
	EXPIRE_AT_ONCE = 1000, /* retained messages under one lock; more of them come in the next millisecond */
};

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

struct worker *worker_of(struct broker *b, const char *id, size_t len)
{
	/* The low bits choose the bucket in the worker's table. */
	return &b->workers[(hash_bytes(id, len) >> 32) % b->nworkers];
}

struct session *worker_session(struct worker *w, const struct namespace *space, const char *id, size_t len)
{
	for (struct table_node *n = table_first(&w->sessions, hash_bytes(id, len)); n; n = table_next(n)) {
		struct session *s = container_of(n, struct session, by_id);

		if (s->space == space && s->id_len == len && memcmp(s->id, id, len) == 0)
			return s;
	}
	return NULL;
}

struct session *worker_session_new(struct worker *w, struct namespace *space, const char *id, size_t len)
{
	struct session *s = session_new(space, id, len, w->index, w->broker->conf);

	if (!s)
		return NULL;
	if (table_insert(&w->sessions, &s->by_id, s->id_hash)) {
		session_free(s);
		return NULL;
	}
	COUNTER_ADD(sessions, 1);
	return s;
}

static void receive_free(struct inbox_item *item, void *receiver)
{
	(void)receiver;
	session_free(container_of(item, struct session, free_item));
}

/* In liburcu's thread, after a grace period: whoever found the session has sent his deliveries by now. */
static void session_free_later(struct rcu_later *later)
{
	struct session *s = container_of(later, struct session, later);

	s->free_item.receive = receive_free;
	loop_send(&the_broker.workers[s->worker].loop, &s->free_item);
}

/* What is left of shared subscriptions is for others. Its own are gone by now. */
static void pass_on_shared(struct worker *w, struct session *s)
{
	struct tree_share *share;
	struct message *m;

	while (session_take_shared(s, &m, &share)) {
		route_to_share(w, m, share);
		message_unref(m);
		tree_share_unref(share);
	}
}

void worker_session_kept(struct session *s)
{
	bool kept = !s->ended && !session_ends_with_connection(s);

	if (kept == s->kept)
		return;
	s->kept = kept;
	namespace_count(&s->space->kept, kept ? 1 : -1);
}

void worker_session_end(struct worker *w, struct session *s)
{
	timer_stop(&w->loop.timers, &s->expiry);
	will_session_ends(w, s);
	s->ended = true;
	worker_session_kept(s);
	if (s->stored)
		durable_session_ends(w, s);
	unsubscribe_all(w->broker, s);
	pass_on_shared(w, s);
	session_drops_end(s);
	table_remove(&w->sessions, &s->by_id);
	COUNTER_ADD(sessions, -1);
	namespace_count(&s->space->clients, -1);
	replay_end(s);
	session_clear(s);
	rcu_call_later(&s->later, session_free_later);
}

static void expire_session(struct timer *t)
{
	struct session *s = container_of(t, struct session, expiry);

	log_notice("Expiring client %s due to timeout.", s->name);
	COUNTER_ADD(expired, 1);
	__atomic_add_fetch(&s->space->expired, 1, __ATOMIC_RELAXED);
	worker_session_end(&the_broker.workers[s->worker], s);
}

void worker_session_expires(struct worker *w, struct session *s, uint64_t ms)
{
	loop_after(&w->loop, &s->expiry, ms, expire_session);
}

/* ---- deliveries between workers ---------------------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		message_drop(&b->entry[i].message);
		deliver_as_clear(&b->entry[i].as);
	}
	free(b);
}

/* At the sender again: everything in it was written, or its receiver is held. */
static void receive_back(struct inbox_item *item, void *receiver)
{
	struct batch *b = container_of(item, struct batch, item);
	struct worker *w = receiver;

	for (unsigned i = 0; i < b->n; i++) {
		struct conn *c = b->entry[i].from;

		if (c && --c->pending == 0 && c->state == CONN_OPEN && !list_linked(&c->fence))
			list_push(&w->fence, &c->fence);
	}
	batch_free(b);
}

/* What was diverted on its way to the session's connection is in its output: say so after writing. */
static void returned(struct session *s, uint64_t generation)
{
	struct conn *c = s->conn;

	if (c && generation && c->link.generation == generation) {
		c->returned++;
		conn_dirty(c);
	}
}

static void receive_diverted(struct session *s, struct message *m, uint64_t generation)
{
	if (m && s->conn)
		session_deliver(s, m, (struct deliver_as){0});
	returned(s, generation);
}

static void receive_entry(struct worker *w, struct batch_entry *e)
{
	if (!e->session) /* a marker: only its way back matters */
		return;
	if (e->diverted) {
		receive_diverted(e->session, e->message, e->generation);
		return;
	}
	/* The member of a share has ended since it was chosen: what session_take_shared() did not find goes on, too. */
	if (e->session->ended && e->as.share) {
		route_to_share(w, e->message, e->as.share);
		return;
	}
	session_deliver(e->session, e->message, e->as);
	e->as = (struct deliver_as){0};
}

static void receive_batch(struct inbox_item *item, void *receiver)
{
	struct batch *b = container_of(item, struct batch, item);
	struct worker *w = receiver;

	for (unsigned i = 0; i < b->n; i++)
		receive_entry(w, &b->entry[i]);
	w->peers[b->sender->index].received++;
	if (b->wanted_back) {
		b->next = NULL;
		*w->back_end = b;
		w->back_end = &b->next;
	} else {
		batch_free(b);
	}
}

static void send_batch(struct worker *w, unsigned to)
{
	struct batch *b = w->peers[to].out;

	/* The receiver may say of a delivery that it is over: the store hears first that there is one. */
	store_flush(&w->store);

	w->peers[to].out = NULL;
	w->peers[to].sent++;
	b->item.receive = receive_batch;
	loop_send(&w->broker->workers[to].loop, &b->item);
}

/* Append to what goes to another worker; takes what the entry holds. 0 or -ENOMEM. */
static int append(struct worker *w, unsigned to, struct batch_entry entry)
{
	struct batch *b = w->peers[to].out;

	if (!b) {
		b = malloc(sizeof(*b));
		if (!b) {
			message_drop(&entry.message);
			deliver_as_clear(&entry.as);
			return -ENOMEM;
		}
		b->sender = w;
		b->n = 0;
		b->wanted_back = false;
		w->peers[to].out = b;
	}
	b->entry[b->n++] = entry;
	if (entry.from) {
		b->wanted_back = true;
		entry.from->pending++;
	}
	if (b->n == BATCH_MAX)
		send_batch(w, to);
	return 0;
}

static void hand_over(struct worker *w, struct batch_entry entry)
{
	uint8_t qos = entry.as.qos;

	if (append(w, entry.session->worker, entry) == 0)
		return;
	COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
	if (qos) /* then it is not acknowledged, either */
		store_failed(&w->store);
}

void worker_deliver(struct worker *w, struct session *s, struct message *m, struct deliver_as as, struct conn *from)
{
	hand_over(w, (struct batch_entry){.session = s, .message = message_ref(m), .from = from, .as = as});
}

void worker_deliver_diverted(struct worker *w, struct session *s, struct message *m, uint64_t generation)
{
	if (s->worker == w->index)
		receive_diverted(s, m, generation);
	else
		hand_over(w, (struct batch_entry){.session = s,
						  .message = m ? message_ref(m) : NULL,
						  .diverted = true,
						  .generation = generation});
}

/* Has the other worker written all that this one gave it? */
static bool has_written(const struct worker *w, unsigned to)
{
	const struct peer *there = &w->broker->workers[to].peers[w->index];

	return !w->peers[to].out && w->peers[to].sent == __atomic_load_n(&there->written, __ATOMIC_ACQUIRE);
}

int worker_fence(struct worker *w, struct conn *c)
{
	for (unsigned i = 0; i < w->broker->nworkers; i++)
		if (!has_written(w, i) && append(w, i, (struct batch_entry){.from = c}))
			return -ENOMEM;
	return 0;
}

static void send_batches(struct worker *w)
{
	for (unsigned i = 0; i < w->broker->nworkers; i++)
		if (w->peers[i].out)
			send_batch(w, i);
}

void worker_pass_on(struct worker *w)
{
	send_batches(w);
}

/* What was received in this turn is written, or its receivers are held. */
static void send_back(struct worker *w)
{
	struct batch *b = w->back;

	for (unsigned i = 0; i < w->broker->nworkers; i++)
		if (w->peers[i].received != w->peers[i].written)
			__atomic_store_n(&w->peers[i].written, w->peers[i].received, __ATOMIC_RELEASE);

	w->back = NULL;
	w->back_end = &w->back;
	while (b) {
		struct batch *next = b->next;

		b->item.receive = receive_back;
		loop_send(&b->sender->loop, &b->item);
		b = next;
	}
}

/* ---- calls from outside ------------------------------------------------------------------------------------------ */

struct call {
	struct inbox_item item;
	void (*fn)(struct worker *, void *);
	void *arg;
	sem_t done;
};

static void receive_call(struct inbox_item *item, void *receiver)
{
	struct call *call = container_of(item, struct call, item);

	call->fn(receiver, call->arg);
	sem_post(&call->done);
}

void worker_call(struct worker *w, void (*fn)(struct worker *, void *), void *arg)
{
	struct call call = {.item.receive = receive_call, .fn = fn, .arg = arg};

	sem_init(&call.done, 0, 0);
	loop_send(&w->loop, &call.item);
	while (sem_wait(&call.done) < 0)
		;
	sem_destroy(&call.done);
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

/* Every connection that had more to read gets one share; those that still have come again in the next turn. */
static void read_ready(struct worker *w)
{
	struct list now;
	struct list *l;

	list_init(&now);
	list_splice(&now, &w->ready);
	while ((l = list_pop(&now)))
		conn_read(container_of(l, struct conn, ready));
}

static void flush_dirty(struct worker *w)
{
	struct list now;
	struct list *l;

	list_init(&now);
	list_splice(&now, &w->dirty);
	tell_same(w, &now);
	while ((l = list_pop(&now)))
		conn_flush(container_of(l, struct conn, dirty));
}

/* The handover fence: everything this publisher's bytes caused is written, or its receiver is held. */
static void open_fences(struct worker *w)
{
	struct list *l;

	while ((l = list_pop(&w->fence))) {
		struct conn *c = container_of(l, struct conn, fence);

		if (c->state == CONN_OPEN && c->pending == 0 && c->in_len == 0)
			fp_handled(&c->link, c->received);
	}
}

static void free_dead(struct worker *w)
{
	for (struct list *l = w->dead.next, *next; l != &w->dead; l = next) {
		struct conn *c = container_of(l, struct conn, all);

		next = l->next;
		if (c->pending == 0) {
			list_del(l);
			conn_free(c);
		}
	}
}

static void turn(struct worker *w)
{
	bool busy = !list_empty(&w->ready) || !list_empty(&w->dirty) || replay_ready(w);

	loop_turn(&w->loop, busy, w);
	memory_look(w->broker);
	read_ready(w);
	replay_turn(w);
	store_flush(&w->store);
	send_batches(w);
	flush_dirty(w);
	/* Closing may have published wills. */
	store_flush(&w->store);
	send_batches(w);
	send_back(w);
	open_fences(w);
	free_dead(w);
}

/* Once a second, where there are several namespaces: of the default one nobody asks. */
static void count_carried(struct worker *w)
{
	if (w->broker->nnamespaces == 1 || w->loop.now_ns - w->carried_ns < NS_PER_S)
		return;
	w->carried_ns = w->loop.now_ns;
	for (struct list *l = w->conns.next; l != &w->conns; l = l->next)
		conn_count_carried(container_of(l, struct conn, all));
}

static void heartbeat(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, heartbeat);
	bool wanted = fp_wants_heartbeat();

	fp_heartbeat(w->index);
	count_carried(w);
	loop_after(&w->loop, t, wanted ? HEARTBEAT_MS - 10 : HEARTBEAT_IDLE_MS, heartbeat);
}

/* True: there may be more. */
static bool expire_in(struct worker *w, struct namespace *space)
{
	unsigned n;

	subscriptions_lock(w->broker);
	n = tree_expire(space->tree, w->loop.now_ns, EXPIRE_AT_ONCE, durable_retained_expired, w);
	subscriptions_unlock(w->broker);
	if (!n)
		return false;
	COUNTER_ADD(retained, -(int64_t)n);
	namespace_count(&space->retained, -(int)n);
	return n == EXPIRE_AT_ONCE;
}

/* Retained messages whose Message Expiry Interval has passed go; those that a subscription finds before are not sent
 * either. */
static void expire(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, expire);
	bool more = false;

	for (unsigned i = 0; i < w->broker->nnamespaces; i++)
		more |= expire_in(w, &w->broker->namespaces[i]);
	banning_tick(w);
	loop_after(&w->loop, t, more ? 1 : EXPIRE_MS, expire);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof(name), "worker %u", w->index);
	pthread_setname_np(pthread_self(), name);
	rcu_thread_start();
	counters_bind(&w->counters);
	flow_open_sink(w);
	tell_open(w);
	heartbeat(&w->heartbeat);
	if (w->index == 0) {
		sys_start(w);
		expire(&w->expire);
	}
	while (!w->stopping)
		turn(w);
	counters_bind(NULL);
	rcu_thread_end();
	return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int worker_init(struct worker *w, struct broker *b, unsigned index)
{
	int rc;

	w->broker = b;
	w->index = index;
	list_init(&w->conns);
	list_init(&w->ready);
	list_init(&w->dirty);
	list_init(&w->fence);
	list_init(&w->lingering);
	list_init(&w->dead);
	list_init(&w->committing);
	list_init(&w->loading);
	list_init(&w->waiting);
	list_init(&w->replaying);
	w->back_end = &w->back;
	rc = loop_open(&w->loop);
	if (rc)
		return rc;
	w->peers = calloc(b->nworkers, sizeof(w->peers[0]));
	w->scratch = malloc(READ_SIZE + 64);
	w->found = calloc(1, sizeof(*w->found));
	return w->peers && w->scratch && w->found ? 0 : -ENOMEM;
}

int worker_start(struct worker *w)
{
	return -pthread_create(&w->thread, NULL, run, w);
}

bool worker_drain(struct worker *w)
{
	struct inbox_item *item = inbox_take(&w->loop.inbox);
	bool any = item;

	if (!w->peers) /* there was no memory for it, or for one before it */
		return false;
	while (item) {
		struct inbox_item *next = item->next;

		item->receive(item, w);
		item = next;
	}
	store_flush(&w->store);
	send_batches(w);
	send_back(w);
	list_init(&w->dirty);
	list_init(&w->fence);
	free_dead(w);
	return any;
}

void worker_destroy(struct worker *w)
{
	size_t bucket = 0;
	struct table_node *n;

	while ((n = table_any(&w->sessions, &bucket))) {
		struct session *s = container_of(n, struct session, by_id);

		table_remove(&w->sessions, n);
		replay_end(s);
		subscriptions_free(s);
		session_free(s);
	}
	table_free(&w->sessions);
	sys_free(w);
	tree_hits_free(&w->hits);
	free(w->peers);
	free(w->scratch);
	free(w->tell);
	free(w->found);
	free(w->acceptors);
	if (w->loop.epoll_fd >= 0)
		loop_close(&w->loop);
}
