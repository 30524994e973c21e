// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntd/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* The first process waits at the other end; -1: there is none. */
static int waiting = -1;

static void wait_and_exit(int fd)
{
	char ready;
	ssize_t n;

	do
		n = read(fd, &ready, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int background_begin(void)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		log_error("Error: Unable to go into the background: %s.", strerror(errno));
		return -1;
	}
	pid = fork();
	if (pid < 0) {
		log_error("Error: Unable to go into the background: %s.", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (pid > 0) {
		close(ends[1]);
		wait_and_exit(ends[0]);
	}
	close(ends[0]);
	waiting = ends[1];
	(void)setsid(); /* cannot fail: a process that was just forked leads no group */
	return 0;
}

void background_ready(void)
{
	int null;

	if (waiting < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	/* Nobody is harmed if the other one is gone. */
	if (write(waiting, "", 1) < 0)
		log_debug("Nobody waits for the daemon to go into the background.");
	close(waiting);
	waiting = -1;
}
