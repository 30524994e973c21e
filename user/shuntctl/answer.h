/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the daemon answers, taken apart: values by a path of names with dots between them, as "fastpath.local.forwarded".
 * A value that is not there is 0, "" or false. */
#ifndef SHUNT_ANSWER_H
#define SHUNT_ANSWER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Send the request to the daemon at `socket` (NULL: by default) and parse what it answers, to be deleted by the caller.
 * EXIT_DONE, or another status after saying to `complaints` what is wrong, be it what the daemon says. */
int answer_get(const char *socket, const char *request, FILE *complaints, cJSON **answer);

/* Print it as one line of JSON. 0, or -1 when memory is short. */
int answer_print(const cJSON *answer);

/* NULL if it is not there. */
const cJSON *answer_find(const cJSON *item, const char *path);
uint64_t answer_number(const cJSON *item, const char *path);
const char *answer_string(const cJSON *item, const char *path);
/* What stands in front of the name of a client, so that it is called as in the log: for "%s%s". */
#define IN_NAMESPACE(space) (space), *(space) ? "/" : ""
bool answer_true(const cJSON *item, const char *path);

/* In an object of numbers by reason: is this one of them and not zero? And their sum. The object may hold their total
 * as well, which is no reason. */
bool answer_is_reason(const cJSON *item);
uint64_t answer_sum(const cJSON *object);

enum { DURATION_MAX = 64 };
/* "3 d 4 h", "59 s": the two largest units that are not zero at the front. */
void format_duration(char out[DURATION_MAX], uint64_t seconds);

#endif
