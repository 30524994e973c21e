// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/strikes.h"

#include <pthread.h>
#include <stdlib.h>

struct tally {
	uint64_t key, began_ns;
	uint32_t n; /* 0: nobody's */
};

struct strikes {
	pthread_mutex_t lock;
	struct tally sets[STRIKES_SETS][STRIKES_WAYS];
};

struct strikes *strikes_new(void)
{
	struct strikes *s = calloc(1, sizeof(*s));

	if (s)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void strikes_free(struct strikes *s)
{
	if (s)
		pthread_mutex_destroy(&s->lock);
	free(s);
}

/* That of the key, or else the one to take for it: a free one, or whose time began first. */
static struct tally *find(struct strikes *s, uint64_t key)
{
	struct tally *set = s->sets[key % STRIKES_SETS], *first = set;

	for (int i = 0; i < STRIKES_WAYS; i++) {
		if (set[i].n && set[i].key == key)
			return &set[i];
		if (first->n && (!set[i].n || set[i].began_ns < first->began_ns))
			first = &set[i];
	}
	first->n = 0;
	return first;
}

bool strikes_count(struct strikes *s, uint64_t key, uint64_t now_ns, uint64_t window_ns, uint32_t limit)
{
	struct tally *t;
	bool enough;

	pthread_mutex_lock(&s->lock);
	t = find(s, key);
	/* Workers have slightly different ideas of now. */
	if (!t->n || (now_ns > t->began_ns && now_ns - t->began_ns > window_ns))
		*t = (struct tally){.key = key, .began_ns = now_ns};
	enough = ++t->n >= limit;
	if (enough)
		t->n = 0;
	pthread_mutex_unlock(&s->lock);
	return enough;
}
