// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/document.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/version.h"

enum { COLUMNS = 80 };

/* The length of the first sentence of `text`: up to a full stop that a space, a line end or nothing follows. */
static size_t sentence(const char *text)
{
	const char *p = text;

	for (; *p; p++) {
		if (p[0] == '.' && (p[1] == '\0' || isspace((unsigned char)p[1])))
			return (size_t)(p + 1 - text);
	}
	return (size_t)(p - text);
}

/* Write the words of `text` up to `end`, of which the first line begins at *column; lines begin at `indent`. */
static void fill(FILE *f, unsigned indent, unsigned *column, const char *text, const char *end)
{
	for (;;) {
		unsigned width = 0;
		size_t len;

		text += strspn(text, " \n");
		if (text >= end)
			return;
		len = strcspn(text, " \n");
		for (size_t i = 0; i < len; i++)
			width += text[i] != '`';
		if (*column > indent && *column + 1 + width > COLUMNS) {
			fprintf(f, "\n%*s", (int)indent, "");
			*column = indent;
		} else if (*column > indent) {
			fputc(' ', f);
			*column += 1;
		}
		for (size_t i = 0; i < len; i++) {
			if (text[i] != '`')
				fputc(text[i], f);
		}
		*column += width;
		text += len;
	}
}

void document_summary(FILE *f, unsigned indent, const char *text, const char *more)
{
	unsigned column = indent;

	fill(f, indent, &column, text, text + sentence(text));
	if (more)
		fill(f, indent, &column, more, more + strlen(more));
	fputc('\n', f);
}

/* One line of text with what troff would take for itself escaped; `words` become bold unless `literal`. */
static void man_line(FILE *f, const char *text, size_t len, bool literal)
{
	bool bold = false;

	if (len && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", f);
	for (size_t i = 0; i < len; i++) {
		switch (text[i]) {
		case '\\':
			fputs("\\e", f);
			break;
		case '-':
			fputs("\\-", f);
			break;
		case '\'':
			fputs("\\(aq", f);
			break;
		case '~':
			fputs("\\(ti", f);
			break;
		case '^':
			fputs("\\(ha", f);
			break;
		case '`':
			if (literal) {
				fputs("\\(ga", f);
			} else {
				bold = !bold;
				fputs(bold ? "\\fB" : "\\fR", f);
			}
			break;
		default:
			fputc(text[i], f);
		}
	}
	fputc('\n', f);
}

void man_head(FILE *f, const char *page, const char *section, const char *summary)
{
	fprintf(f, ".\\\" Generated from the tables of options: change those.\n");
	fprintf(f, ".TH ");
	for (const char *p = page; *p; p++)
		fputc(toupper((unsigned char)*p), f);
	fprintf(f, " %s \"\" \"Shunt %s\" \"Shunt\"\n", section, SHUNT_VERSION);
	fputs(".nh\n.ad l\n", f); /* names of options stay whole */
	man_section(f, "Name");
	fprintf(f, "%s \\- %s\n", page, summary);
}

void man_section(FILE *f, const char *heading)
{
	fputs(".SH ", f);
	for (; *heading; heading++)
		fputc(toupper((unsigned char)*heading), f);
	fputc('\n', f);
}

/* How paragraphs and examples begin and end in one place of a page. */
struct layout {
	const char *paragraph, *example, *example_end;
};
static const struct layout in_section = {".PP\n", ".PP\n.RS 4\n.nf\n", ".fi\n.RE\n"};
static const struct layout in_item = {".IP\n", ".IP\n.nf\n", ".fi\n"};

static void man_paragraphs(FILE *f, const struct layout *layout, const char *text)
{
	bool example = false, begin = false;

	for (; *text; text += *text == '\n') {
		size_t len = strcspn(text, "\n");
		bool tab = *text == '\t';

		if (example && !tab)
			fputs(layout->example_end, f);
		if (tab && !example)
			fputs(layout->example, f);
		else if (len && begin)
			fputs(layout->paragraph, f);
		if (len)
			man_line(f, text + tab, len - tab, tab);
		example = tab;
		begin = !len;
		text += len;
	}
	if (example)
		fputs(layout->example_end, f);
}

void man_text(FILE *f, const char *text)
{
	man_paragraphs(f, &in_section, text);
}

void man_item(FILE *f, const char *name, const char *argument, const char *text)
{
	fputs(".TP\n\\fB", f);
	for (; *name; name++) {
		if (*name == '-')
			fputc('\\', f);
		fputc(*name, f);
	}
	fputs("\\fR", f);
	if (argument)
		fprintf(f, " \\fI%s\\fR", argument);
	fputc('\n', f);
	man_paragraphs(f, &in_item, text);
}

void man_item_more(FILE *f, const char *text)
{
	fputs(in_item.paragraph, f);
	man_paragraphs(f, &in_item, text);
}
