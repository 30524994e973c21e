// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What an administrator does to the running broker, from outside of its workers. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/conn.h"
#include "broker/internal.h"
#include "broker/route.h"
#include "mqtt/topic.h"

/* ---- disconnecting ------------------------------------------------------------------------------------------------ */

struct kick {
	const struct namespace *space;
	const char *id;
	int rc;
};

/* On the client's worker. */
static void kick(struct worker *w, void *arg)
{
	struct kick *k = arg;
	const struct session *s = worker_session(w, k->space, k->id, strlen(k->id));

	k->rc = !s ? -ENOENT : !s->conn ? -ENOTCONN : 0;
	if (!k->rc)
		conn_close(s->conn, CLOSE_KICKED);
}

int broker_kick(const char *space, const char *id)
{
	struct kick k = {.space = namespace_named(&the_broker, space), .id = id};

	if (!k.space)
		return -ENOENT;
	worker_call(worker_of(&the_broker, id, strlen(id)), kick, &k);
	return k.rc;
}

/* ---- publishing --------------------------------------------------------------------------------------------------- */

/* No client can have this identifier: it has a control character. */
static const char origin[] = "\001administrator";

struct publication {
	const struct namespace *space;
	const struct mqtt_publish *publish;
	int rc;
};

static int check(const struct conf *conf, const struct mqtt_publish *p)
{
	if (!topic_name_valid(p->topic) || p->topic.data[0] == '$')
		return -EINVAL;
	if (p->retain && !conf->retain_available)
		return -EPERM;
	if ((conf->message_size_limit && p->payload.len > conf->message_size_limit) ||
	    (conf->max_packet_size && p->payload.len + p->topic.len > conf->max_packet_size))
		return -EMSGSIZE;
	return 0;
}

/* On any worker, between two of its packets. */
static void publish(struct worker *w, void *arg)
{
	struct publication *p = arg;
	struct message *m;

	p->rc = check(w->broker->conf, p->publish);
	if (p->rc)
		return;
	m = message_new(p->publish, NULL, message_origin(origin, strlen(origin)));
	if (!m) {
		p->rc = -ENOMEM;
		return;
	}
	m->ns = p->space->number;
	message_published(m, w->loop.now_ns);
	p->rc = route_publish(w, &(struct route){.message = m, .retain = p->publish->retain, .bound = ROUTE_REFUSE},
			      NULL);
	message_unref(m);
}

int broker_publish(const char *space, const struct mqtt_publish *p)
{
	struct publication publication = {.space = namespace_named(&the_broker, space), .publish = p};

	if (!publication.space)
		return -ENOENT;
	worker_call(&the_broker.workers[0], publish, &publication);
	return publication.rc;
}
