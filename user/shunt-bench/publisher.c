// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/publisher.h"

#include <errno.h>
#include <stdlib.h>

#include "mqtt/encode.h"
#include "shunt-bench/payload.h"

enum { PACKET_OVERHEAD = 5 + 2 + 2 + 1 }; /* fixed header, length of the topic, packet identifier, no properties */

int outlet_init(struct outlet *out, const struct run *run)
{
	const struct options *o = run->plan->options;

	out->run = run;
	out->packets_size = (PACKET_OVERHEAD + run->plan->name_len + o->size) * o->batch;
	out->packets = malloc(out->packets_size);
	return out->packets ? 0 : -ENOMEM;
}

void outlet_free(struct outlet *out)
{
	free(out->packets);
	out->packets = NULL;
}

int publisher_init(struct publisher *p, struct outlet *out, unsigned id)
{
	const struct plan *plan = out->run->plan;
	unsigned window = (unsigned)plan->options->window;

	*p = (struct publisher){
		.conn.fd = -1,
		.out = out,
		.id = id,
		.due = plan->interval_ns > 0 ? 0 : UINT64_MAX,
		.limit = plan_limit(plan, id),
		.first_measured = UINT64_MAX,
	};
	if (plan->options->qos == 0)
		return 0;
	p->awaited = calloc(window, sizeof(*p->awaited));
	p->free_ids = calloc(window, sizeof(*p->free_ids));
	if (!p->awaited || !p->free_ids)
		return -ENOMEM;
	for (unsigned i = 0; i < window; i++)
		p->free_ids[i] = (uint16_t)(i + 1);
	p->free_count = window;
	return 0;
}

void publisher_free(struct publisher *p)
{
	conn_finish(&p->conn);
	free(p->awaited);
	free(p->free_ids);
	p->awaited = NULL;
	p->free_ids = NULL;
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static const struct options *options_of(const struct publisher *p)
{
	return p->out->run->plan->options;
}

static uint16_t take_id(struct publisher *p)
{
	unsigned window = (unsigned)options_of(p)->window;
	uint16_t id = p->free_ids[p->free_head];

	p->free_head = (p->free_head + 1) % window;
	p->free_count--;
	p->awaited[id - 1] = options_of(p)->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
	return id;
}

static void give_id_back(struct publisher *p, uint16_t id)
{
	unsigned window = (unsigned)options_of(p)->window;

	p->awaited[id - 1] = 0;
	p->free_ids[(p->free_head + p->free_count++) % window] = id;
}

static bool may_send(const struct publisher *p)
{
	return p->sent < p->due && p->sent < p->limit && (options_of(p)->qos == 0 || p->free_count > 0);
}

/* The first message after the warm-up decides, where no schedule does, which one is the last. */
static void begin_measuring(struct publisher *p)
{
	uint64_t count = plan_measured_limit(p->out->run->plan, p->id);

	p->first_measured = p->sent;
	if (count != UINT64_MAX)
		p->limit = p->sent + count;
}

/* Write the next message to `buf`; the bytes it takes. */
static size_t put_message(struct publisher *p, uint8_t *buf, size_t cap, uint64_t now_ns)
{
	const struct plan *plan = p->out->run->plan;
	const struct options *o = plan->options;
	struct mqtt_publish publish = {
		.topic = plan_topic_name(plan, plan_topic_of(plan, p->id, p->sent)),
		.qos = (uint8_t)o->qos,
	};
	struct payload payload = {
		.tag = plan->tag,
		.publisher = (uint16_t)p->id,
		.due_ns = plan->interval_ns > 0 ? plan_due_ns(plan, p->id, p->sent) : now_ns,
		.sequence = p->sent,
	};
	uint16_t id = o->qos ? take_id(p) : 0;
	size_t header = mqtt_encode_publish_header(buf, cap, p->conn.version, &publish, o->size, id, NULL);

	if (payload.due_ns >= plan->measure_ns) {
		if (p->first_measured == UINT64_MAX)
			begin_measuring(p);
		histogram_record(&p->out->lag, now_ns > payload.due_ns ? now_ns - payload.due_ns : 0);
	}
	payload_write(buf + header, o->size, &payload);
	p->sent++;
	return header + o->size;
}

bool publisher_pump(struct publisher *p, uint64_t most)
{
	struct outlet *out = p->out;
	uint64_t batch = options_of(p)->batch;

	while (most && conn_clear(&p->conn) && may_send(p)) {
		uint64_t now_ns = clock_ns() - out->run->start_ns, n = 0;
		size_t len = 0;

		for (; n < batch && n < most && may_send(p); n++)
			len += put_message(p, out->packets + len, out->packets_size - len, now_ns);
		conn_write(&p->conn, out->packets, len);
		counter_add(&out->sent, n);
		most -= n;
	}
	return conn_clear(&p->conn) && may_send(p);
}

bool publisher_done(const struct publisher *p)
{
	if (p->conn.fd < 0)
		return true;
	return p->sent >= p->limit && conn_clear(&p->conn) &&
	       (options_of(p)->qos == 0 || p->free_count == options_of(p)->window);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* With a schedule whatever is due may go; without one the sender's thread gives every publisher its turn. */
static void on_writable(struct conn *c)
{
	struct publisher *p = (struct publisher *)c;

	if (p->out->run->plan->interval_ns > 0)
		publisher_pump(p, UINT64_MAX);
}

static int on_packet(struct conn *c, const struct mqtt_packet *packet, uint64_t now_ns)
{
	struct publisher *p = (struct publisher *)c;
	uint8_t pubrel[MQTT_SHORT_MAX];

	(void)now_ns;
	if (packet->type == MQTT_PINGRESP)
		return 0;
	if (!p->awaited || packet->pid == 0 || packet->pid > options_of(p)->window ||
	    p->awaited[packet->pid - 1] != packet->type)
		return -EPROTO;
	if (packet->type == MQTT_PUBREC) {
		p->awaited[packet->pid - 1] = MQTT_PUBCOMP;
		conn_write(c, pubrel,
			   mqtt_encode_ack(pubrel, sizeof(pubrel), p->conn.version, MQTT_PUBREL, packet->pid, 0));
		return 0;
	}
	give_id_back(p, packet->pid);
	on_writable(c);
	return 0;
}

void publisher_start(struct publisher *p)
{
	p->conn.on_packet = on_packet;
	p->conn.on_writable = on_writable;
}
