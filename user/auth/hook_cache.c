// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/hook_cache.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "base/clock.h"

struct allowed {
	struct table_node node;
	struct list link;
	uint64_t until_ns;
	uint8_t digest[HOOK_DIGEST_LEN];
};

int hook_cache_init(struct hook_cache *c, uint32_t keep_s)
{
	*c = (struct hook_cache){.keep_ns = keep_s * NS_PER_S};
	list_init(&c->oldest);
	pthread_mutex_init(&c->lock, NULL);
	return getrandom(c->key, sizeof(c->key), 0) == (ssize_t)sizeof(c->key) ? 0 : -EIO;
}

bool hook_cache_digest(const struct hook_cache *c, const void *question, size_t len, uint8_t digest[HOOK_DIGEST_LEN])
{
	unsigned n = HOOK_DIGEST_LEN;

	return HMAC(EVP_sha256(), c->key, sizeof(c->key), question, len, digest, &n) && n == HOOK_DIGEST_LEN;
}

static uint64_t hash_of(const uint8_t *digest)
{
	uint64_t hash;

	memcpy(&hash, digest, sizeof(hash));
	return hash;
}

static struct allowed *find(const struct hook_cache *c, const uint8_t *digest)
{
	struct table_node *n = table_first(&c->table, hash_of(digest));

	while (n && CRYPTO_memcmp(container_of(n, struct allowed, node)->digest, digest, HOOK_DIGEST_LEN) != 0)
		n = table_next(n);
	return n ? container_of(n, struct allowed, node) : NULL;
}

static void drop(struct hook_cache *c, struct allowed *a)
{
	table_remove(&c->table, &a->node);
	list_del(&a->link);
	free(a);
}

static struct allowed *first(const struct hook_cache *c)
{
	return list_empty(&c->oldest) ? NULL : container_of(c->oldest.next, struct allowed, link);
}

/* All are kept for the same time, so the oldest is over first. */
static void forget_old(struct hook_cache *c, uint64_t now_ns)
{
	while (first(c) && first(c)->until_ns <= now_ns)
		drop(c, first(c));
}

bool hook_cache_has(struct hook_cache *c, const uint8_t digest[HOOK_DIGEST_LEN], uint64_t now_ns)
{
	bool has;

	if (!c->keep_ns)
		return false;
	pthread_mutex_lock(&c->lock);
	forget_old(c, now_ns);
	has = find(c, digest);
	pthread_mutex_unlock(&c->lock);
	return has;
}

static void add(struct hook_cache *c, const uint8_t *digest, uint64_t until_ns)
{
	struct allowed *a = find(c, digest);

	if (a)
		drop(c, a);
	if (c->table.count >= HOOK_CACHE_MAX)
		drop(c, first(c));
	a = malloc(sizeof(*a));
	if (!a)
		return;
	a->until_ns = until_ns;
	memcpy(a->digest, digest, sizeof(a->digest));
	if (table_insert(&c->table, &a->node, hash_of(digest)))
		free(a);
	else
		list_push(&c->oldest, &a->link);
}

void hook_cache_add(struct hook_cache *c, const uint8_t digest[HOOK_DIGEST_LEN], uint64_t now_ns)
{
	if (!c->keep_ns)
		return;
	pthread_mutex_lock(&c->lock);
	forget_old(c, now_ns);
	add(c, digest, now_ns + c->keep_ns);
	pthread_mutex_unlock(&c->lock);
}

void hook_cache_free(struct hook_cache *c)
{
	while (first(c))
		drop(c, first(c));
	table_free(&c->table);
	pthread_mutex_destroy(&c->lock);
	OPENSSL_cleanse(c->key, sizeof(c->key));
}
