// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What is around the exchange: the table of methods, verifiers, and the store with its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/hash.h"
#include "logged.h"
#include "scram_client.h"

static char dir[] = "/tmp/shunt-test-auth.XXXXXX";

static int begin(void **state)
{
	unlink("users");
	return logged_begin(state);
}

/* ---- methods ---------------------------------------------------------------------------------------------------- */

static void test_names_of_methods(void **state)
{
	static const char *const others[] = {
		"", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-25", "scram-sha-256", "PLAIN",
	};

	(void)state;
	assert_ptr_equal(auth_method_find(mqtt_str("SCRAM-SHA-256")), &scram_sha_256);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_null(auth_method_find(mqtt_str(others[i])));
	assert_null(auth_method_find((struct mqtt_str){0}));
}

/* A method of another kind: it counts three messages and knows everybody; "doubt" is denied. */
struct counter {
	struct auth_exchange base;
	int count;
	char *reply;
};

static int ended;

static enum auth_result count_step(struct auth_exchange *e, struct mqtt_str data, struct mqtt_str *reply)
{
	struct counter *c = (struct counter *)e;

	free(c->reply);
	c->reply = calloc(1, 2);
	assert_non_null(c->reply);
	c->reply[0] = (char)('0' + ++c->count);
	*reply = mqtt_str(c->reply);
	e->username = mqtt_str("everybody");
	e->why = "it is doubtful";
	if (mqtt_str_eq(data, mqtt_str("doubt")))
		return AUTH_DENIED;
	return c->count < 3 ? AUTH_CONTINUE : AUTH_SUCCESS;
}

static void count_end(struct auth_exchange *e)
{
	free(((struct counter *)e)->reply);
	ended++;
}

static void test_another_method(void **state)
{
	static const struct auth_method counting = {"COUNT", sizeof(struct counter), count_step, count_end};
	struct auth_store *store = store_of("");
	struct auth_exchange *e = auth_begin(&counting, store);
	struct mqtt_str reply, none = {0};

	(void)state;
	assert_non_null(e);
	for (int n = '1'; n < '3'; n++) {
		assert_int_equal(auth_step(e, none, &reply), AUTH_CONTINUE);
		assert_int_equal(reply.data[0], n);
		assert_int_equal(auth_username(e).len, 0);
		assert_int_equal(auth_claimed_username(e).len, 9);
	}
	assert_int_equal(auth_step(e, none, &reply), AUTH_SUCCESS);
	assert_true(mqtt_str_eq(reply, mqtt_str("3")));
	assert_true(mqtt_str_eq(auth_username(e), mqtt_str("everybody")));
	assert_int_equal(auth_step(e, none, &reply), AUTH_DENIED);
	assert_int_equal(reply.len, 0);
	assert_int_equal(auth_username(e).len, 0);
	auth_end(e);
	assert_int_equal(ended, 1);

	e = auth_begin(&counting, store);
	assert_int_equal(auth_step(e, mqtt_str("doubt"), &reply), AUTH_DENIED);
	assert_string_equal(auth_why(e), "it is doubtful");
	assert_int_equal(auth_username(e).len, 0);
	auth_end(e);
	auth_store_unref(store);
}

/* ---- verifiers -------------------------------------------------------------------------------------------------- */

/* From the password, the salt and the iterations of the RFC's example come the keys that its proof fits. */
static void test_derive(void **state)
{
	struct scram_verifier want, v;
	char text[SCRAM_VERIFIER_TEXT_MAX];

	(void)state;
	assert_null(scram_verifier_parse(RFC_VERIFIER, &want));
	assert_int_equal(want.iterations, 4096);
	assert_int_equal(want.salt_len, 16);
	v = want;
	memset(v.stored_key, 0, sizeof(v.stored_key));
	memset(v.server_key, 0, sizeof(v.server_key));
	assert_int_equal(scram_verifier_derive(&v, mqtt_str("pencil")), 0);
	assert_int_equal(scram_verifier_format(&v, text), strlen(RFC_VERIFIER));
	assert_string_equal(text, RFC_VERIFIER);
	assert_int_equal(scram_verifier_derive(&v, mqtt_str("pencil ")), 0);
	assert_memory_not_equal(v.stored_key, want.stored_key, SCRAM_KEY_LEN);
	assert_memory_not_equal(v.server_key, want.server_key, SCRAM_KEY_LEN);
}

static void test_longest_verifier(void **state)
{
	struct scram_verifier v = {.iterations = SCRAM_ITERATIONS_MAX, .salt_len = SCRAM_SALT_MAX}, back;
	char text[SCRAM_VERIFIER_TEXT_MAX], again[SCRAM_VERIFIER_TEXT_MAX];
	size_t len;

	(void)state;
	memset(v.salt, 0xfb, sizeof(v.salt));
	memset(v.stored_key, 0xff, sizeof(v.stored_key));
	memset(v.server_key, 0xfe, sizeof(v.server_key));
	len = scram_verifier_format(&v, text);
	assert_int_equal(len, strlen(text));
	assert_true(len < sizeof(text) - 1);
	assert_null(scram_verifier_parse(text, &back));
	scram_verifier_format(&back, again);
	assert_string_equal(text, again);
}

#define KEY "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
static const char bad_form[] = "it is not of the form USER:SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY";
static const char bad_prefix[] = "what follows the user name does not begin with SCRAM-SHA-256$";
static const char bad_iterations[] = "the number of iterations is not one from 1 to 2147483647";
static const char bad_salt[] = "the salt is not 1 to 64 bytes of base64";
static const char bad_stored[] = "the stored key is not 32 bytes of base64";
static const char bad_server[] = "the server key is not 32 bytes of base64";

static const struct {
	const char *text, *why;
} bad_verifiers[] = {
	{"", bad_prefix},
	{"SCRAM-SHA-256", bad_prefix},
	{"scram-sha-256$4096:AAAA$" KEY ":" KEY, bad_prefix},
	{"SCRAM-SHA-1$4096:AAAA$" KEY ":" KEY, bad_prefix},
	{" SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY, bad_prefix},
	{"$7$101$4Pxv$Kg==", bad_prefix},
	{"pencil", bad_prefix},
	{"SCRAM-SHA-256$", bad_form},
	{"SCRAM-SHA-256$4096", bad_form},
	{"SCRAM-SHA-256$4096:AAAA", bad_form},
	{"SCRAM-SHA-256$4096:AAAA$" KEY, bad_form},
	{"SCRAM-SHA-256$4096$AAAA:" KEY "$" KEY, bad_form},
	{"SCRAM-SHA-256$:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$0:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$-1:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$ 4096:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$4096x:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$2147483648:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$99999999999999999999999999:AAAA$" KEY ":" KEY, bad_iterations},
	{"SCRAM-SHA-256$4096:$" KEY ":" KEY, bad_salt},
	{"SCRAM-SHA-256$4096:AAA$" KEY ":" KEY, bad_salt},
	{"SCRAM-SHA-256$4096:AA:A$" KEY ":" KEY, bad_salt},
	{"SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$" KEY
	 ":" KEY,
	 bad_salt},
	{"SCRAM-SHA-256$4096:AAAA$:" KEY, bad_stored},
	{"SCRAM-SHA-256$4096:AAAA$AAAA:" KEY, bad_stored},
	{"SCRAM-SHA-256$4096:AAAA$" KEY KEY ":" KEY, bad_stored},
	{"SCRAM-SHA-256$4096:AAAA$" KEY "$" KEY ":" KEY, bad_stored},
	{"SCRAM-SHA-256$4096:AAAA$" KEY ":", bad_server},
	{"SCRAM-SHA-256$4096:AAAA$" KEY ":AAAA", bad_server},
	{"SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY " ", bad_server},
	{"SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY ":" KEY, bad_server},
};

static void test_bad_verifiers(void **state)
{
	struct scram_verifier v = {.iterations = 7};

	(void)state;
	for (size_t i = 0; i < COUNT(bad_verifiers); i++)
		assert_string_equal(scram_verifier_parse(bad_verifiers[i].text, &v), bad_verifiers[i].why);
	assert_int_equal(v.iterations, 7);
}

/* Cut off at each byte it is refused. */
static void test_truncated_verifier(void **state)
{
	struct scram_verifier v;
	char *copy;

	(void)state;
	for (size_t len = 0; len < strlen(RFC_VERIFIER); len++) {
		copy = strndup(RFC_VERIFIER, len);
		assert_non_null(copy);
		assert_non_null(scram_verifier_parse(copy, &v));
		free(copy);
	}
}

static void test_passwords(void **state)
{
	static char longest[SCRAM_PASSWORD_MAX + 2];

	(void)state;
	memset(longest, 'x', SCRAM_PASSWORD_MAX + 1);
	assert_string_equal(scram_password_fault(mqtt_str(longest)), "is longer than 1023 bytes");
	longest[SCRAM_PASSWORD_MAX] = '\0';
	assert_null(scram_password_fault(mqtt_str(longest)));
	assert_null(scram_password_fault(mqtt_str(" :#=,\xc3\xbc ")));
	assert_string_equal(scram_password_fault(mqtt_str("")), "is empty");
	assert_string_equal(scram_password_fault(mqtt_str("\xff")), "is not UTF-8 as MQTT allows it");
	assert_string_equal(scram_password_fault(mqtt_str("\xc2\x85")), "is not UTF-8 as MQTT allows it");
	assert_string_equal(scram_password_fault(mqtt_str("a\tb")), "has a control character");
	assert_string_equal(scram_password_fault(mqtt_str("\x7f")), "has a control character");
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static struct auth_store *load(const char *text, mode_t mode)
{
	FILE *f = fopen("users", "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod("users", mode), 0);
	return auth_store_load("users");
}

static void test_file(void **state)
{
	struct auth_store *store = load("# users\r\n"
					"\n"
					"  \t \n"
					"user:" RFC_VERIFIER "\r\n"
					"#user:" RFC_VERIFIER "\n"
					"\xc3\xbc, =$:" RFC_VERIFIER "  \n"
					"last:SCRAM-SHA-256$600000:AAAA$" KEY ":" KEY,
					0640);

	(void)state;
	assert_non_null(store);
	assert_logged("");
	assert_int_equal(auth_store_count(store), 3);
	assert_ptr_equal(auth_store_find(store, mqtt_str("user")), auth_store_at(store, 0));
	assert_ptr_equal(auth_store_find(store, mqtt_str("\xc3\xbc, =$")), auth_store_at(store, 1));
	assert_ptr_equal(auth_store_find(store, mqtt_str("last")), auth_store_at(store, 2));
	assert_int_equal(auth_store_at(store, 2)->iterations, 600000);
	assert_int_equal(auth_store_at(store, 2)->salt_len, 3);
	assert_null(auth_store_find(store, mqtt_str("")));
	assert_null(auth_store_find(store, mqtt_str("use")));
	assert_null(auth_store_find(store, mqtt_str("User")));
	assert_null(auth_store_find(store, mqtt_str("#user")));
	auth_store_unref(store);
}

static void test_empty_file(void **state)
{
	struct auth_store *store = load("", 0600);

	(void)state;
	assert_non_null(store);
	assert_logged("");
	assert_int_equal(auth_store_count(store), 0);
	assert_null(auth_store_find(store, mqtt_str("user")));
	auth_store_unref(store);
	auth_store_unref(NULL);
}

static void test_many_users(void **state)
{
	enum { USERS = 5000 };
	char *text = malloc(USERS * 200), *p = text, name[16];
	struct auth_store *store;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < USERS; i++)
		p += sprintf(p, "user%d:SCRAM-SHA-256$%d:AAAA$" KEY ":" KEY "\n", i, 10000 + i);
	store = load(text, 0600);
	assert_non_null(store);
	assert_logged("");
	for (int i = 0; i < USERS; i++) {
		sprintf(name, "user%d", i);
		assert_int_equal(auth_store_find(store, mqtt_str(name))->iterations, 10000 + i);
	}
	auth_store_unref(store);
	free(text);
}

/* Every fault in its line, and all of them at once. */
static void test_faults(void **state)
{
	char text[1 << 14] = "", want[1 << 14] = "";
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_verifiers); i++) {
		size_t len = strlen(bad_verifiers[i].text);

		/* A blank at the end of a line is none of the verifier's. */
		if (len && bad_verifiers[i].text[len - 1] == ' ')
			continue;
		sprintf(text + strlen(text), "user:%s\n", bad_verifiers[i].text);
		sprintf(want + strlen(want), "Error in users:%zu: %s.\n", ++n, bad_verifiers[i].why);
	}
	assert_null(load(text, 0600));
	assert_logged(want);
}

static void test_faults_of_names(void **state)
{
	char text[1024], want[1024], name[SCRAM_NAME_MAX + 2];
	static const struct {
		const char *name, *why;
	} names[] = {
		{"", "is empty"},
		{" user", "begins or ends with a blank"},
		{"user ", "begins or ends with a blank"},
		{"us\ter", "has a control character"},
		{"\xff", "is not UTF-8 as MQTT allows it"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		sprintf(text, "ok:%s\n%s:%s\n", RFC_VERIFIER, names[i].name, RFC_VERIFIER);
		sprintf(want, "Error in users:2: the user name %s.\n", names[i].why);
		assert_null(load(text, 0600));
		assert_logged(want);
	}
	memset(name, 'x', sizeof(name));
	name[SCRAM_NAME_MAX + 1] = '\0';
	sprintf(text, "%s:%s\n", name, RFC_VERIFIER);
	assert_null(load(text, 0600));
	assert_logged("Error in users:1: the user name is longer than 255 bytes.\n");
	assert_string_equal(scram_name_fault(mqtt_str(name)), "is longer than 255 bytes");
	assert_string_equal(scram_name_fault(mqtt_str("a:b")), "has a colon");
	assert_string_equal(scram_name_fault(mqtt_str("#a")), "begins with a #, as comments do");
}

static void test_faults_of_lines(void **state)
{
	FILE *f;

	(void)state;
	assert_null(load("user\n", 0600));
	assert_logged("Error in users:1: there is no colon behind a user name.\n");
	assert_null(load("user:" RFC_VERIFIER "\n\nother:" RFC_VERIFIER "\nuser:SCRAM-SHA-256$5000:AAAA$" KEY ":" KEY
			 "\n",
			 0600));
	assert_logged("Error in users:4: the user \"user\" is in line 1 already.\n");

	f = fopen("users", "we");
	assert_non_null(f);
	fprintf(f, "a:%s%c\n", RFC_VERIFIER, 0);
	assert_int_equal(fclose(f), 0);
	assert_null(auth_store_load("users"));
	assert_logged("Error in users:1: there is a NUL byte in the line.\n");

	assert_null(auth_store_load("missing"));
	assert_logged("Error: Unable to read missing: No such file or directory.\n");
	assert_null(auth_store_load("."));
	assert_logged("Error: Unable to read .: Is a directory.\n");
}

static void test_warnings(void **state)
{
	struct auth_store *store;

	(void)state;
	store = load("user:SCRAM-SHA-256$4095:AAAA$" KEY ":" KEY "\n", 0600);
	assert_non_null(store);
	assert_logged("Warning in users:1: 4095 iterations are few: SCRAM-SHA-256 should have 4096 at least.\n");
	auth_store_unref(store);
	store = load("user:" RFC_VERIFIER "\n", 0644);
	assert_non_null(store);
	assert_logged("Warning: everybody can read, and guess passwords by, users: chmod o= users.\n");
	auth_store_unref(store);
	store = load("user:" RFC_VERIFIER "\n", 0602);
	assert_non_null(store);
	assert_logged("Warning: everybody can write to users: chmod o= users.\n");
	auth_store_unref(store);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 200 };

static void *authenticate(void *store)
{
	char reply[CLIENT_TEXT_MAX];
	size_t good = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct auth_exchange *e = auth_begin(&scram_sha_256, store), *other;

		client_must(e != NULL);
		scram_set_nonce(e, RFC_SERVER_NONCE);
		client_must(step_text(e, RFC_CLIENT_FIRST, reply) == AUTH_CONTINUE);
		good += step_text(e, RFC_CLIENT_FINAL, reply) == AUTH_SUCCESS;
		auth_end(e);

		other = auth_begin(&scram_sha_256, store);
		client_must(other && step_text(other, "n,,n=nobody,r=abc", reply) == AUTH_CONTINUE);
		auth_end(other);
	}
	auth_store_unref(store);
	return (void *)good;
}

/* Many threads use one store, and the last one frees it. */
static void test_threads(void **state)
{
	struct auth_store *store = store_of("user:" RFC_VERIFIER "\n");
	pthread_t threads[THREADS];
	void *good;

	(void)state;
	assert_non_null(store);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, authenticate, auth_store_ref(store)), 0);
	auth_store_unref(store);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_int_equal((size_t)good, ROUNDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_methods),
		cmocka_unit_test(test_another_method),
		cmocka_unit_test(test_derive),
		cmocka_unit_test(test_longest_verifier),
		cmocka_unit_test(test_bad_verifiers),
		cmocka_unit_test(test_truncated_verifier),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test_setup_teardown(test_file, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_empty_file, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_many_users, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults_of_names, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults_of_lines, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_warnings, begin, logged_end),
		cmocka_unit_test(test_threads),
	};
	int failed;

	hash_init();
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink("log");
	unlink("users");
	return rmdir(dir) ? 1 : failed;
}
