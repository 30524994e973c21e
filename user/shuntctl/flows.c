// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/flows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shuntctl/answer.h"
#include "shuntctl/ask.h"
#include "shuntctl/rates.h"
#include "shuntctl/text_table.h"

static const char request[] = "{\"command\":\"flows\"}";

void wait_seconds(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds};

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static int show(const struct flow_row *rows, size_t n, size_t all, bool measured)
{
	static const struct text_column columns[] = {
		{"topic", false}, {"receiver", false}, {"road", false}, {"MQTT", false},
		{"rate", true},	  {"messages", true},  {"bytes", true}, {"last used", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};
	char age[DURATION_MAX];
	int err;

	for (size_t i = 0; i < n; i++) {
		const struct flow_row *r = &rows[i];

		format_duration(age, r->idle_ms / 1000);
		text_cell(&t, "%s", r->topic);
		if (r->receivers > 1)
			text_cell(&t, "%s%s%s and %" PRIu64 " more", IN_NAMESPACE(r->space), r->receiver,
				  r->receivers - 1);
		else
			text_cell(&t, "%s%s%s", IN_NAMESPACE(r->space), r->receiver);
		text_cell(&t, "%s", r->road);
		text_cell(&t, "%s", r->version);
		if (measured)
			text_cell(&t, "%.*f/s", r->rate < 10, r->rate);
		else
			text_cell(&t, "-");
		text_cell(&t, "%" PRIu64, r->messages);
		text_cell(&t, "%" PRIu64, r->bytes);
		text_cell(&t, r->idle_ms == UINT64_MAX ? "never" : "%s ago", age);
	}
	err = text_table_print(&t, stdout);
	if (n < all)
		printf("and %zu more; --limit 0 lists them all\n", all - n);
	return err;
}

static int show_json(const struct flow_row *rows, size_t n, size_t all, bool measured)
{
	cJSON *answer = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(answer, "flows");
	bool failed = !list || !cJSON_AddNumberToObject(answer, "total", (double)all);

	for (size_t i = 0; i < n && !failed; i++) {
		double rounded = (double)(uint64_t)(rows[i].rate * 10 + 0.5) / 10;

		if (measured)
			failed = !cJSON_AddNumberToObject(rows[i].item, "rate", rounded);
		failed |= !cJSON_AddItemReferenceToArray(list, rows[i].item);
	}
	failed = failed || answer_print(answer);
	cJSON_Delete(answer);
	return failed ? -1 : 0;
}

int flows_list(const char *socket, bool json, double seconds, uint64_t limit)
{
	cJSON *before = NULL, *now = NULL;
	struct flow_row *rows = NULL;
	bool measured = seconds > 0;
	int status = EXIT_DONE;
	size_t n, all;

	if (measured) {
		status = answer_get(socket, request, stderr, &before);
		if (status == EXIT_DONE)
			wait_seconds(seconds);
	}
	if (status == EXIT_DONE)
		status = answer_get(socket, request, stderr, &now);
	if (status == EXIT_DONE) {
		bool failed = flow_rows(before, now, &rows, &all);

		if (!failed) {
			qsort(rows, all, sizeof(*rows), flow_row_order);
			n = limit && limit < all ? limit : all;
			failed = json ? show_json(rows, n, all, measured) : show(rows, n, all, measured);
		}
		if (failed) {
			fprintf(stderr, "shuntctl: out of memory\n");
			status = EXIT_REFUSED;
		}
	}
	free(rows);
	cJSON_Delete(before);
	cJSON_Delete(now);
	return status;
}
