/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Aligned tables of text on a terminal. */
#ifndef SHUNT_TEXT_TABLE_H
#define SHUNT_TEXT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct text_column {
	const char *title;
	bool right; /* align to the right: numbers */
};

struct text_table {
	const struct text_column *columns;
	size_t ncolumns;
	char **cells; /* row by row */
	size_t ncells, capacity;
	bool failed; /* out of memory */
};

/* Add the next cell, filling rows from the left. Control characters become '?'. */
void text_cell(struct text_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print titles and rows, and free the cells. 0, or -1 when memory is short. */
int text_table_print(struct text_table *t, FILE *f);

/* Print a line, which the format does not end. Control characters become '?'. 0, or -1 when memory is short. */
int text_line(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
