// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The topic tree against a naive model, with random filters; and readers beside a writer. */
#include "broker/tree.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/rcu.h"
#include "broker/tree_node.h"
#include "mqtt_model.h"

enum { CLIENTS = 12, SUBS = 150, TOPICS = 60, TOPIC_SIZE = 64 };

/* A subscription that may be in the tree: freed as the broker does it, after a grace period. */
struct sub {
	struct tree_sub in_tree;
	struct rcu_later later;
	char filter[TOPIC_SIZE];
};

static char clients[CLIENTS]; /* only their addresses are of interest */
static struct tree *tree;
static struct tree_hits hits;
static const struct mqtt_str no_share;

static int set_up(void **state)
{
	(void)state;
	rcu_thread_start();
	tree = tree_new();
	return tree ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	tree_free(tree);
	tree_hits_free(&hits);
	rcu_thread_end();
	return 0;
}

static void sub_free(struct rcu_later *later)
{
	free(container_of(later, struct sub, later));
}

static struct sub *subscribe(const char *filter, void *client, uint8_t options)
{
	struct sub *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->in_tree.subscriber = client;
	s->in_tree.options = options;
	snprintf(s->filter, sizeof(s->filter), "%s", filter);
	assert_int_equal(tree_subscribe(tree, mqtt_str(filter), no_share, &s->in_tree), 0);
	return s;
}

static void unsubscribe(struct sub *s)
{
	tree_unsubscribe(tree, &s->in_tree);
	rcu_call_later(&s->later, sub_free);
}

static struct message *message(const char *topic, uint8_t qos)
{
	struct message *m = message_new(
		&(struct mqtt_publish){.topic = mqtt_str(topic), .payload = mqtt_str("x"), .qos = qos}, NULL, 0);

	assert_non_null(m);
	return m;
}

/* ---- single cases ------------------------------------------------------------------------------------------------ */

static size_t match(const char *topic)
{
	assert_int_equal(tree_match(tree, mqtt_str(topic), &hits), 0);
	return hits.n;
}

static void overlapping(void **state)
{
	struct sub *subs[] = {subscribe("a/+", &clients[0], 0), subscribe("a/#", &clients[0], 2),
			      subscribe("a/b", &clients[0], 1), subscribe("a/b", &clients[1], 1)};

	(void)state;
	assert_int_equal(match("a/b"), 2); /* once each, with the maximum QoS [MQTT-3.3.5-1] */
	for (size_t i = 0; i < hits.n; i++)
		assert_int_equal(hits.v[i].options, hits.v[i].subscriber == &clients[0] ? 2 : 1);
	for (size_t i = 0; i < COUNT(subs); i++)
		unsubscribe(subs[i]);
	assert_int_equal(match("a/b"), 0);
}

static void same_node(void **state)
{
	struct sub *s = subscribe("a/+/#", &clients[0], 0);

	(void)state;
	assert_ptr_equal(tree_find(tree, mqtt_str("a/+/#")), s->in_tree.node);
	assert_null(tree_find(tree, mqtt_str("a/b/#")));
	assert_null(tree_find(tree, mqtt_str("a/b/c/d/e")));
	tree_set_options(&s->in_tree, 2, 0);
	assert_int_equal(match("a/b"), 1);
	assert_int_equal(hits.v[0].options, 2);
	unsubscribe(s);
	assert_null(tree_find(tree, mqtt_str("a"))); /* nothing is left behind */
}

/* What overlapping subscriptions say together, 5.0 section 3.3.4. */
static void options(void **state)
{
	struct sub *subs[] = {subscribe("a/+", &clients[0], SUB_NO_LOCAL | 2),
			      subscribe("a/b", &clients[0], SUB_RETAIN_AS_PUBLISHED), subscribe("a/#", &clients[0], 1)};

	(void)state;
	tree_set_options(&subs[0]->in_tree, SUB_NO_LOCAL | 2, 7);
	tree_set_options(&subs[2]->in_tree, 1, 9);
	assert_int_equal(match("a/b"), 1);
	assert_int_equal(hits.v[0].options & SUB_QOS_MASK, 2);
	assert_true(hits.v[0].options & SUB_RETAIN_AS_PUBLISHED);
	assert_int_equal(hits.nids, 2); /* [MQTT-3.3.4-4] */
	assert_int_equal(hits.ids[0].id + hits.ids[1].id, 16);
	hits.publisher = &clients[0];
	assert_int_equal(match("a/b"), 1);
	assert_int_equal(hits.v[0].options & SUB_QOS_MASK, 1);
	assert_int_equal(hits.nids, 1); /* not that of No Local [MQTT-3.8.3-3] */
	hits.publisher = NULL;
	hits.duplicates = true;
	assert_int_equal(match("a/b"), 3);
	hits.duplicates = false;
	for (size_t i = 0; i < COUNT(subs); i++)
		unsubscribe(subs[i]);
}

static struct sub *join(const char *share, void *client)
{
	struct sub *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->in_tree.subscriber = client;
	assert_int_equal(tree_subscribe(tree, mqtt_str("s/+"), mqtt_str(share), &s->in_tree), 0);
	return s;
}

static bool not_this(const void *subscriber, const void *arg)
{
	return subscriber != arg;
}

static void expect_turn(struct tree_share *share, const void *without, const void *client)
{
	struct tree_hit hit;

	assert_true(tree_share_next(share, not_this, without, &hit));
	assert_ptr_equal(hit.subscriber, client);
}

/* Round robin in the order of subscribing, also when members come, go or cannot take it; 5.0 section 4.8.2. */
static void shares(void **state)
{
	struct sub *m[12], *other = join("other", &clients[0]);
	struct tree_share *share;
	struct tree_hit hit;

	(void)state;
	for (int i = 0; i < 12; i++)
		m[i] = join("g", &clients[i]);
	assert_int_equal(match("s/x"), 0);
	assert_int_equal(hits.nshares, 2);
	share = tree_find_share(tree_find(tree, mqtt_str("s/+")), mqtt_str("g"));
	for (int i = 0; i < 14; i++)
		expect_turn(share, NULL, &clients[i % 12]);
	expect_turn(share, &clients[2], &clients[3]); /* 2 cannot */
	for (int i = 0; i < 10; i++)
		if (i != 4)
			unsubscribe(m[i]); /* the array is made anew on the way */
	expect_turn(share, NULL, &clients[4]);
	expect_turn(share, NULL, &clients[10]);
	m[0] = join("g", &clients[0]);
	expect_turn(share, NULL, &clients[11]);
	expect_turn(share, NULL, &clients[0]);
	expect_turn(share, NULL, &clients[4]);
	tree_share_ref(share);
	unsubscribe(m[0]);
	unsubscribe(m[4]);
	unsubscribe(m[10]);
	unsubscribe(m[11]);
	assert_false(tree_share_next(share, not_this, NULL, &hit));
	tree_share_unref(share);
	assert_int_equal(match("s/x"), 0);
	assert_int_equal(hits.nshares, 1);
	unsubscribe(other);
	assert_null(tree_find(tree, mqtt_str("s")));
}

static void count(struct message *m, void *arg)
{
	assert_true(m->expires);
	++*(size_t *)arg;
}

/* Retained messages that expire are forgotten in time, whatever the order they came in. */
static void retained_expiry(void **state)
{
	uint64_t seed = 20261122, rng = seed;
	char topic[16];
	size_t expiring, gone = 0;
	bool added;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct message *m;

		snprintf(topic, sizeof(topic), "e/%u", (unsigned)rng_below(&rng, 300));
		m = message(topic, 0);
		m->expires = i % 4 != 0;
		m->expires_ns = rng_below(&rng, 1000) + 1;
		if (i % 7 == 0)
			tree_forget(tree, mqtt_str(topic));
		else
			assert_int_equal(tree_retain(tree, m, NULL, false, &added), 0);
		message_unref(m);
	}
	expiring = tree->nexpiring;
	for (uint64_t now = 0; now <= 1000; now += 50) {
		while (tree_expire(tree, now, 3, count, &gone))
			;
		for (size_t i = 0; i < tree->nexpiring; i++)
			assert_true(tree->expiring[i]->message->expires_ns > now);
	}
	assert_int_equal(tree->nexpiring, 0);
	assert_int_equal(gone, expiring);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(topic, sizeof(topic), "e/%u", i);
		tree_forget(tree, mqtt_str(topic));
	}
	assert_null(tree_find(tree, mqtt_str("e")));
}

static void depth(void **state)
{
	char deep[2 * TREE_LEVELS_MAX + 2];
	struct tree_sub too_deep = {.subscriber = &clients[0]};
	struct sub *s;

	(void)state;
	memset(deep, '/', sizeof(deep));
	deep[TREE_LEVELS_MAX - 1] = '\0'; /* 200 empty levels */
	s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->in_tree.subscriber = &clients[0];
	assert_int_equal(tree_subscribe(tree, mqtt_str(deep), no_share, &s->in_tree), 0);
	assert_int_equal(match(deep), 1);
	deep[TREE_LEVELS_MAX - 1] = '/';
	deep[TREE_LEVELS_MAX] = '\0';
	assert_int_equal(tree_subscribe(tree, mqtt_str(deep), no_share, &too_deep), -E2BIG);
	assert_int_equal(tree_match(tree, mqtt_str(deep), &hits), -E2BIG);
	unsubscribe(s);
}

/* 10,000 subscribers of one topic, leaving in a random order. */
static void wide(void **state)
{
	enum { WIDE = 10000 };
	static struct sub *subs[WIDE];
	static char subscriber[WIDE];
	uint64_t rng = 3;

	(void)state;
	for (unsigned i = 0; i < WIDE; i++)
		subs[i] = subscribe("wide", &subscriber[i], 1);
	for (unsigned left = WIDE; left > 0; left--) {
		unsigned i = rng_below(&rng, left);

		if (left % 1000 == 0 || left < 20)
			assert_int_equal(match("wide"), left);
		unsubscribe(subs[i]);
		subs[i] = subs[left - 1];
		rcu_quiescent();
	}
	assert_int_equal(match("wide"), 0);
}

/* 100,000 topics: the edge table grows while this thread passes quiescent states, and while it does not. */
static void many_topics(void **state)
{
	enum { MANY = 100000 };
	static struct sub *subs[MANY];
	char topic[TOPIC_SIZE];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(topic, sizeof(topic), "many/%u/t%u", i % 317, i);
		subs[i] = subscribe(topic, &clients[i % CLIENTS], 0);
		if (i % 1000 < 500)
			rcu_quiescent();
	}
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(topic, sizeof(topic), "many/%u/t%u", i % 317, i);
		assert_int_equal(match(topic), 1);
		assert_ptr_equal(hits.v[0].subscriber, &clients[i % CLIENTS]);
	}
	for (unsigned i = 0; i < MANY; i++)
		unsubscribe(subs[i]);
	assert_int_equal(match("many/0/t0"), 0);
}

/* ---- against the model ------------------------------------------------------------------------------------------- */

/* Few levels and few words, so that filters and topics meet often. */
static void random_topic(uint64_t *rng, bool filter, char to[TOPIC_SIZE])
{
	static const char *const words[] = {"a", "b", "", "longer level", "$x", "+", "+", "#"};
	unsigned levels = 1 + rng_below(rng, 4);
	size_t at = 0;

	to[0] = '\0';
	for (unsigned i = 0; i < levels; i++) {
		const char *word = words[rng_below(rng, filter ? 8 : 5)];

		if (word[0] == '#' && i + 1 < levels)
			word = "a"; /* only at the end [MQTT-4.7.1-2] */
		at += (size_t)snprintf(to + at, TOPIC_SIZE - at, "%s%s", i ? "/" : "", word);
	}
	if (at == 0)
		strcpy(to, "a");
}

struct model {
	struct sub *subs[SUBS];
	char retained[TOPICS][TOPIC_SIZE];
	uint64_t seq[TOPICS]; /* 0: nothing retained */
	unsigned found[TOPICS];
	unsigned refused;
};

/* A walk that goes on while the tree changes. */
static struct {
	struct tree_walk *walk;
	uint64_t seq;
	char filter[TOPIC_SIZE];
	bool stable[TOPICS]; /* what is retained is the same since it began */
	unsigned found[TOPICS];
} slow;

static void check_match(const struct model *model, const char *topic)
{
	size_t expected = 0;

	match(topic);
	for (unsigned c = 0; c < CLIENTS; c++) {
		int want = -1, got = -1;

		for (unsigned i = 0; i < SUBS; i++) {
			const struct sub *s = model->subs[i];

			if (s && s->in_tree.subscriber == &clients[c] && (int)s->in_tree.options > want &&
			    naive_matches(mqtt_str(s->filter), mqtt_str(topic)))
				want = s->in_tree.options;
		}
		for (size_t i = 0; i < hits.n; i++)
			if (hits.v[i].subscriber == &clients[c])
				got = hits.v[i].options;
		assert_int_equal(got, want);
		expected += want >= 0;
	}
	assert_int_equal(hits.n, expected); /* nobody twice */
}

static void change_subscriptions(struct model *model, uint64_t *rng)
{
	struct sub **at = &model->subs[rng_below(rng, SUBS)];
	void *client = &clients[rng_below(rng, CLIENTS)];
	char filter[TOPIC_SIZE];

	if (*at) {
		unsubscribe(*at);
		*at = NULL;
		return;
	}
	random_topic(rng, true, filter);
	for (unsigned i = 0; i < SUBS; i++) /* a client has a filter once */
		if (model->subs[i] && model->subs[i]->in_tree.subscriber == client &&
		    strcmp(model->subs[i]->filter, filter) == 0)
			return;
	*at = subscribe(filter, client, (uint8_t)rng_below(rng, 3));
}

static void change_retained(struct model *model, uint64_t *rng)
{
	unsigned t = rng_below(rng, TOPICS);
	const char *topic = model->retained[t];
	struct message *m;
	bool added;

	slow.stable[t] = false;
	if (rng_below(rng, 3) == 0) {
		assert_int_equal(tree_forget(tree, mqtt_str(topic)), model->seq[t] != 0);
		model->seq[t] = 0;
		return;
	}
	m = message(topic, 0);
	assert_int_equal(tree_retain(tree, m, NULL, false, &added), 0);
	assert_int_equal(added, model->seq[t] == 0);
	model->seq[t] = tree_seq(tree);
	message_unref(m);
}

static bool found(struct message *m, void *arg)
{
	struct model *model = arg;

	for (unsigned i = 0; i < TOPICS; i++)
		if (mqtt_str_eq(mqtt_str(model->retained[i]), message_topic(m)))
			model->found[i]++;
	return true;
}

static bool refuse_first(struct message *m, void *arg)
{
	struct model *model = arg;

	return model->refused++ % 2 && found(m, model);
}

/* A whole walk, in parts; each message is refused once, and offered again. */
static void walk_all(const char *filter, uint64_t seq, struct model *model)
{
	struct tree_walk *walk = tree_walk_new(tree, mqtt_str(filter), seq);

	assert_non_null(walk);
	while (tree_walk(walk, 1 + model->refused % 7, refuse_first, model) && tree_walk_rest(walk))
		rcu_quiescent();
	tree_walk_free(walk);
}

static bool found_slowly(struct message *m, void *arg)
{
	const struct model *model = arg;

	for (unsigned i = 0; i < TOPICS; i++)
		if (mqtt_str_eq(mqtt_str(model->retained[i]), message_topic(m)))
			slow.found[i]++;
	return true;
}

static void begin_slow_walk(const struct model *model, uint64_t *rng)
{
	memset(&slow, 0, sizeof(slow));
	random_topic(rng, true, slow.filter);
	slow.seq = tree_seq(tree);
	for (unsigned i = 0; i < TOPICS; i++)
		slow.stable[i] = model->seq[i];
	slow.walk = tree_walk_new(tree, mqtt_str(slow.filter), slow.seq);
	assert_non_null(slow.walk);
}

/* What was there all the time was found once; what changed, at most once. */
static void end_slow_walk(const struct model *model)
{
	tree_walk_free(slow.walk);
	slow.walk = NULL;
	for (unsigned i = 0; i < TOPICS; i++) {
		bool matched = naive_matches(mqtt_str(slow.filter), mqtt_str(model->retained[i]));

		if (slow.stable[i])
			assert_int_equal(slow.found[i], matched);
		else
			assert_in_range(slow.found[i], 0, matched);
	}
}

static void go_on_slowly(struct model *model, uint64_t *rng)
{
	if (!slow.walk)
		begin_slow_walk(model, rng);
	else if (!tree_walk(slow.walk, 1 + (unsigned)rng_below(rng, 5), found_slowly, model) ||
		 !tree_walk_rest(slow.walk))
		end_slow_walk(model);
}

static void check_retained(struct model *model, const char *filter, uint64_t seq)
{
	memset(model->found, 0, sizeof(model->found));
	walk_all(filter, seq, model);
	for (unsigned i = 0; i < TOPICS; i++)
		assert_int_equal(model->found[i],
				 model->seq[i] && model->seq[i] <= seq &&
					 naive_matches(mqtt_str(filter), mqtt_str(model->retained[i])));
}

static void distinct_topics(struct model *model, uint64_t *rng)
{
	for (unsigned i = 0; i < TOPICS; i++) {
		bool again = true;

		while (again) {
			again = false;
			random_topic(rng, false, model->retained[i]);
			for (unsigned k = 0; k < i; k++)
				again |= strcmp(model->retained[i], model->retained[k]) == 0;
		}
	}
}

static void random_against_model(void **state)
{
	static struct model model;
	uint64_t rng = 20;
	char topic[TOPIC_SIZE];

	(void)state;
	distinct_topics(&model, &rng);
	for (unsigned n = 0; n < 60000; n++) {
		switch (rng_below(&rng, 5)) {
		case 4:
			go_on_slowly(&model, &rng);
			break;
		case 0:
			change_subscriptions(&model, &rng);
			break;
		case 1:
			change_retained(&model, &rng);
			break;
		case 2:
			random_topic(&rng, false, topic);
			check_match(&model, topic);
			break;
		default:
			random_topic(&rng, true, topic);
			check_retained(&model, topic, tree_seq(tree) - rng_below(&rng, 5));
			break;
		}
		rcu_quiescent();
	}
	while (slow.walk)
		go_on_slowly(&model, &rng);
	for (unsigned i = 0; i < SUBS; i++)
		if (model.subs[i])
			unsubscribe(model.subs[i]);
	for (unsigned i = 0; i < TOPICS; i++)
		tree_forget(tree, mqtt_str(model.retained[i]));
	assert_null(tree_find(tree, mqtt_str("a")));
}

/* ---- readers beside a writer ------------------------------------------------------------------------------------- */

enum { READERS = 2 };

static bool stop;

/* A subscription that stays is found at any time, exactly once, whatever happens around it. */
static void *read_always(void *arg)
{
	struct tree_hits mine = {0};
	unsigned long rounds = 0;

	(void)arg;
	rcu_thread_start();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned stays = 0;

		if (tree_match(tree, mqtt_str("stays/x/y"), &mine))
			abort();
		for (size_t i = 0; i < mine.n; i++)
			stays += mine.v[i].subscriber == &clients[0];
		if (stays != 1)
			abort();
		rounds++;
		if (rounds % 16 == 0)
			rcu_quiescent();
	}
	tree_hits_free(&mine);
	rcu_thread_end();
	return (void *)rounds;
}

static void readers_and_a_writer(void **state)
{
	static const char *const filters[] = {"stays/#", "stays/x/#", "stays/+/y", "+/+/+",
					      "#",	 "stays/x/y", "stays/x/z", "other/t"};
	struct sub *stays = subscribe("stays/x/+", &clients[0], 1);
	struct sub *subs[400] = {0};
	pthread_t threads[READERS];
	uint64_t rng = 5;

	(void)state;
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_always, NULL), 0);
	for (unsigned n = 0; n < 200000; n++) {
		unsigned i = rng_below(&rng, COUNT(subs));

		if (subs[i]) {
			unsubscribe(subs[i]);
			subs[i] = NULL;
		} else {
			char filter[TOPIC_SIZE];

			/* Each has nodes of its own, too, so that the edge table grows and shrinks. */
			snprintf(filter, sizeof(filter), "%s", filters[i % COUNT(filters)]);
			if (i % 3 == 0)
				snprintf(filter, sizeof(filter), "stays/x/%u/%u", i, n);
			subs[i] = subscribe(filter, &clients[1 + i % (CLIENTS - 1)], (uint8_t)(i % 3));
		}
		if (n % 64 == 0)
			rcu_quiescent();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++) {
		void *rounds;

		pthread_join(threads[i], &rounds);
		assert_true((unsigned long)rounds > 0);
	}
	for (size_t i = 0; i < COUNT(subs); i++)
		if (subs[i])
			unsubscribe(subs[i]);
	unsubscribe(stays);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(overlapping, set_up, tear_down),
		cmocka_unit_test_setup_teardown(same_node, set_up, tear_down),
		cmocka_unit_test_setup_teardown(options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(retained_expiry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(depth, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_topics, set_up, tear_down),
		cmocka_unit_test_setup_teardown(random_against_model, set_up, tear_down),
		cmocka_unit_test_setup_teardown(readers_and_a_writer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
