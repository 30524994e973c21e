// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/cli.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "base/document.h"

enum {
	OPTIONS_MAX = 64,
	TAG_MAX = 80,
	HELP_COLUMN = 24, /* where --help begins to explain */
};

/* Index of the option with this letter; the table has it, since getopt_long() knew it from there. */
static int by_letter(const struct cli *cli, int letter)
{
	for (size_t i = 0; i < cli->noptions; i++) {
		if (cli->options[i].letter == letter)
			return (int)i;
	}
	return CLI_WRONG;
}

int cli_next(const struct cli *cli, int argc, char **argv, const char **argument)
{
	char letters[2 * OPTIONS_MAX + 1], *l = letters;
	struct option names[OPTIONS_MAX + 1] = {0};
	int nnames = 0, found, index;

	assert(cli->noptions <= OPTIONS_MAX);
	for (size_t i = 0; i < cli->noptions; i++) {
		const struct cli_option *o = &cli->options[i];

		if (o->letter) {
			*l++ = o->letter;
			if (o->argument)
				*l++ = ':';
		}
		/* Above all letters, so that the result tells a name from a letter. */
		if (o->name)
			names[nnames++] = (struct option){.name = o->name,
							  .has_arg = o->argument ? required_argument : no_argument,
							  .val = 256 + (int)i};
	}
	*l = '\0';

	found = getopt_long(argc, argv, letters, names, NULL);
	if (found < 0)
		return CLI_END;
	index = found >= 256 ? found - 256 : found == '?' ? CLI_WRONG : by_letter(cli, found);
	if (index == CLI_WRONG)
		fprintf(stderr, "Try '%s --help'.\n", cli->tool);
	*argument = optarg;
	return index;
}

int cli_usage_error(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", cli->tool);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry '%s --help'.\n", cli->tool);
	return 2;
}

/* "-h, --help": how the option is written, without its argument. */
static void option_tag(const struct cli_option *o, char tag[TAG_MAX])
{
	if (o->letter && o->name)
		snprintf(tag, TAG_MAX, "-%c, --%s", o->letter, o->name);
	else if (o->letter)
		snprintf(tag, TAG_MAX, "-%c", o->letter);
	else
		snprintf(tag, TAG_MAX, "--%s", o->name);
}

static void help_item(FILE *f, const char *name, const char *argument, const char *help)
{
	int column = fprintf(f, "  %s%s%s", name, argument ? " " : "", argument ? argument : "");

	if (column > HELP_COLUMN - 2) {
		fputc('\n', f);
		column = 0;
	}
	fprintf(f, "%*s", HELP_COLUMN - column, "");
	document_summary(f, HELP_COLUMN, help, NULL);
}

void cli_help(FILE *f, const struct cli *cli)
{
	char tag[TAG_MAX];

	for (const char *const *s = cli->synopsis; *s; s++)
		fprintf(f, "%s %s %s\n", s == cli->synopsis ? "Usage:" : "      ", cli->tool, *s);
	if (cli->ncommands)
		fprintf(f, "\nCommands:\n");
	for (size_t i = 0; i < cli->ncommands; i++)
		help_item(f, cli->commands[i].name, cli->commands[i].argument, cli->commands[i].help);
	fprintf(f, "\nOptions:\n");
	for (size_t i = 0; i < cli->noptions; i++) {
		option_tag(&cli->options[i], tag);
		help_item(f, tag, cli->options[i].argument, cli->options[i].help);
	}
}

void cli_man(FILE *f, const struct cli *cli)
{
	char tag[TAG_MAX];

	man_head(f, cli->tool, cli->section, cli->summary);
	man_section(f, "Synopsis");
	for (const char *const *s = cli->synopsis; *s; s++) {
		if (s != cli->synopsis)
			fputs(".br\n", f);
		fprintf(f, ".B %s\n", cli->tool);
		man_text(f, *s);
	}
	man_section(f, "Description");
	man_text(f, cli->description);
	if (cli->ncommands)
		man_section(f, "Commands");
	for (size_t i = 0; i < cli->ncommands; i++)
		man_item(f, cli->commands[i].name, cli->commands[i].argument, cli->commands[i].help);
	man_section(f, "Options");
	for (size_t i = 0; i < cli->noptions; i++) {
		option_tag(&cli->options[i], tag);
		man_item(f, tag, cli->options[i].argument, cli->options[i].help);
	}
}
