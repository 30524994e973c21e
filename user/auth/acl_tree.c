// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/acl_tree.h"

#include <stdlib.h>

#include "mqtt/topic.h"

enum { SAY_NO = ACL_SAY_NO_READ | ACL_SAY_NO_WRITE };

/* A beginning of filters. Number 0 is that of all; no other is a child or a sibling, where 0 stands for none. */
struct node {
	const uint8_t *name; /* of its last level */
	uint32_t len;
	uint32_t parent;
	uint32_t sibling; /* the node for '+' in the place of its last level, if that is another */
	uint32_t plus;	  /* the node with the level '+' behind it */
	uint32_t child;	  /* the first of those with other levels behind it, in order */
	uint32_t children;
	uint8_t here;  /* what rules say that end here, */
	uint8_t hash;  /* those that go on with '#', */
	uint8_t below; /* and all, these and those of the nodes behind it */
};

struct rule {
	struct mqtt_str filter;
	uint8_t say;
};

struct acl_tree {
	struct node *nodes;
	uint32_t nnodes;
	uint32_t longest_row;
	size_t nrules;
	size_t size;	     /* bytes of this, what is behind it, and the nodes */
	struct rule rules[]; /* in order; their text is behind them */
};

/* ---- making ----------------------------------------------------------------------------------------------------- */

/* '#' before '+' before names, and these by length first, which is quicker to see. */
static int compare_levels(struct mqtt_str a, struct mqtt_str b)
{
	int a_rank = topic_level_is(a, '#') ? 0 : topic_level_is(a, '+') ? 1 : 2;
	int b_rank = topic_level_is(b, '#') ? 0 : topic_level_is(b, '+') ? 1 : 2;

	if (a_rank != b_rank)
		return a_rank - b_rank;
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len ? memcmp(a.data, b.data, a.len) : 0;
}

/* Level by level; a filter comes before those that go on where it ends. */
static int compare_rules(const void *left, const void *right)
{
	struct topic_levels a = topic_levels(((const struct rule *)left)->filter);
	struct topic_levels b = topic_levels(((const struct rule *)right)->filter);
	struct mqtt_str a_level, b_level;
	bool a_more, b_more;
	int order;

	for (;;) {
		a_more = topic_next_level(&a, &a_level);
		b_more = topic_next_level(&b, &b_level);
		if (!a_more || !b_more)
			return a_more - b_more;
		order = compare_levels(a_level, b_level);
		if (order)
			return order;
	}
}

/* The rules that begin as a node says: rules [first, end), which are together as they are in order. */
struct span {
	size_t first, end;
	uint32_t at;  /* where their next level begins; behind the end of a filter that has no more */
	uint32_t row; /* how many '+' the beginning ends with */
};

static struct mqtt_str level_at(struct mqtt_str filter, uint32_t at)
{
	struct topic_levels it = topic_levels((struct mqtt_str){.data = filter.data + at, .len = filter.len - at});
	struct mqtt_str level = {0};

	topic_next_level(&it, &level);
	return level;
}

/* A new node behind `parent`, for the rules from *i on that have the level `level` there; *i is the next one then. */
static uint32_t add_child(struct acl_tree *t, struct span *spans, uint32_t parent, struct mqtt_str level, size_t *i)
{
	uint32_t n = t->nnodes++, at = spans[parent].at;
	bool plus = topic_level_is(level, '+');

	spans[n] = (struct span){.first = *i, .at = at + level.len + 1, .row = plus ? spans[parent].row + 1 : 0};
	if (spans[n].row > t->longest_row)
		t->longest_row = spans[n].row;
	while (*i < spans[parent].end && t->rules[*i].filter.len >= at &&
	       compare_levels(level_at(t->rules[*i].filter, at), level) == 0)
		++*i;
	spans[n].end = *i;
	t->nodes[n] = (struct node){.name = level.data, .len = level.len, .parent = parent};
	return n;
}

/* Its rules, and its children. */
static void fill_node(struct acl_tree *t, struct span *spans, uint32_t n)
{
	struct node *node = &t->nodes[n];
	const struct span *span = &spans[n];
	struct mqtt_str level;
	uint32_t child;

	for (size_t i = span->first; i < span->end;) {
		const struct rule *r = &t->rules[i];

		if (r->filter.len < span->at) {
			node->here |= r->say;
			i++;
			continue;
		}
		level = level_at(r->filter, span->at);
		if (topic_level_is(level, '#')) {
			node->hash |= r->say;
			i++;
			continue;
		}
		child = add_child(t, spans, n, level, &i);
		if (topic_level_is(level, '+')) {
			node->plus = child;
			continue;
		}
		t->nodes[child].sibling = node->plus;
		if (!node->child)
			node->child = child;
		node->children++;
	}
	node->below = node->here | node->hash;
}

/* All nodes: children are made when their parent is filled, so they are behind it, and beside each other. */
static void fill(struct acl_tree *t, struct span *spans)
{
	spans[0] = (struct span){.end = t->nrules};
	t->nodes[0] = (struct node){0};
	t->nnodes = 1;
	for (uint32_t n = 0; n < t->nnodes; n++)
		fill_node(t, spans, n);
	for (uint32_t n = t->nnodes - 1; n; n--)
		t->nodes[t->nodes[n].parent].below |= t->nodes[n].below;
}

/* Copy the rules and their text, and put them in order. */
static void copy_rules(struct acl_tree *t, const struct acl_draft *d, size_t first)
{
	uint8_t *text = (uint8_t *)&t->rules[t->nrules];

	for (size_t i = 0; i < t->nrules; i++) {
		struct mqtt_str filter = acl_draft_filter(d, &d->rules[first + i]);

		memcpy(text, filter.data, filter.len);
		t->rules[i] = (struct rule){.filter = {text, filter.len}, .say = d->rules[first + i].say};
		text += filter.len;
	}
	qsort(t->rules, t->nrules, sizeof(*t->rules), compare_rules);
}

struct acl_tree *acl_tree_new(const struct acl_draft *d, size_t first, size_t count)
{
	size_t text = 0, nodes = 1;
	struct span *spans;
	struct acl_tree *t;
	struct node *fitting;

	if (!count)
		return NULL;
	for (size_t i = first; i < first + count; i++) {
		text += d->rules[i].len;
		nodes += topic_depth(acl_draft_filter(d, &d->rules[i]));
	}
	if (nodes > UINT32_MAX)
		return NULL;
	t = malloc(sizeof(*t) + count * sizeof(*t->rules) + text);
	spans = malloc(nodes * sizeof(*spans));
	if (t)
		*t = (struct acl_tree){.nodes = malloc(nodes * sizeof(*t->nodes)), .nrules = count};
	if (!t || !spans || !t->nodes) {
		acl_tree_free(t);
		free(spans);
		return NULL;
	}
	copy_rules(t, d, first);
	fill(t, spans);
	free(spans);
	fitting = realloc(t->nodes, t->nnodes * sizeof(*t->nodes));
	if (fitting)
		t->nodes = fitting;
	t->size = sizeof(*t) + count * sizeof(*t->rules) + text + t->nnodes * sizeof(*t->nodes);
	return t;
}

size_t acl_tree_size(const struct acl_tree *t)
{
	return t ? t->size : 0;
}

void acl_tree_free(struct acl_tree *t)
{
	if (!t)
		return;
	free(t->nodes);
	free(t);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/* The child with this level, 0: none. */
static uint32_t find_child(const struct acl_tree *t, const struct node *parent, const uint8_t *name, uint32_t len)
{
	uint32_t low = parent->child, high = low + parent->children;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct node *n = &t->nodes[middle];
		int order = n->len != len ? (n->len < len ? -1 : 1) : len ? memcmp(n->name, name, len) : 0;

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* Where a walk through the tree is: at a node, and at the beginning of the topic's next level. Levels that are only counted
 * begin at topic.len + 1 and go on by one each; behind the last one is `end`. */
struct walk {
	const struct acl_tree *t;
	struct mqtt_str topic;
	size_t at, end;
	uint32_t n;
	uint8_t wanted, found;
	bool dollar; /* the first level is not for wildcards [MQTT-4.7.2-1] */
};

/* Is something at that node, or behind it, that may change the answer? */
static bool of_use(const struct walk *w, uint32_t n)
{
	return n && (w->t->nodes[n].below & w->wanted & ~w->found);
}

static void enter(struct walk *w, uint32_t n)
{
	w->n = n;
	w->found |= w->t->nodes[n].hash;
}

/* To a node that the next level leads to; false: there is none of use. */
static bool forward(struct walk *w)
{
	const struct node *node = &w->t->nodes[w->n];
	const uint8_t *begin = w->topic.data + w->at, *slash;
	uint32_t next = 0;
	size_t len = 0;

	if (w->at >= w->end)
		return false;
	if (w->at <= w->topic.len) {
		len = w->topic.len - w->at;
		slash = len ? memchr(begin, '/', len) : NULL;
		if (slash)
			len = (size_t)(slash - begin);
		next = find_child(w->t, node, begin, (uint32_t)len);
	}
	if (!of_use(w, next))
		next = w->dollar && w->n == 0 ? 0 : node->plus;
	if (!of_use(w, next))
		return false;
	enter(w, next);
	w->at += len + 1;
	return true;
}

/* Back to where the way last could have gone by '+' instead of a name, and there; false: there was no such place. Where a
 * level began is found anew, so that a walk of any depth needs no memory. */
static bool aside(struct walk *w)
{
	const uint8_t *slash;

	while (w->n) {
		const struct node *node = &w->t->nodes[w->n];

		if (of_use(w, node->sibling) && !(w->dollar && node->parent == 0)) {
			enter(w, node->sibling);
			return true;
		}
		w->n = node->parent;
		w->at--;
		if (w->at <= w->topic.len) {
			slash = w->at ? memrchr(w->topic.data, '/', w->at) : NULL;
			w->at = slash ? (size_t)(slash - w->topic.data) + 1 : 0;
		}
	}
	return false;
}

uint8_t acl_tree_find(const struct acl_tree *t, struct mqtt_str topic, uint32_t more, uint8_t wanted)
{
	struct walk w = {.t = t, .topic = topic, .end = (size_t)topic.len + 1 + more, .wanted = wanted};

	if (!t)
		return 0;
	w.dollar = topic.len && topic.data[0] == '$';
	if (!w.dollar)
		enter(&w, 0);
	do {
		while (forward(&w))
			;
		if (w.at >= w.end)
			w.found |= t->nodes[w.n].here;
	} while (!(w.found & wanted & SAY_NO) && aside(&w));
	return w.found & wanted;
}

uint8_t acl_tree_says(const struct acl_tree *t)
{
	return t ? t->nodes[0].below : 0;
}

uint32_t acl_tree_longest_row(const struct acl_tree *t)
{
	return t ? t->longest_row : 0;
}

bool acl_tree_rule(const struct acl_tree *t, size_t index, struct mqtt_str *filter, uint8_t *say)
{
	if (!t || index >= t->nrules)
		return false;
	*filter = t->rules[index].filter;
	*say = t->rules[index].say;
	return true;
}
