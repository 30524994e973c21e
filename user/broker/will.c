// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/will.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/access.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/mount.h"
#include "broker/route.h"

int will_take(struct conn *c, const struct mqtt_connect *connect)
{
	struct mqtt_publish will = {.topic = connect->will_topic,
				    .payload = connect->will_payload,
				    .qos = connect->will_qos,
				    .retain = connect->will_retain};
	const struct mqtt_str id = mqtt_str(c->client_id);
	uint8_t *mounted = NULL;

	if (!connect->will)
		return 0;
	if (mount_topic(c->sink.mount, &will.topic, &mounted))
		return -ENOMEM;
	c->will_retain = connect->will_retain;
	c->will_delay = mqtt_props_number(&connect->will_props, MQTT_PROP_WILL_DELAY_INTERVAL, 0);
	c->will = message_new(&will, &connect->will_props, message_origin(id.data, id.len));
	free(mounted);
	if (!c->will)
		return -ENOMEM;
	c->will->ns = conn_namespace(c)->number;
	return 0;
}

int will_change(struct conn *c, const struct mqtt_publish *will)
{
	struct message *m = NULL;

	if (will) {
		m = message_new(will, NULL, c->session->origin);
		if (!m)
			return -ENOMEM;
		m->ns = c->session->space->number;
	}
	message_drop(&c->will);
	c->will = m;
	c->will_retain = will && will->retain;
	c->will_delay = 0;
	if (c->session->stored)
		durable_will(c->worker, c->session, m, c->will_retain, 0);
	return 0;
}

static void publish(struct worker *w, struct session *s, struct message **will, bool retain)
{
	if (!*will)
		return;
	message_published(*will, w->loop.now_ns);
	store_unit(&w->store, true);
	if (s && !access_may_write(s, message_topic(*will)))
		COUNTER_ADD(publish_denied, 1);
	else if (!route_reserved(message_topic(*will)))
		(void)route_publish(w, &(struct route){.message = *will, .retain = retain, .publisher = s}, NULL);
	if (s)
		durable_will(w, s, NULL, false, 0);
	store_unit(&w->store, false);
	message_drop(will);
}

static void delay_over(struct timer *t)
{
	struct session *s = container_of(t, struct session, will_delay);

	publish(&the_broker.workers[s->worker], s, &s->will, s->will_retain);
}

void will_connection_ends(struct conn *c, struct session *s)
{
	struct worker *w = c->worker;

	if (!c->will)
		durable_will(w, s, NULL, false, 0);
	if (!c->will || !c->will_delay || session_ends_with_connection(s)) {
		publish(w, s, &c->will, c->will_retain);
		return;
	}
	s->will = c->will;
	s->will_retain = c->will_retain;
	c->will = NULL;
	loop_after(&w->loop, &s->will_delay, c->will_delay * UINT64_C(1000), delay_over);
}

void will_restore(struct worker *w, struct session *s, struct message *m, bool retain, uint64_t delay_ms,
		  uint64_t away_ms)
{
	s->will = message_ref(m);
	s->will_retain = retain;
	s->will_stored = true;
	loop_after(&w->loop, &s->will_delay, delay_ms > away_ms ? delay_ms - away_ms : 0, delay_over);
}

void will_session_ends(struct worker *w, struct session *s)
{
	timer_stop(&w->loop.timers, &s->will_delay);
	publish(w, s, &s->will, s->will_retain);
}

void will_cancel(struct worker *w, struct session *s)
{
	timer_stop(&w->loop.timers, &s->will_delay);
	message_drop(&s->will);
	durable_will(w, s, NULL, false, 0);
}

/* Its time goes on while the daemon is not there. */
static bool waits_in_store(const struct session *s, uint32_t delay)
{
	return s && s->stored && delay;
}

void will_broker_stops(struct worker *w)
{
	for (struct list *l = w->conns.next; l != &w->conns; l = l->next) {
		struct conn *c = container_of(l, struct conn, all);

		if (!waits_in_store(c->session, c->will_delay))
			publish(w, c->session, &c->will, c->will_retain);
	}
	for (size_t i = 0; w->sessions.buckets && i <= w->sessions.mask; i++)
		for (struct table_node *n = w->sessions.buckets[i]; n; n = n->next)
			if (!container_of(n, struct session, by_id)->stored)
				will_session_ends(w, container_of(n, struct session, by_id));
}
