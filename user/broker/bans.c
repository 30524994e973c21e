// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/bans.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/table.h"

enum {
	PREFIXES = 129, /* lengths that a prefix may have */
};

const char *const ban_kind_names[BAN_KINDS] = {
	[BAN_CLIENT] = "client",
	[BAN_USER] = "user",
	[BAN_ADDRESS] = "address",
};

struct entry {
	struct table_node node;
	struct ban ban;
	size_t size;
	char text[]; /* the reason and the namespace, with their NUL, then the name */
};

struct bans {
	pthread_mutex_t lock; /* of all that is below */
	struct table table;
	size_t bytes;
	uint32_t n[BAN_KINDS]; /* atomic: read without the lock */
	uint32_t v4[PREFIXES]; /* networks of IPv4 with a prefix of that length */
	uint32_t v6[PREFIXES];
	uint64_t first_end_ns; /* none ends before */
	struct list observers; /* struct ban_observer by `all` */
};

struct bans *bans_new(void)
{
	struct bans *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	pthread_mutex_init(&b->lock, NULL);
	list_init(&b->observers);
	b->first_end_ns = UINT64_MAX;
	return b;
}

void bans_free(struct bans *b)
{
	size_t bucket = 0;
	struct table_node *n;

	if (!b)
		return;
	while ((n = table_any(&b->table, &bucket))) {
		table_remove(&b->table, n);
		free(container_of(n, struct entry, node));
	}
	table_free(&b->table);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static const char *space_of(const struct ban_subject *who)
{
	return who->space ? who->space : "";
}

static uint64_t hash_of(const struct ban_subject *who)
{
	const struct network *n = &who->network;

	if (who->kind != BAN_ADDRESS)
		return hash_mix(hash_mix(hash_bytes(who->name.data, who->name.len), who->kind),
				hash_bytes(space_of(who), strlen(space_of(who))));
	return hash_mix(hash_bytes(n->address.bytes, sizeof(n->address.bytes)),
			(uint64_t)n->address.family << 16 | n->prefix << 2 | BAN_ADDRESS);
}

static bool same(const struct ban_subject *a, const struct ban_subject *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind != BAN_ADDRESS)
		return mqtt_str_eq(a->name, b->name) && !strcmp(space_of(a), space_of(b));
	return a->network.prefix == b->network.prefix && a->network.address.family == b->network.address.family &&
	       !memcmp(a->network.address.bytes, b->network.address.bytes, sizeof(a->network.address.bytes));
}

static struct entry *find(const struct bans *b, const struct ban_subject *who)
{
	struct table_node *n = table_first(&b->table, hash_of(who));

	while (n && !same(&container_of(n, struct entry, node)->ban.who, who))
		n = table_next(n);
	return n ? container_of(n, struct entry, node) : NULL;
}

static bool is_over(const struct ban *ban, uint64_t now_ns)
{
	return ban->until_ns && ban->until_ns <= now_ns;
}

static bool holds(const struct bans *b, const struct ban_subject *who, uint64_t now_ns)
{
	const struct entry *e = find(b, who);

	return e && !is_over(&e->ban, now_ns);
}

bool bans_any(const struct bans *b, enum ban_kind kind)
{
	return __atomic_load_n(&b->n[kind], __ATOMIC_RELAXED);
}

size_t bans_count(const struct bans *b)
{
	size_t n = 0;

	for (int kind = 0; kind < BAN_KINDS; kind++)
		n += __atomic_load_n(&b->n[kind], __ATOMIC_RELAXED);
	return n;
}

bool bans_have(struct bans *b, const struct ban_subject *who, uint64_t now_ns)
{
	bool has;

	if (!bans_any(b, who->kind))
		return false;
	pthread_mutex_lock(&b->lock);
	has = holds(b, who, now_ns);
	pthread_mutex_unlock(&b->lock);
	return has;
}

/* A look for each length that a prefix has: mostly there are one or two. */
static bool find_network(const struct bans *b, const struct net_address *a, uint64_t now_ns)
{
	const uint32_t *lengths = a->family == AF_INET ? b->v4 : b->v6;
	struct ban_subject who = {.kind = BAN_ADDRESS, .network = {.address = *a}};

	for (int bits = PREFIXES - 1; bits >= 0; bits--) {
		if (!lengths[bits])
			continue;
		who.network = network_of(a, (uint8_t)bits);
		if (holds(b, &who, now_ns))
			return true;
	}
	return false;
}

bool bans_have_address(struct bans *b, const struct net_address *a, uint64_t now_ns)
{
	bool has;

	if (!bans_any(b, BAN_ADDRESS) || (a->family != AF_INET && a->family != AF_INET6))
		return false;
	pthread_mutex_lock(&b->lock);
	has = find_network(b, a, now_ns);
	pthread_mutex_unlock(&b->lock);
	return has;
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static void tell(const struct bans *b, bool added, const struct ban *ban)
{
	if (ban->who.kind != BAN_ADDRESS)
		return;
	for (struct list *l = b->observers.next; l != &b->observers; l = l->next) {
		struct ban_observer *o = container_of(l, struct ban_observer, all);

		o->changed(o, added, &ban->who.network, ban->until_ns);
	}
}

static void count(struct bans *b, const struct entry *e, int by)
{
	const struct network *n = &e->ban.who.network;

	__atomic_add_fetch(&b->n[e->ban.who.kind], by, __ATOMIC_RELAXED);
	if (e->ban.who.kind == BAN_ADDRESS)
		(n->address.family == AF_INET ? b->v4 : b->v6)[n->prefix] += (uint32_t)by;
	b->bytes += by > 0 ? e->size : -e->size;
}

static void drop(struct bans *b, struct entry *e)
{
	table_remove(&b->table, &e->node);
	count(b, e, -1);
	free(e);
}

static struct entry *make(const struct ban *ban)
{
	size_t reason = strnlen(ban->reason, BAN_REASON_MAX - 1), name = ban->who.name.len;
	size_t space = strlen(space_of(&ban->who)), size = reason + 1 + space + 1 + name;
	struct entry *e = malloc(sizeof(*e) + size);

	if (!e)
		return NULL;
	e->ban = *ban;
	e->size = size;
	memcpy(e->text, ban->reason, reason);
	e->text[reason] = '\0';
	memcpy(e->text + reason + 1, space_of(&ban->who), space + 1);
	if (name)
		memcpy(e->text + reason + 1 + space + 1, ban->who.name.data, name);
	e->ban.reason = e->text;
	e->ban.who.space = e->text + reason + 1;
	e->ban.who.name.data = (const uint8_t *)e->text + reason + 1 + space + 1;
	return e;
}

static int put(struct bans *b, struct entry *e)
{
	struct entry *before = find(b, &e->ban.who);
	size_t bytes = b->bytes - (before ? before->size : 0);

	if ((!before && b->table.count >= BANS_MAX) || bytes + e->size > BANS_BYTES_MAX)
		return -ENOSPC;
	if (table_insert(&b->table, &e->node, hash_of(&e->ban.who)))
		return -ENOMEM;
	count(b, e, 1);
	if (before)
		drop(b, before);
	if (e->ban.until_ns && e->ban.until_ns < b->first_end_ns)
		b->first_end_ns = e->ban.until_ns;
	tell(b, true, &e->ban);
	return 0;
}

int bans_add(struct bans *b, const struct ban *ban)
{
	struct entry *e = make(ban);
	int rc;

	if (!e)
		return -ENOMEM;
	pthread_mutex_lock(&b->lock);
	rc = put(b, e);
	pthread_mutex_unlock(&b->lock);
	if (rc)
		free(e);
	return rc;
}

int bans_remove(struct bans *b, const struct ban_subject *who)
{
	struct entry *e;

	pthread_mutex_lock(&b->lock);
	e = find(b, who);
	if (e) {
		tell(b, false, &e->ban);
		drop(b, e);
	}
	pthread_mutex_unlock(&b->lock);
	return e ? 0 : -ENOENT;
}

void bans_expire(struct bans *b, uint64_t now_ns, void (*over)(const struct ban *ban))
{
	uint64_t first = UINT64_MAX;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; b->first_end_ns <= now_ns && b->table.buckets && i <= b->table.mask; i++) {
		struct table_node *next;

		for (struct table_node *n = b->table.buckets[i]; n; n = next) {
			struct entry *e = container_of(n, struct entry, node);

			next = n->next;
			if (is_over(&e->ban, now_ns)) {
				over(&e->ban);
				tell(b, false, &e->ban);
				drop(b, e);
			} else if (e->ban.until_ns && e->ban.until_ns < first) {
				first = e->ban.until_ns;
			}
		}
	}
	if (b->first_end_ns <= now_ns)
		b->first_end_ns = first;
	pthread_mutex_unlock(&b->lock);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static int each_of(const struct bans *b, uint64_t now_ns, int (*each)(const struct ban *, void *), void *arg)
{
	int rc = 0;

	for (size_t i = 0; b->table.buckets && i <= b->table.mask; i++)
		for (struct table_node *n = b->table.buckets[i]; n && !rc; n = n->next) {
			const struct ban *ban = &container_of(n, struct entry, node)->ban;

			if (!is_over(ban, now_ns))
				rc = each(ban, arg);
		}
	return rc;
}

int bans_each(struct bans *b, uint64_t now_ns, int (*each)(const struct ban *, void *), void *arg)
{
	int rc;

	pthread_mutex_lock(&b->lock);
	rc = each_of(b, now_ns, each, arg);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int tell_one(const struct ban *ban, void *observer)
{
	struct ban_observer *o = observer;

	if (ban->who.kind == BAN_ADDRESS)
		o->changed(o, true, &ban->who.network, ban->until_ns);
	return 0;
}

void bans_observe(struct bans *b, struct ban_observer *o)
{
	pthread_mutex_lock(&b->lock);
	each_of(b, 0, tell_one, o);
	list_push(&b->observers, &o->all);
	pthread_mutex_unlock(&b->lock);
}

void bans_unobserve(struct bans *b, struct ban_observer *o)
{
	pthread_mutex_lock(&b->lock);
	list_del(&o->all);
	pthread_mutex_unlock(&b->lock);
}

const char *ban_who(const struct ban_subject *who, char text[BAN_WHO_MAX])
{
	char name[NETWORK_NAME_MAX];

	if (who->kind == BAN_ADDRESS)
		snprintf(text, BAN_WHO_MAX, "%s %s", ban_kind_names[who->kind], network_name(&who->network, name));
	else
		snprintf(text, BAN_WHO_MAX, "%s %.*s%s%s", ban_kind_names[who->kind], (int)who->name.len,
			 (const char *)who->name.data, *space_of(who) ? " of namespace " : "", space_of(who));
	return text;
}
