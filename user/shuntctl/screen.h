/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The terminal while something is shown live on it: by ANSI sequences, which all terminals in use understand. */
#ifndef SHUNT_SCREEN_H
#define SHUNT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct screen {
	bool keys; /* standard input is a terminal, too */
	struct termios saved;
	int signals; /* signalfd */
};

/* What screen_wait() returns beside keys. */
enum {
	SCREEN_TIMEOUT = 0,
	SCREEN_RESIZED = 256,
	SCREEN_END, /* a signal asks to end */
};

/* Take over the terminal of standard output, and block the signals that end the process, or tell of a new size. 0 or
 * -errno. */
int screen_open(struct screen *s);
/* Give it back as it was. */
void screen_close(struct screen *s);

void screen_size(size_t *lines, size_t *columns);

/* Show the text, cut to the screen. */
void screen_draw(const char *text);

/* Wait for a key, at most so many milliseconds. */
int screen_wait(struct screen *s, int ms);

#endif
