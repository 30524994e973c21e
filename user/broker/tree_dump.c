// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The tree of subscriptions in the log: a line each level, indented, with who has subscribed there and the QoS granted,
 * as mosquitto prints it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/internal.h"
#include "broker/session.h"
#include "broker/tree_node.h"

enum { LINE_MAX_BYTES = LOG_LINE_MAX - 256 }; /* a longer one is broken; an identifier may be longer than the rest */

struct dump {
	FILE *f;
	long line; /* where it begins */
};

static void begin_line(struct dump *d, const struct tree_node *n, unsigned depth)
{
	d->line = ftell(d->f);
	fprintf(d->f, "%*s%.*s", (int)depth * 2, "", (int)n->level_len, (const char *)n->level);
}

static void dump_subs(struct dump *d, const struct tree_node *n, unsigned depth, const struct sub_array *a)
{
	for (uint32_t i = 0; a && i < a->n; i++) {
		const struct session *s = a->v[i] ? a->v[i]->subscriber : NULL;

		if (!s)
			continue;
		if (ftell(d->f) - d->line > LINE_MAX_BYTES) {
			fputc('\n', d->f);
			begin_line(d, n, depth);
		}
		fprintf(d->f, " (%s, %d)", s->id, a->v[i]->options & SUB_QOS_MASK);
	}
}

static void dump_node(struct dump *d, const struct tree_node *n, unsigned depth)
{
	begin_line(d, n, depth);
	dump_subs(d, n, depth, n->subs);
	for (const struct tree_share *s = n->shares; s; s = s->next) {
		fprintf(d->f, " $share/%.*s", (int)s->name_len, (const char *)s->name);
		dump_subs(d, n, depth, s->subs);
	}
	fputc('\n', d->f);
}

/* Does anything subscribe here or below? Retained messages have nodes, too. */
static bool has_subscriptions(const struct tree_node *n)
{
	if ((n->subs && n->subs->n > n->subs->dead) || n->shares)
		return true;
	if ((n->plus && has_subscriptions(n->plus)) || (n->hash && has_subscriptions(n->hash)))
		return true;
	for (const struct tree_node *c = n->first_child; c; c = c->next_sibling) {
		if (has_subscriptions(c))
			return true;
	}
	return false;
}

/* Not deeper than TREE_LEVELS_MAX. */
static void dump_below(struct dump *d, const struct tree_node *n, unsigned depth)
{
	const struct tree_node *wildcards[] = {n->plus, n->hash};

	for (unsigned i = 0; i < 2; i++) {
		if (wildcards[i] && has_subscriptions(wildcards[i])) {
			dump_node(d, wildcards[i], depth);
			dump_below(d, wildcards[i], depth + 1);
		}
	}
	for (const struct tree_node *c = n->first_child; c; c = c->next_sibling) {
		if (has_subscriptions(c)) {
			dump_node(d, c, depth);
			dump_below(d, c, depth + 1);
		}
	}
}

static void dump_namespace(struct dump *d, const struct namespace *space)
{
	if (!namespace_is_default(space) && has_subscriptions(space->tree->root))
		fprintf(d->f, " namespace %s\n", space->name);
	dump_below(d, space->tree->root, 1);
}

void broker_log_tree(void)
{
	struct broker *b = &the_broker;
	char *text = NULL, *rest, *line;
	struct dump d = {0};
	size_t len;

	d.f = open_memstream(&text, &len);
	if (!d.f) {
		log_error("Out of memory, unable to log the subscriptions.");
		return;
	}
	subscriptions_lock(b);
	for (unsigned i = 0; i < b->nnamespaces; i++)
		dump_namespace(&d, &b->namespaces[i]);
	subscriptions_unlock(b);
	if (fclose(d.f)) {
		log_error("Out of memory, unable to log the subscriptions.");
	} else {
		log_notice("Subscriptions:");
		rest = text;
		while ((line = strsep(&rest, "\n")) && rest)
			log_notice("%s", line);
	}
	free(text);
}
