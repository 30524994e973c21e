// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Topic filters as sets of topics: how they relate, and which of them rights cover; by brute force over all short topics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acl_model.h"
#include "auth/acl_tree.h"
#include "base/hash.h"
#include "logged.h"
#include "mqtt/filter.h"

static char dir[] = "/tmp/shunt-test-acl-filters.XXXXXX";

/* ---- filters as sets -------------------------------------------------------------------------------------------- */

/* All topics, and all filters, of a few names; names that no filter has stand for all others. Topics are deeper than
 * filters, so that "#" shows. A set of topics is a bit for each. */
enum {
	FILTER_DEPTH = 3,
	TOPIC_DEPTH = FILTER_DEPTH + 1,
	TOPICS_MAX = 1000,
	FILTERS_MAX = 300,
	WORDS = (TOPICS_MAX + 63) / 64,
};

struct set {
	uint64_t words[WORDS];
};

static char topics[TOPICS_MAX][32], filters[FILTERS_MAX][32];
static struct set sets[FILTERS_MAX];
static size_t ntopics, nfilters;

/* Every text of up to `depth` of the levels. */
static void enumerate(const char *const *levels, size_t count, int depth, const char *beginning,
		      void (*add)(const char *))
{
	char text[32];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%s%s", beginning, levels[i]);
		add(text);
		if (depth == 1)
			continue;
		strcat(text, "/");
		enumerate(levels, count, depth - 1, text, add);
	}
}

static void add_topic(const char *text)
{
	if (!*text)
		return;
	assert_true(ntopics < TOPICS_MAX);
	strcpy(topics[ntopics++], text);
}

static void add_filter(const char *text)
{
	if (!naive_filter_valid(mqtt_str(text)))
		return;
	assert_true(nfilters < FILTERS_MAX);
	strcpy(filters[nfilters++], text);
}

static struct set set_of(struct mqtt_str filter)
{
	struct set s = {0};

	for (size_t i = 0; i < ntopics; i++)
		if (naive_matches(filter, mqtt_str(topics[i])))
			s.words[i / 64] |= UINT64_C(1) << i % 64;
	return s;
}

static bool in_set(const struct set *s, size_t topic)
{
	return s->words[topic / 64] >> topic % 64 & 1;
}

static int enumerate_all(void **state)
{
	static const char *const names[] = {"a", "b", "", "z", "$x"};
	static const char *const levels[] = {"a", "b", "", "+", "#", "$x"};

	(void)state;
	if (ntopics)
		return 0;
	enumerate(names, COUNT(names), TOPIC_DEPTH, "", add_topic);
	enumerate(levels, COUNT(levels), FILTER_DEPTH, "", add_filter);
	for (size_t i = 0; i < nfilters; i++)
		sets[i] = set_of(mqtt_str(filters[i]));
	return 0;
}

static bool set_within(const struct set *inner, const struct set *outer)
{
	for (size_t i = 0; i < WORDS; i++)
		if (inner->words[i] & ~outer->words[i])
			return false;
	return true;
}

static bool set_empty(const struct set *s)
{
	for (size_t i = 0; i < WORDS; i++)
		if (s->words[i])
			return false;
	return true;
}

/* Every pair. */
static void test_covers(void **state)
{
	(void)state;
	for (size_t a = 0; a < nfilters; a++)
		for (size_t b = 0; b < nfilters; b++)
			if (filter_covers(mqtt_str(filters[a]), mqtt_str(filters[b])) != set_within(&sets[b], &sets[a]))
				fail_msg("does %s cover %s?", filters[a], filters[b]);
}

static void test_intersection(void **state)
{
	char text[64];

	(void)state;
	for (size_t a = 0; a < nfilters; a++) {
		for (size_t b = 0; b < nfilters; b++) {
			struct mqtt_str left = mqtt_str(filters[a]), right = mqtt_str(filters[b]);
			uint32_t len = filter_intersection(left, right, (uint8_t *)text);
			struct mqtt_str common = {(uint8_t *)text, len};
			struct set s, want;

			for (size_t i = 0; i < WORDS; i++)
				want.words[i] = sets[a].words[i] & sets[b].words[i];
			assert_int_equal(filter_intersection(left, right, NULL), len);
			assert_int_equal(filter_intersects(left, right), !set_empty(&want));
			if (!len)
				continue;
			assert_true(len <= left.len + right.len);
			assert_true(topic_filter_valid(common));
			s = set_of(common);
			if (memcmp(&s, &want, sizeof(s)) != 0)
				fail_msg("%s and %s have in common %.*s?", filters[a], filters[b], (int)len, text);
		}
	}
}

static void test_wildcards(void **state)
{
	(void)state;
	for (size_t i = 0; i < nfilters; i++)
		assert_int_equal(filter_has_wildcard(mqtt_str(filters[i])), strpbrk(filters[i], "+#") != NULL);
	assert_false(filter_has_wildcard((struct mqtt_str){0}));
}

/* ---- trees ------------------------------------------------------------------------------------------------------ */

static uint64_t seed = 88172645463325252;

/* Any rules say of any topic what they say one by one. */
static void test_tree(void **state)
{
	enum { ROUNDS = 300, RULES_MAX = 12 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = 1 + rng_below(&seed, RULES_MAX), chosen[RULES_MAX];
		uint8_t says[RULES_MAX], all = 0;
		struct acl_draft d = {0};
		struct mqtt_str filter;
		struct acl_tree *t;
		uint8_t say;

		for (size_t i = 0; i < count; i++) {
			chosen[i] = rng_below(&seed, (uint32_t)nfilters);
			says[i] = (uint8_t)(1 << rng_below(&seed, 4));
			all |= says[i];
			assert_int_equal(acl_draft_add(&d, 0, says[i], mqtt_str(filters[chosen[i]])), 0);
		}
		t = acl_tree_new(&d, 0, count);
		acl_draft_free(&d);
		assert_non_null(t);
		assert_int_equal(acl_tree_says(t), all);
		assert_true(acl_tree_rule(t, count - 1, &filter, &say));
		assert_false(acl_tree_rule(t, count, &filter, &say));
		for (size_t topic = 0; topic < ntopics; topic++) {
			uint8_t want = 0;

			for (size_t i = 0; i < count; i++)
				want |= in_set(&sets[chosen[i]], topic) ? says[i] : 0;
			for (int bit = 1; bit < 16; bit <<= 1)
				assert_int_equal(acl_tree_find(t, mqtt_str(topics[topic]), 0, (uint8_t)bit),
						 want & bit);
			assert_int_equal(acl_tree_find(t, mqtt_str(topics[topic]), 0, ACL_SAY_READ | ACL_SAY_WRITE),
					 want & (ACL_SAY_READ | ACL_SAY_WRITE));
		}
		acl_tree_free(t);
	}
	assert_int_equal(acl_tree_find(NULL, mqtt_str("a"), 0, 15), 0);
	assert_int_equal(acl_tree_says(NULL), 0);
	acl_tree_free(NULL);
}

/* ---- filters and rights ----------------------------------------------------------------------------------------- */

/* A file of rules of all kinds. */
static void random_file(char *text, size_t rules)
{
	static const char *const accesses[] = {"read ", "write ", "readwrite ", "deny ", "deny ", ""};
	static const char *const names[] = {"%c", "%u", "%c/+", "+/%u", "%c/#", "b/%c/#"};
	bool pattern;

	*text = '\0';
	for (size_t i = 0; i < rules; i++) {
		if (i == rules / 4)
			text += sprintf(text, "user b\n");
		pattern = rng_below(&seed, 3) == 0;
		text += sprintf(text, "%s %s%s\n", pattern ? "pattern" : "topic",
				accesses[rng_below(&seed, COUNT(accesses))],
				pattern && rng_below(&seed, 2) ? names[rng_below(&seed, COUNT(names))]
							       : filters[rng_below(&seed, (uint32_t)nfilters)]);
	}
}

/* The topics that may be read, by the model. */
static struct set readable(const char *text, const struct acl_model_client *who)
{
	struct set s = {0};

	for (size_t i = 0; i < ntopics; i++)
		if (acl_model_may(text, who, ACL_READ, topics[i]))
			s.words[i / 64] |= UINT64_C(1) << i % 64;
	return s;
}

static void compare_filters(const char *text, const struct acl_rights *rights, const struct set *may_read,
			    int counts[2])
{
	for (size_t f = 0; f < nfilters; f++) {
		bool all = set_within(&sets[f], may_read), any = false;

		for (size_t i = 0; i < WORDS; i++)
			any |= (sets[f].words[i] & may_read->words[i]) != 0;
		if (acl_may_read_any(rights, mqtt_str(filters[f])) != any ||
		    acl_may_read_all(rights, mqtt_str(filters[f])) != all)
			fail_msg("%s: any %d, all %d, with\n%s", filters[f], any, all, text);
		counts[0] += any;
		counts[1] += all;
	}
}

/* Every filter against every topic, for random files. */
static void test_filters(void **state)
{
	static const struct acl_model_client clients[] = {
		{NULL, "a"}, {"b", "b"}, {"a", "$x"}, {"b", "a/b"}, {"b", "+"},
	};
	enum { ROUNDS = 120 };
	char text[2048];
	int counts[2] = {0};

	(void)state;
	log_set_dest(0, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		random_file(text, 1 + rng_below(&seed, 12));
		for (size_t i = 0; i < COUNT(clients); i++) {
			struct acl_rights *rights = rights_for(text, clients[i].username, clients[i].client_id);
			struct set may_read = readable(text, &clients[i]);

			for (size_t topic = 0; topic < ntopics; topic++) {
				assert_int_equal(acl_may(rights, ACL_READ, mqtt_str(topics[topic])),
						 in_set(&may_read, topic));
				if (topic % 8 == (size_t)round % 8)
					assert_int_equal(acl_may(rights, ACL_WRITE, mqtt_str(topics[topic])),
							 acl_model_may(text, &clients[i], ACL_WRITE, topics[topic]));
			}
			compare_filters(text, rights, &may_read, counts);
			acl_rights_unref(rights);
		}
	}
	log_set_dest(LOG_DEST_STDERR, NULL);
	/* Neither answer is rare. */
	assert_in_range(counts[0], 10000, ROUNDS * COUNT(clients) * nfilters - 10000);
	assert_in_range(counts[1], 1000, ROUNDS * COUNT(clients) * nfilters - 10000);
}

/* The same of rights that others limit. */
static void test_limited_filters(void **state)
{
	static const struct acl_model_client clients[] = {{NULL, "a"}, {"b", "b"}};
	enum { ROUNDS = 100 };
	char text[2][2048];
	int counts[2] = {0};

	(void)state;
	log_set_dest(0, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		random_file(text[0], 1 + rng_below(&seed, 12));
		random_file(text[1], 1 + rng_below(&seed, 12));
		for (size_t i = 0; i < COUNT(clients); i++) {
			const struct acl_model_client *who = &clients[i];
			struct acl_rights *rights = rights_for(text[0], who->username, who->client_id);
			struct acl_rights *limit = rights_for(text[1], who->username, who->client_id);
			struct set may_read = readable(text[0], who), limited = readable(text[1], who);

			acl_rights_limit(rights, limit);
			acl_rights_unref(limit);
			for (size_t w = 0; w < WORDS; w++)
				may_read.words[w] &= limited.words[w];
			for (size_t topic = 0; topic < ntopics; topic++)
				assert_int_equal(acl_may(rights, ACL_READ, mqtt_str(topics[topic])),
						 in_set(&may_read, topic));
			compare_filters(text[0], rights, &may_read, counts);
			acl_rights_unref(rights);
		}
	}
	log_set_dest(LOG_DEST_STDERR, NULL);
	assert_in_range(counts[0], 1000, ROUNDS * COUNT(clients) * nfilters);
	assert_in_range(counts[1], 100, ROUNDS * COUNT(clients) * nfilters);
}

static void assert_filter(const char *text, const char *filter, bool any, bool all)
{
	struct acl_rights *rights = rights_for(text, NULL, "id");

	assert_int_equal(acl_may_read_any(rights, mqtt_str(filter)), any);
	assert_int_equal(acl_may_read_all(rights, mqtt_str(filter)), all);
	acl_rights_unref(rights);
}

/* What takes several rules. */
static void test_filters_by_hand(void **state)
{
	(void)state;
	assert_filter("topic read a/#\n", "a/+/b", true, true);
	assert_filter("topic read a/#\n", "#", true, false);
	assert_filter("topic read a/#\n", "b/#", false, false);
	assert_filter("topic write a/#\n", "a/#", false, false);
	assert_filter("topic read a\ntopic read a/+/#\n", "a/#", true, true);
	assert_filter("topic read a\ntopic read a/+\ntopic read a/+/+\ntopic read a/+/+/+/#\n", "a/#", true, true);
	assert_filter("topic read a\ntopic read a/+\ntopic read a/+/+/+/#\n", "a/#", true, false);
	assert_filter("topic read a/b\ntopic read a/+\n", "a/+", true, true);
	assert_filter("topic read #\ntopic deny a/b/c\n", "a/+/c", true, false);
	assert_filter("topic read #\ntopic deny a/+/c\n", "a/b/+", true, false);
	assert_filter("topic read #\ntopic deny a/+/c\n", "a/b/c", false, false);
	assert_filter("topic read a/+\ntopic deny a/#\n", "#", false, false);
	assert_filter("topic read a/+\ntopic deny a/b\n", "#", true, false);
	assert_filter("topic read a/#\ntopic deny a\ntopic deny a/+\ntopic deny a/+/+/#\n", "#", false, false);
	assert_filter("topic read a/#\ntopic deny a\ntopic deny a/+\ntopic deny a/+/+/+/#\n", "#", true, false);
	/* What ends deeper than any row of '+'. */
	assert_filter("topic read +\ntopic read +/+\ntopic read +/+/+\n", "#", true, false);
	assert_filter("topic read a\ntopic read a/+\ntopic read a/+/+\ntopic read a/+/+/+\n", "a/#", true, false);
	assert_filter("topic read #\ntopic deny +\ntopic deny +/+\ntopic deny +/+/+\n", "#", true, false);
	assert_filter("topic read #\n", "$SYS/#", false, false);
	assert_filter("topic read $SYS/#\n", "#", false, false);
	assert_filter("topic read $SYS/#\n", "$SYS/+/a", true, true);
}

/* Filters that do not fit on the stack. */
static void test_long_filters(void **state)
{
	static char text[70000], filter[70000];
	struct acl_rights *rights;

	(void)state;
	strcpy(text, "topic read +/");
	memset(text + strlen(text), 'x', 65000);
	strcat(text, "\ntopic deny b/#\n");
	rights = rights_for(text, NULL, "id");
	for (int i = 0; i < 2; i++) {
		strcpy(filter, i ? "b/" : "a/");
		memset(filter + 2, 'x', 65000);
		strcpy(filter + 65002, "/#");
		assert_int_equal(acl_may_read_any(rights, mqtt_str(filter)), i == 0);
		assert_false(acl_may_read_all(rights, mqtt_str(filter)));
		filter[65002] = '\0';
		assert_int_equal(acl_may_read_all(rights, mqtt_str(filter)), i == 0);
	}
	acl_rights_unref(rights);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_covers, enumerate_all),
		cmocka_unit_test_setup(test_intersection, enumerate_all),
		cmocka_unit_test_setup(test_wildcards, enumerate_all),
		cmocka_unit_test_setup(test_tree, enumerate_all),
		cmocka_unit_test_setup(test_filters, enumerate_all),
		cmocka_unit_test_setup(test_limited_filters, enumerate_all),
		cmocka_unit_test_setup_teardown(test_filters_by_hand, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_long_filters, logged_begin, logged_end),
	};
	int failed;

	hash_init();
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink("log");
	return rmdir(dir) ? 1 : failed;
}
