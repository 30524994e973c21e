/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Flows with their rates, from two answers of the daemon. */
#ifndef SHUNT_RATES_H
#define SHUNT_RATES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A flow; what it points to belongs to the answer. */
struct flow_row {
	cJSON *item;
	const char *topic, *space, *receiver, *road, *version;
	uint64_t receivers, messages, bytes;
	uint64_t idle_ms; /* UINT64_MAX: never used */
	double rate;	  /* messages a second */
};

/* The flows of the answer `now`, in no order, with the rates since the answer `before` (NULL: all are 0). 0, or -1 when
 * memory is short; the array is to be freed. */
int flow_rows(const cJSON *before, const cJSON *now, struct flow_row **rows, size_t *nrows);

/* The seconds between two answers that say when they were made; more than 0. */
double answer_seconds(const cJSON *before, const cJSON *now);

/* For qsort(): the busiest first; of those as busy, who carried most, who was used last, by topic. */
int flow_row_order(const void *a, const void *b);

#endif
