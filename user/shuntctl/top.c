// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "shuntctl/ask.h"
#include "shuntctl/flows.h"
#include "shuntctl/screen.h"
#include "shuntctl/top_view.h"

enum { PLAIN_LIMIT = 10, CTRL_C = 3, HELP_LINES = 3 }; /* an empty one, the keys, and the last of the screen */

static const struct {
	const char *name;
	char letter;
} keys[TOP_KEYS] = {
	[TOP_RATE] = {"rate", 'r'},	[TOP_IN] = {"in", 'i'},		  [TOP_OUT] = {"out", 'o'},
	[TOP_QUEUED] = {"queued", 'u'}, [TOP_DROPPED] = {"dropped", 'd'}, [TOP_NAME] = {"name", 'n'},
};

bool top_sort_key(const char *name, enum top_key *key)
{
	for (unsigned i = 0; i < TOP_KEYS; i++) {
		if (!strcmp(keys[i].name, name)) {
			*key = (enum top_key)i;
			return true;
		}
	}
	return false;
}

static size_t limit_of(const struct top_settings *t, size_t by_room)
{
	if (t->limit == TOP_LIMIT_BY_ROOM)
		return by_room;
	return t->limit ? t->limit : SIZE_MAX;
}

/* ---- plain ------------------------------------------------------------------------------------------------------- */

static int print_snapshots(const struct top_settings *t)
{
	struct top_look before, now;
	int status = top_look(t->socket, stderr, &before), err = 0;

	if (status != EXIT_DONE)
		return status;
	for (uint64_t i = 0; !err && (!t->count || i < t->count); i++) {
		wait_seconds(t->seconds);
		status = top_look(t->socket, stderr, &now);
		if (status != EXIT_DONE)
			break;
		if (i)
			putchar('\n');
		err = top_view(stdout, &before, &now, t->key, limit_of(t, PLAIN_LIMIT), 0);
		/* Who reads them has gone. */
		if (fflush(stdout))
			err = 1;
		top_look_free(&before);
		before = now;
	}
	top_look_free(&before);
	if (err < 0)
		fprintf(stderr, "shuntctl: out of memory\n");
	return err ? EXIT_REFUSED : status;
}

/* ---- live -------------------------------------------------------------------------------------------------------- */

struct live {
	const struct top_settings *settings;
	enum top_key key;
	struct top_look before, now;
};

/* Draw the present look. 0, or -1 when memory is short. */
static int draw(const struct live *l)
{
	size_t lines, columns, len;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);
	int err;

	if (!f)
		return -1;
	screen_size(&lines, &columns);
	err = top_view(f, &l->before, &l->now, l->key, limit_of(l->settings, SIZE_MAX),
		       lines > HELP_LINES ? lines - HELP_LINES : 1);
	fprintf(f, "\nby %s; ", keys[l->key].name);
	for (unsigned i = 0; i < TOP_KEYS; i++)
		fprintf(f, "%c %s, ", keys[i].letter, keys[i].name);
	fputs("q quit", f);
	if (fclose(f))
		err = -1;
	if (!err)
		screen_draw(text);
	free(text);
	return err;
}

/* Wait for the next look, drawing anew whenever a key or the size asks for it. False: end. */
static bool wait_and_draw(struct live *l, struct screen *s, uint64_t until_ns, int *err)
{
	for (;;) {
		uint64_t now = clock_ns();
		int key = screen_wait(s, now < until_ns ? (int)((until_ns - now) / NS_PER_MS) + 1 : 0);

		if (key == SCREEN_TIMEOUT && clock_ns() >= until_ns)
			return true;
		if (key == SCREEN_END || key == 'q' || key == CTRL_C)
			return false;
		for (unsigned i = 0; i < TOP_KEYS; i++) {
			if (keys[i].letter == key)
				l->key = (enum top_key)i;
		}
		if (key != SCREEN_TIMEOUT)
			*err = draw(l);
		if (*err)
			return false;
	}
}

static int watch(struct live *l, struct screen *s, FILE *complaints)
{
	int status, err = 0;

	for (;;) {
		uint64_t until = clock_ns() + (uint64_t)(l->settings->seconds * 1e9);
		struct top_look look;

		status = top_look(l->settings->socket, complaints, &look);
		if (status != EXIT_DONE)
			break;
		top_look_free(&l->before);
		l->before = l->now;
		l->now = look;
		err = draw(l);
		if (err || !wait_and_draw(l, s, until, &err))
			break;
	}
	if (err)
		fprintf(complaints, "shuntctl: out of memory\n");
	return err ? EXIT_REFUSED : status;
}

/* What is wrong is told when the screen is given back, where it can be read. */
static int show_live(const struct top_settings *t)
{
	struct live l = {.settings = t, .key = t->key};
	char *text = NULL;
	size_t len;
	FILE *complaints = open_memstream(&text, &len);
	struct screen screen;
	int status = EXIT_REFUSED;

	if (!complaints || screen_open(&screen)) {
		perror("shuntctl: top");
	} else {
		status = watch(&l, &screen, complaints);
		screen_close(&screen);
	}
	top_look_free(&l.before);
	top_look_free(&l.now);
	if (complaints && !fclose(complaints))
		fputs(text, stderr);
	free(text);
	return status;
}

int top(const struct top_settings *settings)
{
	return settings->count || !isatty(STDOUT_FILENO) ? print_snapshots(settings) : show_live(settings);
}
