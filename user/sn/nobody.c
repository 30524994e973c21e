// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* PUBLISH with QoS -1, section 6.8: by who has no connection, to topics that need no REGISTER. All of them have the rights of
 * one user whom the configuration names; without that nobody may. */
#include <errno.h>

#include "base/rate.h"
#include "broker/access.h"
#include "broker/internal.h"
#include "broker/memory.h"
#include "broker/route.h"
#include "mqtt/topic.h"
#include "sn/internal.h"

int sn_nobody_open(struct sn_gateway *g)
{
	const char *name = sn_conf(g)->sn_anonymous;
	struct session *s;

	if (!name || g->nobody)
		return 0;
	s = session_new(g->broker->listener_namespaces[g->listener], name, strlen(name), g->worker->index,
			g->broker->conf);
	if (!s)
		return -ENOMEM;
	g->nobody = s;
	s->username = strdup(name);
	if (!s->username)
		return -ENOMEM;
	memory_took(strlen(name) + 1);
	s->listener = g->listener;
	s->came = true;
	g->nobody_epoch = UINT64_MAX;
	return 0;
}

void sn_nobody_close(struct sn_gateway *g)
{
	if (g->nobody)
		session_free(g->nobody);
	g->nobody = NULL;
}

/* Its rights of today. */
static bool has_rights(struct sn_gateway *g)
{
	struct broker *b = g->broker;
	int rc = 0;

	if (g->nobody_epoch != b->access_epoch) {
		subscriptions_lock(b);
		rc = access_set_rights(b, g->nobody);
		subscriptions_unlock(b);
		if (!rc)
			g->nobody_epoch = b->access_epoch;
	}
	return !rc;
}

/* Does it publish more than max_publish_rate? */
static bool too_fast(struct sn_gateway *g)
{
	uint32_t max = g->broker->conf->max_publish_rate;
	uint64_t now = g->worker->loop.now_ns;

	if (!max)
		return false;
	if (rate_wait(g->nobody_rate, now))
		return true;
	g->nobody_rate = rate_add(g->nobody_rate, now, 1, max);
	return false;
}

static void publish(struct sn_gateway *g, const struct sn_packet *p, struct mqtt_str topic)
{
	const struct conf *conf = g->broker->conf;
	const struct mqtt_publish publish = {.topic = topic, .payload = p->data, .retain = p->retain};
	struct message *m;

	COUNTER_ADD(publish_received, 1);
	COUNTER_ADD(publish_bytes_received, p->data.len);
	namespace_received(g->nobody->space, g->worker->index, 1);
	if (!access_may_write(g->nobody, topic)) {
		COUNTER_ADD(publish_denied, 1);
		return;
	}
	if (too_fast(g) || (p->retain && !conf->retain_available)) {
		COUNTER_ADD(publish_refused, 1);
		return;
	}
	m = conf->message_size_limit && p->data.len > conf->message_size_limit
		    ? NULL
		    : message_new(&publish, NULL, g->nobody->origin);
	if (!m) {
		COUNTER_ADD(dropped[DROP_TOO_LARGE], 1);
		return;
	}
	m->ns = g->nobody->space->number;
	message_published(m, g->worker->loop.now_ns);
	(void)route_publish(g->worker, &(struct route){.message = m, .retain = p->retain, .publisher = g->nobody},
			    NULL);
	message_unref(m);
}

void sn_nobody_publishes(struct sn_gateway *g, const struct sn_packet *p)
{
	uint8_t name[2];
	struct mqtt_str topic = {0};

	if (p->topic_type == SN_TOPIC_PREDEFINED) {
		topic = sn_predefined_name(g->predefined, p->topic_id);
	} else if (p->topic_type == SN_TOPIC_SHORT) {
		sn_short_name(p->topic_id, name);
		topic = (struct mqtt_str){name, sizeof(name)};
	}
	if (!g->nobody || !topic.len || !topic_name_valid(topic) || topic.data[0] == '$' || !has_rights(g)) {
		COUNTER_ADD(sn_ignored, 1);
		return;
	}
	publish(g, p, topic);
}
