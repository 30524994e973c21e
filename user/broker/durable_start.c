// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The store's start with all that is told then, and its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/banning.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/retain.h"
#include "broker/source.h"
#include "broker/subscribe.h"
#include "broker/will.h"
#include "store/folder.h"

/* What has a number that none has is not as it was written. */
static struct namespace *find(const struct broker *b, uint64_t number)
{
	return number < b->nnamespaces ? &b->namespaces[number] : NULL;
}

static int load_session(void *arg, const struct store_op *op, uint64_t away_ms, const struct store_op *will,
			uint32_t deliveries, uint64_t bytes)
{
	struct broker *b = arg;
	struct worker *w = worker_of(b, (const char *)op->text.data, op->text.len);
	struct namespace *space = find(b, op->ns);
	struct session *s;
	uint64_t limit = b->conf->persistent_client_expiration;
	uint64_t left = limit && limit < op->expiry ? limit : op->expiry;

	if (!space || (will && will->message->ns != op->ns))
		return -EBADMSG;
	s = worker_session_new(w, space, (const char *)op->text.data, op->text.len);
	if (!s || session_store(s, op->session, &w->store))
		return -ENOMEM;
	namespace_count(&space->clients, 1);
	s->expiry_interval = op->expiry;
	worker_session_kept(s);
	s->stored_messages = deliveries;
	s->stored_bytes = bytes;
	session_cool(s);
	if (will)
		will_restore(w, s, will->message, will->retain, will->delay * UINT64_C(1000), away_ms);
	if (left != SESSION_NEVER_EXPIRES)
		worker_session_expires(w, s, left * 1000 > away_ms ? left * 1000 - away_ms : 0);
	return 0;
}

static int load_subscription(void *arg, uint16_t ns, struct store_bytes client, const struct store_op *op)
{
	struct broker *b = arg;
	struct worker *w = worker_of(b, (const char *)client.data, client.len);
	const struct namespace *space = find(b, ns);
	struct session *s = space ? worker_session(w, space, (const char *)client.data, client.len) : NULL;

	return s ? subscription_restore(b, s, (struct mqtt_str){op->text.data, op->text.len}, op->options, op->number)
		 : 0;
}

static int load_retained(void *arg, const struct store_op *op)
{
	struct broker *b = arg;
	struct namespace *space = find(b, op->message->ns);
	struct source *source;
	bool added = false;
	int rc;

	if (!space)
		return -EBADMSG;
	subscriptions_lock(b);
	rc = source_restore(b, op, &source);
	if (!rc)
		rc = tree_retain(space->tree, op->message, source, false, &added);
	if (rc)
		source_unref(source);
	subscriptions_unlock(b);
	if (added) {
		COUNTER_ADD(retained, 1);
		namespace_count(&space->retained, 1);
	}
	return rc == -E2BIG ? 0 : rc;
}

/* False: it says nothing that can be banned. */
static bool read_subject(const struct broker *b, const struct store_op *op, struct ban_subject *who)
{
	const struct namespace *space = find(b, op->ns);
	char text[NETWORK_NAME_MAX];

	*who = (struct ban_subject){.kind = (enum ban_kind)op->number, .name = {op->text.data, op->text.len}};
	if (op->number >= BAN_KINDS || !op->text.len || !space)
		return false;
	who->space = space->name;
	if (who->kind != BAN_ADDRESS)
		return true;
	who->name = (struct mqtt_str){0};
	snprintf(text, sizeof(text), "%.*s", (int)op->text.len, (const char *)op->text.data);
	return !network_parse(text, &who->network) && who->network.address.family != AF_UNIX;
}

static int load_ban(void *arg, const struct store_op *op)
{
	struct ban ban = {.since_ns = op->order, .until_ns = op->id, .automatic = op->retain};
	char reason[BAN_REASON_MAX];

	snprintf(reason, sizeof(reason), "%.*s", (int)op->ids.len, (const char *)op->ids.data);
	ban.reason = reason;
	if (read_subject(arg, op, &ban.who))
		banning_restore(arg, &ban);
	return 0;
}

int durable_prepare(const struct conf *conf, uid_t uid, gid_t gid)
{
	int err = conf->persistence ? store_make_folder(conf->persistence_location, uid, gid) : 0;

	if (err)
		log_error("Error: Unable to make the folder %s of the option persistence_location: %s.",
			  conf->persistence_location, strerror(-err));
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
	static const struct store_reader reader = {load_session, load_subscription, load_retained, load_ban};
	int rc;

	if (!b->store)
		return 0;
	for (unsigned i = 0; i < b->nworkers; i++)
		b->workers[i].store = (struct store_client){
			.store = b->store, .loop = &b->workers[i].loop, .notice = durable_notice, .index = i};
	rc = store_load(b->store, &reader, b);
	if (!rc)
		retain_review(b);
	return rc;
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
