// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The table of flows: what a filter removes, what it costs, and who makes room when it is full. */
#include "live.h"

#include "fastpath/flow_age.h"
#include "fastpath/flow_index.h"
#include "mqtt/topic.h"

enum { MANY = 10000, ROUNDS = 2000 };

/* ---- the index --------------------------------------------------------------------------------------------------- */

enum { TOPICS = 600, FILTERS = 4000 };

/* Few words, so that topics and filters often have some in common; also more levels than are listed. */
static struct mqtt_str random_topic(uint64_t *rng, char *out, bool filter)
{
	static const char *const words[] = {"a", "b", "bb", "", "c", "+"};
	unsigned levels = 1 + (unsigned)(live_random(rng) % (live_random(rng) % 8 ? 4 : 12));
	size_t len = 0;

	for (unsigned i = 0; i < levels; i++) {
		const char *word = words[live_random(rng) % (filter ? 6 : 5)];

		if (filter && i + 1 == levels && live_random(rng) % 4 == 0)
			word = "#";
		len += (size_t)sprintf(out + len, "%s%s", i ? "/" : "", word);
	}
	if (!len)
		len = (size_t)sprintf(out, "a");
	return (struct mqtt_str){.data = (uint8_t *)out, .len = (uint32_t)len};
}

/* A filter finds what it matches, neither less nor more, while topics come and go. */
static void finds_what_matches(void **state)
{
	static struct topic {
		char text[64];
		struct flow_index_entry *entry;
		bool found;
	} topics[TOPICS];
	struct flow_index index;
	uint64_t rng = 11;
	unsigned matched = 0;
	char text[64];

	(void)state;
	flow_index_init(&index);
	for (unsigned n = 0; n < FILTERS; n++) {
		struct topic *t = &topics[live_random(&rng) % TOPICS];
		struct mqtt_str filter = random_topic(&rng, text, true);
		struct list found, *l;

		if (t->entry)
			flow_index_remove(&index, t->entry);
		t->entry = flow_index_add(&index, random_topic(&rng, t->text, false), t);
		assert_non_null(t->entry);
		list_init(&found);
		flow_index_match(&index, filter, &found);
		while ((l = list_pop(&found))) {
			t = container_of(l, struct flow_index_entry, found)->owner;
			assert_false(t->found);
			t->found = true;
			matched++;
		}
		for (unsigned i = 0; i < TOPICS; i++) {
			if (topics[i].entry)
				assert_int_equal(topics[i].found, topic_matches(filter, topics[i].entry->topic));
			topics[i].found = false;
		}
	}
	assert_true(matched > FILTERS);
	for (unsigned i = 0; i < TOPICS; i++) {
		if (topics[i].entry)
			flow_index_remove(&index, topics[i].entry);
	}
	assert_int_equal(index.terms.count, 0);
	assert_true(list_empty(&index.entries));
	flow_index_free(&index);
}

static size_t count_matches(struct flow_index *index, const char *filter)
{
	struct list found;
	size_t n = 0;

	list_init(&found);
	flow_index_match(index, (struct mqtt_str){.data = (const uint8_t *)filter, .len = (uint32_t)strlen(filter)},
			 &found);
	while (list_pop(&found))
		n++;
	return n;
}

/* Levels deeper than those that are listed count as well. */
static void deep_levels_match(void **state)
{
	static const char text[] = "1/2/3/4/5/6/7/8/9/10/11";
	struct mqtt_str topic = {.data = (const uint8_t *)text, .len = sizeof(text) - 1};
	struct flow_index index;
	struct flow_index_entry *entry;

	(void)state;
	flow_index_init(&index);
	entry = flow_index_add(&index, topic, NULL);
	assert_non_null(entry);
	assert_int_equal(count_matches(&index, "+/+/+/+/+/+/+/+/+/10/+"), 1);
	assert_int_equal(count_matches(&index, "+/2/+/+/+/+/+/+/9/#"), 1);
	assert_int_equal(count_matches(&index, "+/+/+/+/+/+/+/+/+/11/+"), 0);
	assert_int_equal(count_matches(&index, "1/2/3/4/5/6/7/8/9/+"), 0);
	flow_index_remove(&index, entry);
	flow_index_free(&index);
}

/* ---- who makes room ---------------------------------------------------------------------------------------------- */

static struct used {
	struct flow_age age;
	uint64_t ns;
} used[100];
static unsigned looks;

static uint64_t last_use(const struct flow_age *age)
{
	looks++;
	return container_of(age, struct used, age)->ns;
}

/* The index of who makes room, which goes then; -1: nobody. */
static int make_room(struct flow_ages *ages, uint64_t now)
{
	struct flow_age *age;

	looks = 0;
	age = flow_ages_victim(ages, now, last_use);
	assert_in_range(looks, 0, FLOW_AGE_LOOKS);
	if (!age)
		return -1;
	flow_ages_remove(age);
	return (int)(container_of(age, struct used, age) - used);
}

static void fill(struct flow_ages *ages, unsigned n)
{
	flow_ages_init(ages);
	memset(used, 0, sizeof(used));
	for (unsigned i = 0; i < n; i++)
		flow_ages_add(ages, &used[i].age, i + 1);
}

/* Those that were not used go in the order they came; those that were stay, until the others are gone. */
static void idle_ones_go(void **state)
{
	struct flow_ages ages;
	uint64_t now = 60 * NS_PER_S;

	(void)state;
	fill(&ages, 16);
	for (unsigned i = 0; i < 16; i += 2)
		used[i].ns = now - i;
	for (int i = 1; i < 16; i += 2)
		assert_int_equal(make_room(&ages, now), i);
}

/* Of those that were used, who was used least recently goes, as far as they are looked at. */
static void least_recently_used_goes(void **state)
{
	struct flow_ages ages;
	uint64_t now = 60 * NS_PER_S;

	(void)state;
	fill(&ages, 16);
	for (unsigned i = 0; i < 16; i++)
		used[i].ns = now - 10 * NS_PER_S - (i * 7 % 16) * NS_PER_MS;
	assert_int_equal(make_room(&ages, now), 9); /* 9 * 7 % 16 is 15 */
	assert_int_equal(looks, 16);
	fill(&ages, 100);
	for (unsigned i = 0; i < 100; i++)
		used[i].ns = now - 10 * NS_PER_S - i;
	assert_int_equal(make_room(&ages, now), FLOW_AGE_LOOKS - 1);
}

/* Where all are in use, few of those who ask get room; as soon as one is idle, everybody. */
static void busy_ones_stay(void **state)
{
	struct flow_ages ages;
	uint64_t now = 60 * NS_PER_S;
	unsigned got = 0;

	(void)state;
	fill(&ages, 16);
	for (unsigned n = 0; n < 8 * FLOW_AGE_ONE_IN_MANY; n++) {
		int victim;

		now += NS_PER_MS;
		for (unsigned i = 0; i < 16; i++)
			used[i].ns = now;
		victim = make_room(&ages, now);
		if (victim >= 0) {
			got++;
			flow_ages_add(&ages, &used[victim].age, now);
		}
	}
	assert_int_equal(got, 8);
	now += (uint64_t)FLOW_AGE_IDLE_MS * NS_PER_MS;
	for (unsigned i = 0; i < 16; i++)
		used[i].ns = i == 5 ? used[i].ns : now;
	assert_int_equal(make_room(&ages, now), 5);
	flow_ages_init(&ages);
	assert_int_equal(make_room(&ages, now), -1);
}

/* ---- what it costs ----------------------------------------------------------------------------------------------- */

static void time_invalidations(const char *what, const char *fmt)
{
	char filter[64];
	uint64_t start = clock_ns();

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(filter, sizeof(filter), fmt, i);
		fp_flow_invalidate(LIVE_NS, filter, strlen(filter));
	}
	print_message("%s: %.2f us\n", what, (double)(clock_ns() - start) / ROUNDS / 1000);
}

/* Told, not judged: machines differ. What a filter costs that matches nothing, beside many flows. */
static void cost(void **state)
{
	struct live live;
	struct live_conn pub, sub;
	struct fp_stats stats;
	char topic[64];
	uint64_t start;

	(void)state;
	live_open(&live, FP_ROAD_LOCAL, 0);
	live_connect(&live, &pub, "publisher");
	live_subscribe(&live, &sub, "subscriber");
	start = clock_ns();
	for (int i = 0; i < MANY; i++) {
		snprintf(topic, sizeof(topic), "site/%d/sensor/%d", i / 100, i % 100);
		assert_int_equal(live_flow(&pub, topic, &sub), 0);
	}
	print_message("install: %.2f us\n", (double)(clock_ns() - start) / MANY / 1000);
	time_invalidations("exact, unrelated", "elsewhere/%d");
	time_invalidations("another first level, #", "elsewhere/%d/#");
	time_invalidations("below the flows, #", "site/7/sensor/x%d/#");
	time_invalidations("+ in the last level but one", "site/7/+/x%d");
	time_invalidations("+ first", "+/%d/other/x");
	time_invalidations("+ everywhere, one level more", "+/+/+/+/%d");
	time_invalidations("+ everywhere but the last", "+/+/+/x%d");
	fp_stats(&stats);
	assert_int_equal(stats.flows, MANY);
	start = clock_ns();
	fp_flow_invalidate(LIVE_NS, "site/+/sensor/5", 15);
	print_message("100 of them removed: %.2f us\n", (double)(clock_ns() - start) / 1000);
	fp_stats(&stats);
	assert_int_equal(stats.flows, MANY - 100);
	live_disconnect(&pub);
	live_disconnect(&sub);
	live_close(&live);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_matches), cmocka_unit_test(deep_levels_match),
		cmocka_unit_test(idle_ones_go),	      cmocka_unit_test(least_recently_used_goes),
		cmocka_unit_test(busy_ones_stay),     cmocka_unit_test(cost),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
