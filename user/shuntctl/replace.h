/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A line of a file replaced so that whoever reads the file, and a machine that loses power, sees the old file or the new
 * one and nothing between. */
#ifndef SHUNT_REPLACE_H
#define SHUNT_REPLACE_H

/*
 * In the file at `path`, make `line` (without its end) the one line that begins with `key`: the first such line is
 * replaced, further ones go, and where there is none it is added at the end, to a new file of mode 0600 if need be.
 * `line` NULL: take all lines of the key away; -ESRCH if there is none. Other lines stay as they are. Owner, group and
 * permissions stay too, but all permissions of others are taken away. A symbolic link is followed. Others that call this
 * for a file in the same folder are waited for. 0 or -errno.
 */
int replace_line(const char *path, const char *key, const char *line);

#endif
