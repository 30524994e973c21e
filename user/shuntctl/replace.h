/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Lines of a file replaced so that whoever reads the file, and a machine that loses power, sees the old file or the new
 * one and nothing between. */
#ifndef SHUNT_REPLACE_H
#define SHUNT_REPLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum replace_mode {
	REPLACE_OR_CREATE, /* where there is no file, one is made */
	REPLACE_THERE,	   /* there must be a file: -ENOENT */
	REPLACE_AFRESH,	   /* whatever lines there are, begin with none */
};

/* What is to become of the lines; the beginning of the caller's own structure. */
struct edit {
	/* Write to `out` what is to stand in place of the line, which is `len` bytes with its end and has a NUL behind
	 * it. 0; or -errno, which replace_lines() returns, and the file stays as it is. */
	int (*line)(struct edit *edit, const char *line, size_t len, FILE *out);
	/* The same behind the last line. NULL: nothing comes there. */
	int (*end)(struct edit *edit, FILE *out);
	bool ended; /* what was written last has a line end */
};

/* Write the line as it is. */
int edit_keep(struct edit *edit, const char *line, size_t len, FILE *out);

/*
 * Make a new file of the lines of the file at `path` and put it in its place. Owner, group and permissions stay, but all
 * permissions of others are taken away; where there was no file it has mode 0600. A symbolic link is followed. Others that
 * call this for a file in the same folder are waited for. 0 or -errno.
 */
int replace_lines(const char *path, enum replace_mode mode, struct edit *edit);

/*
 * The same, to make `line` (without its end) the one line that is the key's: the first such line is replaced, further
 * ones go, and where there is none it is added at the end. `line` NULL: take all lines of the key away; -ESRCH if there is
 * none. Other lines stay as they are.
 */
int replace_line(const char *path, enum replace_mode mode, bool (*is)(const char *line, size_t len, const char *key),
		 const char *key, const char *line);

#endif
