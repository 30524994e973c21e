// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "store/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"
#include "store/db.h"

static const char *const left_texts[LEFT_REASONS] = {
	[LEFT_QOS_0] = "messages of QoS 0 that waited for a client: Shunt keeps QoS 0 only while a client is connected",
	[LEFT_ENDED] = "sessions that end with their connection, which is gone",
	[LEFT_CLIENT_ID] = "sessions whose client identifier is not one, or came before",
	[LEFT_FILTER] = "subscriptions whose topic filter is not one",
	[LEFT_TOPIC] =
		"retained messages that are not to be kept: of the broker itself ($SYS), empty, or without a valid topic",
	[LEFT_NO_SESSION] = "subscriptions and messages of clients whose session was not taken over",
	[LEFT_NO_MESSAGE] = "messages that are named and not in the file",
	[LEFT_PID] = "messages on their way with a packet identifier that is 0 or in use",
	[LEFT_STATE] = "messages on their way in a state that there is not for their QoS",
	[LEFT_UNKNOWN] = "chunks of a kind that is not known",
};

const char *import_left_text(enum import_left reason)
{
	return left_texts[reason];
}

/* What was in the file, and what it is in the store. */
struct known {
	struct table_node node; /* of its table */
	struct list link;	/* importing->all */
	uint64_t id;		/* in the store; of messages 0 until somebody needs them */
	union {
		struct mosquitto_message message;
		struct mqtt_str client;
		struct {
			uint64_t session;
			uint16_t pid;
			bool to_client;
		} flight;
	};
};

struct importing {
	struct import *im;
	struct db db;
	uint64_t last_id;
	struct table messages, sessions, flights;
	struct list all;
};

/* ---- what is known ----------------------------------------------------------------------------------------------- */

static struct known *remember(struct importing *in, struct table *table, uint64_t hash)
{
	struct known *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	if (table_insert(table, &k->node, hash)) {
		free(k);
		return NULL;
	}
	list_push(&in->all, &k->link);
	return k;
}

static struct known *known(struct table_node *n)
{
	return n ? container_of(n, struct known, node) : NULL;
}

static uint64_t hash_of_id(uint64_t id)
{
	return hash_mix(0, id);
}

static struct known *find_message(const struct importing *in, uint64_t id)
{
	struct table_node *n = table_first(&in->messages, hash_of_id(id));

	while (n && known(n)->message.id != id)
		n = table_next(n);
	return known(n);
}

static struct known *find_session(const struct importing *in, struct mqtt_str client)
{
	struct table_node *n = table_first(&in->sessions, hash_bytes(client.data, client.len));

	while (n && !mqtt_str_eq(known(n)->client, client))
		n = table_next(n);
	return known(n);
}

/* A packet identifier comes into use: 1; 0 if it cannot, -ENOMEM. */
static int take_off(struct importing *in, uint64_t session, uint16_t pid, bool to_client)
{
	uint64_t hash = hash_mix(session, (uint64_t)pid << 1 | to_client);
	struct table_node *n = table_first(&in->flights, hash);
	struct known *k;

	for (; n; n = table_next(n)) {
		k = known(n);
		if (k->flight.session == session && k->flight.pid == pid && k->flight.to_client == to_client)
			return 0;
	}
	if (!pid)
		return 0;
	k = remember(in, &in->flights, hash);
	if (!k)
		return -ENOMEM;
	k->flight.session = session;
	k->flight.pid = pid;
	k->flight.to_client = to_client;
	return 1;
}

static void forget_all(struct importing *in)
{
	struct list *l;

	while ((l = list_pop(&in->all)))
		free(container_of(l, struct known, link));
	table_free(&in->messages);
	table_free(&in->sessions);
	table_free(&in->flights);
}

/* ---- what is written --------------------------------------------------------------------------------------------- */

static uint64_t new_id(struct importing *in)
{
	return ++in->last_id << 8;
}

static int leave(struct importing *in, enum import_left reason)
{
	in->im->counts.left[reason]++;
	return 0;
}

static int error_of(int rc)
{
	return rc == SQLITE_OK ? 0 : -EIO;
}

/* Its message is borrowed for this call only, so nothing may be left in the unit. */
static int apply(struct importing *in, const struct store_op *op)
{
	struct db_unit unit = {0};
	int rc = db_apply_op(&in->db, &unit, op);

	return error_of(rc == SQLITE_OK ? db_unit_end(&in->db, &unit) : rc);
}

static void set_expiry(struct message *m, int64_t expires)
{
	const int64_t max = INT64_C(1) << 40; /* seconds: what is more is not a time */
	int64_t left = expires > 0 && expires < max ? expires * 1000 - (int64_t)db_now_ms() : 0;

	m->expires = expires > 0;
	if (m->expires)
		m->expires_ns = clock_ns() + (left > 0 ? (uint64_t)left * NS_PER_MS : 0);
}

/* A reference of the caller's; NULL without memory. */
static struct message *make_message(struct importing *in, struct known *k)
{
	const struct mosquitto_message *from = &k->message;
	const struct mqtt_publish publish = {.qos = from->qos, .topic = from->topic, .payload = from->payload};
	uint64_t origin = from->source.len ? message_origin(from->source.data, from->source.len) : 0;
	struct message *m = message_new(&publish, &from->props, origin);

	if (!m)
		return NULL;
	if (!k->id)
		k->id = new_id(in);
	m->stored = k->id;
	set_expiry(m, from->expires);
	return m;
}

/* ---- what the file says ------------------------------------------------------------------------------------------ */

static int on_message(void *arg, const struct mosquitto_message *m)
{
	struct importing *in = arg;
	struct known *k = find_message(in, m->id) ? NULL : remember(in, &in->messages, hash_of_id(m->id));

	if (!k)
		return find_message(in, m->id) ? 0 : -ENOMEM;
	k->message = *m;
	return 0;
}

/* Milliseconds: since when it is away. Of a client that was connected, since the file was written. */
static uint64_t away_since(const struct importing *in, const struct mosquitto_client *c)
{
	int64_t away = in->im->written;

	if (c->away > 0)
		away = c->away;
	else if (c->expires > 0 && c->expiry != UINT32_MAX && c->expires > c->expiry)
		away = c->expires - c->expiry;
	return (uint64_t)(away < in->im->written ? away : in->im->written) * 1000;
}

static int put_session(struct importing *in, struct known *k, const struct mosquitto_client *c)
{
	const struct store_op op = {.kind = STORE_SESSION,
				    .session = k->id,
				    .text = {(uint8_t *)c->id.data, c->id.len},
				    .expiry = c->expiry,
				    .away = true};
	int rc = apply(in, &op);

	return rc ? rc : error_of(db_run2(&in->db, DB_SESSION_AWAY, k->id, away_since(in, c)));
}

static int on_client(void *arg, const struct mosquitto_client *c)
{
	struct importing *in = arg;
	struct known *k;

	if (!c->expiry)
		return leave(in, LEFT_ENDED);
	if (!c->id.len || !utf8_valid(c->id.data, c->id.len) || find_session(in, c->id))
		return leave(in, LEFT_CLIENT_ID);
	k = remember(in, &in->sessions, hash_bytes(c->id.data, c->id.len));
	if (!k)
		return -ENOMEM;
	k->client = c->id;
	k->id = new_id(in);
	in->im->counts.sessions++;
	return put_session(in, k, c);
}

static int on_subscription(void *arg, const struct mosquitto_subscription *s)
{
	struct importing *in = arg;
	const struct known *session = find_session(in, s->client);
	const struct store_op op = {.kind = STORE_SUBSCRIBE,
				    .session = session ? session->id : 0,
				    .text = {(uint8_t *)s->filter.data, s->filter.len},
				    .options = s->options,
				    .number = s->identifier};
	struct mqtt_str name, inner;

	if (!session)
		return leave(in, LEFT_NO_SESSION);
	if (!topic_filter_valid(s->filter) || topic_share(s->filter, &name, &inner) < 0 || (s->options & 3) > 2)
		return leave(in, LEFT_FILTER);
	in->im->counts.subscriptions++;
	return apply(in, &op);
}

/* Who published it, if the file knows and it is somebody there can be. */
static void set_source(const struct mosquitto_message *m, struct store_op *op, char *listener, size_t size)
{
	if (!m->source.len || !utf8_valid(m->source.data, m->source.len) ||
	    !utf8_valid(m->username.data, m->username.len))
		return;
	op->text = (struct store_bytes){(uint8_t *)m->source.data, m->source.len};
	if (m->username.len)
		op->username = (struct store_bytes){(uint8_t *)m->username.data, m->username.len};
	if (!m->port)
		return;
	snprintf(listener, size, "port %u", m->port); /* as conf_listener_name() */
	op->listener = (struct store_bytes){(uint8_t *)listener, (uint32_t)strlen(listener)};
}

static int on_retained(void *arg, uint64_t id)
{
	struct importing *in = arg;
	struct known *k = find_message(in, id);
	struct store_op op = {.kind = STORE_RETAIN};
	char listener[16];
	int rc;

	if (!k)
		return leave(in, LEFT_NO_MESSAGE);
	if (!topic_name_valid(k->message.topic) || !k->message.payload.len ||
	    (k->message.topic.len >= 4 && memcmp(k->message.topic.data, "$SYS", 4) == 0))
		return leave(in, LEFT_TOPIC);
	op.message = make_message(in, k);
	if (!op.message)
		return -ENOMEM;
	set_source(&k->message, &op, listener, sizeof(listener));
	in->im->counts.retained++;
	rc = apply(in, &op);
	message_unref(op.message);
	return rc;
}

static int on_unknown(void *arg, uint32_t kind)
{
	(void)kind;
	return leave(arg, LEFT_UNKNOWN);
}

/* ---- messages on their way --------------------------------------------------------------------------------------- */

/* What of it goes on here. */
enum way { WAY_NONE, WAY_QUEUED, WAY_SENT, WAY_RELEASED, WAY_HELD, WAY_OVER };

static enum way way_of(const struct mosquitto_delivery *d)
{
	switch ((enum mosquitto_state)d->state) {
	case MOSQUITTO_PUBLISH_QOS_1:
	case MOSQUITTO_PUBLISH_QOS_2:
		/* It got its packet identifier, but may not have been sent. */
		return !d->to_client ? WAY_NONE : d->dup ? WAY_SENT : WAY_QUEUED;
	case MOSQUITTO_WAIT_PUBACK:
	case MOSQUITTO_WAIT_PUBREC:
		return d->to_client ? WAY_SENT : WAY_NONE;
	case MOSQUITTO_RESEND_PUBREL:
	case MOSQUITTO_WAIT_PUBCOMP:
		return d->to_client && d->qos == 2 ? WAY_RELEASED : WAY_NONE;
	case MOSQUITTO_QUEUED:
		if (d->to_client)
			return WAY_QUEUED;
		return d->qos == 2 ? WAY_HELD : WAY_NONE;
	case MOSQUITTO_WAIT_PUBREL:
	case MOSQUITTO_SEND_PUBREC:
		return !d->to_client && d->qos == 2 ? WAY_HELD : WAY_NONE;
	case MOSQUITTO_RESEND_PUBCOMP:
		return !d->to_client && d->qos == 2 ? WAY_OVER : WAY_NONE;
	}
	return WAY_NONE;
}

/* Subscription Identifiers, as a delivery has them: struct sub_ids. */
static int put_ids(struct store_bytes *out, const struct mqtt_props *props)
{
	struct mqtt_property p;
	uint32_t at = 0, n = 0;
	uint32_t *ids;

	while (mqtt_props_next(props, &at, &p))
		n += p.id == MQTT_PROP_SUBSCRIPTION_IDENTIFIER;
	ids = n ? malloc(n * sizeof(*ids)) : NULL;
	if (!ids)
		return n ? -ENOMEM : 0;
	*out = (struct store_bytes){(uint8_t *)ids, n * (uint32_t)sizeof(*ids)};
	for (at = n = 0; mqtt_props_next(props, &at, &p);)
		if (p.id == MQTT_PROP_SUBSCRIPTION_IDENTIFIER)
			ids[n++] = p.number;
	return 0;
}

static int put_delivery(struct importing *in, const struct mosquitto_delivery *d, uint64_t session, struct message *m,
			enum way way)
{
	struct store_op op = {.kind = STORE_DELIVERY,
			      .session = session,
			      .id = new_id(in),
			      .message = m,
			      .qos = d->qos,
			      .retain = d->retain,
			      /* That it has RETAIN is decided: clients before 5.0 see it only so. */
			      .subscribed = d->retain};
	int rc = put_ids(&op.ids, &d->props);

	if (!rc && way != WAY_QUEUED) {
		op.pid = d->pid;
		op.order = op.id;
	}
	if (!rc)
		rc = apply(in, &op);
	free(op.ids.data);
	if (!rc && way == WAY_RELEASED)
		rc = apply(in, &(struct store_op){.kind = STORE_RELEASED, .session = session, .id = op.id});
	return rc;
}

static int put_held(struct importing *in, const struct mosquitto_delivery *d, uint64_t session, struct message *m,
		    enum way way)
{
	const struct store_op op = {.kind = STORE_HELD,
				    .session = session,
				    .id = new_id(in),
				    .pid = d->pid,
				    .message = way == WAY_OVER ? NULL : m,
				    .retain = d->retain};

	return apply(in, &op);
}

static void count(struct import_counts *c, enum way way)
{
	c->queued += way == WAY_QUEUED;
	c->in_flight += way == WAY_SENT || way == WAY_RELEASED;
	c->held += way == WAY_HELD || way == WAY_OVER;
}

static int on_delivery(void *arg, const struct mosquitto_delivery *d)
{
	struct importing *in = arg;
	const struct known *session = find_session(in, d->client);
	struct known *k = find_message(in, d->message);
	enum way way = way_of(d);
	struct message *m;
	int rc = 1;

	if (!session)
		return leave(in, LEFT_NO_SESSION);
	if (!d->qos)
		return leave(in, LEFT_QOS_0);
	if (way == WAY_NONE)
		return leave(in, LEFT_STATE);
	if (!k || !topic_name_valid(k->message.topic))
		return leave(in, LEFT_NO_MESSAGE);
	if (way != WAY_QUEUED)
		rc = take_off(in, session->id, d->pid, d->to_client);
	if (rc <= 0)
		return rc ? rc : leave(in, LEFT_PID);
	m = make_message(in, k);
	if (!m)
		return -ENOMEM;
	count(&in->im->counts, way);
	rc = d->to_client ? put_delivery(in, d, session->id, m, way) : put_held(in, d, session->id, m, way);
	message_unref(m);
	return rc;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* Within a transaction. */
static int fill(struct importing *in)
{
	static const struct mosquitto_reader reader = {
		.message = on_message,
		.client = on_client,
		.delivery = on_delivery,
		.subscription = on_subscription,
		.retained = on_retained,
		.unknown = on_unknown,
	};
	struct import *im = in->im;
	uint64_t used;
	int rc = db_number(db_use(&in->db, DB_USED), &used);

	if (rc != SQLITE_ROW)
		return error_of(rc);
	if (used && !im->replace)
		return -ENOTEMPTY;
	rc = used ? error_of(db_empty(&in->db)) : 0;
	return rc ? rc : mosquitto_read(im->data, im->len, &reader, in, &im->fault);
}

static int fill_or_not(struct importing *in)
{
	int rc = error_of(db_run(db_use(&in->db, DB_BEGIN)));

	if (!rc)
		rc = fill(in);
	if (!rc)
		rc = error_of(db_run(db_use(&in->db, DB_COMMIT)));
	if (rc == -EIO)
		log_error("Error: Unable to write the store %s: %s. It is as it was.", in->db.path,
			  sqlite3_errmsg(in->db.sqlite));
	else if (rc == -ENOMEM)
		log_error("Error: Out of memory. The store %s is as it was.", in->db.path);
	if (rc && !sqlite3_get_autocommit(in->db.sqlite))
		db_run(db_use(&in->db, DB_ROLLBACK));
	return rc;
}

int store_import(struct import *im)
{
	const struct store_config config = {.path = im->path, .durability = STORE_SYNC, .refuse_damaged = true};
	struct importing in = {.im = im};
	int rc = mosquitto_read(im->data, im->len, NULL, NULL, &im->fault);

	if (rc)
		return rc;
	im->counts = (struct import_counts){0};
	list_init(&in.all);
	rc = db_open(&in.db, &config);
	if (rc)
		return rc;
	message_origin_key(in.db.key);
	in.last_id = in.db.last_id >> 8;
	rc = fill_or_not(&in);
	forget_all(&in);
	db_close(&in.db, true);
	return rc;
}
