// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

static char names[TOPICS_MAX][TOPIC_LEN_MAX];

int owners(void)
{
	return settings.subscribers - settings.crowd;
}

int topics(void)
{
	return owners() + SHARED_TOPICS + CROWD_TOPICS;
}

bool is_crowd(int topic)
{
	return topic >= owners() + SHARED_TOPICS;
}

const char *topic_name(int topic)
{
	return names[topic];
}

int topic_find(const uint8_t *name, size_t len)
{
	char text[8] = "";
	int topic;

	if (len < 10 || len >= TOPIC_LEN_MAX || memcmp(name, "chaos/", 6) != 0)
		return -1;
	memcpy(text, name + 6, 3);
	topic = (int)strtol(text, NULL, 10);
	if (topic < 0 || topic >= topics() || strlen(names[topic]) != len || memcmp(names[topic], name, len) != 0)
		return -1;
	return topic;
}

/* Of all lengths, some too long for a flow. */
void topics_open(void)
{
	for (int i = 0; i < topics(); i++) {
		const char *kind = i < owners() ? "own" : is_crowd(i) ? "crowd" : "shared";
		int fill = i % 9 == 8 ? 100 + i % 40 : i % 5 * 7;

		snprintf(names[i], TOPIC_LEN_MAX, "chaos/%03d/%s%.*s", i, kind, fill,
			 "/abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/"
			 "abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz");
	}
}
