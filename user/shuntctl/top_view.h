/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What shuntctl top shows of two looks at the daemon. */
#ifndef SHUNT_TOP_VIEW_H
#define SHUNT_TOP_VIEW_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdio.h>

#include "shuntctl/top.h"

/* Answers of the daemon at one time. */
struct top_look {
	cJSON *stats, *clients, *flows;
};

/* Ask for all three; status as answer_get(). */
int top_look(const char *socket, FILE *complaints, struct top_look *out);
void top_look_free(struct top_look *look);

/* Print what happened between two looks (`before` may be empty: then there are no rates), at most `lines` lines (0: no
 * bound) with at most `limit` topics and clients. 0, or -1 when memory is short. */
int top_view(FILE *f, const struct top_look *before, const struct top_look *now, enum top_key key, size_t limit,
	     size_t lines);

#endif
