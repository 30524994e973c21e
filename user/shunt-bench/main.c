// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* shunt-bench: a load generator for MQTT brokers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "shunt-bench/options.h"
#include "shunt-bench/plan.h"
#include "shunt-bench/result.h"
#include "shunt-bench/run.h"
#include "shunt-bench/storm.h"

/* Told to the user in manual.c. */
enum status {
	STATUS_OK = 0,
	STATUS_DAMAGED = 1,
	STATUS_USAGE = 2,
	STATUS_BROKEN = 3,
};

enum { OTHER_FILES = 64 };

static bool allow_open_files(const struct options *o)
{
	rlim_t needed = o->publishers + o->subscribers + o->connections + 2 * o->threads + OTHER_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
		limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= needed)
		return true;
	fprintf(stderr, "shunt-bench: %llu open files are needed, the limit is %llu\n", (unsigned long long)needed,
		(unsigned long long)limit.rlim_cur);
	return false;
}

static enum status run(const struct plan *plan)
{
	struct result *result = calloc(1, sizeof(*result));
	enum status status = STATUS_BROKEN;

	if (result && run_execute(plan, result) == 0) {
		(plan->options->json ? result_print_json : result_print_text)(result, plan, stdout);
		if (result_damaged(result))
			status = STATUS_DAMAGED;
		else if (!result_broken(result))
			status = STATUS_OK;
	}
	free(result);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct plan plan;
	enum status status;
	uint16_t tag;
	int err;

	switch (options_parse(&options, argc, argv)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_DONE:
		return STATUS_OK;
	case OPTIONS_BAD:
		return STATUS_USAGE;
	}
	if (!allow_open_files(&options))
		return STATUS_BROKEN;
	if (options.load->connections)
		return storm_run(&options) ? STATUS_BROKEN : STATUS_OK;
	if (getrandom(&tag, sizeof(tag), 0) != sizeof(tag)) {
		perror("shunt-bench: getrandom");
		return STATUS_BROKEN;
	}
	err = plan_init(&plan, &options, tag);
	if (err) {
		fprintf(stderr, "shunt-bench: %s\n", strerror(-err));
		return STATUS_BROKEN;
	}
	status = run(&plan);
	plan_free(&plan);
	return status;
}
