/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Documentation from one text: each option's help stands in its table once, and is printed as plain text for --help and
 * as man(7) source for the manual pages. In such a text
 *   - an empty line separates paragraphs,
 *   - a line that begins with a tab is an example, shown as it is,
 *   - `words` between backquotes are names or values to be typed.
 */
#ifndef SHUNT_DOCUMENT_H
#define SHUNT_DOCUMENT_H

#include <stdio.h>

/* The first sentence of `text`, and behind it `more` if that is not NULL, without backquotes, filled to 80 columns;
 * every line behind `indent` spaces except the first, which the caller has begun and filled up to column `indent`. */
void document_summary(FILE *f, unsigned indent, const char *text, const char *more);

/* The head of a page: "shuntd", "8", and the line of its NAME section behind the dash. */
void man_head(FILE *f, const char *page, const char *section, const char *summary);
/* .SH */
void man_section(FILE *f, const char *heading);
/* One or more paragraphs of a section. */
void man_text(FILE *f, const char *text);
/* A paragraph with a tag: a name in bold, its argument (or NULL) in italics. */
void man_item(FILE *f, const char *name, const char *argument, const char *text);
/* A further paragraph of the item before. */
void man_item_more(FILE *f, const char *text);

#endif
