/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Option namespace of a listener: brokers in one process that cannot see each other. Each has a tree of topics of its own, with
 * the subscriptions and retained messages in it, and client identifiers of its own: a session is known by both, its namespace
 * and its identifier.
 *
 *	a connection	conn_namespace(), which its listener names
 *	a session	session->space, for ever
 *	a message	message->ns, the number, from the moment when it is made: it is routed, retained and kept there
 *	a flow		the number is part of its key, and of what the kernel knows of a publisher
 *	in the store	the number, of sessions, messages and retained messages; a table gives numbers their names
 *
 * What always holds:
 * - Nothing is looked up but in a namespace, so nothing has to be filtered out of what was found: whatever a client may
 *   write for a topic, a filter or an identifier, it stays in its own.
 * - Numbers do not change while the broker runs, nor from one run to the next with the same store. 0 is the default one,
 *   without a name.
 * - One that no listener has any more goes on with what the store has of it, and is there again when one names it.
 */
#ifndef SHUNT_NAMESPACE_H
#define SHUNT_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct tree;

enum { NAMESPACES_MAX = 4096 }; /* with those that are in the store only */

/* What a worker counts; written by it alone, read by all. */
struct namespace_traffic {
	uint64_t received, sent; /* PUBLISH packets; with what the kernel carried, as of a second ago */
} __attribute__((aligned(64)));

struct namespace
{
	uint16_t number;   /* constant, as the next four */
	char *name;	   /* "": the default one */
	bool has_listener; /* somebody can connect to it */
	struct tree *tree;
	struct namespace_traffic *traffic; /* by worker */
	struct sys_space *sys;		   /* sys.c's; NULL: nothing was published there */
	/* atomic: */
	uint32_t clients;   /* with a session, for global_max_clients */
	uint32_t kept;	    /* sessions that outlive their connection, for max_sessions */
	uint32_t connected; /* clients, now */
	uint32_t subscriptions, shared_subscriptions;
	uint32_t retained; /* messages, with the broker's own */
	uint64_t expired;  /* sessions that were not resumed in time, since the start */
};

/* Make those of the listeners and of the store, which is open, if there is one. 0, or -errno; what the configuration or the
 * store is to blame for is logged. Main thread. */
int namespaces_open(struct broker *b);
/* From a thread registered with RCU. Does nothing when they were not opened. */
void namespaces_close(struct broker *b);

/* The one with this name, NULL or "": the default one. NULL: there is none. Any thread. */
struct namespace *namespace_named(const struct broker *b, const char *name);

/* How the log names a client: "NAME/ID", and in the default namespace (NULL, too) "ID". malloc()ed; *id is where the
 * identifier begins in it. NULL without memory. */
char *namespace_client(const struct namespace *space, const char *client_id, size_t len, char **id);

static inline bool namespace_is_default(const struct namespace *space)
{
	return !space || !space->number;
}

/* The worker's thread. */
static inline void namespace_received(struct namespace *space, unsigned worker, uint64_t n)
{
	uint64_t *all = &space->traffic[worker].received;

	__atomic_store_n(all, *all + n, __ATOMIC_RELAXED);
}

static inline void namespace_sent(struct namespace *space, unsigned worker, uint64_t n)
{
	uint64_t *all = &space->traffic[worker].sent;

	__atomic_store_n(all, *all + n, __ATOMIC_RELAXED);
}

/* What all workers have counted. Any thread. */
struct namespace_traffic namespace_traffic(const struct broker *b, const struct namespace *space);

static inline void namespace_count(uint32_t *what, int n)
{
	__atomic_add_fetch(what, (uint32_t)n, __ATOMIC_RELAXED);
}

#endif
