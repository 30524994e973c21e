// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Why a publish takes the way it takes: asks the publisher's worker for the decision, and the worker of the session that
 * it is about for what only that knows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/flow.h"
#include "broker/internal.h"
#include "mqtt/topic.h"

struct question {
	const struct namespace *space;
	struct mqtt_str topic;
	const char *client; /* NULL: anybody */
	struct broker_why *out;
	/* the answer */
	enum flow_reason reason;
	struct fp_link link; /* the publisher's, as it was; zero: unknown */
	uint8_t version;
};

static void say(struct question *q, const char *detail)
{
	snprintf(q->out->detail, sizeof(q->out->detail), "%s", detail ? detail : "");
}

static const char *road_name(enum fp_road road)
{
	return road == FP_ROAD_LOCAL ? "local" : road == FP_ROAD_REMOTE ? "remote" : "none";
}

/* What the roads and forms of both are, where that is the reason. */
static void compare(struct question *q, const struct conn *publisher, const struct session *about)
{
	char *detail = q->out->detail;

	if (q->reason == FLOW_OTHER_ROAD)
		snprintf(detail, sizeof(q->out->detail), "the publisher is on the road %s, the receiver on the road %s",
			 road_name(publisher->link.road), road_name((enum fp_road)about->road));
	else if (q->reason == FLOW_OTHER_FORM)
		snprintf(detail, sizeof(q->out->detail), "it is the %s that speaks 5.0",
			 about->form ? "receiver" : "publisher");
}

/* On the publisher's worker. */
static void ask_publisher(struct worker *w, void *arg)
{
	struct question *q = arg;
	const struct session *s = q->client ? worker_session(w, q->space, q->client, strlen(q->client)) : NULL;
	const struct conn *publisher = s ? s->conn : NULL;
	struct session *about;

	if (q->client && !publisher) {
		q->reason = s ? FLOW_PUBLISHER_AWAY : FLOW_PUBLISHER_UNKNOWN;
		return;
	}
	q->reason = flow_explain(w, q->space, publisher, q->topic, &about);
	if (publisher) {
		q->link = publisher->link;
		q->version = publisher->version;
	}
	if (publisher && q->reason == FLOW_PUBLISHER_NO_ROAD)
		say(q, publisher->link.no_road);
	if (!about || q->reason == FLOW_POSSIBLE)
		return;
	snprintf(q->out->session, sizeof(q->out->session), "%s", about->id);
	if (publisher)
		compare(q, publisher, about);
}

/* On the worker of the receiver, which has no road to receive by. */
static void ask_receiver(struct worker *w, void *arg)
{
	struct question *q = arg;
	const struct session *s = worker_session(w, q->space, q->out->session, strlen(q->out->session));
	const struct conn *c = s ? s->conn : NULL;

	if (!c)
		return;
	if (c->link.road == FP_ROAD_NONE)
		say(q, c->link.no_road);
	else
		say(q, flow_receiver_limit(c) ? flow_receiver_limit(c) : "it could not be prepared to receive");
}

/* The flows that its messages take. */
static void find_flows(struct question *q)
{
	struct broker_why *out = q->out;

	for (unsigned form = 0; form < 2; form++) {
		for (unsigned road = FP_ROAD_LOCAL; road <= FP_ROAD_REMOTE; road++) {
			if (q->client && (form != flow_form(q->version) || road != q->link.road))
				continue;
			out->nflows += fp_flow_find(q->client ? &q->link : NULL, q->space->number, (uint8_t)form,
						    (enum fp_road)road, (const char *)q->topic.data, q->topic.len,
						    &out->flows[out->nflows]);
		}
	}
}

int broker_why(const char *space, const char *topic, const char *client, struct broker_why *out)
{
	struct broker *b = &the_broker;
	struct question q = {
		.space = namespace_named(b, space),
		.topic = {.data = (const uint8_t *)topic, .len = (uint32_t)strlen(topic)},
		.client = client,
		.out = out,
	};
	struct fp_status status;

	memset(out, 0, sizeof(*out));
	if (!topic_name_valid(q.topic))
		return -EINVAL;
	if (!q.space)
		return -ENOENT;
	worker_call(client ? worker_of(b, client, strlen(client)) : &b->workers[0], ask_publisher, &q);
	if (q.reason == FLOW_OFF) {
		fp_status(&status);
		say(&q, status.reason);
	} else if (q.reason == FLOW_RECEIVER_NO_ROAD) {
		worker_call(worker_of(b, out->session, strlen(out->session)), ask_receiver, &q);
	} else if (q.reason == FLOW_POSSIBLE) {
		find_flows(&q);
	}
	out->reason = flow_reason_name(q.reason);
	out->text = flow_reason_text(q.reason);
	return 0;
}
