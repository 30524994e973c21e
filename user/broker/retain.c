// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/retain.h"

#include "broker/memory.h"
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
