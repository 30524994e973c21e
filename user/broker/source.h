/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who published what is retained: as much of a client as says which rights it has, also when it is gone. Each is there once,
 * for all that it published. Immutable; made and let go of under the subscription lock.
 */
#ifndef SHUNT_SOURCE_H
#define SHUNT_SOURCE_H

#include "base/table.h"

struct broker;
struct session;
struct store_op;

/* The listener it came in by is not in the configuration any more. */
#define SOURCE_NO_LISTENER UINT32_MAX

struct source {
	struct table_node node; /* in the broker's */
	uint32_t refs;
	uint32_t listener;    /* its index, or SOURCE_NO_LISTENER */
	const char *username; /* in `id`; NULL: none */
	char id[];	      /* client identifier */
};

/* The client of a session, with one more reference: 0 with *out, NULL when it is not known what rights it has, because it has
 * not been there since the daemon started; or -ENOMEM. */
int source_of(struct broker *b, const struct session *s, struct source **out);

/* The same for one that the store had, an operation STORE_RETAIN; NULL: the store did not know it, either. */
int source_restore(struct broker *b, const struct store_op *op, struct source **out);

/* Tell the store of it, in an operation STORE_RETAIN. 0 or -ENOMEM. */
int source_store(const struct broker *b, const struct source *source, struct store_op *op);

/* A reference less. NULL is allowed. */
void source_unref(struct source *source);

#endif
