// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a session of the store says to it, and what it has there and not in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/session.h"

/* Places for identifiers with these low 8 bits and less. */
static int reach(struct session_tail *t, unsigned n)
{
	uint64_t *known, *passed;

	if (n <= t->n)
		return 0;
	known = realloc(t->known, n * sizeof(*known));
	if (!known)
		return -ENOMEM;
	t->known = known;
	passed = realloc(t->passed, n * sizeof(*passed));
	if (!passed)
		return -ENOMEM;
	t->passed = passed;
	memset(&known[t->n], 0, (n - t->n) * sizeof(*known));
	memset(&passed[t->n], 0, (n - t->n) * sizeof(*passed));
	t->n = n;
	return 0;
}

static unsigned place(uint64_t id)
{
	return id & 0xff;
}

int session_store(struct session *s, uint64_t id, struct store_client *store)
{
	int rc = reach(&s->tail, 1);

	if (rc)
		return rc;
	s->store = store;
	s->stored = id;
	return 0;
}

/* ---- saying ------------------------------------------------------------------------------------------------------ */

static struct store_op *tell(struct session *s, enum store_kind kind, uint64_t id, uint16_t pid)
{
	struct store_op *op = store_op(s->store, kind);

	if (!op) {
		log_error("Out of memory: after a restart client %s may get a message again.", s->name);
		return NULL;
	}
	op->session = s->stored;
	op->id = id;
	op->pid = pid;
	return op;
}

void session_tell(struct session *s, enum store_kind kind, uint64_t id, uint16_t pid)
{
	(void)tell(s, kind, id, pid);
}

void session_store_sent(struct session *s, uint64_t id, uint16_t pid)
{
	struct store_op *op = tell(s, STORE_SENT, id, pid);

	if (op)
		op->order = store_new_id(s->store);
}

/* "$share/NAME/FILTER". 0 or -ENOMEM. */
static int put_share(struct store_bytes *out, const struct tree_share *share)
{
	static const char prefix[] = "$share/";
	const struct mqtt_str name = tree_share_name(share), filter = tree_share_filter(share);
	size_t at = sizeof(prefix) - 1;

	out->len = (uint32_t)(at + name.len + 1 + filter.len);
	out->data = malloc(out->len);
	if (!out->data)
		return -ENOMEM;
	memcpy(out->data, prefix, at);
	memcpy(out->data + at, name.data, name.len);
	out->data[at + name.len] = '/';
	memcpy(out->data + at + name.len + 1, filter.data, filter.len);
	return 0;
}

static int put_ids(struct store_bytes *out, const struct sub_ids *ids)
{
	uint32_t len = ids->n * sizeof(ids->id[0]);

	*out = (struct store_bytes){malloc(len), len};
	if (!out->data)
		return -ENOMEM;
	memcpy(out->data, ids->id, len);
	return 0;
}

int session_store_delivery(struct session *s, struct store_client *client, struct message *m, struct deliver_as *as)
{
	struct store_bytes share = {0}, ids = {0};
	struct store_op *op = NULL;

	if ((!as->share || put_share(&share, as->share) == 0) && (!as->ids || put_ids(&ids, as->ids) == 0))
		op = store_op(client, STORE_DELIVERY);
	if (!op) {
		free(share.data);
		free(ids.data);
		store_failed(client);
		return -ENOMEM;
	}
	store_name_message(client, m);
	*op = (struct store_op){
		.kind = STORE_DELIVERY,
		.session = s->stored,
		.id = store_new_id(client),
		.message = message_ref(m),
		.text = share,
		.ids = ids,
		.qos = as->qos,
		.retain = as->retain,
		.subscribed = as->subscribed,
	};
	as->stored = op->id;
	__atomic_add_fetch(&s->stored_messages, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->stored_bytes, message_size(m), __ATOMIC_RELAXED);
	return 0;
}

bool session_has_room(const struct session *s, const struct message *m)
{
	const struct conf *conf = s->conf;
	uint64_t bytes = __atomic_load_n(&s->stored_bytes, __ATOMIC_RELAXED);
	uint32_t messages = __atomic_load_n(&s->stored_messages, __ATOMIC_RELAXED);

	if (!s->stored || !messages)
		return true;
	if (conf->durable_queue_drop && conf->max_queued_messages && messages >= conf->max_queued_messages)
		return false;
	return !conf->max_queued_bytes || bytes + message_size(m) <= conf->max_queued_bytes;
}

void session_refused(struct session *s)
{
	__atomic_fetch_add(&s->refusals, 1, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&s->store_full, true, __ATOMIC_RELAXED))
		log_notice("The queue of client %s on disk is full: messages for it are refused, or wait.", s->name);
}

/* It is over when the queue is empty: one that is taken from and filled again would fill the log, too. */
static void is_empty(struct session *s)
{
	if (!__atomic_exchange_n(&s->store_full, false, __ATOMIC_RELAXED))
		return;
	log_notice("The queue of client %s on disk is empty: it was full for %llu messages.", s->name,
		   (unsigned long long)__atomic_exchange_n(&s->refusals, 0, __ATOMIC_RELAXED));
}

static void uncount(struct session *s, const struct message *m)
{
	__atomic_sub_fetch(&s->stored_bytes, message_size(m), __ATOMIC_RELAXED);
	if (!__atomic_sub_fetch(&s->stored_messages, 1, __ATOMIC_RELAXED))
		is_empty(s);
}

void session_stored_released(struct session *s, const struct message *m, uint64_t id)
{
	session_tell(s, STORE_RELEASED, id, 0);
	uncount(s, m);
}

void session_stored_over(struct session *s, const struct message *m, uint64_t id)
{
	session_tell(s, STORE_DELIVERED, id, 0);
	if (m)
		uncount(s, m);
}

/* ---- what is where ------------------------------------------------------------------------------------------------ */

bool session_takes(struct session *s, uint64_t id)
{
	struct session_tail *t = &s->tail;
	unsigned at = place(id);

	if (reach(t, at + 1)) {
		/* It is read with the next page, when that is. */
		t->active = true;
		return false;
	}
	if (id <= t->known[at])
		return false;
	if (s->queued >= SESSION_QUEUE_MAX || s->queued_bytes >= SESSION_QUEUE_BYTES)
		t->active = true;
	if (t->active) {
		t->passed[at] = id;
		return false;
	}
	t->known[at] = id;
	return true;
}

void session_leaves(struct session *s, uint64_t id)
{
	struct session_tail *t = &s->tail;

	/* Identifiers of one client differ by more than this. */
	t->known[place(id)] = id - 1;
	t->passed[place(id)] = id;
	t->active = true;
}

void session_ask(struct session *s, void (*receive)(struct inbox_item *, void *worker))
{
	struct session_tail *t = &s->tail;
	struct store_page *page;
	struct store_op *op;
	uint64_t *known;

	if (t->asked)
		return;
	page = calloc(1, sizeof(*page) + t->n * sizeof(*known));
	op = page ? store_op(s->store, STORE_READ) : NULL;
	if (!op) {
		free(page);
		return;
	}
	known = (uint64_t *)(page + 1);
	memcpy(known, t->known, t->n * sizeof(*known));
	page->known = known;
	page->nknown = t->n;
	page->all = t->cold;
	page->asker = s;
	page->item.receive = receive;
	op->session = s->stored;
	op->page = page;
	t->asked = page;
}

void session_ask_no_more(struct session *s)
{
	if (s->tail.asked)
		s->tail.asked->asker = NULL;
	s->tail.asked = NULL;
}

static bool all_read(const struct session_tail *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->passed[i] > t->known[i])
			return false;
	return true;
}

int session_knows(struct session *s, uint64_t id)
{
	struct session_tail *t = &s->tail;
	int rc = reach(t, place(id) + 1);

	if (!rc && t->known[place(id)] < id)
		t->known[place(id)] = id;
	return rc;
}

void session_answered(struct session *s, const struct store_page *page)
{
	struct session_tail *t = &s->tail;

	t->cold = false;
	t->active = page->more || !all_read(t);
}
