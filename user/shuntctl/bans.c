// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/bans.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "shuntctl/answer.h"
#include "shuntctl/text_table.h"

static const char *const kinds[] = {"address", "client", "user"};

bool bans_duration(const char *text, uint64_t *seconds)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}};
	size_t len = strspn(text, "0123456789");
	char number[16] = "";
	uint64_t n;

	if (len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	if (number_parse(number, 1000000000, &n) || !n)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + len, units[i].unit) != 0)
			continue;
		*seconds = n * units[i].seconds;
		return true;
	}
	return false;
}

static const char *kind_of(const cJSON *ban)
{
	size_t i = 0;

	while (i + 1 < sizeof(kinds) / sizeof(kinds[0]) && !answer_find(ban, kinds[i]))
		i++;
	return kinds[i];
}

/* "3 min 5 s", or what stands for no end. */
static const char *rest_of(const cJSON *ban, char text[DURATION_MAX])
{
	snprintf(text, DURATION_MAX, "until it is lifted");
	if (answer_find(ban, "seconds"))
		format_duration(text, answer_number(ban, "seconds"));
	return text;
}

int show_ban(const cJSON *answer)
{
	const cJSON *ban = cJSON_GetArrayItem(answer_find(answer, "banned"), 0);
	const char *space = answer_string(ban, "namespace");
	char rest[DURATION_MAX];

	return text_line(stdout, "Banned %s %s%s%s %s%s.", kind_of(ban), IN_NAMESPACE(space),
			 answer_string(ban, kind_of(ban)), answer_find(ban, "seconds") ? "for " : "",
			 rest_of(ban, rest));
}

int show_unban(const cJSON *answer)
{
	(void)answer;
	puts("The ban is lifted.");
	return 0;
}

int show_bans(const cJSON *answer)
{
	static const struct text_column columns[] = {
		{"banned", false}, {"", false}, {"for", false}, {"since", false}, {"reason", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};
	char time[DURATION_MAX];
	const cJSON *ban;

	cJSON_ArrayForEach(ban, answer_find(answer, "bans"))
	{
		const char *space = answer_string(ban, "namespace");

		text_cell(&t, "%s", kind_of(ban));
		text_cell(&t, "%s%s%s", IN_NAMESPACE(space), answer_string(ban, kind_of(ban)));
		text_cell(&t, "%s", rest_of(ban, time));
		format_duration(time, answer_number(ban, "age_seconds"));
		text_cell(&t, "%s", time);
		text_cell(&t, "%s", answer_string(ban, "reason"));
	}
	return text_table_print(&t, stdout);
}
