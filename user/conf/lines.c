// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The file: lines of "name value", comments, folders of further files. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/option.h"

static const char blanks[] = " \t";

int conf_error(const char *where, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_error("Error in %s: %s.", where, text);
	return -1;
}

/* Mosquitto takes the first word of a value that is one word, so that files have comments behind them. */
static void cut_comment(char *value)
{
	for (char *c = strchr(value, '#'); c; c = strchr(c + 1, '#')) {
		if (c == value || !strchr(blanks, c[-1]))
			continue;
		while (c > value && strchr(blanks, c[-1]))
			c--;
		*c = '\0';
		return;
	}
}

/* One line of `len` bytes, which is cut into pieces. */
static int parse_line(struct conf *c, char *line, size_t len, const char *where)
{
	char *name = line, *value;

	if (strlen(line) != len)
		return conf_error(where, "there is a NUL byte in the line");
	while (len && strchr(" \t\r\n", line[len - 1]))
		line[--len] = '\0';
	if (!len || line[0] == '#')
		return 0;

	name += strspn(name, blanks);
	if (*name == '#')
		return conf_error(where, "a comment begins in the first column: take away what is before the \"#\"");
	value = name + strcspn(name, blanks);
	if (*value)
		*value++ = '\0';
	value += strspn(value, blanks);

	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (strcmp(o->name, name) != 0 && (!o->old_name || strcmp(o->old_name, name) != 0))
			continue;
		if (o->type != CONF_STRING && !o->to_the_end)
			cut_comment(value);
		if (!*value)
			return conf_error(where, "%s needs a value: write \"%s %s\"", name, name, o->argument);
		return conf_set(c, o, value, where);
	}
	return conf_unknown(name, where);
}

int conf_line(struct conf *c, const char *line, const char *where)
{
	char *copy;
	int err;

	if (!line[strspn(line, " \t\r\n")])
		return conf_error(where, "there is no option in it: write NAME VALUE");
	copy = strdup(line);
	if (!copy)
		return conf_error(where, "out of memory");
	err = parse_line(c, copy, strlen(copy), where);
	free(copy);
	return err;
}

int conf_file(struct conf *c, const char *path)
{
	int present_listener = c->present_listener;
	char where[PATH_MAX + 16];
	FILE *f = fopen(path, "re");
	size_t size = 0, number = 0;
	char *line = NULL;
	ssize_t len;
	int err = 0;

	if (!f)
		goto unreadable;
	/* Options of a listener do not reach into or out of a file that is included. */
	if (c->in_include)
		c->present_listener = CONF_NO_LISTENER;
	while ((len = getline(&line, &size, f)) >= 0) {
		snprintf(where, sizeof(where), "%s:%zu", path, ++number);
		err |= parse_line(c, line, (size_t)len, where);
	}
	if (ferror(f))
		goto unreadable;
	goto out;

unreadable:
	log_error("Error: Unable to read configuration file %s: %s.", path, strerror(errno));
	err = -1;
out:
	if (c->in_include)
		c->present_listener = present_listener;
	free(line);
	if (f)
		fclose(f);
	return err;
}

/* Mosquitto's order: by letters without regard to case, but the upper case of a letter before its lower case, decided
 * at the first place where two names differ at all. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	const unsigned char *s = (const unsigned char *)(*a)->d_name, *t = (const unsigned char *)(*b)->d_name;

	while (*s && *s == *t)
		s++, t++;
	if (toupper(*s) != toupper(*t))
		return toupper(*s) - toupper(*t);
	return *s - *t;
}

static int is_conf(const struct dirent *e)
{
	static const char suffix[] = ".conf";
	size_t len = strlen(e->d_name);

	return len > sizeof(suffix) - 1 && !strcmp(e->d_name + len - (sizeof(suffix) - 1), suffix);
}

int conf_parse_include_dir(struct conf *c, const struct conf_option *o, void *field, const char *value,
			   const char *where)
{
	struct dirent **names = NULL;
	char path[PATH_MAX];
	int n, err = 0;

	(void)field;
	if (c->in_include)
		return conf_error(where, "%s is allowed in the main configuration file only", o->name);
	n = scandir(value, &names, is_conf, by_name);
	if (n < 0)
		return conf_error(where, "%s: %s cannot be read: %s", o->name, value, strerror(errno));

	c->in_include = true;
	for (int i = 0; i < n; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", value, names[i]->d_name) >= sizeof(path))
			err |= conf_error(where, "%s: the path %.64s... is too long", o->name, path);
		else
			err |= conf_file(c, path);
		free(names[i]);
	}
	c->in_include = false;
	free(names);
	return err;
}
