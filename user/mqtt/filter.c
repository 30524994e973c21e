// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "mqtt/filter.h"

#include "mqtt/topic.h"

/* Names that begin with '$' are not for filters that begin with a wildcard [MQTT-4.7.2-1]. */
static bool hidden(struct mqtt_str filter, struct mqtt_str other)
{
	return (filter.data[0] == '+' || filter.data[0] == '#') && other.data[0] == '$';
}

bool filter_covers(struct mqtt_str outer, struct mqtt_str inner)
{
	struct topic_levels outer_it = topic_levels(outer), inner_it = topic_levels(inner);
	struct mqtt_str want, level;

	if (hidden(outer, inner))
		return false;
	while (topic_next_level(&outer_it, &want)) {
		if (topic_level_is(want, '#'))
			return true;
		if (!topic_next_level(&inner_it, &level))
			return false;
		if (topic_level_is(level, '#')) {
			/* It has the name above itself, too, which only '#' has. But nothing is above "#" and "/#", as
			 * no name is empty [MQTT-4.7.3-1]: they are "+/#" and "/+/#". */
			return inner.len <= 2 && topic_level_is(want, '+') && topic_next_level(&outer_it, &want) &&
			       topic_level_is(want, '#');
		}
		if (!topic_level_is(want, '+') && !mqtt_str_eq(want, level))
			return false;
	}
	return inner_it.done;
}

/* A filter that is written. */
struct written {
	uint8_t *out; /* NULL: only its length is wanted */
	uint32_t len;
	bool begun;
};

static void append(struct written *w, struct mqtt_str levels)
{
	if (w->begun && w->out)
		w->out[w->len] = '/';
	w->len += w->begun;
	w->begun = true;
	if (w->out && levels.len)
		memcpy(w->out + w->len, levels.data, levels.len);
	w->len += levels.len;
}

/* The levels from `level` on to the end of its filter. */
static struct mqtt_str rest_from(struct mqtt_str filter, struct mqtt_str level)
{
	return (struct mqtt_str){.data = level.data, .len = filter.len - (uint32_t)(level.data - filter.data)};
}

uint32_t filter_intersection(struct mqtt_str a, struct mqtt_str b, uint8_t *out)
{
	struct topic_levels a_it = topic_levels(a), b_it = topic_levels(b);
	struct written w = {.out = out};
	struct mqtt_str a_level, b_level;
	bool a_more, b_more, plus;

	if (hidden(a, b) || hidden(b, a))
		return 0;
	for (;;) {
		a_more = topic_next_level(&a_it, &a_level);
		b_more = topic_next_level(&b_it, &b_level);
		if (a_more && topic_level_is(a_level, '#')) {
			if (b_more)
				append(&w, rest_from(b, b_level));
			return w.len;
		}
		if (b_more && topic_level_is(b_level, '#')) {
			if (a_more)
				append(&w, rest_from(a, a_level));
			return w.len;
		}
		if (a_more != b_more)
			return 0;
		if (!a_more)
			return w.len;
		plus = topic_level_is(a_level, '+');
		if (!plus && !topic_level_is(b_level, '+') && !mqtt_str_eq(a_level, b_level))
			return 0;
		append(&w, plus ? b_level : a_level);
	}
}
