// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shuntctl/ask.h"

int answer_get(const char *socket, const char *request, FILE *complaints, cJSON **answer)
{
	const char *error;
	char *text;
	int status = ask(socket, request, complaints, &text);

	if (status != EXIT_DONE)
		return status;
	*answer = cJSON_Parse(text);
	free(text);
	error = answer_string(*answer, "error");
	if (!*answer)
		fprintf(complaints, "shuntctl: the answer of the daemon cannot be read\n");
	else if (*error)
		fprintf(complaints, "shuntctl: %s\n", error);
	else
		return EXIT_DONE;
	cJSON_Delete(*answer);
	*answer = NULL;
	return EXIT_REFUSED;
}

int answer_print(const cJSON *answer)
{
	char *text = cJSON_PrintUnformatted(answer);

	if (text)
		puts(text);
	cJSON_free(text);
	return text ? 0 : -1;
}

const cJSON *answer_find(const cJSON *item, const char *path)
{
	char name[64];

	while (item && *path) {
		size_t len = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		item = cJSON_GetObjectItemCaseSensitive(item, name);
		path += len + (path[len] == '.');
	}
	return item;
}

uint64_t answer_number(const cJSON *item, const char *path)
{
	const cJSON *n = answer_find(item, path);

	return cJSON_IsNumber(n) && n->valuedouble > 0 ? (uint64_t)n->valuedouble : 0;
}

const char *answer_string(const cJSON *item, const char *path)
{
	const char *s = cJSON_GetStringValue(answer_find(item, path));

	return s ? s : "";
}

bool answer_true(const cJSON *item, const char *path)
{
	return cJSON_IsTrue(answer_find(item, path));
}

void format_duration(char out[DURATION_MAX], uint64_t seconds)
{
	if (seconds >= 86400)
		snprintf(out, DURATION_MAX, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400, seconds / 3600 % 24);
	else if (seconds >= 3600)
		snprintf(out, DURATION_MAX, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(out, DURATION_MAX, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
	else
		snprintf(out, DURATION_MAX, "%" PRIu64 " s", seconds);
}

bool answer_is_reason(const cJSON *item)
{
	return cJSON_IsNumber(item) && item->valuedouble > 0 && strcmp(item->string, "total") != 0;
}

uint64_t answer_sum(const cJSON *object)
{
	const cJSON *item;
	uint64_t total = 0;

	cJSON_ArrayForEach(item, object) total += answer_is_reason(item) ? (uint64_t)item->valuedouble : 0;
	return total;
}
