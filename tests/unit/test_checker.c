// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* How many passwords are checked at a time: as many as there are threads, and as the memory for them allows. */
#include "broker/checker.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/password.h"
#include "base/hash.h"

enum { THREADS = 4, MIB = 1024 * 1024 };

#define ARGON2(kib) "$argon2id$v=19$m=" kib ",t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA\n"
#define A16 "AAAAAAAAAAAAAAAA"

static const char users[] = "heavy:" ARGON2("102400") "most:" ARGON2("262144") "cheap:$7$1$" A16 "$" A16 A16 A16 A16 A16
									       "AAAAAA==\n";

/* Checks that take as long as the test wants. */
static struct {
	struct password_file *file;
	sem_t began, go_on, done;
	size_t memory, peak; /* atomic */
} fake;

long __wrap_sysconf(int name);
int __wrap_password_check(const struct password_hash *h, struct mqtt_str password);
void __wrap_loop_send(struct loop *loop, struct inbox_item *item);

long __wrap_sysconf(int name)
{
	(void)name;
	return (long)2 * THREADS;
}

static void await(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

int __wrap_password_check(const struct password_hash *h, struct mqtt_str password)
{
	size_t mine = password_check_memory(h), now = __atomic_add_fetch(&fake.memory, mine, __ATOMIC_SEQ_CST);
	size_t peak = __atomic_load_n(&fake.peak, __ATOMIC_SEQ_CST);

	(void)password;
	while (now > peak &&
	       !__atomic_compare_exchange_n(&fake.peak, &peak, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	sem_post(&fake.began);
	await(&fake.go_on);
	__atomic_sub_fetch(&fake.memory, mine, __ATOMIC_SEQ_CST);
	return 0;
}

void __wrap_loop_send(struct loop *loop, struct inbox_item *item)
{
	(void)loop, (void)item;
	sem_post(&fake.done);
}

static int begin(void **state)
{
	FILE *f = fmemopen((void *)(uintptr_t)users, strlen(users), "r");

	(void)state;
	memset(&fake, 0, sizeof(fake));
	hash_init();
	fake.file = f ? password_file_read(f, "users") : NULL;
	if (f)
		fclose(f);
	sem_init(&fake.began, 0, 0);
	sem_init(&fake.go_on, 0, 0);
	sem_init(&fake.done, 0, 0);
	return fake.file ? checker_start() : -1;
}

static int end(void **state)
{
	(void)state;
	checker_stop();
	password_file_unref(fake.file);
	return 0;
}

static void submit(struct check *checks, size_t n, const char *username)
{
	for (size_t i = 0; i < n; i++) {
		checks[i] = (struct check){.passwords = fake.file, .username = mqtt_str(username), .result = 1};
		checker_submit(&checks[i]);
	}
}

static void await_times(sem_t *sem, size_t n)
{
	while (n--)
		await(sem);
}

static void test_cheap_ones_run_on_all_threads(void **state)
{
	struct check checks[THREADS];

	(void)state;
	submit(checks, THREADS, "cheap");
	await_times(&fake.began, THREADS);
	for (size_t i = 0; i < THREADS; i++)
		sem_post(&fake.go_on);
	await_times(&fake.done, THREADS);
}

/* Two fit in: both are seen at once, and never a third. */
static void test_memory_is_bounded(void **state)
{
	enum { N = 8 };
	struct check checks[N];

	(void)state;
	submit(checks, N, "heavy");
	await_times(&fake.began, 2);
	for (size_t i = 0; i < N; i++) {
		sem_post(&fake.go_on);
		await(&fake.done);
		if (i + 2 < N)
			await(&fake.began); /* the memory was given back */
	}
	for (size_t i = 0; i < N; i++)
		assert_int_equal(checks[i].result, 0);
	assert_int_equal(fake.peak, 200 * MIB);
}

/* One that takes all there is gets its turn, and those behind it do. */
static void test_the_most_fits(void **state)
{
	struct check most[2], cheap[1];

	(void)state;
	submit(most, 2, "most");
	submit(cheap, 1, "cheap");
	for (size_t i = 0; i < 3; i++)
		sem_post(&fake.go_on);
	await_times(&fake.done, 3);
	assert_int_equal(most[0].result | most[1].result | cheap[0].result, 0);
	assert_int_equal(fake.peak, 256 * MIB);
}

/* Those that wait for memory are given back when the threads end. */
static void test_stop(void **state)
{
	enum { N = 8 };
	struct check checks[N];

	(void)state;
	submit(checks, N, "heavy");
	await_times(&fake.began, 2);
	for (size_t i = 2; i < N; i++)
		__atomic_store_n(&checks[i].given_up, true, __ATOMIC_RELAXED);
	sem_post(&fake.go_on);
	sem_post(&fake.go_on);
	checker_stop();
	await_times(&fake.done, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(checks[i].result, i < 2 ? 0 : -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cheap_ones_run_on_all_threads, begin, end),
		cmocka_unit_test_setup_teardown(test_memory_is_bounded, begin, end),
		cmocka_unit_test_setup_teardown(test_the_most_fits, begin, end),
		cmocka_unit_test_setup_teardown(test_stop, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
