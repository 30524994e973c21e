// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Authentication without memory: each allocation fails in its turn, ours (the linker leads them here, see the Makefile)
 * and OpenSSL's. Nothing leaks, nobody gets in by it, and the next one who comes is served. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/crypto.h>

#include "auth/password.h"
#include "auth/password_file.h"
#include "base/hash.h"
#include "base/log.h"
#include "failing_malloc.h"
#include "password_vectors.h"
#include "scram_client.h"

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return malloc(size);
}

static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return realloc(p, size);
}

static void openssl_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* An exchange with one failure, or none if `fail_at` is more than it needs or negative. Returns whether it succeeded;
 * some failures OpenSSL can do without. */
static bool converse(struct auth_store *store, long fail_at)
{
	struct mqtt_str reply;
	struct auth_exchange *e;
	enum auth_result result;

	left = fail_at;
	e = auth_begin(&scram_sha_256, store);
	if (!e)
		return false;
	scram_set_nonce(e, RFC_SERVER_NONCE);
	result = auth_step(e, mqtt_str(RFC_CLIENT_FIRST), &reply);
	if (result == AUTH_CONTINUE)
		result = auth_step(e, mqtt_str(RFC_CLIENT_FINAL), &reply);
	if (result == AUTH_SUCCESS) {
		assert_true(mqtt_str_eq(reply, mqtt_str(RFC_SERVER_FINAL)));
		assert_int_equal(auth_username(e).len, 4);
	} else {
		assert_int_equal(result, AUTH_NO_MEMORY);
		assert_int_equal(reply.len, 0);
		assert_int_equal(auth_username(e).len, 0);
		assert_int_equal(auth_step(e, mqtt_str(RFC_CLIENT_FINAL), &reply), AUTH_DENIED);
	}
	auth_end(e);
	return result == AUTH_SUCCESS;
}

static void test_exchange(void **state)
{
	struct auth_store *store = store_of("user:" RFC_VERIFIER "\n");
	long fail_at = 0, refused = 0;

	(void)state;
	assert_non_null(store);
	/* OpenSSL makes its tables when it is first used, and they stay: that is before there are clients. */
	assert_true(converse(store, -1));
	for (bool met = true; met; fail_at++) {
		refused += !converse(store, fail_at);
		met = left < 0;
		assert_true(converse(store, -1));
	}
	/* At least the exchange itself, a message collected, and a context of OpenSSL's. */
	assert_in_range(refused, 3, fail_at);
	auth_store_unref(store);
}

static void test_store(void **state)
{
	char text[] = "user:" RFC_VERIFIER "\nother:" RFC_VERIFIER "\n";
	struct auth_store *store = NULL;
	long fail_at = 0;

	(void)state;
	log_set_dest(0, NULL);
	for (; !store; fail_at++) {
		FILE *f = fmemopen(text, sizeof(text) - 1, "r");

		assert_non_null(f);
		left = fail_at;
		store = auth_store_read(f, "users");
		left = -1;
		fclose(f);
	}
	assert_true(fail_at > 4);
	assert_int_equal(auth_store_count(store), 2);
	auth_store_unref(store);
	log_set_dest(LOG_DEST_STDERR, NULL);
}

static void test_derive(void **state)
{
	struct scram_verifier want, v;
	long fail_at = 0, refused = 0;
	int err;

	(void)state;
	assert_null(scram_verifier_parse(RFC_VERIFIER, &want));
	want.iterations = 1; /* OpenSSL allocates in each */
	assert_int_equal(scram_verifier_derive(&want, mqtt_str("pencil")), 0);
	for (bool met = true; met; fail_at++) {
		v = want;
		memset(v.stored_key, 0, sizeof(v.stored_key));
		left = fail_at;
		err = scram_verifier_derive(&v, mqtt_str("pencil"));
		met = left < 0;
		left = -1;
		if (err)
			assert_int_equal(err, -ENOMEM);
		else
			assert_memory_equal(v.stored_key, want.stored_key, SCRAM_KEY_LEN);
		refused += err != 0;
	}
	assert_in_range(refused, 1, fail_at);
}

/* Nobody gets in for want of memory, and the right password does as soon as there is some. */
static void test_password(void **state)
{
	(void)state;
	for (int kind = PASSWORD_SHA512; kind <= PASSWORD_ARGON2ID; kind++) {
		struct password_hash h;
		long fail_at = 0, refused = 0;
		int err;

		/* Of one iteration: OpenSSL allocates in each. */
		assert_int_equal(password_hash_make(&h, (enum password_kind)kind, 1, mqtt_str("secret")), 0);
		for (bool met = true; met; fail_at++) {
			left = fail_at;
			err = password_check(&h, mqtt_str("secret"));
			met = left < 0;
			left = fail_at;
			assert_int_not_equal(password_check(&h, mqtt_str("other")), 0);
			left = -1;
			assert_true(err == 0 || err == -ENOMEM);
			refused += err != 0;
		}
		assert_in_range(refused, 1, fail_at);
	}
}

static void test_password_make(void **state)
{
	(void)state;
	for (int kind = PASSWORD_SHA512; kind <= PASSWORD_ARGON2ID; kind++) {
		struct password_hash h = {.salt_len = 77};
		long fail_at = 0;
		int err;

		for (bool met = true; met; fail_at++) {
			left = fail_at;
			err = password_hash_make(&h, (enum password_kind)kind, 1, mqtt_str("secret"));
			met = left < 0;
			left = -1;
			if (err)
				assert_int_equal(err, -ENOMEM);
			else
				assert_int_equal(password_check(&h, mqtt_str("secret")), 0);
			/* What failed first left it alone. */
			if (err && fail_at == 0)
				assert_int_equal(h.salt_len, 77);
		}
		assert_true(fail_at > 1);
	}
}

static void test_password_file(void **state)
{
	char text[] = "user:" SECRET_PBKDF2 "\nother:" SECRET_ARGON2ID "\n";
	struct password_file *file = NULL;
	long fail_at = 0;

	(void)state;
	log_set_dest(0, NULL);
	for (; !file; fail_at++) {
		FILE *f = fmemopen(text, sizeof(text) - 1, "r");

		assert_non_null(f);
		left = fail_at;
		file = password_file_read(f, "passwords");
		left = -1;
		fclose(f);
	}
	assert_true(fail_at > 4);
	assert_int_equal(password_file_count(file), 2);
	assert_int_equal(password_file_check(file, mqtt_str("user"), mqtt_str("secret")), 0);
	password_file_unref(file);
	log_set_dest(LOG_DEST_STDERR, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange),      cmocka_unit_test(test_store),
		cmocka_unit_test(test_derive),	      cmocka_unit_test(test_password),
		cmocka_unit_test(test_password_make), cmocka_unit_test(test_password_file),
	};

	if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
		return 1;
	hash_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
