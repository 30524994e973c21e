/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Prints --help and the manual page from the tables of options.c. */
#ifndef SHUNT_BENCH_MANUAL_H
#define SHUNT_BENCH_MANUAL_H

#include <stddef.h>

#include "shunt-bench/options.h"

enum option_type {
	OPTION_STRING,	/* const char * */
	OPTION_COUNT,	/* uint64_t from min to max */
	OPTION_DECIMAL, /* double from min to max */
	OPTION_FLAG,	/* bool, no argument */
	OPTION_HELP,
	OPTION_MAN,
};

struct option_info {
	const char *name;
	enum option_type type;
	size_t member;		/* offset in struct options */
	double min, max;	/* of numbers */
	const char *argument;	/* what its argument is called */
	const char *help;	/* sentences */
	const char *value;	/* default, as the user would write it; or NULL */
	const char *otherwise;	/* without a value: what holds instead, in words; or NULL */
};

struct manual {
	const struct option_info *options;
	size_t noptions;
	const struct bench_case *cases;
	size_t ncases;
};

/* To stdout. */
void manual_print_help(const struct manual *m);
void manual_print_page(const struct manual *m);

#endif
