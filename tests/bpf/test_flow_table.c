// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The table of flows: what a filter removes, what it costs, and who makes room when it is full. */
#include "live.h"

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
		cmocka_unit_test(finds_what_matches),
		cmocka_unit_test(cost),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
