// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/receiver.h"

#include <errno.h>
#include <stdlib.h>

#include "mqtt/encode.h"
#include "shunt-bench/payload.h"

enum {
	PACKET_OVERHEAD = 128,	     /* more than header and topic of a message, or any other packet, takes */
	SLEEP_NS = 50 * 1000 * 1000, /* flags and keepalive are looked at so often */
};

static int subscriber_init(struct subscriber *s, struct receiver *r, unsigned id)
{
	unsigned *heard;

	*s = (struct subscriber){.conn.fd = -1, .receiver = r, .id = id};
	heard = plan_heard(r->run->plan, id, &s->heard);
	if (!heard)
		return -ENOMEM;
	s->arrivals = calloc(s->heard + 1, sizeof(*s->arrivals));
	for (size_t i = 0; s->arrivals && i < s->heard; i++)
		s->arrivals[i].publisher = heard[i];
	free(heard);
	return s->arrivals ? 0 : -ENOMEM;
}

int receiver_init(struct receiver *r, const struct run *run, unsigned index, unsigned stride)
{
	const struct options *o = run->plan->options;
	unsigned count = (unsigned)plan_share(o->subscribers, index, stride);
	int err;

	*r = (struct receiver){.run = run, .idle_count = (unsigned)plan_share(o->connections, index, stride)};
	err = io_open(&r->io, PACKET_OVERHEAD + run->plan->name_len + o->size);
	if (err)
		return err;
	r->io.gather = o->batch > 1;
	r->idle = calloc(r->idle_count + 1, sizeof(*r->idle));
	r->subscribers = calloc(count + 1, sizeof(*r->subscribers));
	if (o->load->shared)
		r->together = calloc(o->publishers + 1, sizeof(*r->together));
	if (!r->idle || !r->subscribers || (o->load->shared && !r->together))
		return -ENOMEM;
	for (unsigned i = 0; i < r->idle_count; i++)
		r->idle[i].fd = -1;
	while (!err && r->count < count) {
		err = subscriber_init(&r->subscribers[r->count], r, index + r->count * stride);
		r->count++;
	}
	return err;
}

void receiver_free(struct receiver *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		conn_finish(&r->subscribers[i].conn);
		free(r->subscribers[i].arrivals);
	}
	for (unsigned i = 0; r->idle && i < r->idle_count; i++)
		conn_finish(&r->idle[i]);
	free(r->subscribers);
	free(r->idle);
	free(r->together);
	r->together = NULL;
	r->subscribers = NULL;
	r->idle = NULL;
	r->count = r->idle_count = 0;
	io_close(&r->io);
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static int by_publisher(const void *key, const void *element)
{
	unsigned a = *(const unsigned *)key, b = ((const struct arrivals *)element)->publisher;

	return (a > b) - (a < b);
}

/* Find out which message it is. NULL: none that this subscriber should get, as it is. */
static struct arrivals *identify(const struct subscriber *s, const struct mqtt_packet *packet, struct payload *payload)
{
	const struct plan *plan = s->receiver->run->plan;
	const struct mqtt_publish *publish = &packet->publish;
	unsigned publisher, topic;

	if (!payload_read(publish->payload.data, publish->payload.len, plan->options->size, plan->tag, payload))
		return NULL;
	publisher = payload->publisher;
	if (publisher >= plan->publishers || publish->qos != plan->options->qos || publish->retain)
		return NULL;
	topic = plan_topic_of(plan, publisher, payload->sequence);
	if (!mqtt_str_eq(publish->topic, plan_topic_name(plan, topic)) || !plan_hears(plan, s->id, topic))
		return NULL;
	return bsearch(&publisher, s->arrivals, s->heard, sizeof(*s->arrivals), by_publisher);
}

static void note(struct receiver *r, struct arrivals *arrivals, const struct payload *payload, uint64_t now_ns)
{
	uint64_t due_ns = r->run->start_ns + payload->due_ns;

	if (r->together && arrivals_note(&r->together[payload->publisher], payload->sequence) == ARRIVAL_COPY) {
		counter_add(&r->duplicated, 1); /* two members got it */
		return;
	}
	switch (arrivals_note(arrivals, payload->sequence)) {
	case ARRIVAL_COPY:
		counter_add(&r->duplicated, 1);
		return;
	case ARRIVAL_LATE:
		counter_add(&r->reordered, 1);
		break;
	case ARRIVAL_NEW:
		break;
	}
	counter_add(&r->received, 1);
	if (payload->due_ns < r->run->plan->measure_ns)
		return;
	histogram_record(&r->latency, now_ns > due_ns ? now_ns - due_ns : 0);
	r->last_ns = now_ns;
}

static void acknowledge(struct conn *c, uint8_t type, uint16_t pid)
{
	uint8_t ack[MQTT_SHORT_MAX];

	conn_write(c, ack, mqtt_encode_ack(ack, sizeof(ack), c->version, type, pid, 0));
}

static int on_packet(struct conn *c, const struct mqtt_packet *packet, uint64_t now_ns)
{
	struct subscriber *s = (struct subscriber *)c;
	struct arrivals *arrivals;
	struct payload payload;

	switch (packet->type) {
	case MQTT_PUBLISH:
		arrivals = identify(s, packet, &payload);
		if (arrivals)
			note(s->receiver, arrivals, &payload, now_ns);
		else
			counter_add(&s->receiver->corrupt, 1);
		if (packet->publish.qos > 0)
			acknowledge(c, packet->publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, packet->pid);
		return 0;
	case MQTT_PUBREL:
		acknowledge(c, MQTT_PUBCOMP, packet->pid);
		return 0;
	case MQTT_PINGRESP:
		return 0;
	default:
		return -EPROTO;
	}
}

static int on_idle_packet(struct conn *c, const struct mqtt_packet *packet, uint64_t now_ns)
{
	(void)c;
	(void)now_ns;
	return packet->type == MQTT_PINGRESP ? 0 : -EPROTO;
}

/* ---- thread ----------------------------------------------------------------------------------------------------- */

static void keep_alive(struct receiver *r, uint64_t *last_ns)
{
	uint64_t half_ns = r->run->plan->options->keepalive * 500000000, now_ns = clock_ns();

	if (half_ns == 0 || now_ns - *last_ns < half_ns / 4)
		return;
	*last_ns = now_ns;
	for (unsigned i = 0; i < r->count; i++)
		conn_keep_alive(&r->subscribers[i].conn, now_ns - half_ns);
	for (unsigned i = 0; i < r->idle_count; i++)
		conn_keep_alive(&r->idle[i], now_ns - half_ns);
}

void *receiver_thread(void *arg)
{
	struct receiver *r = arg;
	uint64_t last_ping_ns = clock_ns();

	for (unsigned i = 0; i < r->count; i++)
		r->subscribers[i].conn.on_packet = on_packet;
	for (unsigned i = 0; i < r->idle_count; i++)
		r->idle[i].on_packet = on_idle_packet;
	while (!flag_get(&r->run->stop)) {
		keep_alive(r, &last_ping_ns);
		io_wait(&r->io, SLEEP_NS);
	}
	return NULL;
}
