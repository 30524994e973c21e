// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Grace periods of the kernel's RCU. A BPF program runs inside one read-side section together with what the kernel does
 * at once with its verdict (queue the skb, take a reference to the socket a message is redirected to), so after a grace
 * period whatever was decided before a change in the maps has been done. membarrier(MEMBARRIER_CMD_GLOBAL) waits for one,
 * some milliseconds; a thread does it, so that no worker waits.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fastpath/internal.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wanted_more;
	pthread_t thread;
	bool running, stop;
	uint64_t wanted; /* under the lock */
	__u64 passed;	 /* written by the thread, read by all, atomically */
} grace = {.lock = PTHREAD_MUTEX_INITIALIZER, .wanted_more = PTHREAD_COND_INITIALIZER};

static void *grace_thread(void *arg)
{
	uint64_t ticket;

	(void)arg;
	pthread_mutex_lock(&grace.lock);
	while (!grace.stop) {
		ticket = grace.wanted;
		if (ticket == load64(&grace.passed)) {
			pthread_cond_wait(&grace.wanted_more, &grace.lock);
			continue;
		}
		pthread_mutex_unlock(&grace.lock);
		if (!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
			store64(&grace.passed, ticket);
		pthread_mutex_lock(&grace.lock);
	}
	pthread_mutex_unlock(&grace.lock);
	return NULL;
}

int fp_grace_check(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
}

int fp_grace_start(void)
{
	int error;

	grace.stop = false;
	error = pthread_create(&grace.thread, NULL, grace_thread, NULL);
	grace.running = !error;
	return -error;
}

void fp_grace_stop(void)
{
	if (!grace.running)
		return;
	pthread_mutex_lock(&grace.lock);
	grace.stop = true;
	pthread_cond_signal(&grace.wanted_more);
	pthread_mutex_unlock(&grace.lock);
	pthread_join(grace.thread, NULL);
	grace.running = false;
}

uint64_t fp_grace_request(void)
{
	uint64_t ticket;

	pthread_mutex_lock(&grace.lock);
	ticket = ++grace.wanted;
	pthread_cond_signal(&grace.wanted_more);
	pthread_mutex_unlock(&grace.lock);
	return ticket;
}

bool fp_grace_passed(uint64_t ticket)
{
	return load64(&grace.passed) >= ticket;
}

void fp_grace_wait(void)
{
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); /* fp_grace_check() knows that it can */
}
