/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Files of lines that people write: reading one, and saying where it is wrong. */
#ifndef SHUNT_LINES_H
#define SHUNT_LINES_H

#include <stddef.h>
#include <stdio.h>

/* Where a reader is. */
struct lines {
	const char *path; /* for messages */
	size_t line;	  /* its number, from 1 on */
};

/* Log as an error what is wrong with the line. Returns -1. */
int lines_fault(const struct lines *at, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Call `each` for every line, which is the callee's to change, has `len` bytes with its end, and a NUL behind them and none
 * before. Goes on after one that is wrong, so that all of them are told. 0, or -1 after logging: `each` returned it, or
 * the file could not be read. No copy of what was read stays in memory. */
int lines_read(struct lines *at, FILE *f, int (*each)(void *arg, char *line, size_t len), void *arg);

#endif
