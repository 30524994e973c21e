// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Topic names and topic filters, section 4.7. */
#include "mqtt/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "mqtt_model.h"

static void names(void **state)
{
	static const char *const good[] = {"a", "/", "//", "a/b", "/a", "a/", "$SYS/x", "a b", "\xc3\xa4/\xe2\x82\xac",
					   "$"};
	static const char *const bad[] = {
		"", /* [MQTT-4.7.3-1] */
		"+",
		"#",
		"a/+",
		"a/#",
		"+a",
		"a#",
		"a+b", /* [MQTT-4.7.1-1] */
		"a/\xed\xa0\x80",
		"\xff", /* [MQTT-1.5.3-1] */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(topic_name_valid(mqtt_str(good[i])));
		assert_true(topic_filter_valid(mqtt_str(good[i])));
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(topic_name_valid(mqtt_str(bad[i])));
	assert_false(
		topic_name_valid((struct mqtt_str){.data = (const uint8_t *)"a\0b", .len = 3})); /* [MQTT-4.7.3-2] */
}

static void filters(void **state)
{
	static const char *const good[] = {"#",	    "+",  "a/#", "a/+", "+/a", "a/+/b",
					   "+/+/#", "/#", "/+",	 "+/",	"//#", "$share/x/#"};
	static const char *const bad[] = {
		"",					  /* [MQTT-4.7.3-1] */
		"a#", "a/b#",	    "#/a",  "##", "a/#/", /* [MQTT-4.7.1-2] */
		"a+", "+a",	    "a/+b", "++", "a+/b", /* [MQTT-4.7.1-3] */
		"+#", "\xc0\x80/+",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(topic_filter_valid(mqtt_str(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(topic_filter_valid(mqtt_str(bad[i])));
}

/* [MQTT-4.7.3-3] */
static void length(void **state)
{
	static uint8_t text[TOPIC_LEN_MAX + 1];

	(void)state;
	memset(text, '/', sizeof(text));
	assert_true(topic_name_valid((struct mqtt_str){text, TOPIC_LEN_MAX}));
	assert_true(topic_filter_valid((struct mqtt_str){text, TOPIC_LEN_MAX}));
	assert_int_equal(topic_depth((struct mqtt_str){text, TOPIC_LEN_MAX}), TOPIC_LEN_MAX + 1);
	assert_false(topic_name_valid((struct mqtt_str){text, TOPIC_LEN_MAX + 1}));
	assert_false(topic_filter_valid((struct mqtt_str){text, TOPIC_LEN_MAX + 1}));
}

/* The examples of sections 4.7.1 to 4.7.3. */
static void standard_examples(void **state)
{
	static const struct {
		const char *filter, *name;
		bool match;
	} examples[] = {
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/tennis/player1/#", "sport/tennis/player12", false},
		{"sport/#", "sport", true},
		{"sport/#", "sports", false},
		{"#", "sport", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/x", false}, /* [MQTT-4.7.2-1] */
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/x", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"$SYS/#", "$SYS", true},
		{"a/#", "a/$SYS", true},
		{"a/+", "a/$SYS", true},
		{"ACCOUNTS", "Accounts", false}, /* names are case sensitive */
		{"/finance", "finance", false},
		{"a//b", "a/b", false},
		{"a/+/b", "a//b", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		if (topic_matches(mqtt_str(examples[i].filter), mqtt_str(examples[i].name)) != examples[i].match)
			fail_msg("filter %s, name %s", examples[i].filter, examples[i].name);
	}
}

static struct mqtt_str random_text(uint64_t *rng, const char *alphabet, char *buf, uint32_t max)
{
	uint32_t len = 1 + rng_below(rng, max), letters = (uint32_t)strlen(alphabet);

	for (uint32_t i = 0; i < len; i++)
		buf[i] = alphabet[rng_below(rng, letters)];
	buf[len] = 0;
	return (struct mqtt_str){.data = (const uint8_t *)buf, .len = len};
}

static void random_matches(void **state)
{
	uint64_t seed = 20260202, rng = seed;
	char filter_text[16], name_text[16];
	struct mqtt_str filter, name;
	unsigned tried = 0, matched = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 3000000; round++) {
		filter = random_text(&rng, "a$//++#", filter_text, 9);
		name = random_text(&rng, "a$//", name_text, 7);
		if (topic_filter_valid(filter) != naive_filter_valid(filter))
			fail_msg("validity of filter %s", filter_text);
		if (!topic_filter_valid(filter))
			continue;
		if (topic_matches(filter, name) != naive_matches(filter, name))
			fail_msg("filter %s, name %s", filter_text, name_text);
		tried++;
		matched += topic_matches(filter, name);
	}
	assert_true(tried > 100000 && matched > tried / 100);
}

static void levels(void **state)
{
	static const struct {
		const char *topic, *joined;
		uint32_t depth;
	} cases[] = {
		{"a", "[a]", 1},
		{"/", "[][]", 2},
		{"a//b", "[a][][b]", 3},
		{"/a/", "[][a][]", 3},
		{"abc/+/#", "[abc][+][#]", 3},
		{"", "[]", 1},
	};
	struct mqtt_str level;
	char joined[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct topic_levels it = topic_levels(mqtt_str(cases[i].topic));
		int at = 0;

		while (topic_next_level(&it, &level))
			at += snprintf(joined + at, sizeof(joined) - (size_t)at, "[%.*s]", (int)level.len, level.data);
		assert_string_equal(joined, cases[i].joined);
		assert_false(topic_next_level(&it, &level));
		assert_int_equal(topic_depth(mqtt_str(cases[i].topic)), cases[i].depth);
	}
}

/* Section 4.8.2 of 5.0. */
static void shared(void **state)
{
	static const char *const bad[] = {"$share/", "$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/#"};
	static const char *const not_shared[] = {"a",	      "$share",	    "$shared/g/a",
						 "share/g/a", "$SHARE/g/a", "/$share/g/a"};
	struct mqtt_str name, inner;

	(void)state;
	assert_int_equal(topic_share(mqtt_str("$share/group/a/+/#"), &name, &inner), 1);
	assert_true(mqtt_str_eq(name, mqtt_str("group")));
	assert_true(mqtt_str_eq(inner, mqtt_str("a/+/#")));
	assert_int_equal(topic_share(mqtt_str("$share/g//"), &name, &inner), 1);
	assert_true(mqtt_str_eq(inner, mqtt_str("/")));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(topic_share(mqtt_str(bad[i]), &name, &inner), -1);
	for (size_t i = 0; i < COUNT(not_shared); i++)
		assert_int_equal(topic_share(mqtt_str(not_shared[i]), &name, &inner), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	  cmocka_unit_test(filters),
		cmocka_unit_test(length),	  cmocka_unit_test(standard_examples),
		cmocka_unit_test(random_matches), cmocka_unit_test(levels),
		cmocka_unit_test(shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
