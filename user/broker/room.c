// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/room.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "broker/durable.h"
#include "broker/memory.h"

static struct room_wait *first(const struct conn *c)
{
	return container_of(c->waiting.next, struct room_wait, link);
}

bool room_waits(const struct conn *c)
{
	return !list_empty(&c->waiting);
}

bool room_full(const struct conn *c)
{
	return c->waiting_bytes > ROOM_BYTES_MAX;
}

static void take_out(struct conn *c, struct room_wait *r)
{
	list_del(&r->link);
	c->waiting_bytes -= sizeof(*r) + message_size(r->message);
	COUNTER_ADD(publish_waiting, -1);
	message_unref(r->message);
	free(r);
}

/* Is it the other side of a circle? What is not read may be the acknowledgement that would make room. */
static bool lost_patience(const struct conn *c)
{
	return room_full(c) && c->session->sent.count &&
	       c->worker->loop.now_ns - c->waiting_ns > ROOM_PATIENCE_MS * NS_PER_MS;
}

/* What waits gets on, as far as there is room. */
static void go_on(struct conn *c)
{
	while (room_waits(c)) {
		struct room_wait *r = first(c);
		int rc;

		durable_begin(c);
		rc = conn_publish_again(c, r);
		if (rc == -EDQUOT)
			break;
		c->waiting_ns = c->worker->loop.now_ns;
		take_out(c, r);
		if (rc) {
			conn_close(c, (enum close_reason)(rc - 1));
			return;
		}
	}
	if (lost_patience(c))
		conn_close(c, CLOSE_QUOTA);
	else if (c->paused)
		conn_dirty(c); /* where it is seen whether reading may go on */
}

static void look_again(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, room);
	struct list now;
	struct list *l;

	list_init(&now);
	list_splice(&now, &w->waiting);
	while ((l = list_pop(&now))) {
		struct conn *c = container_of(l, struct conn, waits_for_room);

		go_on(c);
		if (c->state == CONN_OPEN && room_waits(c))
			list_push(&w->waiting, &c->waits_for_room);
	}
	if (!list_empty(&w->waiting))
		loop_after(&w->loop, t, ROOM_LOOK_MS, look_again);
}

int room_wait(struct conn *c, struct message *m, uint16_t pid, bool retain, bool dup)
{
	struct worker *w = c->worker;
	struct room_wait *r = memory_short() ? NULL : malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct room_wait){.message = message_ref(m), .pid = pid, .retain = retain, .dup = dup};
	if (!room_waits(c))
		c->waiting_ns = w->loop.now_ns;
	list_push(&c->waiting, &r->link);
	c->waiting_bytes += sizeof(*r) + message_size(m);
	COUNTER_ADD(publish_waiting, 1);
	if (!list_linked(&c->waits_for_room))
		list_push(&w->waiting, &c->waits_for_room);
	if (!w->room.armed)
		loop_after(&w->loop, &w->room, ROOM_LOOK_MS, look_again);
	return 0;
}

void room_forget(struct conn *c)
{
	list_del(&c->waits_for_room);
	while (room_waits(c))
		take_out(c, first(c));
}
