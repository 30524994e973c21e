// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/text_table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void keep_cell(struct text_table *t, char *text)
{
	if (t->ncells == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 64;
		char **cells = realloc(t->cells, capacity * sizeof(*cells));

		if (!cells) {
			free(text);
			t->failed = true;
			return;
		}
		t->cells = cells;
		t->capacity = capacity;
	}
	t->cells[t->ncells++] = text;
}

/* What comes from clients must not steer the terminal. NULL without memory. */
static char *harmless(const char *fmt, va_list args)
{
	char *text;

	if (vasprintf(&text, fmt, args) < 0)
		return NULL;
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return text;
}

void text_cell(struct text_table *t, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = harmless(fmt, args);
	va_end(args);
	if (text)
		keep_cell(t, text);
	else
		t->failed = true;
}

int text_line(FILE *f, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = harmless(fmt, args);
	va_end(args);
	if (!text)
		return -1;
	fprintf(f, "%s\n", text);
	free(text);
	return 0;
}

/* Columns of the terminal, as far as that is the number of characters of UTF-8. */
static int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(FILE *f, const struct text_column *column, bool last, int width, const char *text)
{
	int padding = width - text_width(text);

	if (column->right)
		fprintf(f, "%*s%s", padding, "", text);
	else
		fprintf(f, "%s%*s", text, last ? 0 : padding, "");
	fputs(last ? "\n" : "  ", f);
}

int text_table_print(struct text_table *t, FILE *f)
{
	int err = t->failed ? -1 : 0, *widths = calloc(t->ncolumns, sizeof(*widths));

	if (!widths)
		err = -1;
	for (size_t c = 0; !err && c < t->ncolumns; c++) {
		widths[c] = text_width(t->columns[c].title);
		for (size_t i = c; i < t->ncells; i += t->ncolumns) {
			int width = text_width(t->cells[i]);

			widths[c] = width > widths[c] ? width : widths[c];
		}
	}
	for (size_t c = 0; !err && c < t->ncolumns; c++)
		print_cell(f, &t->columns[c], c + 1 == t->ncolumns, widths[c], t->columns[c].title);
	for (size_t i = 0; !err && i < t->ncells; i++) {
		size_t c = i % t->ncolumns;

		print_cell(f, &t->columns[c], c + 1 == t->ncolumns, widths[c], t->cells[i]);
	}
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i]);
	free(t->cells);
	free(widths);
	t->cells = NULL;
	t->ncells = t->capacity = 0;
	return err;
}
