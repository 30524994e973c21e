// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int plan_init(struct plan *plan, const struct options *o, uint16_t tag)
{
	char name[PLAN_NAME_MAX];

	*plan = (struct plan){
		.options = o,
		.tag = tag,
		.publishers = (unsigned)o->publishers,
		.subscribers = (unsigned)o->subscribers,
		.topics = (unsigned)o->topics,
		.interval_ns = o->rate > 0 ? 1e9 / o->rate : 0,
		.measure_ns = (uint64_t)(o->warmup * 1e9),
		.stop_ns = o->messages ? UINT64_MAX : (uint64_t)((o->warmup + o->seconds) * 1e9),
	};
	plan->name_len = (size_t)snprintf(name, sizeof(name), "%s/%04x/%06u", o->topic_prefix, tag, 0u);
	if (plan->name_len >= sizeof(name))
		return -ENAMETOOLONG;
	plan->names = malloc(plan->topics * plan->name_len + 1);
	if (!plan->names)
		return -ENOMEM;
	for (unsigned t = 0; t < plan->topics; t++)
		sprintf(plan->names + t * plan->name_len, "%s/%04x/%06u", o->topic_prefix, tag, t);
	return 0;
}

void plan_free(struct plan *plan)
{
	free(plan->names);
	plan->names = NULL;
}

struct mqtt_str plan_topic_name(const struct plan *plan, unsigned topic)
{
	return (struct mqtt_str){
		.data = (const uint8_t *)plan->names + topic * plan->name_len,
		.len = (uint32_t)plan->name_len,
	};
}

/* Topics are dealt out in turn: publisher p of P has p, p + P, p + 2 P, ... or, when there are fewer topics than
 * publishers, the one that is p modulo their number. */
static unsigned topics_of_publisher(const struct plan *plan, unsigned publisher)
{
	if (plan->topics <= plan->publishers)
		return 1;
	return (plan->topics - publisher - 1) / plan->publishers + 1;
}

unsigned plan_topic_of(const struct plan *plan, unsigned publisher, uint64_t sequence)
{
	unsigned n = topics_of_publisher(plan, publisher); /* at least one */

	if (plan->topics <= plan->publishers)
		return publisher % plan->topics;
	return publisher + (unsigned)(sequence % n) * plan->publishers; /* NOLINT(clang-analyzer-core.DivideZero) */
}

bool plan_hears(const struct plan *plan, unsigned subscriber, unsigned topic)
{
	if (plan->options->load->wildcard)
		return true;
	if (plan->topics <= plan->subscribers)
		return subscriber % plan->topics == topic;
	return topic % plan->subscribers == subscriber;
}

uint64_t plan_due_ns(const struct plan *plan, unsigned publisher, uint64_t sequence)
{
	return (uint64_t)(plan->interval_ns * (double)(sequence * plan->publishers + publisher));
}

/* How many messages are due before this time? */
static uint64_t due_before(const struct plan *plan, uint64_t time_ns)
{
	uint64_t count = (uint64_t)((double)time_ns / plan->interval_ns);

	/* The division may be off by the rounding of one message's time. */
	while (count && (uint64_t)(plan->interval_ns * (double)(count - 1)) >= time_ns)
		count--;
	while ((uint64_t)(plan->interval_ns * (double)count) < time_ns)
		count++;
	return count;
}

uint64_t plan_limit(const struct plan *plan, unsigned publisher)
{
	if (plan->interval_ns == 0)
		return UINT64_MAX;
	if (plan->options->messages)
		return plan_share(due_before(plan, plan->measure_ns) + plan->options->messages, publisher,
				  plan->publishers);
	return plan_share(due_before(plan, plan->stop_ns), publisher, plan->publishers);
}

uint64_t plan_measured_limit(const struct plan *plan, unsigned publisher)
{
	if (plan->interval_ns > 0 || !plan->options->messages)
		return UINT64_MAX;
	return plan_share(plan->options->messages, publisher, plan->publishers);
}

uint64_t plan_expected(const struct plan *plan, unsigned subscriber, unsigned publisher, uint64_t first, uint64_t end)
{
	unsigned n = topics_of_publisher(plan, publisher);
	uint64_t expected = 0;

	for (unsigned i = 0; i < n; i++) {
		if (plan_hears(plan, subscriber, plan_topic_of(plan, publisher, i)))
			expected += plan_share(end, i, n) - plan_share(first, i, n);
	}
	return expected;
}

static bool hears_publisher(const struct plan *plan, unsigned subscriber, unsigned publisher)
{
	unsigned n = topics_of_publisher(plan, publisher);

	for (unsigned i = 0; i < n; i++) {
		if (plan_hears(plan, subscriber, plan_topic_of(plan, publisher, i)))
			return true;
	}
	return false;
}

unsigned *plan_heard(const struct plan *plan, unsigned subscriber, size_t *n)
{
	unsigned *heard = malloc((plan->publishers + 1) * sizeof(*heard)), *fitted;

	*n = 0;
	if (!heard)
		return NULL;
	for (unsigned p = 0; p < plan->publishers; p++) {
		if (hears_publisher(plan, subscriber, p))
			heard[(*n)++] = p;
	}
	fitted = realloc(heard, (*n + 1) * sizeof(*heard));
	return fitted ? fitted : heard;
}
