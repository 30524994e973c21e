// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* The other screen, so that what was there is there again afterwards; no cursor. */
static const char take[] = "\033[?1049h\033[?25l";
static const char give_back[] = "\033[?25h\033[?1049l";
static const char home[] = "\033[H";
static const char rest_of_line[] = "\033[K\n";
static const char rest_of_screen[] = "\033[J";

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int screen_open(struct screen *s)
{
	struct termios raw;

	memset(s, 0, sizeof(*s));
	s->signals = open_signals();
	if (s->signals < 0)
		return s->signals;
	s->keys = !tcgetattr(STDIN_FILENO, &s->saved);
	if (s->keys) {
		raw = s->saved;
		/* Keys at once, unseen; Ctrl-C and Ctrl-Z are keys as well, because the screen must be given back. */
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs(take, stdout);
	fflush(stdout);
	return 0;
}

void screen_close(struct screen *s)
{
	fputs(give_back, stdout);
	fflush(stdout);
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->saved);
	close(s->signals);
}

void screen_size(size_t *lines, size_t *columns)
{
	struct winsize size = {0};

	*lines = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		return;
	*lines = size.ws_row;
	*columns = size.ws_col;
}

/* Bytes of the line that take at most so many columns, as far as a column is a character of UTF-8. */
static size_t cut(const char *line, size_t len, size_t columns)
{
	size_t i = 0;

	for (size_t used = 0; i < len; i++) {
		if (((unsigned char)line[i] & 0xc0) != 0x80 && ++used > columns)
			break;
	}
	return i;
}

void screen_draw(const char *text)
{
	size_t lines, columns;

	screen_size(&lines, &columns);
	fputs(home, stdout);
	/* Nothing on the last line, whose end would scroll the screen. */
	for (size_t i = 0; *text && i + 1 < lines; i++) {
		size_t len = strcspn(text, "\n");

		fwrite(text, 1, cut(text, len, columns), stdout);
		fputs(rest_of_line, stdout);
		text += len + (text[len] == '\n');
	}
	fputs(rest_of_screen, stdout);
	fflush(stdout);
}

int screen_wait(struct screen *s, int ms)
{
	struct pollfd polled[2] = {
		{.fd = s->signals, .events = POLLIN},
		{.fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN},
	};
	struct signalfd_siginfo signal;
	unsigned char key;

	if (poll(polled, 2, ms) < 0)
		return errno == EINTR ? SCREEN_TIMEOUT : SCREEN_END;
	if (polled[0].revents) {
		if (read(s->signals, &signal, sizeof(signal)) == (ssize_t)sizeof(signal) &&
		    signal.ssi_signo == SIGWINCH)
			return SCREEN_RESIZED;
		return SCREEN_END;
	}
	if (!polled[1].revents)
		return SCREEN_TIMEOUT;
	return read(STDIN_FILENO, &key, 1) == 1 && key ? key : SCREEN_END;
}
