/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The command line of a tool: one table of options drives the parser, --help and the manual page. Texts are as in
 * base/document.h. Main thread only (getopt_long(3) is underneath).
 */
#ifndef SHUNT_CLI_H
#define SHUNT_CLI_H

#include <stddef.h>
#include <stdio.h>

struct cli_option {
	char letter;	      /* 0: none */
	const char *name;     /* long name without dashes; NULL: none */
	const char *argument; /* what --help calls it; NULL: the option takes none */
	const char *help;
};

/* A word that is not an option, and what it does; for tools that have such. */
struct cli_command {
	const char *name;
	const char *argument; /* NULL: none */
	const char *help;
};

struct cli {
	const char *tool;
	const char *section;	     /* of the manual */
	const char *summary;	     /* the NAME line of the manual page: no capital, no full stop */
	const char *const *synopsis; /* what follows the tool's name, each a form of use; NULL at the end */
	const char *description;
	const struct cli_option *options;
	size_t noptions;
	const struct cli_command *commands;
	size_t ncommands;
};

enum {
	CLI_END = -1,	/* no more options: optind is the first word that is none */
	CLI_WRONG = -2, /* an unknown option or a missing argument; said on stderr */
};

/* The next option: its index in the table, with *argument its argument or NULL; or one of the above. */
int cli_next(const struct cli *cli, int argc, char **argv, const char **argument);

/* Say on stderr what is wrong with the command line, and how to get help. Returns 2, the status to exit with. */
int cli_usage_error(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print the synopsis, commands and options as --help does. */
void cli_help(FILE *f, const struct cli *cli);

/* Print the manual page up to and with its OPTIONS and COMMANDS; the caller goes on with man_section(). */
void cli_man(FILE *f, const struct cli *cli);

#endif
