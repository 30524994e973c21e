// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "fastpath/flow_age.h"

#include <stddef.h>

#include "base/clock.h"

void flow_ages_init(struct flow_ages *a)
{
	list_init(&a->order);
	a->asked = 0;
}

void flow_ages_add(struct flow_ages *a, struct flow_age *age, uint64_t now_ns)
{
	age->seen_ns = now_ns;
	list_push(&a->order, &age->at);
}

void flow_ages_remove(struct flow_age *age)
{
	list_del(&age->at);
}

/* Who was not used since it was looked at last; when all were, who was used least recently. */
static struct flow_age *find_oldest(struct flow_ages *a, uint64_t (*last_use)(const struct flow_age *))
{
	struct flow_age *oldest = NULL;
	struct list *first = NULL;

	for (unsigned i = 0; i < FLOW_AGE_LOOKS && a->order.next != first && !list_empty(&a->order); i++) {
		struct flow_age *age = container_of(a->order.next, struct flow_age, at);
		uint64_t used = last_use(age);

		if (used <= age->seen_ns)
			return age;
		age->seen_ns = used;
		list_del(&age->at);
		list_push(&a->order, &age->at);
		if (!first)
			first = &age->at;
		if (!oldest || used < oldest->seen_ns)
			oldest = age;
	}
	return oldest;
}

struct flow_age *flow_ages_victim(struct flow_ages *a, uint64_t now_ns, uint64_t (*last_use)(const struct flow_age *))
{
	struct flow_age *age = find_oldest(a, last_use);

	if (!age || now_ns - age->seen_ns >= (uint64_t)FLOW_AGE_IDLE_MS * NS_PER_MS)
		return age;
	return a->asked++ % FLOW_AGE_ONE_IN_MANY ? NULL : age;
}
