/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shuntctl top: what goes on, shown anew again and again. */
#ifndef SHUNT_TOP_H
#define SHUNT_TOP_H

#include <stdbool.h>
#include <stdint.h>

/* What is sorted by. */
enum top_key { TOP_RATE, TOP_IN, TOP_OUT, TOP_QUEUED, TOP_DROPPED, TOP_NAME, TOP_KEYS };

/* The key of that name; false: there is none. */
bool top_sort_key(const char *name, enum top_key *key);

#define TOP_LIMIT_BY_ROOM UINT64_MAX
#define TOP_SECONDS_MIN 0.1

struct top_settings {
	const char *socket; /* NULL: the default */
	double seconds;	    /* between two looks */
	uint64_t limit;	    /* topics and clients shown; 0: all; TOP_LIMIT_BY_ROOM */
	uint64_t count;	    /* snapshots to print; 0: go on until interrupted */
	enum top_key key;
};

/* Live on a terminal, or plain snapshots with a count or on anything else. Returns the status to exit with. */
int top(const struct top_settings *settings);

#endif
