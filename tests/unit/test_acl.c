// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Access control: the file of rules, and what they let clients do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "acl_model.h"
#include "base/hash.h"
#include "logged.h"

static char dir[] = "/tmp/shunt-test-acl.XXXXXX";

static int begin(void **state)
{
	unlink("acl");
	return logged_begin(state);
}

/* What a client may do with a topic: "", "r", "w" or "rw". */
static const char *may(const struct acl_rights *rights, const char *topic)
{
	static const char *const words[] = {"", "r", "w", "rw"};

	return words[acl_may(rights, ACL_READ, mqtt_str(topic)) + 2 * acl_may(rights, ACL_WRITE, mqtt_str(topic))];
}

/* The same once, also by the model. */
static void assert_may(const char *text, const char *username, const char *client_id, const char *topic,
		       const char *want)
{
	struct acl_rights *rights = rights_for(text, username, client_id);
	struct acl_model_client who = {username, client_id};

	assert_string_equal(may(rights, topic), want);
	assert_int_equal(acl_model_may(text, &who, ACL_READ, topic), strchr(want, 'r') != NULL);
	assert_int_equal(acl_model_may(text, &who, ACL_WRITE, topic), strchr(want, 'w') != NULL);
	acl_rights_unref(rights);
}

/* ---- semantics -------------------------------------------------------------------------------------------------- */

static void test_accesses(void **state)
{
	static const char text[] = "topic read r\ntopic write w\ntopic readwrite rw\ntopic both\ntopic deny d\n";

	(void)state;
	assert_may(text, NULL, "id", "r", "r");
	assert_may(text, NULL, "id", "w", "w");
	assert_may(text, NULL, "id", "rw", "rw");
	assert_may(text, NULL, "id", "both", "rw");
	assert_may(text, NULL, "id", "d", "");
	assert_may(text, NULL, "id", "other", "");
	assert_may("topic read a\ntopic write a\n", NULL, "id", "a", "rw");
	assert_may("", NULL, "id", "a", "");
	assert_may("", "u", "id", "a", "");
}

static void test_users(void **state)
{
	static const char text[] = "topic read general\n"
				   "user u\ntopic of/u\n"
				   "user v w\ntopic of/v\n"
				   "user u\ntopic read of/v\n"
				   "pattern all\n";

	(void)state;
	assert_may(text, NULL, "id", "general", "r");
	assert_may(text, NULL, "id", "of/u", "");
	assert_may(text, "u", "id", "general", "");
	assert_may(text, "u", "id", "of/u", "rw");
	assert_may(text, "u", "id", "of/v", "r");
	assert_may(text, "v w", "id", "of/v", "rw");
	assert_may(text, "v w", "id", "of/u", "");
	assert_may(text, "v", "id", "of/v", "");
	assert_may(text, "U", "id", "of/u", "");
	/* An empty name is none. */
	assert_may(text, "", "id", "general", "r");
	assert_may(text, "", "id", "all", "rw");
	for (int i = 0; i < 3; i++)
		assert_may(text, (const char *const[]){NULL, "u", "x"}[i], "id", "all", "rw");
}

static void test_deny(void **state)
{
	static const char pattern[] = "user u\ntopic read a/#\npattern deny a/b\npattern a/+\n";

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *text = i ? "topic deny a/b\ntopic a/#\n" : "topic a/#\ntopic deny a/b\n";

		assert_may(text, NULL, "id", "a/b", "");
		assert_may(text, NULL, "id", "a/c", "rw");
		assert_may(text, NULL, "id", "a", "rw");
	}
	assert_may("topic deny a/#\ntopic a/b\n", NULL, "id", "a/b", "");
	/* What the user is allowed no pattern takes away; what he is denied none gives. */
	assert_may(pattern, "u", "id", "a/b", "r");
	assert_may(pattern, "u", "id", "a/c", "rw");
	assert_may(pattern, "v", "id", "a/b", "");
	assert_may(pattern, "v", "id", "a/c", "rw");
	assert_may("user u\ntopic deny a\npattern a\n", "u", "id", "a", "");
	assert_may("user u\ntopic deny a\npattern a\n", "v", "id", "a", "rw");
	assert_may("pattern a/%c\npattern deny a/+\n", NULL, "id", "a/id", "");
	assert_may("pattern a/+\npattern deny a/%c\n", NULL, "id", "a/id", "");
	assert_may("pattern a/+\npattern deny a/%c\n", NULL, "other", "a/id", "rw");
	assert_may("pattern a/+\npattern deny a/%u\n", NULL, "id", "a/", "rw");
}

static void test_names_in_patterns(void **state)
{
	(void)state;
	assert_may("pattern c/%c/#\n", NULL, "id", "c/id/x", "rw");
	assert_may("pattern c/%c/#\n", NULL, "id", "c/id", "rw");
	assert_may("pattern c/%c/#\n", NULL, "id", "c/ID/x", "");
	assert_may("pattern c/%c/#\n", NULL, "id", "c/%c/x", "");
	assert_may("pattern read u/%u\n", "u", "id", "u/u", "r");
	assert_may("pattern read u/%u\n", NULL, "id", "u/u", "");
	assert_may("pattern read u/%u\n", NULL, "id", "u/%u", "");
	assert_may("pattern read u/%u\n", NULL, "id", "u/", "");
	assert_may("pattern read u/%u\n", "", "id", "u/", "");
	assert_may("pattern x%c-%u%u-%c%\n", "u", "i", "xi-uu-i%", "rw");
	assert_may("pattern %c%c\n", NULL, "ab", "abab", "rw");
	assert_may("pattern %%c%cc%u%\n", "u", "i", "%iicu%", "rw");
	/* Names are put in once. */
	assert_may("pattern %c/%u\n", "%c", "%u", "%u/%c", "rw");
	/* A '/' in a name makes levels. */
	assert_may("pattern c/%c\n", NULL, "a/b", "c/a/b", "rw");
	assert_may("pattern c/%c/+\n", NULL, "a/", "c/a//x", "rw");
	/* In other lines than patterns they stand for themselves. */
	assert_may("topic %c/%u\n", NULL, "id", "%c/%u", "rw");
	assert_may("topic %c/%u\n", NULL, "id", "id/", "");
}

/* A name with a wildcard has no rights by patterns, whether it has a place there or not, but its user's own. */
static void test_wildcards_in_names(void **state)
{
	static const char text[] = "user u\ntopic own\nuser +\ntopic own\nuser #\ntopic own\n"
				   "pattern c/%c\npattern c/%c/#\npattern u/%u/#\npattern all\n";
	static const char *const ids[] = {"+", "#", "+/x", "x/#", "a+", "#a", "a/+/b"};
	static const char *const topics[] = {"c/x", "c/x/y", "c/+x", "u/u/x", "u/x/x", "all"};

	(void)state;
	log_set_dest(0, NULL);
	for (size_t i = 0; i < COUNT(ids); i++) {
		for (size_t k = 0; k < COUNT(topics); k++) {
			assert_may(text, NULL, ids[i], topics[k], "");
			assert_may(text, "u", ids[i], topics[k], "");
			assert_may(text, ids[i], "id", topics[k], "");
		}
		assert_may(text, "u", ids[i], "own", "rw");
	}
	assert_may(text, "+", "id", "own", "rw");
	assert_may(text, "x", "id", "own", "");
	log_set_dest(LOG_DEST_STDERR, NULL);
}

static void test_dangerous_names_are_logged(void **state)
{
	(void)state;
	acl_rights_unref(rights_for("pattern %c\n", "u#", "id"));
	assert_logged("ACL denying access to client with dangerous username \"u#\"\n");
	acl_rights_unref(rights_for("pattern %c\n", "u", "+"));
	assert_logged("ACL denying access to client with dangerous client id \"+\"\n");
	acl_rights_unref(rights_for("topic x\n", "u#", "+"));
	assert_logged("");
}

/* [MQTT-4.7.2-1] */
static void test_dollar(void **state)
{
	(void)state;
	assert_may("topic #\n", NULL, "id", "a/$b", "rw");
	assert_may("topic #\n", NULL, "id", "$SYS/a", "");
	assert_may("topic +/a\n", NULL, "id", "$SYS/a", "");
	assert_may("topic read $SYS/#\n", NULL, "id", "$SYS/a", "r");
	assert_may("topic read $SYS/#\n", NULL, "id", "$SYS", "r");
	assert_may("topic read $SYS/#\ntopic deny #\n", NULL, "id", "$SYS/a", "r");
	assert_may("topic read $SYS/#\ntopic deny $SYS/+\n", NULL, "id", "$SYS/a", "");
	assert_may("topic read $SYS/#\ntopic deny $SYS/+\n", NULL, "id", "$SYS/a/b", "r");
	/* Nobody gets there by his name, but it may keep him out. */
	assert_may("pattern read %c/#\n", NULL, "$SYS", "$SYS/a", "");
	assert_may("pattern read %u/#\n", "$SYS", "id", "$SYS/a", "");
	assert_may("pattern read %u%c/#\n", "$", "SYS", "$SYS/a", "");
	assert_may("pattern read $%c/#\n", NULL, "SYS", "$SYS/a", "r");
	assert_may("pattern read a/%c\n", NULL, "$SYS", "a/$SYS", "r");
	assert_may("pattern deny %c/#\npattern $x/a\n", NULL, "$x", "$x/a", "");
	assert_may("pattern deny %c/#\npattern $x/a\n", NULL, "id", "$x/a", "rw");
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static struct acl *load(const char *text, mode_t mode)
{
	FILE *f = fopen("acl", "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod("acl", mode), 0);
	return acl_load("acl");
}

static void test_file(void **state)
{
	static const char text[] = "# rules\r\n"
				   "\r\n"
				   "   \t \n"
				   "  topic   read   a b  \t\r\n"
				   "topic write \t c  d\n"
				   "topic  e\n"
				   "#topic f\n"
				   "#\xff\n"
				   "user  \t v  w \r\n"
				   "topic read g#h\xc3\xbc/+\r\n"
				   "pattern read %c/\xc3\xbc";
	struct acl *acl;

	(void)state;
	/* A '#' within a level is none of a filter. */
	assert_null(load(text, 0600));
	assert_logged("Error in acl:10: the topic has a + or # that is not a whole level, or a # that is not the last "
		      "one.\n");
	acl = load("# rules\r\n\r\n   \t \n  topic   read   a b  \t\r\ntopic write \t c  d\ntopic  e\n#topic f\n#\xff\n"
		   "user  \t v  w \r\ntopic read g\xc3\xbc/+\r\npattern read %c/\xc3\xbc",
		   0640);
	assert_non_null(acl);
	assert_logged("");
	assert_int_equal(acl_count(acl), 5);
	acl_unref(acl);
	acl_unref(NULL);
	assert_may("topic   read   a b  \t\r\n", NULL, "id", "a b", "r");
	assert_may("topic write \t c  d\n", NULL, "id", "c  d", "w");
	assert_may("  topic  e\r\n", NULL, "id", "e", "rw");
	assert_may("user  \t v  w \r\ntopic a\n", "v  w", "id", "a", "rw");
	assert_may("pattern read %c/\xc3\xbc", NULL, "id", "id/\xc3\xbc", "r");
}

#define BAD_FILTER "the topic has a + or # that is not a whole level, or a # that is not the last one"
#define BAD_ACCESS(word)                                                                                             \
	"the access \"" word "\" is none of read, write, readwrite and deny, of which there has to be one before a " \
	"topic with blanks"
#define BAD_LINE "the line begins with none of topic, user and pattern, and a blank behind it"
#define BAD_UTF8 " is not UTF-8 as MQTT allows it"

static const struct {
	const char *line, *why;
} bad_lines[] = {
	{"topic", "there is no topic behind \"topic\""},
	{"topic ", "there is no topic behind \"topic\""},
	{"pattern  \t", "there is no topic behind \"pattern\""},
	{"user", "there is no name behind \"user\""},
	{"user \t ", "there is no name behind \"user\""},
	{"user \xff", "the user name" BAD_UTF8},
	{"topic reed a", BAD_ACCESS("reed")},
	{"topic a b", BAD_ACCESS("a")},
	{"topic Read a", BAD_ACCESS("Read")},
	{"topic read\ta b", BAD_ACCESS("read\ta")},
	{"topic a/#/b", BAD_FILTER},
	{"topic read a#", BAD_FILTER},
	{"topic read a+/b", BAD_FILTER},
	{"pattern read %c+", BAD_FILTER},
	{"pattern deny %c#", BAD_FILTER},
	{"topic read\ta", "the topic" BAD_UTF8},
	{"topic read \xe4", "the topic" BAD_UTF8},
	{"topics a", BAD_LINE},
	{"Topic a", BAD_LINE},
	{"topic\ta", BAD_LINE},
	{"\ttopic a", BAD_LINE},
	{"\xef\xbb\xbftopic a", BAD_LINE},
	{"read a", BAD_LINE},
	{" # a", "a comment begins in the first column: take away what is before the \"#\""},
};

/* Every fault in its line, and all of them at once; a good line does not make up for them. */
static void test_faults(void **state)
{
	char text[1 << 14] = "topic read a\n", want[1 << 14] = "";

	(void)state;
	for (size_t i = 0; i < COUNT(bad_lines); i++) {
		char shown[256], *tab;

		snprintf(shown, sizeof(shown), "%s", bad_lines[i].why);
		while ((tab = strchr(shown, '\t')))
			*tab = '?'; /* as the log does */
		sprintf(text + strlen(text), "%s\n", bad_lines[i].line);
		sprintf(want + strlen(want), "Error in acl:%zu: %s.\n", i + 2, shown);
	}
	assert_null(load(text, 0600));
	assert_logged(want);
	for (size_t i = 0; i < COUNT(bad_lines); i++) {
		sprintf(text, "topic read a\r\n\r\n%s\r\ntopic b\r\n", bad_lines[i].line);
		assert_null(load(text, 0600));
	}
}

static void test_limits(void **state)
{
	static char text[TOPIC_LEN_MAX + 32];
	struct acl *acl;

	(void)state;
	strcpy(text, "topic read ");
	memset(text + 11, 'x', TOPIC_LEN_MAX);
	acl = load(text, 0600);
	assert_non_null(acl);
	acl_unref(acl);
	text[11 + TOPIC_LEN_MAX] = 'x';
	assert_null(load(text, 0600));
	assert_logged("Error in acl:1: the topic is longer than 65535 bytes.\n");
	memset(text + 11, 0, sizeof(text) - 11);
	memset(text + 11, '/', ACL_LEVELS_MAX - 1);
	acl = load(text, 0600);
	assert_non_null(acl);
	acl_unref(acl);
	text[11 + ACL_LEVELS_MAX - 1] = '/';
	assert_null(load(text, 0600));
	assert_logged("Error in acl:1: the topic has more than 201 levels.\n");
}

static void test_faults_of_files(void **state)
{
	FILE *f = fopen("acl", "we");

	(void)state;
	assert_non_null(f);
	fprintf(f, "topic a%cb\n", 0);
	assert_int_equal(fclose(f), 0);
	assert_null(acl_load("acl"));
	assert_logged("Error in acl:1: there is a NUL byte in the line.\n");
	assert_null(acl_load("missing"));
	assert_logged("Error: Unable to read missing: No such file or directory.\n");
	assert_null(acl_load("."));
	assert_logged("Error: Unable to read .: Is a directory.\n");
}

static void test_warnings(void **state)
{
	struct acl *acl = load("pattern read a\n", 0600);

	(void)state;
	assert_non_null(acl);
	assert_logged("Warning in acl:1: the pattern has neither %c nor %u, so it is the same for everybody.\n");
	acl_unref(acl);
	acl = load("topic deny\n", 0600);
	assert_non_null(acl);
	assert_logged("Warning in acl:1: this gives the rights to read and write a topic \"deny\".\n");
	acl_unref(acl);
	assert_may("topic deny\n", NULL, "id", "deny", "rw");
	assert_logged("Warning in acl:1: this gives the rights to read and write a topic \"deny\".\n");
	acl = load("topic a\n", 0606);
	assert_non_null(acl);
	assert_logged("Warning: everybody can write to acl: chmod o-w acl.\n");
	acl_unref(acl);
}

static void test_many(void **state)
{
	enum { USERS = 3000, EACH = 4 };
	char *text = malloc(USERS * EACH * 64), *p = text, name[16], topic[32];
	struct acl_rights *rights;
	struct acl *acl;

	(void)state;
	assert_non_null(text);
	/* The rules of a user are not together. */
	for (int k = 0; k < EACH; k++)
		for (int i = 0; i < USERS; i++)
			p += sprintf(p, "user u%d\ntopic read of/%d/%d/#\n", i, i, k);
	acl = acl_of(text);
	assert_non_null(acl);
	assert_int_equal(acl_count(acl), USERS * EACH);
	for (int i = 0; i < USERS; i++) {
		struct mqtt_str username;

		sprintf(name, "u%d", i);
		username = mqtt_str(name);
		rights = acl_rights_new(acl, &username, mqtt_str("id"));
		assert_non_null(rights);
		for (int k = 0; k < EACH; k++) {
			sprintf(topic, "of/%d/%d/x", i, k);
			assert_string_equal(may(rights, topic), "r");
			sprintf(topic, "of/%d/%d/x", i + 1, k);
			assert_string_equal(may(rights, topic), "");
		}
		acl_rights_unref(rights);
	}
	acl_unref(acl);
	free(text);
}

/* An identifier of nothing but levels, and topics as deep as they may be. */
static void test_deep(void **state)
{
	enum { SLASHES = ACL_LEVELS_MAX - 6 };
	static char id[TOPIC_LEN_MAX + 1], topic[ACL_LEVELS_MAX + 1];
	static const char text[] = "pattern read a%c\npattern deny a/+/%c/x\npattern read +/%c\n"
				   "pattern read a/+/+/+/%c/#\npattern d/%c/#\n";
	struct acl_rights *rights;

	(void)state;
	memset(id, '/', SLASHES);
	memset(topic, '/', SLASHES + 2);
	rights = rights_for(text, NULL, id);
	topic[0] = 'b';
	assert_string_equal(may(rights, topic), "r");
	topic[SLASHES + 1] = 'x';
	assert_string_equal(may(rights, topic), "");
	topic[0] = 'a';
	assert_string_equal(may(rights, topic), "");
	topic[SLASHES + 1] = '\0';
	assert_string_equal(may(rights, topic), "r");
	memset(topic + 1, '/', SLASHES + 4);
	assert_string_equal(may(rights, topic), "r");
	assert_true(acl_may_read_any(rights, mqtt_str("#")));
	assert_false(acl_may_read_all(rights, mqtt_str("#")));
	acl_rights_unref(rights);

	/* One that no topic is deep enough for. */
	memset(id, '/', TOPIC_LEN_MAX);
	rights = rights_for(text, NULL, id);
	assert_string_equal(may(rights, topic), "");
	assert_false(acl_may_read_any(rights, mqtt_str("#")));
	assert_true(acl_rights_size(rights) < 1000);
	acl_rights_unref(rights);
	memset(id, 'x', TOPIC_LEN_MAX);
	rights = rights_for("pattern %c%c%c\npattern %c\n", NULL, id);
	assert_string_equal(may(rights, id), "rw");
	assert_true(acl_rights_size(rights) > TOPIC_LEN_MAX);
	assert_true(acl_rights_size(rights) < 2 * TOPIC_LEN_MAX);
	acl_rights_unref(rights);
}

/* ---- rights from elsewhere -------------------------------------------------------------------------------------- */

static void test_builder(void **state)
{
	struct acl_builder *b = acl_builder_new();
	struct mqtt_str u = mqtt_str("u");
	struct acl_rights *rights;

	(void)state;
	assert_non_null(b);
	assert_int_equal(acl_builder_add(b, false, ACL_WRITE, mqtt_str("a/b")), 0);
	assert_int_equal(acl_builder_add(b, true, ACL_READ | ACL_WRITE, mqtt_str("a/#")), 0);
	assert_int_equal(acl_builder_add(b, false, ACL_READ | ACL_WRITE, mqtt_str("a/c")), 0);
	assert_int_equal(acl_builder_add_pattern(b, true, ACL_READ, mqtt_str("%c/%u"), &u, mqtt_str("id")), 0);
	assert_int_equal(acl_builder_add_pattern(b, true, ACL_READ, mqtt_str("x/%u"), NULL, mqtt_str("id")), 0);
	assert_int_equal(acl_builder_add_pattern(b, true, ACL_READ, mqtt_str("y"), NULL, mqtt_str("+")), 0);
	rights = acl_builder_finish(b);
	assert_non_null(rights);
	assert_string_equal(may(rights, "a/b"), "r");
	assert_string_equal(may(rights, "a/c"), "");
	assert_string_equal(may(rights, "a/d"), "rw");
	assert_string_equal(may(rights, "id/u"), "r");
	assert_string_equal(may(rights, "x/"), "");
	assert_string_equal(may(rights, "y"), "r");
	assert_true(acl_may_read_all(rights, mqtt_str("a/b/#")));
	assert_false(acl_may_read_all(rights, mqtt_str("a/+")));
	assert_ptr_equal(acl_rights_ref(rights), rights);
	acl_rights_unref(rights);
	assert_string_equal(may(rights, "a/b"), "r");
	acl_rights_unref(rights);
	acl_rights_unref(NULL);

	rights = acl_builder_finish(acl_builder_new());
	assert_non_null(rights);
	assert_string_equal(may(rights, "a"), "");
	assert_false(acl_may_read_any(rights, mqtt_str("#")));
	acl_rights_unref(rights);
	acl_builder_free(acl_builder_new());
	acl_builder_free(NULL);
}

/* After an error there are no rights, whatever else was added. */
static void test_builder_faults(void **state)
{
	static char deep[ACL_LEVELS_MAX + 1];
	static const char *const bad[] = {"", "a#", "a/#/b", "\xff", "a+", deep};
	static const struct {
		const char *pattern, *username, *client_id;
	} patterns[] = {
		{"%c", NULL, "+"},     {"a/%c", "u", "x/#"}, {"%u/%c", "a+", "id"},
		{"%c/#/", NULL, "id"}, {"%c", NULL, "\xff"},
	};

	(void)state;
	memset(deep, '/', ACL_LEVELS_MAX);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct acl_builder *b = acl_builder_new();

		assert_int_equal(acl_builder_add(b, i & 1, ACL_READ, mqtt_str(bad[i])), -EINVAL);
		assert_int_equal(acl_builder_add(b, true, ACL_READ, mqtt_str("a")), 0);
		assert_null(acl_builder_finish(b));
	}
	for (size_t i = 0; i < COUNT(patterns); i++) {
		struct mqtt_str username = mqtt_str(patterns[i].username ? patterns[i].username : "");
		struct acl_builder *b = acl_builder_new();

		assert_int_equal(acl_builder_add(b, true, ACL_READ, mqtt_str("a")), 0);
		assert_int_equal(acl_builder_add_pattern(b, false, ACL_READ, mqtt_str(patterns[i].pattern),
							 patterns[i].username ? &username : NULL,
							 mqtt_str(patterns[i].client_id)),
				 -EINVAL);
		assert_null(acl_builder_finish(b));
	}
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, QUESTIONS = 2000 };

static void *ask(void *rights)
{
	size_t good = 0;

	for (int i = 0; i < QUESTIONS; i++) {
		good += acl_may(rights, ACL_READ, mqtt_str("c/id/x")) && !acl_may(rights, ACL_WRITE, mqtt_str("c/a"));
		acl_rights_unref(acl_rights_ref(rights));
	}
	acl_rights_unref(rights);
	return (void *)good;
}

/* Many threads use one client's rights, the last one frees them, and the file with them. */
static void test_threads(void **state)
{
	struct acl_rights *rights = rights_for("pattern read c/%c/#\ntopic deny c/+\n", NULL, "id");
	pthread_t threads[THREADS];
	void *good;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, acl_rights_ref(rights)), 0);
	acl_rights_unref(rights);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &good), 0);
		assert_int_equal((size_t)good, QUESTIONS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accesses),
		cmocka_unit_test_setup_teardown(test_users, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_deny, begin, logged_end),
		cmocka_unit_test(test_names_in_patterns),
		cmocka_unit_test(test_wildcards_in_names),
		cmocka_unit_test_setup_teardown(test_dangerous_names_are_logged, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_dollar, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_file, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_limits, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults_of_files, begin, logged_end),
		cmocka_unit_test_setup_teardown(test_warnings, begin, logged_end),
		cmocka_unit_test(test_many),
		cmocka_unit_test_setup_teardown(test_deep, begin, logged_end),
		cmocka_unit_test(test_builder),
		cmocka_unit_test(test_builder_faults),
		cmocka_unit_test(test_threads),
	};
	int failed;

	hash_init();
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink("log");
	unlink("acl");
	return rmdir(dir) ? 1 : failed;
}
