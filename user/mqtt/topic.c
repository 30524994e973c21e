// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "mqtt/topic.h"

#include "mqtt/utf8.h"

static bool has_byte(struct mqtt_str s, char c)
{
	return s.len && memchr(s.data, c, s.len);
}

static bool has_wildcard(struct mqtt_str s)
{
	return has_byte(s, '+') || has_byte(s, '#');
}

/* What names and filters have in common. */
static bool topic_valid(struct mqtt_str topic)
{
	return topic.len >= 1 && topic.len <= TOPIC_LEN_MAX && utf8_valid(topic.data, topic.len);
}

bool topic_name_valid(struct mqtt_str name)
{
	return topic_valid(name) && !has_wildcard(name);
}

bool topic_filter_valid(struct mqtt_str filter)
{
	struct topic_levels it = topic_levels(filter);
	struct mqtt_str level;

	if (!topic_valid(filter))
		return false;
	while (topic_next_level(&it, &level)) {
		if (topic_level_is(level, '#'))
			return it.done;
		if (has_wildcard(level) && !topic_level_is(level, '+'))
			return false;
	}
	return true;
}

bool topic_matches(struct mqtt_str filter, struct mqtt_str name)
{
	struct topic_levels filter_it = topic_levels(filter), name_it = topic_levels(name);
	struct mqtt_str want, level;
	bool more;

	if (name.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#'))
		return false;
	while (topic_next_level(&filter_it, &want)) {
		more = topic_next_level(&name_it, &level);
		if (topic_level_is(want, '#'))
			return true; /* the parent level, too: "a/#" matches "a" */
		if (!more || (!topic_level_is(want, '+') && !mqtt_str_eq(want, level)))
			return false;
	}
	return name_it.done;
}

int topic_share(struct mqtt_str filter, struct mqtt_str *name, struct mqtt_str *inner)
{
	static const char prefix[] = "$share/";
	const uint32_t prefix_len = sizeof(prefix) - 1;
	struct topic_levels it;

	if (filter.len < prefix_len || memcmp(filter.data, prefix, prefix_len) != 0)
		return 0;
	it = topic_levels((struct mqtt_str){.data = filter.data + prefix_len, .len = filter.len - prefix_len});
	topic_next_level(&it, name);
	*inner = it.rest;
	return it.done || !name->len || has_wildcard(*name) || !inner->len ? -1 : 1;
}

uint32_t topic_depth(struct mqtt_str topic)
{
	struct topic_levels it = topic_levels(topic);
	struct mqtt_str level;
	uint32_t n = 0;

	while (topic_next_level(&it, &level))
		n++;
	return n;
}
