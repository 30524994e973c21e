// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "broker/conn.h"

enum {
	GROUPS = 8,	/* different outputs that are collected at a time */
	WORTHWHILE = 4, /* fewer connections are written to one by one */
};

struct tell_group {
	uint64_t hash; /* of the bytes, */
	const uint8_t *bytes;
	size_t len;
	size_t n, max; /* connections whose outputs they are, and how many there may be */
	struct conn *to[FP_TELL_MAX];
};

void tell_open(struct worker *w)
{
	int error = fp_herald_open();

	if (!error)
		w->tell = calloc(GROUPS, sizeof(*w->tell));
	else if (error != -ENOTSUP)
		log_notice("Fast path: what is for several clients is sent to each on its own: %s.", strerror(-error));
}

static void write_group(struct tell_group *g)
{
	struct fp_link *links[FP_TELL_MAX];
	bool told[FP_TELL_MAX];
	size_t n = g->n;

	g->n = 0;
	if (n < WORTHWHILE)
		return;
	for (size_t i = 0; i < n; i++)
		links[i] = &g->to[i]->link;
	if (!fp_tell(links, n, g->bytes, g->len, told))
		return;
	for (size_t i = 0; i < n; i++)
		if (told[i])
			conn_written(g->to[i], g->len, g->len);
}

/* The group of these bytes; a new one takes the place of the smallest. */
static struct tell_group *group_of(struct tell_group *groups, const uint8_t *bytes, size_t len)
{
	uint64_t hash = hash_bytes(bytes, len);
	struct tell_group *smallest = groups;

	for (struct tell_group *g = groups; g < groups + GROUPS; g++) {
		if (g->n && g->hash == hash && g->len == len && memcmp(g->bytes, bytes, len) == 0)
			return g;
		if (g->n < smallest->n)
			smallest = g;
	}
	write_group(smallest);
	smallest->hash = hash;
	smallest->bytes = bytes;
	smallest->len = len;
	smallest->max = fp_tell_max(len);
	return smallest;
}

static void collect(struct tell_group *groups, struct conn *c)
{
	const struct output *o = &c->sink.out;
	struct tell_group *g;
	struct iovec iov[3]; /* of a packet in two pieces, and one more */
	size_t len;

	if (output_empty(o) || c->blocked || c->broken || !fp_tell_fits(&c->link) ||
	    fp_tell_max(o->bytes) < WORTHWHILE ||
	    output_gather(o, iov, sizeof(iov) / sizeof(iov[0]), c->link.whole_max, &len) != 1 || len != o->bytes)
		return;
	g = group_of(groups, iov[0].iov_base, len);
	g->to[g->n++] = c;
	if (g->n == g->max)
		write_group(g);
}

static bool fewer_than(const struct list *head, unsigned n)
{
	for (const struct list *l = head->next; l != head; l = l->next)
		if (--n == 0)
			return false;
	return true;
}

void tell_same(struct worker *w, struct list *dirty)
{
	if (!w->tell || fewer_than(dirty, WORTHWHILE))
		return;
	for (struct list *l = dirty->next; l != dirty; l = l->next)
		collect(w->tell, container_of(l, struct conn, dirty));
	for (struct tell_group *g = w->tell; g < w->tell + GROUPS; g++)
		write_group(g);
}
