/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The topic tree: subscriptions and retained messages, one node a level. Readers (tree_match, tree_retained) take no
 * lock: they must be threads registered with RCU, and what they found is valid until their next quiescent state.
 * Everything that changes the tree is called under one lock of the caller's, the subscription lock.
 *
 * The tree does not know what a subscriber is; subscriptions and what they point to must stay valid for readers, that
 * is, be freed by rcu_call_later().
 */
#ifndef SHUNT_TREE_H
#define SHUNT_TREE_H

#include <stdbool.h>

#include "broker/message.h"
#include "mqtt/str.h"

enum {
	TREE_LEVELS_MAX = 200, /* of topic names and filters; deeper ones are refused, as by mosquitto */
};

/* The options byte of a subscription, laid out as in the SUBSCRIBE of 5.0, section 3.8.3.1. */
enum {
	SUB_QOS_MASK = 0x03,
	SUB_NO_LOCAL = 0x04,
	SUB_RETAIN_AS_PUBLISHED = 0x08,
	SUB_RETAIN_HANDLING_SHIFT = 4,
};

struct source; /* broker/source.h */
struct tree_node;
struct tree_share;

struct tree_sub {
	void *subscriber;
	struct tree_node *node;	  /* writers only; NULL: not in the tree */
	struct tree_share *share; /* writers only; NULL: not a shared subscription */
	uint32_t index;		  /* its place at the node or in the share; writers only */
	uint32_t id;		  /* atomic; Subscription Identifier, 0: none */
	uint8_t options;	  /* atomic */
};

struct tree;

struct tree *tree_new(void);
/* Nothing may use it any more. Subscriptions still in it are the caller's; retained messages are dropped. From a thread
 * registered with RCU. */
void tree_free(struct tree *t);

/* ---- changing: under the subscription lock ----------------------------------------------------------------------- */

/* The node of a filter, or NULL. Two subscriptions to the same filter have the same node. */
struct tree_node *tree_find(struct tree *t, struct mqtt_str filter);
/* The group of the shared subscriptions with this ShareName at a node, or NULL. */
struct tree_share *tree_find_share(struct tree_node *n, struct mqtt_str name);

/* Add a subscription with subscriber, options and id set; with a ShareName (len 0: none) to that group, section 4.8.2 of
 * 5.0. 0, -ENOMEM, or -E2BIG (too many levels). */
int tree_subscribe(struct tree *t, struct mqtt_str filter, struct mqtt_str share, struct tree_sub *sub);

static inline void tree_set_options(struct tree_sub *sub, uint8_t options, uint32_t id)
{
	__atomic_store_n(&sub->options, options, __ATOMIC_RELAXED);
	__atomic_store_n(&sub->id, id, __ATOMIC_RELAXED);
}

/* Take it out. Readers may see it until a grace period has passed. */
void tree_unsubscribe(struct tree *t, struct tree_sub *sub);

/* Number of the state of the tree, counted up by every tree_retain(). */
uint64_t tree_seq(const struct tree *t);

/* Retain the message for its topic, in place of another; takes a reference. 0, -ENOMEM or -E2BIG. *added says if there
 * was none before. With 0 it also takes the reference to `source` (NULL: unknown, or the broker); barred: who published it
 * may not any more. */
int tree_retain(struct tree *t, struct message *m, struct source *source, bool barred, bool *added);
/* Forget the topic's retained message; true if there was one. */
bool tree_forget(struct tree *t, struct mqtt_str topic);
/* What is retained of others than the broker itself: messages, and the bytes of their topics, payloads and properties. */
struct tree_retained_sum {
	uint64_t messages, bytes;
};
struct tree_retained_sum tree_retained_sum(const struct tree *t);
/* Ask of all retained messages whose source is known whether it may still publish there: while it may not, walks pass them by.
 * How many may not. While nobody reads, but for walks of tree_walk_all(). */
uint64_t tree_retained_review(struct tree *t, bool (*may)(struct source *source, struct mqtt_str topic, void *arg),
			      void *arg);
/* The retained message of a topic, borrowed; NULL: none. */
const struct message *tree_retained_of(struct tree *t, struct mqtt_str topic);
/* Forget those that have expired, at most `max`; returns how many. `gone` is told of each. */
unsigned tree_expire(struct tree *t, uint64_t now_ns, unsigned max, void (*gone)(struct message *m, void *arg),
		     void *arg);

/* ---- reading: any thread under RCU ------------------------------------------------------------------------------- */

/* A subscriber and what its subscription says. */
struct tree_hit {
	void *subscriber;
	uint32_t ids;	 /* its Subscription Identifiers: 1 + index of the first in tree_hits.ids; 0: none */
	uint8_t options; /* of overlapping subscriptions: the maximum QoS [MQTT-3.3.5-1], Retain As Published of any */
};

struct tree_hit_id {
	uint32_t id;
	uint32_t next; /* 1 + index; 0: the last */
};

/* The result of tree_match(), reused from call to call. Zero-initialised it is empty; tree_hits_free() at the end. */
struct tree_hits {
	/* set by the caller before tree_match() */
	const void *publisher; /* No Local subscriptions of this subscriber do not match */
	bool duplicates;       /* a hit for each of overlapping subscriptions */
	/* the result */
	bool any; /* there is a subscription, be it one that No Local leaves out */
	struct tree_hit *v;
	size_t n, cap;
	struct tree_share **shares; /* one member of each gets the message; see tree_share_next() */
	size_t nshares, shares_cap;
	struct tree_hit_id *ids;
	size_t nids, ids_cap;
	/* to find a subscriber again among the hits */
	uint32_t *seen;
	size_t seen_mask, seen_cap;
};

void tree_hits_free(struct tree_hits *hits);

/* Every subscriber of the topic once, and the groups of shared subscriptions. 0; -E2BIG or -ENOMEM with no hits. */
int tree_match(struct tree *t, struct mqtt_str topic, struct tree_hits *hits);

/* The member of the group whose turn it is, in the order they subscribed, among those for which `usable` is true; false
 * if there is none. out->ids is the Subscription Identifier itself, or 0. */
bool tree_share_next(struct tree_share *share, bool (*usable)(const void *subscriber, const void *arg), const void *arg,
		     struct tree_hit *out);
/* All members in the order of their turns: begin with *at = 0. *place is the member's; the one after the place that was last
 * chosen has its turn. False at the end. */
bool tree_share_member(const struct tree_share *share, uint32_t *at, uint32_t *place, struct tree_hit *out);
/* Keep the place that was last chosen there from now on (under the lock), and release it when the group is gone; in any
 * thread. Once. */
void tree_share_keep_turn(struct tree_share *share, uint32_t *where, void (*release)(uint32_t *where));
/* Where; NULL: nowhere yet. Under the lock. */
uint32_t *tree_share_turn(const struct tree_share *share);
/* Its ShareName, and what it subscribes to. */
struct mqtt_str tree_share_name(const struct tree_share *share);
struct mqtt_str tree_share_filter(const struct tree_share *share);
/* Keep the group beyond the next quiescent state; it may have no members then. Any thread. */
struct tree_share *tree_share_ref(struct tree_share *share);
void tree_share_unref(struct tree_share *share);

/* A walk over the retained messages of all topics that the filter matches, as far as they were retained not after seq. NULL
 * without memory, or with too many levels. One thread at a time. */
struct tree_walk *tree_walk_new(struct tree *t, struct mqtt_str filter, uint64_t seq);
/* It is also to come to messages whose source may not publish them any more. */
void tree_walk_all(struct tree_walk *w);
/* Under the lock, if it has rested. NULL is allowed. */
void tree_walk_free(struct tree_walk *w);
struct mqtt_str tree_walk_filter(const struct tree_walk *w);

/* Go on over at most `max` topics, and call `each` for their messages, which are borrowed. One that `each` says false to is
 * the last, and comes again. True: there may be more. */
bool tree_walk(struct tree_walk *w, unsigned max, bool (*each)(struct message *m, void *arg), void *arg);

/* Rest, beyond the next quiescent state. Under the lock, in the same turn as tree_walk(). False: there was nothing more to come,
 * and it does not rest. */
bool tree_walk_rest(struct tree_walk *w);

#endif
