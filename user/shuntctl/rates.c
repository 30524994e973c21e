// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/rates.h"

#include <stdlib.h>
#include <string.h>

#include "shuntctl/answer.h"

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Is it the same flow, in another answer? */
static int by_key(const void *a, const void *b)
{
	const struct flow_row *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	if (!order)
		order = strcmp(x->road, y->road);
	if (!order)
		order = strcmp(x->version, y->version);
	return order ? order : strcmp(x->space, y->space);
}

int flow_row_order(const void *a, const void *b)
{
	const struct flow_row *x = a, *y = b;

	if (x->rate != y->rate)
		return x->rate < y->rate ? 1 : -1;
	if (x->messages != y->messages)
		return compare(y->messages, x->messages);
	return x->idle_ms != y->idle_ms ? compare(x->idle_ms, y->idle_ms) : by_key(a, b);
}

static struct flow_row row_of(cJSON *item)
{
	return (struct flow_row){
		.item = item,
		.topic = answer_string(item, "topic"),
		.space = answer_string(item, "namespace"),
		.receiver = answer_string(item, "receiver"),
		.road = answer_string(item, "road"),
		.version = answer_string(item, "version"),
		.receivers = answer_number(item, "receivers"),
		.messages = answer_number(item, "messages"),
		.bytes = answer_number(item, "bytes"),
		.idle_ms = answer_find(item, "idle_ms") ? answer_number(item, "idle_ms") : UINT64_MAX,
	};
}

/* The rows of an answer, sorted by key; NULL without memory. */
static struct flow_row *read_rows(const cJSON *answer, size_t *n)
{
	const cJSON *flows = answer_find(answer, "flows");
	struct flow_row *rows = calloc((size_t)cJSON_GetArraySize(flows) + 1, sizeof(*rows));
	cJSON *item;

	*n = 0;
	if (!rows)
		return NULL;
	cJSON_ArrayForEach(item, flows) rows[(*n)++] = row_of(item);
	qsort(rows, *n, sizeof(*rows), by_key);
	return rows;
}

double answer_seconds(const cJSON *before, const cJSON *now)
{
	uint64_t from = answer_number(before, "at_ms"), to = answer_number(now, "at_ms");

	return to > from ? (double)(to - from) / 1000 : 0.001;
}

int flow_rows(const cJSON *before, const cJSON *now, struct flow_row **rows, size_t *nrows)
{
	size_t nold = 0, o = 0;
	struct flow_row *old = read_rows(before, &nold);
	double seconds = answer_seconds(before, now);

	*rows = read_rows(now, nrows);
	if (!old || !*rows) {
		free(old);
		free(*rows);
		*rows = NULL;
		return -1;
	}
	for (size_t i = 0; before && i < *nrows; i++) {
		struct flow_row *row = &(*rows)[i];
		uint64_t earlier = 0;

		while (o < nold && by_key(&old[o], row) < 0)
			o++;
		/* One that has carried less than before was removed in between, and installed anew. */
		if (o < nold && !by_key(&old[o], row) && old[o].messages <= row->messages)
			earlier = old[o].messages;
		row->rate = (double)(row->messages - earlier) / seconds;
	}
	free(old);
	return 0;
}
