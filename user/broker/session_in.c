// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* QoS 2 from the client: what waits for its PUBREL, section 4.3.3. */
#include <errno.h>
#include <stdlib.h>

#include "broker/session.h"

struct held {
	struct list link; /* session->held or released */
	uint16_t pid;
	struct held_message held;
	uint8_t again; /* how often it came once more without DUP */
};

static struct held *held_entry(struct list *l)
{
	return container_of(l, struct held, link);
}

int session_receive(struct session *s, uint16_t pid, bool dup)
{
	struct held *h = pid_map_get(&s->received, pid);

	if (!h)
		return 1;
	/* Once may be a client that does not know better, as before 5.0 many did not. */
	return !dup && ++h->again > 1 ? -EPROTO : 0;
}

static int tell_held(struct session *s, uint16_t pid, struct message *m, bool retain)
{
	struct store_op *op = store_op(s->store, STORE_HELD);

	if (!op)
		return -ENOMEM;
	op->session = s->stored;
	op->id = store_new_id(s->store);
	op->pid = pid;
	op->retain = retain;
	if (m) {
		store_name_message(s->store, m);
		op->message = message_ref(m);
	}
	return 0;
}

int session_hold(struct session *s, uint16_t pid, struct message *m, bool retain)
{
	struct held *h = malloc(sizeof(*h));

	if (!h)
		return -ENOMEM;
	*h = (struct held){.pid = pid, .held = {m, retain}};
	if (pid_map_put(&s->received, pid, h)) {
		free(h);
		return -ENOMEM;
	}
	if (s->stored && tell_held(s, pid, m, retain)) {
		pid_map_take(&s->received, pid);
		free(h);
		return -ENOMEM;
	}
	list_push(m ? &s->held : &s->released, &h->link);
	if (!m)
		return 0;
	message_ref(m);
	s->held_bytes += m->wire_len + m->props_len;
	return 0;
}

static struct held_message let_go(struct session *s, struct held *h)
{
	struct held_message out = h->held;

	list_del(&h->link);
	if (out.message)
		s->held_bytes -= out.message->wire_len + out.message->props_len;
	h->held.message = NULL;
	return out;
}

struct held_message session_overheld(struct session *s)
{
	struct held_message out;
	struct held *h;

	if (s->held_bytes <= SESSION_HELD_MAX)
		return (struct held_message){0};
	h = held_entry(s->held.next);
	out = let_go(s, h);
	list_push(&s->released, &h->link);
	if (s->stored)
		session_tell(s, STORE_HELD_EARLY, 0, h->pid);
	return out;
}

const struct held_message *session_held(struct session *s, uint16_t pid)
{
	struct held *h = pid_map_get(&s->received, pid);

	return h && h->held.message ? &h->held : NULL;
}

int session_pubrel(struct session *s, uint16_t pid, struct held_message *out)
{
	struct held *h = pid_map_take(&s->received, pid);

	*out = (struct held_message){0};
	/* Also when it is unknown: there may have been no memory to say so the last time. */
	if (s->stored)
		session_tell(s, STORE_HELD_OVER, 0, pid);
	if (!h)
		return MQTT_RC_PACKET_IDENTIFIER_NOT_FOUND;
	*out = let_go(s, h);
	free(h);
	return MQTT_RC_SUCCESS;
}

int session_take_held(struct session *s, struct store_row *r)
{
	struct held *h = malloc(sizeof(*h));

	if (!h)
		return -ENOMEM;
	*h = (struct held){.pid = r->pid, .held = {r->message, r->retain}};
	if (pid_map_put(&s->received, r->pid, h)) {
		free(h);
		return -ENOMEM;
	}
	list_push(r->message ? &s->held : &s->released, &h->link);
	if (r->message)
		s->held_bytes += r->message->wire_len + r->message->props_len;
	r->message = NULL;
	return 0;
}

static void forget(struct session *s, struct list *l)
{
	while (!list_empty(l)) {
		struct held *h = held_entry(l->next);
		struct held_message m = let_go(s, h);

		message_drop(&m.message);
		free(h);
	}
}

void session_forget_received(struct session *s)
{
	forget(s, &s->held);
	forget(s, &s->released);
	pid_map_clear(&s->received);
}
