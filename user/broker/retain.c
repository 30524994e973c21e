// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/retain.h"

#include "base/log.h"
#include "broker/access.h"
#include "broker/memory.h"
#include "broker/source.h"
#include "mqtt/topic.h"

/* By itself, whatever else is retained. */
static bool fits(const struct conf *conf, const struct message *m)
{
	if (conf->max_retained_payload && m->payload_len > conf->max_retained_payload)
		return false;
	return !conf->max_retained_levels || topic_depth(message_topic(m)) <= conf->max_retained_levels;
}

bool retain_allowed(const struct broker *b, const struct message *m)
{
	const struct conf *conf = b->conf;
	struct tree *tree = message_namespace(b, m)->tree;
	struct tree_retained_sum sum = tree_retained_sum(tree);
	const struct message *old;

	if (!m->payload_len || !m->origin)
		return true;
	if (!fits(conf, m))
		return false;
	if (!conf->max_retained_messages && !conf->max_retained_bytes && !memory_short())
		return true;
	old = tree_retained_of(tree, message_topic(m));
	if (old && message_size(m) <= message_size(old))
		return true;
	if (memory_short())
		return false;
	if (!old && conf->max_retained_messages && sum.messages >= conf->max_retained_messages)
		return false;
	return !conf->max_retained_bytes ||
	       sum.bytes - (old ? message_size(old) : 0) + message_size(m) <= conf->max_retained_bytes;
}

/* ---- check_retain_source ----------------------------------------------------------------------------------------- */

/* A review, and the rights of the source it came to last: most that a client published lies together. */
struct review {
	const struct broker *b;
	const struct source *source;
	struct acl_rights *rights; /* NULL: it may do everything, or, if `nothing`, nothing */
	bool nothing;
};

/* By which rules it came in; NULL: there are none. *gone: it is not known which. */
static struct acl *rules_of(const struct broker *b, const struct source *s, bool *gone)
{
	*gone = false;
	if (s->listener != SOURCE_NO_LISTENER)
		return b->access->rules[s->listener].acl;
	for (size_t i = 0; !b->conf->per_listener_settings && i < b->access->n; i++)
		if (!b->conf->listeners[i].own_acl_file)
			return b->access->rules[i].acl;
	*gone = true;
	return NULL;
}

static void turn_to(struct review *r, const struct source *s)
{
	const struct mqtt_str name = mqtt_str(s->username ? s->username : "");
	struct acl *acl = rules_of(r->b, s, &r->nothing);

	acl_rights_unref(r->rights);
	r->source = s;
	r->rights = acl ? acl_rights_new(acl, s->username ? &name : NULL, mqtt_str(s->id)) : NULL;
	if (acl && !r->rights)
		r->nothing = true; /* for want of memory */
}

static bool may(struct source *s, struct mqtt_str topic, void *arg)
{
	struct review *r = arg;

	if (!r->b->conf->check_retain_source)
		return true;
	if (s != r->source)
		turn_to(r, s);
	return !r->nothing && (!r->rights || acl_may(r->rights, ACL_WRITE, topic));
}

/* Can the answer be no for anybody? */
static bool has_rules(const struct broker *b)
{
	bool any = b->conf->per_listener_settings;

	for (size_t i = 0; i < b->access->n; i++)
		any |= b->access->rules[i].acl != NULL;
	return any && b->conf->check_retain_source;
}

void retain_review(struct broker *b)
{
	struct review r = {.b = b};
	bool due = has_rules(b);
	uint64_t barred = 0;

	if (!due && !b->barring)
		return;
	b->barring = due; /* also those that come to be until the next one */
	for (unsigned i = 0; i < b->nnamespaces; i++)
		barred += tree_retained_review(b->namespaces[i].tree, may, &r);
	acl_rights_unref(r.rights);
	if (barred)
		log_notice(
			"Retained messages that are not delivered, as who published them may not do so any more: %llu.",
			(unsigned long long)barred);
}
