// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The copies that the kernel could not give to their receivers: from the worker's sink to the sessions. */
#include <errno.h>
#include <sys/epoll.h>
#include <wire.h>

#include "base/log.h"
#include "broker/conn.h"
#include "broker/flow.h"
#include "broker/internal.h"

/* The first packet in `packets` as a message; its length. 0 when there is none. */
static size_t next_message(const uint8_t *packets, size_t len, uint8_t version, struct message **m)
{
	struct mqtt_packet packet;
	__u32 header_len;
	__s32 n;

	*m = NULL;
	n = len < 2 ? 0 : wire_header(packets, len < WIRE_HEADER_MAX ? (__u32)len : WIRE_HEADER_MAX, &header_len);
	if (n <= 0 || (size_t)n > len)
		return 0;
	if (mqtt_decode(version, packets[0], packets + header_len, (size_t)n - header_len, &packet) == MQTT_RC_SUCCESS)
		*m = message_new(&packet.publish, NULL, 0);
	return (size_t)n;
}

static void deliver_diverted(const struct fp_diverted *d, void *arg)
{
	struct worker *w = arg;
	struct session *s = flow_receiver(d->slot, d->generation);
	size_t at = 0, n = 1;

	/* Its connection has ended: nobody is there to get a message of QoS 0. */
	if (!s)
		return;
	while (at < d->len && n) {
		uint8_t version = __atomic_load_n(&s->form, __ATOMIC_RELAXED) ? MQTT_5_0 : MQTT_3_1_1;
		struct message *m;

		n = next_message(d->packets + at, d->len - at, version, &m);
		at += n;
		if (!m)
			COUNTER_ADD(dropped[DROP_NO_MEMORY], 1);
		worker_deliver_diverted(w, s, m, at == d->len || !n ? d->generation : 0);
		message_drop(&m);
	}
}

void flow_read_sink(struct worker *w)
{
	fp_sink_read(deliver_diverted, w);
}

static void sink_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	flow_read_sink(container_of(watch, struct worker, sink));
}

void flow_open_sink(struct worker *w)
{
	w->sink = (struct watch){.fd = fp_sink_open(), .ready = sink_ready};
	if (w->sink.fd >= 0 && loop_watch(&w->loop, &w->sink, EPOLLIN | EPOLLET))
		log_error("Out of memory.");
}
