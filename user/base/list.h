/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Intrusive, circular, doubly linked lists. No thread safety: a list belongs to whoever owns the thing it is in. */
#ifndef SHUNT_LIST_H
#define SHUNT_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A head, or a member. A member that is in no list points to itself once list_init() was called on it. */
struct list {
	struct list *next, *prev;
};

/* The struct of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Is this member in a list? Only for members that were initialised. */
static inline bool list_linked(const struct list *member)
{
	return member->next != member;
}

static inline void list_insert(struct list *member, struct list *prev, struct list *next)
{
	member->prev = prev;
	member->next = next;
	prev->next = member;
	next->prev = member;
}

static inline void list_push(struct list *head, struct list *member)
{
	list_insert(member, head->prev, head);
}

static inline void list_push_front(struct list *head, struct list *member)
{
	list_insert(member, head, head->next);
}

/* Leaves the member initialised. */
static inline void list_del(struct list *member)
{
	member->prev->next = member->next;
	member->next->prev = member->prev;
	list_init(member);
}

/* Take the first member out; NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	head->next = first->next;
	head->next->prev = head;
	list_init(first);
	return first;
}

/* Move everything from `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
