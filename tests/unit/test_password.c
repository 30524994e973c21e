// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Hashes of passwords in mosquitto's forms, and the file they stand in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>

#include "auth/password.h"
#include "auth/password_file.h"
#include "base/hash.h"
#include "logged.h"
#include "mqtt_model.h"
#include "password_vectors.h"

static char dir[] = "/tmp/shunt-test-password.XXXXXX";

static int begin(void **state)
{
	unlink("passwords");
	return logged_begin(state);
}

static struct mqtt_str bytes(const char *data, size_t len)
{
	return (struct mqtt_str){.data = (const uint8_t *)data, .len = (uint32_t)len};
}

/* ---- hashes ------------------------------------------------------------------------------------------------------ */

/* What others hashed is read, written as it was, and opened by its password and no other. */
static void test_vectors(void **state)
{
	char text[PASSWORD_TEXT_MAX], longer[32];
	struct password_hash h;

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t len = vectors[i].len;

		assert_null(password_hash_parse(vectors[i].hash, &h));
		assert_int_equal(password_hash_format(&h, text), strlen(vectors[i].hash));
		assert_string_equal(text, vectors[i].hash);
		assert_true(password_looks_hashed(text));

		memcpy(longer, vectors[i].password, len);
		longer[len] = 'x';
		assert_int_equal(password_check(&h, bytes(longer, len)), 0);
		assert_int_equal(password_check_nobody(&h, bytes(longer, len)), -EACCES);
		assert_int_equal(password_check(&h, bytes(longer, len + 1)), -EACCES);
		if (len)
			assert_int_equal(password_check(&h, bytes(longer, len - 1)), -EACCES);
		assert_int_equal(password_check(&h, bytes("other!", 6)), -EACCES);
		assert_int_equal(password_check(&h, (struct mqtt_str){0}), len ? -EACCES : 0);
	}
}

/* Every bit of the salt and the hash counts. */
static void test_bits(void **state)
{
	static const char *const hashes[] = {SECRET_SHA512, SECRET_PBKDF2, SECRET_ARGON2ID};
	struct password_hash h;

	(void)state;
	for (size_t i = 0; i < COUNT(hashes); i++) {
		assert_null(password_hash_parse(hashes[i], &h));
		for (unsigned bit = 0; bit < 8u * h.hash_len; bit += 7) {
			h.hash[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(password_check(&h, mqtt_str("secret")), -EACCES);
			h.hash[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (unsigned bit = 0; bit < 8u * h.salt_len; bit += 7) {
			h.salt[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(password_check(&h, mqtt_str("secret")), -EACCES);
			h.salt[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(password_check(&h, mqtt_str("secret")), 0);
	}
}

static void test_kinds(void **state)
{
	static const char *const others[] = {"", "sha", "sha5122", "SHA512", "pbkdf2", "argon2i", "$6$"};
	enum password_kind kind;

	(void)state;
	assert_true(password_kind("sha512", &kind) && kind == PASSWORD_SHA512);
	assert_true(password_kind("sha512-pbkdf2", &kind) && kind == PASSWORD_PBKDF2);
	assert_true(password_kind("argon2id", &kind) && kind == PASSWORD_ARGON2ID);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(password_kind(others[i], &kind));
}

/* A new hash of each kind, with the parameters it should have, is read again and opened. */
static void test_make(void **state)
{
	static const struct {
		enum password_kind kind;
		const char *begins;
		uint8_t salt_len;
	} kinds[] = {
		{PASSWORD_SHA512, "$6$", 12},
		{PASSWORD_PBKDF2, "$7$1234$", 12},
		{PASSWORD_ARGON2ID, "$argon2id$v=19$m=47104,t=1,p=1$", 64},
	};
	struct password_hash h, other, back;
	char text[PASSWORD_TEXT_MAX], again[PASSWORD_TEXT_MAX];
	char *longest = test_calloc(1, 65535);

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_int_equal(password_hash_make(&h, kinds[i].kind, 1234, mqtt_str("secret")), 0);
		assert_int_equal(password_hash_make(&other, kinds[i].kind, 1234, mqtt_str("secret")), 0);
		assert_int_equal(h.salt_len, kinds[i].salt_len);
		assert_memory_not_equal(h.salt, other.salt, h.salt_len);
		assert_int_equal(h.hash_len, 64);
		assert_memory_not_equal(h.hash, other.hash, h.hash_len);
		password_hash_format(&h, text);
		assert_memory_equal(text, kinds[i].begins, strlen(kinds[i].begins));
		assert_null(password_hash_parse(text, &back));
		password_hash_format(&back, again);
		assert_string_equal(again, text);
		assert_int_equal(password_check(&back, mqtt_str("secret")), 0);
		assert_int_equal(password_check(&back, mqtt_str("Secret")), -EACCES);

		assert_int_equal(password_hash_make(&h, kinds[i].kind, 1, bytes(longest, 65535)), 0);
		assert_int_equal(password_check(&h, bytes(longest, 65535)), 0);
		assert_int_equal(password_check(&h, bytes(longest, 65534)), -EACCES);
	}
	test_free(longest);
}

static void test_memory_of_checks(void **state)
{
	struct password_hash h;

	(void)state;
	assert_null(password_hash_parse(SECRET_SHA512, &h));
	assert_int_equal(password_check_memory(&h), 0);
	assert_null(password_hash_parse(SECRET_PBKDF2, &h));
	assert_int_equal(password_check_memory(&h), 0);
	assert_null(password_hash_parse(SECRET_ARGON2ID, &h));
	assert_int_equal(password_check_memory(&h), 65536);
}

/* The largest of everything fits. */
static void test_longest(void **state)
{
	struct password_hash h = {.salt_len = PASSWORD_SALT_MAX, .hash_len = PASSWORD_HASH_MAX}, back;
	char text[PASSWORD_TEXT_MAX], again[PASSWORD_TEXT_MAX];
	size_t len;

	(void)state;
	memset(h.salt, 0xfb, sizeof(h.salt));
	memset(h.hash, 0xff, sizeof(h.hash));
	for (h.kind = PASSWORD_SHA512; h.kind <= PASSWORD_ARGON2ID; h.kind++) {
		h.iterations = h.kind == PASSWORD_PBKDF2 ? PASSWORD_ITERATIONS_MAX : 0;
		h.kib = h.lanes = 0;
		if (h.kind == PASSWORD_ARGON2ID) {
			h.iterations = PASSWORD_ARGON2_PASSES_MAX;
			h.kib = PASSWORD_ARGON2_KIB_MAX;
			h.lanes = PASSWORD_ARGON2_LANES_MAX;
		}
		len = password_hash_format(&h, text);
		assert_int_equal(len, strlen(text));
		assert_in_range(strlen(text), 1, sizeof(text) - 2);
		assert_null(password_hash_parse(text, &back));
		password_hash_format(&back, again);
		assert_string_equal(again, text);
	}
}

#define HASH "uAp/1/NLxAqHcb+is1cAuddauDtVpbZjsymLO1Bo0jPqrdpkJ1SH7y67kH4XG/gYr+rLWg8ZeD2z0qpBM0fpyQ=="
#define ARGON "$argon2id$v=19$m=64,t=2,p=4"
#define ARGON_REST "$c2FsdHNhbHQ$xeeFWUzmJn6aKbbWevWGOA"
#define BARE_64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg"
#define BARE_65 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZmc"
static const char bad_kind[] =
	"what follows the user name does not begin with $6$, $7$ or $argon2id$: it is no hash of a "
	"password";
static const char bad_form_6[] = "the hash is not of the form $6$SALT$HASH";
static const char bad_form_7[] = "the hash is not of the form $7$ITERATIONS$SALT$HASH";
static const char bad_form_argon[] = "the hash is not of the form $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH";
static const char bad_iterations[] = "the number of iterations is not one from 1 to 10000000";
static const char bad_salt[] = "the salt is not 1 to 64 bytes of base64";
static const char bad_hash[] = "the hash of the password is not 64 bytes of base64";
static const char bad_version[] = "the version of Argon2 is not v=19";
static const char bad_memory[] = "the memory of Argon2 is not m= and 1 to 262144 KiB";
static const char bad_passes[] = "the passes of Argon2 are not t= and 1 to 16";
static const char bad_lanes[] = "the lanes of Argon2 are not p= and 1 to 16";
static const char bad_little[] = "the memory of Argon2 is less than 8 KiB for each lane";
static const char bad_argon_salt[] = "the salt is not 8 to 64 bytes of base64 without padding";
static const char bad_argon_hash[] = "the hash of the password is not 16 to 64 bytes of base64 without padding";

static const struct {
	const char *text, *why;
} bad_hashes[] = {
	{"", bad_kind},
	{"secret", bad_kind},
	{"$", bad_kind},
	{"$6", bad_kind},
	{"$5$AA==$" HASH, bad_kind},
	{"$8$AA==$" HASH, bad_kind},
	{"$66$AA==$" HASH, bad_kind},
	{"6$AA==$" HASH, bad_kind},
	{"x$6$AA==$" HASH, bad_kind},
	{"$argon2i$v=19$m=64,t=2,p=4" ARGON_REST, bad_kind},
	{"$argon2d$v=19$m=64,t=2,p=4" ARGON_REST, bad_kind},
	{"$ARGON2ID$v=19$m=64,t=2,p=4" ARGON_REST, bad_kind},
	{"SCRAM-SHA-256$4096:AAAA$AA==:AA==", bad_kind},

	{"$6$", bad_form_6},
	{"$6$AA==", bad_form_6},
	{"$6$$" HASH, bad_salt},
	{"$6$A$" HASH, bad_salt},
	{"$6$AA=$" HASH, bad_salt},
	{"$6$AB==$" HASH, bad_salt},
	{"$6$!!!!$" HASH, bad_salt},
	{"$6$AA==:AA==$" HASH, bad_salt},
	{"$6$" SALT_64 "AAAA$" HASH, bad_salt},
	{"$6$"
	 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$" HASH,
	 bad_salt},
	{"$6$AA==$", bad_hash},
	{"$6$AA==$AA==", bad_hash},
	{"$6$AA==$$" HASH, bad_hash},
	{"$6$AA==$" HASH "$", bad_hash},
	{"$6$AA==$" HASH ":", bad_hash},
	{"$6$AA==$" HASH "AAAA", bad_hash},
	{"$6$AA==$" HASH HASH, bad_hash},
	{"$6$AA==$ " HASH, bad_hash},
	{"$6$101$AA==$" HASH, bad_salt},

	{"$7$", bad_form_7},
	{"$7$101", bad_form_7},
	{"$7$101$AA==", bad_form_7},
	{"$7$AA==$" HASH, bad_form_7},
	{"$7$$AA==$" HASH, bad_iterations},
	{"$7$0$AA==$" HASH, bad_iterations},
	{"$7$00$AA==$" HASH, bad_iterations},
	{"$7$0101$AA==$" HASH, bad_iterations},
	{"$7$-1$AA==$" HASH, bad_iterations},
	{"$7$+1$AA==$" HASH, bad_iterations},
	{"$7$ 1$AA==$" HASH, bad_iterations},
	{"$7$1 $AA==$" HASH, bad_iterations},
	{"$7$1e3$AA==$" HASH, bad_iterations},
	{"$7$0x10$AA==$" HASH, bad_iterations},
	{"$7$10000001$AA==$" HASH, bad_iterations},
	{"$7$4294967297$AA==$" HASH, bad_iterations},
	{"$7$18446744073709551617$AA==$" HASH, bad_iterations},
	{"$7$99999999999999999999999999999999$AA==$" HASH, bad_iterations},
	{"$7$101$$" HASH, bad_salt},
	{"$7$101$A===$" HASH, bad_salt},
	{"$7$101$AA==$", bad_hash},
	{"$7$101$AA==$AA==", bad_hash},
	{"$7$101$AA==$" HASH "$x", bad_hash},

	{"$argon2id$", bad_form_argon},
	{"$argon2id$v=19", bad_form_argon},
	{"$argon2id$v=19$m=64,t=2", bad_form_argon},
	{ARGON, bad_form_argon},
	{ARGON "$c2FsdHNhbHQ", bad_form_argon},
	{"$argon2id$m=64,t=2,p=4" ARGON_REST, bad_form_argon},
	{"$argon2id$v=16$m=64,t=2,p=4" ARGON_REST, bad_version},
	{"$argon2id$v=19$$m=64,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$t=2,m=64,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=0,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=064,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=-1,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=262145,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=4294967295,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=4294967360,t=2,p=4" ARGON_REST, bad_memory},
	{"$argon2id$v=19$m=64,t=0,p=4" ARGON_REST, bad_passes},
	{"$argon2id$v=19$m=64,t=17,p=4" ARGON_REST, bad_passes},
	{"$argon2id$v=19$m=64,t=4294967295,p=4" ARGON_REST, bad_passes},
	{"$argon2id$v=19$m=64,,p=4" ARGON_REST, bad_passes},
	{"$argon2id$v=19$m=64,t=2,p=0" ARGON_REST, bad_lanes},
	{"$argon2id$v=19$m=262144,t=2,p=17" ARGON_REST, bad_lanes},
	{"$argon2id$v=19$m=64,t=2,p=16777215" ARGON_REST, bad_lanes},
	{"$argon2id$v=19$m=64,t=2,p=4,keyid=AAAA" ARGON_REST, bad_lanes},
	{"$argon2id$v=19$m=31,t=2,p=4" ARGON_REST, bad_little},
	{"$argon2id$v=19$m=7,t=2,p=1" ARGON_REST, bad_little},
	{ARGON "$$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$c2FsdHNhbH$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$c2FsdHNhbHQ=$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$c2FsdHNhbHR$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$c2FsdHNhb$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$" BARE_65 "$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$" BARE_64 BARE_64 "$xeeFWUzmJn6aKbbWevWGOA", bad_argon_salt},
	{ARGON "$c2FsdHNhbHQ$", bad_argon_hash},
	{ARGON "$c2FsdHNhbHQ$xeeFWUzmJn6aKbbWevWG", bad_argon_hash},
	{ARGON "$c2FsdHNhbHQ$xeeFWUzmJn6aKbbWevWGOA==", bad_argon_hash},
	{ARGON "$c2FsdHNhbHQ$xeeFWUzmJn6aKbbWevWGOA$", bad_argon_hash},
	{ARGON "$c2FsdHNhbHQ$" BARE_65, bad_argon_hash},
	{ARGON "$c2FsdHNhbHQ$" HASH HASH, bad_argon_hash},
};

static void test_bad_hashes(void **state)
{
	struct password_hash h = {.iterations = 7};
	char *copy;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_hashes); i++) {
		/* In memory of its very length, so that a sanitizer sees what looks behind it. */
		copy = strdup(bad_hashes[i].text);
		assert_non_null(copy);
		assert_string_equal(password_hash_parse(copy, &h), bad_hashes[i].why);
		free(copy);
	}
	assert_int_equal(h.iterations, 7);
	assert_null(password_hash_parse(ARGON "$" BARE_64 "$" BARE_64, &h));
	assert_null(password_hash_parse("$argon2id$v=19$m=32,t=2,p=4" ARGON_REST, &h));
}

/* Cut off at each byte they are refused, but for Argon2id's hash, which may have several lengths, and then is another. */
static void test_truncated(void **state)
{
	struct password_hash h;
	char *copy;

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		for (size_t len = 0; len < strlen(vectors[i].hash); len++) {
			copy = strndup(vectors[i].hash, len);
			assert_non_null(copy);
			if (!password_hash_parse(copy, &h)) {
				assert_int_equal(h.kind, PASSWORD_ARGON2ID);
				assert_in_range(h.hash_len, 16, 63);
				if (h.kib < 10000)
					assert_int_equal(password_check(&h, bytes(vectors[i].password, vectors[i].len)),
							 -EACCES);
			}
			free(copy);
		}
	}
}

static void test_looks_hashed(void **state)
{
	static const char *const hashed[] = {
		"$6$",	    "$7$x",    "$argon2id$",	  "$argon2i$v=19$",
		"$2y$10$x", "$y$j9T$", "$pbkdf2-sha512$", "SCRAM-SHA-256$4096:x",
	};
	static const char *const not_hashed[] = {"",   "$",    "$$",	 "$$x",	 "$6",
						 "6$", "a$6$", "$ab c$", "$100", "SCRAM-SHA-256"};

	(void)state;
	for (size_t i = 0; i < COUNT(hashed); i++)
		assert_true(password_looks_hashed(hashed[i]));
	for (size_t i = 0; i < COUNT(not_hashed); i++)
		assert_false(password_looks_hashed(not_hashed[i]));
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static struct password_file *load_bytes(const char *data, size_t len, mode_t mode)
{
	FILE *f = fopen("passwords", "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod("passwords", mode), 0);
	return password_file_load("passwords");
}

static struct password_file *load(const char *text, mode_t mode)
{
	return load_bytes(text, strlen(text), mode);
}

static void test_file(void **state)
{
	struct password_file *file = load("# passwords: of users\r\n"
					  "\n"
					  "  \t \n"
					  "user:" SECRET_PBKDF2 "\r\n"
					  "#user:" SECRET_PBKDF2 "\n"
					  "  # user:x\n"
					  "\xc3\xbc, =$:" SECRET_SHA512 "  \n"
					  " \tblank \t: " SECRET_SHA512 "\n"
					  "last:" SECRET_ARGON2ID,
					  0640);

	(void)state;
	assert_non_null(file);
	assert_logged("");
	assert_int_equal(password_file_count(file), 4);
	assert_ptr_equal(password_file_find(file, mqtt_str("user")), password_file_at(file, 0));
	assert_ptr_equal(password_file_find(file, mqtt_str("\xc3\xbc, =$")), password_file_at(file, 1));
	assert_ptr_equal(password_file_find(file, mqtt_str("blank")), password_file_at(file, 2));
	assert_ptr_equal(password_file_find(file, mqtt_str("last")), password_file_at(file, 3));
	assert_int_equal(password_file_at(file, 0)->kind, PASSWORD_PBKDF2);
	assert_int_equal(password_file_at(file, 3)->kind, PASSWORD_ARGON2ID);
	assert_null(password_file_find(file, mqtt_str("")));
	assert_null(password_file_find(file, mqtt_str("use")));
	assert_null(password_file_find(file, mqtt_str("User")));
	assert_null(password_file_find(file, mqtt_str("#user")));

	assert_int_equal(password_file_check(file, mqtt_str("user"), mqtt_str("secret")), 0);
	assert_int_equal(password_file_check(file, mqtt_str("blank"), mqtt_str("secret")), 0);
	assert_int_equal(password_file_check(file, mqtt_str("last"), mqtt_str("secret")), 0);
	assert_int_equal(password_file_check(file, mqtt_str("user"), mqtt_str("Secret")), -EACCES);
	assert_int_equal(password_file_check(file, mqtt_str("user"), mqtt_str("")), -EACCES);
	password_file_unref(file);
}

/* Somebody who is not there is checked against a user, always the same, every user gets his share, and nobody gets in. */
static void test_unknown_users(void **state)
{
	struct password_file *file = load("a:" SECRET_SHA512 "\nb:" SECRET_PBKDF2 "\nc:" SECRET_ARGON2ID "\n", 0600);
	const struct password_hash *h;
	unsigned seen[3] = {0};
	char name[16];
	bool known;

	(void)state;
	assert_non_null(file);
	h = password_file_choose(file, mqtt_str("b"), &known);
	assert_true(known && h == password_file_at(file, 1));
	for (int i = 0; i < 300; i++) {
		sprintf(name, "nobody%d", i);
		h = password_file_choose(file, mqtt_str(name), &known);
		assert_false(known);
		assert_ptr_equal(password_file_choose(file, mqtt_str(name), &known), h);
		for (size_t k = 0; k < 3; k++)
			seen[k] += h == password_file_at(file, k);
		assert_int_equal(password_file_check(file, mqtt_str(name), mqtt_str("secret")), -EACCES);
	}
	assert_int_equal(seen[0] + seen[1] + seen[2], 300);
	for (size_t k = 0; k < 3; k++)
		assert_in_range(seen[k], 50, 200);
	assert_int_equal(password_file_check(file, (struct mqtt_str){0}, mqtt_str("secret")), -EACCES);
	password_file_unref(file);
}

static void test_empty_file(void **state)
{
	struct password_file *file = load("", 0600);
	bool known = true;

	(void)state;
	assert_non_null(file);
	assert_logged("");
	assert_int_equal(password_file_count(file), 0);
	assert_null(password_file_choose(file, mqtt_str("user"), &known));
	assert_false(known);
	assert_int_equal(password_file_check(file, mqtt_str("user"), mqtt_str("")), -EACCES);
	password_file_unref(file);
	password_file_unref(NULL);
}

static void test_many_users(void **state)
{
	enum { USERS = 5000 };
	char *text = malloc(USERS * 200), *p = text, name[16];
	struct password_file *file;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < USERS; i++)
		p += sprintf(p, "user%d:$7$%d$AA==$" HASH "\n", i, 1 + i);
	file = load(text, 0600);
	assert_non_null(file);
	assert_logged("");
	for (int i = 0; i < USERS; i++) {
		sprintf(name, "user%d", i);
		assert_int_equal(password_file_find(file, mqtt_str(name))->iterations, 1 + i);
	}
	password_file_unref(file);
	free(text);
}

/* Every fault in its line, and all of them at once. */
static void test_faults(void **state)
{
	char text[1 << 15] = "", want[1 << 15] = "";
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_hashes); i++) {
		sprintf(text + strlen(text), "user:%s\n", bad_hashes[i].text);
		sprintf(want + strlen(want), "Error in passwords:%zu: %s.\n", ++n, bad_hashes[i].why);
	}
	assert_null(load(text, 0600));
	assert_logged(want);
}

static void test_faults_of_names(void **state)
{
	static const struct {
		const char *name, *why;
	} names[] = {
		{"", "is empty"},
		{" ", "is empty"},
		{"us\ter", "has a control character"},
		{"us\x7f"
		 "er",
		 "has a control character"},
		{"\xff", "is not UTF-8 as MQTT allows it"},
	};
	char *text = malloc(70000), *name = malloc(PASSWORD_NAME_MAX + 2), want[1024];
	struct password_file *file;

	(void)state;
	assert_true(text && name);
	for (size_t i = 0; i < COUNT(names); i++) {
		sprintf(text, "ok:%s\n%s:%s\n", SECRET_SHA512, names[i].name, SECRET_SHA512);
		sprintf(want, "Error in passwords:2: the user name %s.\n", names[i].why);
		assert_null(load(text, 0600));
		assert_logged(want);
	}
	memset(name, 'x', PASSWORD_NAME_MAX + 1);
	name[PASSWORD_NAME_MAX + 1] = '\0';
	sprintf(text, "%s:%s\n", name, SECRET_SHA512);
	assert_null(load(text, 0600));
	assert_logged("Error in passwords:1: the user name is longer than 65535 bytes.\n");
	file = load(text + 1, 0600);
	assert_non_null(file);
	assert_int_equal(password_file_check(file, mqtt_str(name + 1), mqtt_str("secret")), 0);
	password_file_unref(file);
	assert_string_equal(password_name_fault(mqtt_str("a:b")), "has a colon");
	assert_string_equal(password_name_fault(mqtt_str("#a")), "begins with a #, as comments do");
	assert_string_equal(password_name_fault(mqtt_str("a ")), "begins or ends with a blank");
	free(name);
	free(text);
}

static void test_faults_of_lines(void **state)
{
	static const char nul[] = "a:" SECRET_SHA512 "\0\nb\0:" SECRET_SHA512 "\n";
	struct password_file *file;

	(void)state;
	file = load("user\n$6$AA==$" HASH "\nother:" SECRET_SHA512 "\n", 0600);
	assert_non_null(file);
	assert_int_equal(password_file_count(file), 1);
	password_file_unref(file);
	assert_logged("Warning in passwords:1: there is no colon behind a user name: the line counts for nothing.\n"
		      "Warning in passwords:2: there is no colon behind a user name: the line counts for nothing.\n");

	assert_null(load("user:" SECRET_SHA512 "\n\nother:" SECRET_SHA512 "\n user:" SECRET_PBKDF2 "\n", 0600));
	assert_logged("Error in passwords:4: the user \"user\" is in line 1 already.\n");
	assert_null(load_bytes(nul, sizeof(nul) - 1, 0600));
	assert_logged("Error in passwords:1: there is a NUL byte in the line.\n"
		      "Error in passwords:2: there is a NUL byte in the line.\n");

	assert_null(password_file_load("missing"));
	assert_logged("Error: Unable to read missing: No such file or directory.\n");
	assert_null(password_file_load("."));
	assert_logged("Error: Unable to read .: Is a directory.\n");
}

/* A line of ten million bytes is an error like any other. */
static void test_long_line(void **state)
{
	enum { LEN = 10000000 };
	char *text = malloc(LEN + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', LEN);
	text[LEN] = '\0';
	memcpy(text, "user:$6$", 8);
	assert_null(load(text, 0600));
	assert_logged("Error in passwords:1: the hash is not of the form $6$SALT$HASH.\n");
	free(text);
}

static void test_permissions(void **state)
{
	(void)state;
	password_file_unref(load("user:" SECRET_SHA512 "\n", 0660));
	assert_logged("");
	password_file_unref(load("user:" SECRET_SHA512 "\n", 0644));
	assert_logged("Warning: everybody can read, and guess passwords by, passwords: chmod o= passwords.\n");
	password_file_unref(load("user:" SECRET_SHA512 "\n", 0602));
	assert_logged("Warning: everybody can write to passwords: chmod o= passwords.\n");
}

static void test_lines(void **state)
{
	static const char *const none[] = {"", "\n", "user", "#a:b", "  #a:b", " \t\r\n", "# a"};
	struct mqtt_str name, hash;

	(void)state;
	for (size_t i = 0; i < COUNT(none); i++)
		assert_false(password_file_line(none[i], strlen(none[i]), &name, &hash));
	assert_true(password_file_line(" a b : c:d \r\n", 13, &name, &hash));
	assert_true(mqtt_str_eq(name, mqtt_str("a b")));
	assert_true(mqtt_str_eq(hash, mqtt_str("c:d")));
	assert_true(password_file_line(":", 1, &name, &hash));
	assert_int_equal(name.len, 0);
	assert_int_equal(hash.len, 0);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 50 };

static void *check(void *file)
{
	size_t good = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct password_file *ours = password_file_ref(file);

		good += password_file_check(ours, mqtt_str(i % 2 ? "a" : "b"), mqtt_str("secret")) == 0;
		good += password_file_check(ours, mqtt_str("c"), mqtt_str("secret")) == -EACCES;
		password_file_unref(ours);
	}
	password_file_unref(file);
	return (void *)good;
}

/* Threads that share it, of which any may be the last. */
static void test_threads(void **state)
{
	struct password_file *file = load("a:" SECRET_PBKDF2 "\nb:" SECRET_ARGON2ID "\n", 0600);
	pthread_t threads[THREADS];
	void *good;

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, check, password_file_ref(file)), 0);
	password_file_unref(file);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_int_equal((size_t)good, 2 * ROUNDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_memory_of_checks),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_bad_hashes),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_looks_hashed),
		cmocka_unit_test_setup_teardown(test_file, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_unknown_users, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_empty_file, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_many_users, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults_of_names, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults_of_lines, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_long_line, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_permissions, begin, logged_end),
		cmocka_unit_test(test_lines),
		cmocka_unit_test_setup_teardown(test_threads, begin, logged_end),
	};
	int failed;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	hash_init();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink("log");
	unlink("passwords");
	return failed || rmdir(dir);
}
