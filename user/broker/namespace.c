// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/namespace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "broker/internal.h"
#include "broker/sys.h"
#include "broker/tree.h"
#include "store/store.h"

/* The next one. 0 or -errno. */
static int add(struct broker *b, const char *name, size_t len)
{
	struct namespace *space = &b->namespaces[b->nnamespaces];

	if (b->nnamespaces == NAMESPACES_MAX) {
		log_error("Error: There are more than %d namespaces, with those that the store has.", NAMESPACES_MAX);
		return -ENOSPC;
	}
	*space = (struct namespace){.number = (uint16_t)b->nnamespaces, .name = strndup(name, len), .tree = tree_new()};
	b->nnamespaces++; /* what it has is freed with it */
	if (posix_memalign((void **)&space->traffic, 64, b->nworkers * sizeof(space->traffic[0])))
		return -ENOMEM;
	memset(space->traffic, 0, b->nworkers * sizeof(space->traffic[0]));
	return space->name && space->tree ? 0 : -ENOMEM;
}

struct namespace *namespace_named(const struct broker *b, const char *name)
{
	for (unsigned i = 0; i < b->nnamespaces; i++)
		if (!strcmp(b->namespaces[i].name, name ? name : ""))
			return &b->namespaces[i];
	return NULL;
}

/* Of the store: they come in the order of their numbers. */
static int load(void *broker, uint64_t number, struct store_bytes name)
{
	struct broker *b = broker;

	if (number != b->nnamespaces || !name.len) {
		log_error("Error: The namespaces in the store are not as they were written: the file is damaged.");
		return -EBADMSG;
	}
	return add(b, (const char *)name.data, name.len);
}

/* The namespace of a listener, which may be new. */
static int take_listener(struct broker *b, size_t i)
{
	const char *name = b->conf->listeners[i].namespace;
	struct namespace *space = namespace_named(b, name);
	int rc = 0;

	if (!space) {
		rc = add(b, name, strlen(name));
		if (!rc && b->store)
			rc = store_namespace(b->store, b->nnamespaces - 1, name);
		space = &b->namespaces[b->nnamespaces - 1];
	}
	space->has_listener = true;
	b->listener_namespaces[i] = space;
	return rc;
}

int namespaces_open(struct broker *b)
{
	size_t n = b->conf->nlisteners;
	int rc = -ENOMEM;

	b->namespaces = calloc(NAMESPACES_MAX, sizeof(b->namespaces[0]));
	b->listener_namespaces = calloc(n ? n : 1, sizeof(b->listener_namespaces[0]));
	if (b->namespaces && b->listener_namespaces)
		rc = add(b, "", 0);
	if (!rc && b->store)
		rc = store_namespaces(b->store, load, b);
	for (size_t i = 0; i < n && !rc; i++)
		rc = take_listener(b, i);
	return rc;
}

void namespaces_close(struct broker *b)
{
	for (unsigned i = 0; i < b->nnamespaces; i++) {
		struct namespace *space = &b->namespaces[i];

		if (space->tree)
			tree_free(space->tree);
		sys_space_free(space);
		free(space->traffic);
		free(space->name);
	}
	free(b->namespaces);
	free(b->listener_namespaces);
	b->namespaces = NULL;
	b->listener_namespaces = NULL;
	b->nnamespaces = 0;
}

struct namespace_traffic namespace_traffic(const struct broker *b, const struct namespace *space)
{
	struct namespace_traffic sum = {0};

	for (unsigned i = 0; i < b->nworkers; i++) {
		sum.received += __atomic_load_n(&space->traffic[i].received, __ATOMIC_RELAXED);
		sum.sent += __atomic_load_n(&space->traffic[i].sent, __ATOMIC_RELAXED);
	}
	return sum;
}

char *namespace_client(const struct namespace *space, const char *client_id, size_t len, char **id)
{
	size_t before = namespace_is_default(space) ? 0 : strlen(space->name) + 1;
	char *name = malloc(before + len + 1);

	if (!name)
		return NULL;
	if (before) {
		memcpy(name, space->name, before - 1);
		name[before - 1] = '/';
	}
	*id = name + before;
	memcpy(*id, client_id, len);
	(*id)[len] = '\0';
	return name;
}
