/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Finds the topics that a filter with wildcards matches without looking at all of them: each topic is listed under each of
 * its first levels ("what", at which place) and under how many it has, and of the lists that the filter names the shortest
 * is searched. A filter nobody's topic has anything to do with costs a few look-ups, however many topics there are.
 *
 * No thread safety: its owner has a lock.
 */
#ifndef SHUNT_FLOW_INDEX_H
#define SHUNT_FLOW_INDEX_H

#include "base/list.h"
#include "base/table.h"
#include "mqtt/str.h"

/* Zero-initialised it is empty; flow_index_init() before use. */
struct flow_index {
	struct table terms;
	struct list entries; /* all of them */
};

struct flow_index_term;

struct flow_index_entry {
	void *owner;
	struct mqtt_str topic;
	struct list all, found;
	uint32_t nlistings;
	struct flow_index_listing {
		struct list at;
		struct flow_index_term *term;
		struct flow_index_entry *entry;
	} listings[];
};

void flow_index_init(struct flow_index *x);

/* List a topic, whose bytes must stay where they are. NULL without memory. */
struct flow_index_entry *flow_index_add(struct flow_index *x, struct mqtt_str topic, void *owner);

/* Take it out and free it. */
void flow_index_remove(struct flow_index *x, struct flow_index_entry *entry);

/* Put the entries that the filter, which is valid, matches on the list, by `found`; the caller takes them off again before
 * the next call. */
void flow_index_match(struct flow_index *x, struct mqtt_str filter, struct list *found);

/* Free what an empty one holds. */
void flow_index_free(struct flow_index *x);

#endif
