// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/checker.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "auth/password.h"
#include "broker/token.h"

enum {
	THREADS_MAX = 16,
	MEMORY_MAX = PASSWORD_ARGON2_KIB_MAX * 1024, /* one check always fits */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* under the lock */
	struct check *first, **end;
	size_t memory; /* of those that run */
	bool stop;
	/* the main thread's */
	pthread_t threads[THREADS_MAX];
	unsigned started;
} checker = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .end = &checker.first};

/* Is the next one to wait until others give memory back? Under the lock. */
static bool must_wait(void)
{
	if (checker.stop)
		return false;
	return !checker.first || checker.first->memory > MEMORY_MAX - checker.memory;
}

/* The next one, which counts as running; NULL: stop. */
static struct check *take(void)
{
	struct check *c;

	pthread_mutex_lock(&checker.lock);
	while (must_wait())
		pthread_cond_wait(&checker.more, &checker.lock);
	c = checker.first;
	if (c) {
		checker.first = c->next;
		if (!checker.first)
			checker.end = &checker.first;
		checker.memory += c->memory;
	}
	pthread_mutex_unlock(&checker.lock);
	return c;
}

/* One has run. */
static void give_back(size_t memory)
{
	if (!memory)
		return;
	pthread_mutex_lock(&checker.lock);
	checker.memory -= memory;
	pthread_cond_broadcast(&checker.more); /* it may be enough for several */
	pthread_mutex_unlock(&checker.lock);
}

static int check(struct check *c)
{
	if (c->passwords)
		return password_file_check(c->passwords, c->username, c->password);
	c->token = token_verify(c->tokens, c->password, c->client_id, &c->why);
	if (c->token)
		return 0;
	return c->why == jwt_no_memory ? -ENOMEM : -EACCES;
}

static void *run(void *arg)
{
	struct check *c;

	(void)arg;
	while ((c = take())) {
		/* Also while they stop: what is left is given back unchecked. */
		if (__atomic_load_n(&c->given_up, __ATOMIC_RELAXED) || __atomic_load_n(&checker.stop, __ATOMIC_RELAXED))
			c->result = -ECANCELED;
		else
			c->result = check(c);
		give_back(c->memory);
		loop_send(c->from, &c->item);
	}
	return NULL;
}

int checker_start(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = cores < 2 ? 1 : cores / 2 > THREADS_MAX ? THREADS_MAX : (unsigned)cores / 2;

	__atomic_store_n(&checker.stop, false, __ATOMIC_RELAXED);
	for (; checker.started < n; checker.started++) {
		int rc = pthread_create(&checker.threads[checker.started], NULL, run, NULL);

		if (rc) {
			checker_stop();
			return -rc;
		}
	}
	return 0;
}

void checker_stop(void)
{
	pthread_mutex_lock(&checker.lock);
	__atomic_store_n(&checker.stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&checker.more);
	pthread_mutex_unlock(&checker.lock);
	while (checker.started)
		pthread_join(checker.threads[--checker.started], NULL);
}

void checker_submit(struct check *check)
{
	check->next = NULL;
	check->memory = check->passwords ? password_file_check_memory(check->passwords, check->username) : 0;
	pthread_mutex_lock(&checker.lock);
	*checker.end = check;
	checker.end = &check->next;
	pthread_cond_signal(&checker.more);
	pthread_mutex_unlock(&checker.lock);
}
