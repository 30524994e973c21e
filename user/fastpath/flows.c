// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The flows the daemon has installed, beside the kernel's map of them: by key, by topic, to find the ones a filter touches,
 * and by receiver, to find those of a client that left. One mutex; the kernel reads only its map.
 */
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "fastpath/flow_age.h"
#include "fastpath/flow_index.h"
#include "fastpath/internal.h"

_Static_assert((int)FP_SLOTS == SHUNT_SLOTS_MAX && (int)FP_RECEIVERS_MAX == SHUNT_RECEIVERS_MAX &&
		       (int)FP_SHARE_MAX == SHUNT_SHARE_MEMBERS_MAX,
	       "the broker's numbers");

enum { BUCKETS = 16384 };

/* One receiver of a flow. */
struct way {
	struct flow *flow;
	struct way *next, **prev; /* among the flows to this receiver */
	uint64_t generation;
};

struct flow {
	struct shunt_flow_key key;
	struct flow *next; /* in its bucket */
	struct list own;   /* with a publisher: among its flows */
	struct flow_index_entry *indexed;
	struct flow_age age;
	char receiver[SHUNT_NAME_MAX];
	uint32_t members;     /* several receivers: their list in the kernel's map */
	const uint32_t *turn; /* of a shared flow */
	uint32_t nways;
	struct way way[]; /* one for each receiver */
};

static struct {
	pthread_mutex_t lock;
	struct flow *buckets[BUCKETS];
	struct way *to[SHUNT_SLOTS_MAX];
	struct list own[SHUNT_SLOTS_MAX]; /* flows of one publisher; zero: none yet */
	struct flow_index index;	  /* by topic */
	struct flow_ages ages;
	__u64 count, remote; /* atomic readers */
	__u64 nown;	     /* flows of one publisher */
	__u64 evicted;	     /* atomic readers */
	uint32_t version;    /* grows with every removal; atomic readers */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER,
	   .index.entries = {&table.index.entries, &table.index.entries},
	   .ages.order = {&table.ages.order, &table.ages.order}};

static struct flow **bucket_of(const struct shunt_flow_key *key)
{
	return &table.buckets[hash_bytes(key, sizeof(*key)) % BUCKETS];
}

static struct flow **find(const struct shunt_flow_key *key)
{
	struct flow **at = bucket_of(key);

	while (*at && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

static void make_key(struct shunt_flow_key *key, const struct fp_link *publisher, uint16_t ns, uint8_t form,
		     enum fp_road road, const char *topic, size_t len)
{
	memset(key, 0, sizeof(*key));
	key->ns = ns;
	key->form = form;
	key->road = (uint8_t)road;
	key->publisher = publisher && publisher->alone ? (uint16_t)publisher->slot : 0;
	key->topic_len = (uint16_t)len;
	memcpy(key->topic, topic, len);
}

static uint32_t *known_entry(struct fp_link *publisher, uint64_t hash)
{
	return &publisher->known[hash % (sizeof(publisher->known) / sizeof(publisher->known[0]))];
}

bool fp_is_on(void)
{
	return fp.bpf && fp_switched_on();
}

/* The kernel reads the topic of a PUBLISH of 5.0 with the byte behind it: that there are no properties. */
bool fp_topic_fits(uint8_t form, size_t topic_len)
{
	return topic_len && topic_len + !!form <= SHUNT_TOPIC_MAX;
}

bool fp_flow_wanted(struct fp_link *publisher, const char *topic, size_t topic_len)
{
	uint64_t hash;

	if (publisher->road == FP_ROAD_NONE || !fp_topic_fits(0, topic_len) || !fp_is_on())
		return false;
	if (publisher->known_version != __atomic_load_n(&table.version, __ATOMIC_ACQUIRE))
		return true;
	hash = hash_bytes(topic, topic_len);
	return *known_entry(publisher, hash) != (uint32_t)(hash >> 32 | 1);
}

/* So that a publisher whose messages come to the daemon in spite of a flow does not ask for it each time. */
static void remember(struct fp_link *publisher, const char *topic, size_t len, uint32_t version)
{
	uint64_t hash = hash_bytes(topic, len);

	if (publisher->known_version != version) {
		memset(publisher->known, 0, sizeof(publisher->known));
		publisher->known_version = version;
	}
	*known_entry(publisher, hash) = (uint32_t)(hash >> 32 | 1);
}

static void link_ways(struct flow *flow, const struct fp_receiver *to)
{
	for (uint32_t i = 0; i < flow->nways; i++) {
		struct way *way = &flow->way[i], **first = &table.to[to[i].slot];

		*way = (struct way){.flow = flow, .next = *first, .prev = first, .generation = to[i].generation};
		if (way->next)
			way->next->prev = &way->next;
		*first = way;
	}
}

static void unlink_ways(struct flow *flow)
{
	for (uint32_t i = 0; i < flow->nways; i++) {
		struct way *way = &flow->way[i];

		*way->prev = way->next;
		if (way->next)
			way->next->prev = way->prev;
	}
}

static void count(const struct flow *flow, int by)
{
	__atomic_add_fetch(&table.count, (uint64_t)by, __ATOMIC_RELAXED);
	if (flow->key.road == SHUNT_ROAD_REMOTE)
		__atomic_add_fetch(&table.remote, (uint64_t)by, __ATOMIC_RELAXED);
	if (flow->key.publisher)
		table.nown += (uint64_t)by;
}

static void link_own(struct flow *flow)
{
	struct list *all = &table.own[flow->key.publisher];

	if (!all->next)
		list_init(all);
	list_push(all, &flow->own);
}

/* Takes the flow at `at` out of the map and the table; `at` then points to the next one. */
static void remove_at(struct flow **at)
{
	struct flow *flow = *at;

	assert(flow);
	bpf_map_delete_elem(fp.flows_fd, &flow->key);
	__atomic_add_fetch(&table.version, 1, __ATOMIC_RELEASE);
	*at = flow->next;
	unlink_ways(flow);
	if (flow->key.publisher)
		list_del(&flow->own);
	fp_members_free(flow->members);
	flow_index_remove(&table.index, flow->indexed);
	flow_ages_remove(&flow->age);
	count(flow, -1);
	free(flow);
}

static int put_into_map(struct flow *flow, const struct fp_receiver *to, size_t n, const uint32_t *turn)
{
	static uint64_t last_id;
	struct shunt_flow value = {.id = ++last_id, .receivers = (uint32_t)n};

	for (size_t i = 0; i < n; i++)
		value.other_form |= to[i].form != flow->key.form;
	if (turn)
		value.shared = (uint16_t)(turn - fp.turns + 1);
	if (n > 1 || value.other_form || turn) {
		flow->members = fp_members_alloc(value.id, to, n, turn != NULL);
		if (!flow->members)
			return -ENOSPC;
		value.members = flow->members;
	} else {
		value.generation = to->generation;
		value.isn_pair = to->isn_pair;
		value.slot = to->slot;
	}
	memcpy(value.receiver, flow->receiver, sizeof(value.receiver));
	return bpf_map_update_elem(fp.flows_fd, &flow->key, &value, BPF_ANY) ? -errno : 0;
}

/* A generation is never used twice, so it says which connection. */
static bool leads_to(const struct flow *flow, const struct fp_receiver *to, size_t n, const uint32_t *turn)
{
	if (flow->nways != n || flow->turn != turn)
		return false;
	for (size_t i = 0; i < n; i++)
		if (flow->way[i].generation != to[i].generation)
			return false;
	return true;
}

static uint64_t last_use(const struct flow_age *age)
{
	struct shunt_flow value = {0};

	bpf_map_lookup_elem(fp.flows_fd, &container_of(age, struct flow, age)->key, &value);
	return value.last_ns;
}

/* When there are as many flows as there may be one of them goes. 0 or -ENOSPC. */
static int make_room(void)
{
	struct flow_age *age;

	if (table.count < fp.flows_max)
		return 0;
	age = flow_ages_victim(&table.ages, clock_ns(), last_use);
	if (!age)
		return -ENOSPC;
	remove_at(find(&container_of(age, struct flow, age)->key));
	__atomic_add_fetch(&table.evicted, 1, __ATOMIC_RELAXED);
	return 0;
}

static struct flow *new_flow(const struct shunt_flow_key *key, size_t n)
{
	struct flow *flow = calloc(1, sizeof(*flow) + n * sizeof(flow->way[0]));

	if (!flow)
		return NULL;
	flow->key = *key;
	flow->nways = (uint32_t)n;
	flow->indexed = flow_index_add(
		&table.index, (struct mqtt_str){.data = (const uint8_t *)flow->key.topic, .len = key->topic_len}, flow);
	if (!flow->indexed) {
		free(flow);
		return NULL;
	}
	flow_ages_add(&table.ages, &flow->age, clock_ns());
	return flow;
}

static int install(const struct shunt_flow_key *key, const struct fp_receiver *to, size_t n, const uint32_t *turn,
		   const char *receiver_id)
{
	struct flow **at = find(key), *flow;
	int error;

	/* Another publisher of the same topic may have had it installed, perhaps for earlier receivers. */
	if (*at && leads_to(*at, to, n, turn))
		return 0;
	if (*at)
		remove_at(at);
	error = make_room();
	if (error)
		return error;
	flow = new_flow(key, n);
	if (!flow)
		return -ENOMEM;
	strncpy(flow->receiver, receiver_id, sizeof(flow->receiver) - 1);
	at = bucket_of(key);
	flow->next = *at;
	*at = flow;
	count(flow, 1);
	link_ways(flow, to);
	if (key->publisher)
		link_own(flow);
	flow->turn = turn;
	error = put_into_map(flow, to, n, turn);
	if (error)
		remove_at(at);
	return error;
}

size_t fp_receivers_max(enum fp_road road)
{
	return road == FP_ROAD_NONE ? 0 : road == FP_ROAD_LOCAL && fp.many ? SHUNT_RECEIVERS_MAX : 1;
}

bool fp_forms_mix(enum fp_road road)
{
	return road == FP_ROAD_LOCAL && fp.many;
}

static bool all_fit(const struct fp_receiver *to, size_t n, uint8_t form)
{
	for (size_t i = 0; i < n; i++)
		if (to[i].road != to->road || !to[i].generation || !to[i].slot ||
		    (to[i].form != form && !fp_forms_mix(to->road)))
			return false;
	return n && n <= fp_receivers_max(to->road);
}

/* Those of the publisher's form first: that is what the kernel's lists look like. */
static void sort_by_form(struct fp_receiver *to, size_t n, uint8_t form)
{
	size_t sorted = 0;

	for (size_t i = 0; i < n; i++) {
		struct fp_receiver r = to[i];

		if (r.form == form) {
			to[i] = to[sorted];
			to[sorted++] = r;
		}
	}
}

int fp_flow_install(struct fp_link *publisher, uint16_t ns, uint8_t form, const char *topic, size_t topic_len,
		    struct fp_receiver *to, size_t n, uint32_t *turn, const char *receiver_id)
{
	struct shunt_flow_key key;
	uint32_t version;
	int error;

	if (!fp.bpf || topic_len > SHUNT_TOPIC_MAX)
		return -ENOTSUP;
	if (!all_fit(to, n, form) || (turn && n > FP_SHARE_MAX))
		return -EINVAL;
	if (!turn)
		sort_by_form(to, n, form);
	make_key(&key, publisher, ns, form, to->road, topic, topic_len);
	pthread_mutex_lock(&table.lock);
	error = install(&key, to, n, turn, receiver_id);
	version = table.version;
	pthread_mutex_unlock(&table.lock);
	if (error)
		return error;
	if (publisher)
		remember(publisher, topic, topic_len, version);
	if (to->road == FP_ROAD_REMOTE)
		fp_heartbeat(0);
	return 0;
}

static void invalidate_exact(uint16_t ns, const char *topic, size_t len)
{
	struct shunt_flow_key key;

	if (len > SHUNT_TOPIC_MAX)
		return;
	for (unsigned form = 0; form < 2; form++) {
		for (unsigned road = FP_ROAD_LOCAL; road <= FP_ROAD_REMOTE; road++) {
			struct flow **at;

			make_key(&key, NULL, ns, (uint8_t)form, (enum fp_road)road, topic, len);
			at = find(&key);
			if (*at)
				remove_at(at);
		}
	}
}

static void invalidate_matching(uint16_t ns, struct mqtt_str filter)
{
	struct list found, *l;

	list_init(&found);
	flow_index_match(&table.index, filter, &found);
	while ((l = list_pop(&found))) {
		const struct flow *flow = container_of(l, struct flow_index_entry, found)->owner;

		if (flow->key.ns == ns)
			remove_at(find(&flow->key));
	}
}

void fp_flow_invalidate(uint16_t ns, const char *filter, size_t filter_len)
{
	if (!fp.bpf || !load64(&table.count))
		return;
	pthread_mutex_lock(&table.lock);
	if (table.nown || memchr(filter, '+', filter_len) || memchr(filter, '#', filter_len))
		invalidate_matching(ns,
				    (struct mqtt_str){.data = (const uint8_t *)filter, .len = (uint32_t)filter_len});
	else
		invalidate_exact(ns, filter, filter_len);
	pthread_mutex_unlock(&table.lock);
}

void fp_flow_remove_receiver(uint32_t slot)
{
	if (!fp.bpf || !slot || slot >= SHUNT_SLOTS_MAX)
		return;
	pthread_mutex_lock(&table.lock);
	while (table.to[slot])
		remove_at(find(&table.to[slot]->flow->key));
	pthread_mutex_unlock(&table.lock);
}

void fp_flows_forget(uint32_t slot)
{
	struct list *all = &table.own[slot];

	pthread_mutex_lock(&table.lock);
	while (all->next && !list_empty(all))
		remove_at(find(&container_of(all->next, struct flow, own)->key));
	pthread_mutex_unlock(&table.lock);
}

static void describe(const struct flow *flow, struct fp_flow_info *info)
{
	struct shunt_flow value = {0};

	bpf_map_lookup_elem(fp.flows_fd, &flow->key, &value);
	*info = (struct fp_flow_info){
		.ns = flow->key.ns,
		.form = flow->key.form,
		.road = (enum fp_road)flow->key.road,
		.receivers = flow->nways,
		.messages = value.messages,
		.bytes = value.bytes,
		.last_ns = value.last_ns,
	};
	memcpy(info->topic, flow->key.topic, flow->key.topic_len);
	memcpy(info->receiver, flow->receiver, sizeof(info->receiver));
	if (flow->key.publisher)
		snprintf(info->publisher, sizeof(info->publisher), "%s", fp_slot(flow->key.publisher)->name);
}

bool fp_flow_find(const struct fp_link *publisher, uint16_t ns, uint8_t form, enum fp_road road, const char *topic,
		  size_t topic_len, struct fp_flow_info *out)
{
	struct shunt_flow_key key;
	const struct flow *flow;

	if (!fp.bpf || topic_len > SHUNT_TOPIC_MAX)
		return false;
	make_key(&key, publisher, ns, form, road, topic, topic_len);
	pthread_mutex_lock(&table.lock);
	flow = *find(&key);
	if (flow)
		describe(flow, out);
	pthread_mutex_unlock(&table.lock);
	return flow;
}

int fp_flow_each(int (*each)(const struct fp_flow_info *, void *), void *arg)
{
	struct fp_flow_info info;
	int result = 0;

	if (!fp.bpf)
		return 0;
	for (unsigned i = 0; i < BUCKETS && !result; i++) {
		/* Not the whole table at once: subscribers would wait. A flow never changes its bucket. */
		pthread_mutex_lock(&table.lock);
		for (const struct flow *flow = table.buckets[i]; flow && !result; flow = flow->next) {
			describe(flow, &info);
			result = each(&info, arg);
		}
		pthread_mutex_unlock(&table.lock);
	}
	return result;
}

uint64_t fp_flows_count(void)
{
	return load64(&table.count);
}

uint64_t fp_flows_evicted(void)
{
	return load64(&table.evicted);
}

bool fp_wants_heartbeat(void)
{
	return load64(&table.remote) != 0;
}

void fp_heartbeat(unsigned worker)
{
	(void)worker;
	if (fp.bpf)
		__atomic_store_n(&fp.control->heartbeat_ns, clock_ns(), __ATOMIC_RELEASE);
}

void fp_flows_clear(void)
{
	pthread_mutex_lock(&table.lock);
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (table.buckets[i])
			remove_at(&table.buckets[i]);
	}
	flow_index_free(&table.index);
	pthread_mutex_unlock(&table.lock);
	if (fp.bpf)
		fp_grace_wait();
}
