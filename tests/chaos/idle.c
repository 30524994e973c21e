// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chaos.h"

/* Nothing may have come, not even an end. */
static bool still_there(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&p, 1, 0) == 0;
}

int idle(int count)
{
	struct conn c = {.fd = -1};
	int *fds = calloc((size_t)count, sizeof(*fds)), there = 0;
	char id[32], byte;

	if (!fds || conn_new(&c))
		return 2;
	for (int i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "idle-%d-%d", (int)getpid(), i);
		if (!conn_open(&c, id, i % 2 ? 4 : 5)) {
			fprintf(stderr, "idle: %d of %d: %s\n", i, count, world->failures ? world->failure[0] : "");
			return 1;
		}
		fds[i] = c.fd;
	}
	printf("connected %d\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (int i = 0; i < count; i++)
		there += still_there(fds[i]);
	printf("there %d\n", there);
	free(c.input);
	free(fds);
	return there == count ? 0 : 1;
}
