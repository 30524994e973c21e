// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/guard.h"

#include <inttypes.h>
#include <stdio.h>

#include "shuntctl/answer.h"
#include "shuntctl/text_table.h"

static void show_interface(const cJSON *i)
{
	const char *name = answer_string(i, "name"), *mode = answer_string(i, "mode");

	if (answer_true(i, "attached"))
		printf("%-16s on, %s\n", name, *mode == 'n' ? "in the driver" : "in front of the network stack");
	else
		printf("%-16s off: %s\n", name, answer_string(i, "reason"));
}

static int show_dropped(const cJSON *guard)
{
	static const struct text_column columns[] = {{"dropped", false}, {"packets", true}, {"bytes", true}};
	const cJSON *reason, *bytes = answer_find(guard, "dropped_bytes");
	struct text_table t = {.columns = columns, .ncolumns = 3};

	cJSON_ArrayForEach(reason, answer_find(guard, "dropped"))
	{
		text_cell(&t, "%s", reason->string);
		text_cell(&t, "%.0f", reason->valuedouble);
		text_cell(&t, "%" PRIu64, answer_number(bytes, reason->string));
	}
	return text_table_print(&t, stdout);
}

int show_guard(const cJSON *answer)
{
	const cJSON *guard = answer_find(answer, "guard"), *i;
	const char *reason = answer_string(guard, "reason"), *pins = answer_string(guard, "pin_path");

	printf("guard %s%s%s%s%s\n", answer_string(guard, "state"), *reason ? ": " : "", reason,
	       *pins ? ", maps in " : "", pins);
	cJSON_ArrayForEach(i, answer_find(guard, "interfaces"))
	{
		show_interface(i);
	}
	printf("\n%" PRIu64 " packets to the listeners, %" PRIu64 " bytes; %" PRIu64 " packets of guard_allow; %" PRIu64
	       " clients let in at their second try\n\n",
	       answer_number(guard, "packets"), answer_number(guard, "bytes"), answer_number(guard, "allowed"),
	       answer_number(guard, "retried"));
	return show_dropped(guard);
}
