// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/will.h"

#include <errno.h>

#include "base/hash.h"
#include "broker/internal.h"
#include "broker/route.h"

int will_take(struct conn *c, const struct mqtt_connect *connect)
{
	const struct mqtt_publish will = {.topic = connect->will_topic,
					  .payload = connect->will_payload,
					  .qos = connect->will_qos,
					  .retain = connect->will_retain};
	const struct mqtt_str id = mqtt_str(c->client_id);

	if (!connect->will)
		return 0;
	c->will_retain = connect->will_retain;
	c->will_delay = mqtt_props_number(&connect->will_props, MQTT_PROP_WILL_DELAY_INTERVAL, 0);
	c->will = message_new(&will, &connect->will_props, hash_bytes(id.data, id.len));
	return c->will ? 0 : -ENOMEM;
}

static void publish(struct worker *w, const struct session *s, struct message **will, bool retain)
{
	if (!*will)
		return;
	message_published(*will, w->loop.now_ns);
	(void)route_publish(w, &(struct route){.message = *will, .retain = retain, .publisher = s}, NULL);
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

	if (!c->will || !c->will_delay || session_ends_with_connection(s)) {
		publish(w, s, &c->will, c->will_retain);
		return;
	}
	s->will = c->will;
	s->will_retain = c->will_retain;
	c->will = NULL;
	loop_after(&w->loop, &s->will_delay, c->will_delay * UINT64_C(1000), delay_over);
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
}

void will_broker_stops(struct worker *w)
{
	for (struct list *l = w->conns.next; l != &w->conns; l = l->next) {
		struct conn *c = container_of(l, struct conn, all);

		publish(w, c->session, &c->will, c->will_retain);
	}
	for (size_t i = 0; w->sessions.buckets && i <= w->sessions.mask; i++)
		for (struct table_node *n = w->sessions.buckets[i]; n; n = n->next)
			will_session_ends(w, container_of(n, struct session, by_id));
}
