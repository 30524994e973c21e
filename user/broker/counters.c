// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/counters.h"

const struct close_text close_texts[CLOSE_REASONS] = {
	[CLOSE_DISCONNECT] = {"disconnect", NULL},
	[CLOSE_PEER] = {"connection_closed", "connection closed by client"},
	[CLOSE_TIMEOUT] = {"timeout", "exceeded timeout"},
	[CLOSE_MALFORMED] = {"malformed_packet", "malformed packet"},
	[CLOSE_PROTOCOL] = {"protocol_error", "protocol error"},
	[CLOSE_OVERSIZE] = {"oversize_packet", "oversize packet"},
	[CLOSE_NOT_AUTHORISED] = {"not_authorised", "not authorised"},
	[CLOSE_REFUSED] = {"refused", "connection refused"},
	[CLOSE_TAKEN_OVER] = {"taken_over", "session taken over"},
	[CLOSE_NO_MEMORY] = {"no_memory", "out of memory"},
	[CLOSE_SOCKET_ERROR] = {"socket_error", "socket error"},
	[CLOSE_SHUTDOWN] = {"shutdown", "server shutting down"},
};

const char *const drop_names[DROP_REASONS] = {
	[DROP_QOS0_OUTPUT_FULL] = "qos0_output_full",
	[DROP_QUEUE_FULL] = "queue_full",
	[DROP_NO_MEMORY] = "no_memory",
};

struct counters counters_shared;
__thread struct counters *counters_mine = &counters_shared;

void counters_bind(struct counters *c)
{
	counters_mine = c ? c : &counters_shared;
}

/* struct counters holds nothing but 64-bit numbers, so that a sum needs no list of them. */
static void add(const struct counters *c, struct counters *sum)
{
	const uint64_t *from = (const uint64_t *)c;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*c) / sizeof(*from); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void counters_sum(const struct counters *const *c, size_t n, struct counters *sum)
{
	add(&counters_shared, sum);
	for (size_t i = 0; i < n; i++)
		add(c[i], sum);
}
