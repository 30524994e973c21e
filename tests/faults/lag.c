// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Threads that are late: loaded into the daemon by LD_PRELOAD, it lets each thread sleep now and then between being told
 * of events and seeing to them, up to as many milliseconds as the environment's SHUNT_LAG says. What a test takes for
 * done because it usually is, is not done then; and workers overtake each other in ways that are rare otherwise.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { LATE = 30, VERY_LATE = 4, SHARE = 10 }; /* percent of all turns, which are late by a SHARE-th or by all of it */

static int (*real_epoll_wait)(int, struct epoll_event *, int, int);
static unsigned most_us;

__attribute__((constructor)) static void open_lag(void)
{
	const char *text = getenv("SHUNT_LAG");

	real_epoll_wait = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
	most_us = text ? (unsigned)atoi(text) * 1000 : 0;
}

static void lag(void)
{
	static __thread unsigned seed;
	unsigned chance, us;

	if (!seed)
		seed = (unsigned)time(NULL) ^ (unsigned)gettid() * 2654435761U;
	chance = (unsigned)rand_r(&seed) % 100;
	us = chance < VERY_LATE ? most_us : chance < VERY_LATE + LATE ? most_us / SHARE : 0;
	if (us)
		usleep((unsigned)rand_r(&seed) % us);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n = real_epoll_wait(fd, events, max, timeout);

	lag();
	return n;
}
