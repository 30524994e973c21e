// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The flows the daemon has installed, beside the kernel's map of them: by key, to find the ones a filter touches, and by
 * receiver, to find those of a client that left. One mutex; the kernel reads only its map.
 */
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "fastpath/internal.h"
#include "mqtt/topic.h"

enum { BUCKETS = 16384 };

struct flow {
	struct shunt_flow_key key;
	struct flow *next;		 /* in its bucket */
	struct flow *next_to, **prev_to; /* among the flows to one receiver */
	uint32_t slot;
	char receiver[SHUNT_NAME_MAX];
};

static struct {
	pthread_mutex_t lock;
	struct flow *buckets[BUCKETS];
	struct flow *to[SHUNT_SLOTS_MAX];
	__u64 count, remote; /* atomic readers */
	uint32_t version;    /* grows with every removal; atomic readers */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

static void make_key(struct shunt_flow_key *key, uint16_t ns, uint8_t form, enum fp_road road, const char *topic,
		     size_t len)
{
	memset(key, 0, sizeof(*key));
	key->ns = ns;
	key->form = form;
	key->road = (uint8_t)road;
	key->topic_len = (uint32_t)len;
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

static void link_to(struct flow *flow, uint32_t slot)
{
	flow->slot = slot;
	flow->next_to = table.to[slot];
	flow->prev_to = &table.to[slot];
	if (flow->next_to)
		flow->next_to->prev_to = &flow->next_to;
	table.to[slot] = flow;
}

static void unlink_to(struct flow *flow)
{
	*flow->prev_to = flow->next_to;
	if (flow->next_to)
		flow->next_to->prev_to = flow->prev_to;
}

static void count(const struct flow *flow, int by)
{
	__atomic_add_fetch(&table.count, (uint64_t)by, __ATOMIC_RELAXED);
	if (flow->key.road == SHUNT_ROAD_REMOTE)
		__atomic_add_fetch(&table.remote, (uint64_t)by, __ATOMIC_RELAXED);
}

/* Takes the flow at `at` out of the map and the table; `at` then points to the next one. */
static void remove_at(struct flow **at)
{
	struct flow *flow = *at;

	assert(flow);
	bpf_map_delete_elem(fp.flows_fd, &flow->key);
	__atomic_add_fetch(&table.version, 1, __ATOMIC_RELEASE);
	*at = flow->next;
	unlink_to(flow);
	count(flow, -1);
	free(flow);
}

static int put_into_map(struct flow *flow, const struct fp_receiver *to, uint64_t flags)
{
	struct shunt_flow value = {.generation = to->generation, .isn_pair = to->isn_pair, .slot = to->slot};

	memcpy(value.receiver, flow->receiver, sizeof(value.receiver));
	return bpf_map_update_elem(fp.flows_fd, &flow->key, &value, flags) ? -errno : 0;
}

static int install(const struct shunt_flow_key *key, const struct fp_receiver *to, const char *receiver_id)
{
	struct flow **at = find(key), *flow = *at;
	int error;

	if (flow) { /* another publisher of the same topic had it installed, perhaps for an earlier receiver */
		unlink_to(flow);
	} else {
		flow = calloc(1, sizeof(*flow));
		if (!flow)
			return -ENOMEM;
		flow->key = *key;
		*at = flow;
		count(flow, 1);
	}
	memset(flow->receiver, 0, sizeof(flow->receiver));
	strncpy(flow->receiver, receiver_id, sizeof(flow->receiver) - 1);
	link_to(flow, to->slot);
	error = put_into_map(flow, to, BPF_ANY);
	if (error)
		remove_at(at);
	return error;
}

int fp_flow_install(struct fp_link *publisher, uint16_t ns, uint8_t form, const char *topic, size_t topic_len,
		    const struct fp_receiver *to, const char *receiver_id)
{
	struct shunt_flow_key key;
	uint32_t version;
	int error;

	if (!fp.bpf || topic_len > SHUNT_TOPIC_MAX)
		return -ENOTSUP;
	if (to->road == FP_ROAD_NONE || to->form != form || !to->generation || !to->slot)
		return -EINVAL;
	make_key(&key, ns, form, to->road, topic, topic_len);
	pthread_mutex_lock(&table.lock);
	version = table.version;
	error = install(&key, to, receiver_id);
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

			make_key(&key, ns, (uint8_t)form, (enum fp_road)road, topic, len);
			at = find(&key);
			if (*at)
				remove_at(at);
		}
	}
}

static void invalidate_wildcard(uint16_t ns, struct mqtt_str filter)
{
	for (unsigned i = 0; i < BUCKETS && table.count; i++) {
		struct flow **at = &table.buckets[i];

		while (*at) {
			const struct shunt_flow_key *key = &(*at)->key;
			struct mqtt_str topic = {.data = (const uint8_t *)key->topic, .len = key->topic_len};

			if (key->ns == ns && topic_matches(filter, topic))
				remove_at(at);
			else
				at = &(*at)->next;
		}
	}
}

void fp_flow_invalidate(uint16_t ns, const char *filter, size_t filter_len)
{
	if (!fp.bpf || !load64(&table.count))
		return;
	pthread_mutex_lock(&table.lock);
	if (memchr(filter, '+', filter_len) || memchr(filter, '#', filter_len))
		invalidate_wildcard(ns,
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
		remove_at(find(&table.to[slot]->key));
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
		.messages = value.messages,
		.bytes = value.bytes,
		.last_ns = value.last_ns,
	};
	memcpy(info->topic, flow->key.topic, flow->key.topic_len);
	memcpy(info->receiver, flow->receiver, sizeof(info->receiver));
}

int fp_flow_each(int (*each)(const struct fp_flow_info *, void *), void *arg)
{
	struct fp_flow_info info;
	int result = 0;

	if (!fp.bpf)
		return 0;
	pthread_mutex_lock(&table.lock);
	for (unsigned i = 0; i < BUCKETS && !result; i++) {
		for (const struct flow *flow = table.buckets[i]; flow && !result; flow = flow->next) {
			describe(flow, &info);
			result = each(&info, arg);
		}
	}
	pthread_mutex_unlock(&table.lock);
	return result;
}

uint64_t fp_flows_count(void)
{
	return load64(&table.count);
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
	pthread_mutex_unlock(&table.lock);
}
