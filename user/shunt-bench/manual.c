// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/manual.h"

#include <stdio.h>
#include <string.h>

#include "base/version.h"

enum { HELP_INDENT = 26, HELP_WIDTH = 100 };

static const char summary[] = "load generator for MQTT brokers";
static const char synopsis[] = "[OPTION]... CASE";

static const char *const description[] = {
	"Connects publishers and subscribers to a broker of MQTT 3.1.1, publishes on a schedule and measures how long the "
	"messages take and what the broker loses, duplicates, reorders or changes. Every message carries its publisher, a "
	"sequence number, the time it was due and a pattern that is compared byte by byte.",
	"Each publisher sends a message by a system call of its own, with TCP_NODELAY, as ordinary clients do. A publisher "
	"whose socket is full waits; the schedule does not, so that a broker which stalls cannot hide the wait.",
};

static const struct {
	int status;
	const char *meaning;
} statuses[] = {
	{0, "The run was completed. Loss is reported, but no failure: QoS 0 allows it."},
	{1, "Messages were corrupted, duplicated or reordered, or of QoS 1 or 2 and lost."},
	{2, "Wrong usage."},
	{3, "The run was not possible, or connections broke."},
};
enum { NSTATUSES = sizeof(statuses) / sizeof(statuses[0]), NPARAGRAPHS = sizeof(description) / sizeof(description[0]) };

/* Print `text` in lines of at most HELP_WIDTH columns, of which the first begins at `column`, the others indented. */
static void print_wrapped(const char *text, size_t indent, size_t column)
{
	while (*text) {
		size_t word = strcspn(text, " ");

		if (column + word > HELP_WIDTH && column > indent) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		}
		printf("%.*s", (int)word, text);
		text += word;
		column += word;
		if (*text == ' ') {
			text++;
			if (*text && column + 1 + strcspn(text, " ") <= HELP_WIDTH) {
				putchar(' ');
				column++;
			}
		}
	}
	putchar('\n');
}

static void print_entry(const char *text, const char *left)
{
	int n = printf("  %-*s", HELP_INDENT - 2, left);

	if (n > HELP_INDENT)
		printf("\n%*s", HELP_INDENT, "");
	print_wrapped(text, HELP_INDENT, HELP_INDENT);
}

void manual_print_help(const struct manual *m)
{
	char left[64], text[640];

	printf("Usage: shunt-bench %s\nA %s.\n\nCases:\n", synopsis, summary);
	for (size_t i = 0; i < m->ncases; i++)
		print_entry(m->cases[i].help, m->cases[i].name);
	printf("\nOptions:\n");
	for (size_t i = 0; i < m->noptions; i++) {
		const struct option_info *o = &m->options[i];
		const char *fallback = o->value ? o->value : o->otherwise;

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
		snprintf(text, sizeof(text), "%s%s%s%s", o->help, fallback ? " [" : "", fallback ? fallback : "",
			 fallback ? "]" : "");
		print_entry(text, left);
	}
	printf("\nExit status:\n");
	for (size_t i = 0; i < NSTATUSES; i++) {
		snprintf(left, sizeof(left), "%d", statuses[i].status);
		print_entry(statuses[i].meaning, left);
	}
}

/* Text of a manual page: minus signs are not hyphens, backslashes and leading dots do not command. */
static void print_roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void print_page_options(const struct manual *m)
{
	for (size_t i = 0; i < m->noptions; i++) {
		const struct option_info *o = &m->options[i];
		const char *fallback = o->value ? o->value : o->otherwise;

		printf(".TP\n\\fB\\-\\-");
		print_roff(o->name);
		printf(o->argument ? "\\fR \\fI%s\\fR\n" : "\\fR\n", o->argument);
		print_roff(o->help);
		if (fallback) {
			printf(" Default: ");
			print_roff(fallback);
			putchar('.');
		}
		putchar('\n');
	}
}

/* The load of a case, where the options do not say otherwise. */
static void print_page_case(const struct bench_case *c)
{
	printf(".TP\n\\fB");
	print_roff(c->name);
	printf("\\fR\n");
	print_roff(c->help);
	printf(". By default %u publisher%s, ", c->publishers, c->publishers == 1 ? "" : "s");
	if (c->subscribers)
		printf("%u subscriber%s", c->subscribers, c->subscribers == 1 ? "" : "s");
	else
		printf("as many subscribers");
	if (c->rate > 0)
		printf(", %.0f messages per second", c->rate);
	printf(".\n");
}

void manual_print_page(const struct manual *m)
{
	printf(".\\\" SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only\n");
	printf(".TH SHUNT\\-BENCH 1 \"\" \"shunt %s\" \"User Commands\"\n", SHUNT_VERSION);
	printf(".SH NAME\nshunt\\-bench \\- %s\n", summary);
	printf(".SH SYNOPSIS\n.B shunt\\-bench\n%s\n", synopsis);
	printf(".SH DESCRIPTION\n");
	for (size_t i = 0; i < NPARAGRAPHS; i++) {
		printf("%s", i ? ".PP\n" : "");
		print_roff(description[i]);
		putchar('\n');
	}
	printf(".SH CASES\n");
	for (size_t i = 0; i < m->ncases; i++)
		print_page_case(&m->cases[i]);
	printf(".SH OPTIONS\n");
	print_page_options(m);
	printf(".SH EXIT STATUS\n");
	for (size_t i = 0; i < NSTATUSES; i++) {
		printf(".TP\n%d\n", statuses[i].status);
		print_roff(statuses[i].meaning);
		putchar('\n');
	}
	printf(".SH SEE ALSO\n.BR shuntd (8),\n.BR shuntctl (1)\n");
}
