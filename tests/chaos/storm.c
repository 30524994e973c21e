// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * storm ADDRESS PORT SEED PUBLISHERS SUBSCRIBERS CROWD, or storm idle ADDRESS PORT COUNT
 *
 * The clients of a chaos run (chaos.h), steered by lines on standard input and answering each with a line of JSON:
 *   kill     the daemon is about to be killed          up       there is a new one
 *   stop     it is about to be stopped by SIGSTOP      cont     it runs again
 *   deny N   nobody may read topic N now               allow    soon everybody may read all
 *   report   counters, and gaps of each subscriber     calm     nobody leaves any more, everybody reads
 *   silence  publishers stop; when every subscriber has looked whether it got their last messages, the answer comes
 *   end      all leave; the last answer has failures and the last events, and the status is 1 if there were any
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

enum { STACK = 256 * 1024, EVENTS_TOLD = 120 };

struct settings settings;

static void add(uint32_t *flag, uint32_t n)
{
	__atomic_add_fetch(flag, n, __ATOMIC_ACQ_REL);
}

/* Texts are our own, without quotation marks. */
static void tell_list(const char *name, const char *first, size_t size, uint32_t from, uint32_t to, uint32_t kept)
{
	printf("\"%s\": [", name);
	for (uint32_t i = from; i < to; i++)
		printf("%s\"%s\"", i == from ? "" : ", ", first + i % kept * size);
	printf("]");
}

static void report(bool all)
{
	static const char *const names[CHECKS] = {
		[STREAMS] = "streams", [TOPICS] = "topics", [ORDER] = "order",	   [SENDS] = "sends",
		[ANSWERS] = "answers", [LAST] = "last",	    [CLIENTS] = "clients",
	};
	uint64_t events = world->events;
	bool first = true;

	printf("{\"sent\": %lu, \"sent_bytes\": %lu, \"received\": %lu, \"gaps\": %lu, \"connects\": %lu, \"cut\": %lu, "
	       "\"failures\": %u, ",
	       (unsigned long)world->sent, (unsigned long)world->sent_bytes, (unsigned long)world->received,
	       (unsigned long)world->gaps[look(&world->generation) / 2 % DAEMONS], (unsigned long)world->connects,
	       (unsigned long)world->cut, world->failures);
	for (int i = 0; i < CHECKS; i++)
		printf("%s\"%s\": %u", i ? ", " : "\"failed\": {", names[i], world->failed[i]);
	printf("}, \"leaves\": [");
	for (int i = 0; i < WAYS; i++)
		printf("%s%lu", i ? ", " : "", (unsigned long)world->leaves[i]);
	printf("], \"seats\": {");
	for (int i = 0; i < settings.subscribers; i++) {
		uint32_t connection = look(&world->seats[i].connection);

		if (!connection || look(&world->seats[i].generation) != look(&world->generation))
			continue;
		printf("%s\"%s\": [%u, %lu]", first ? "" : ", ", world->seats[i].id, connection,
		       (unsigned long)__atomic_load_n(&world->seats[i].gaps, __ATOMIC_ACQUIRE));
		first = false;
	}
	printf("}, ");
	tell_list("failure", world->failure[0], FAILURE_LEN, 0,
		  world->failures < FAILURES_KEPT ? world->failures : FAILURES_KEPT, FAILURES_KEPT);
	if (all) {
		printf(", ");
		tell_list("event", world->event[0], EVENT_LEN,
			  (uint32_t)(events > EVENTS_TOLD ? events - EVENTS_TOLD : 0), (uint32_t)events, EVENTS_KEPT);
	}
	printf("}\n");
	fflush(stdout);
}

static void wait_until(const uint32_t *counter, uint32_t value)
{
	while (look(counter) != value)
		pause_us(10000);
}

/* "deny N" or "allow" */
static void deny(const char *line)
{
	bool allow = *line == 'a';

	event("%s", line);
	__atomic_store_n(&world->denied, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&world->denied_ns, now_ns(), __ATOMIC_RELEASE);
	__atomic_store_n(&world->denied, allow ? 0 : 1 + (uint32_t)atoi(line + 5), __ATOMIC_RELEASE);
}

/* False at the end. */
static bool command(const char *line)
{
	const struct {
		const char *name;
		uint32_t *flag, add;
	} flags[] = {
		{"kill", &world->generation, 1},       {"up", &world->generation, 1}, {"stop", &world->stopped, 1},
		{"cont", &world->stopped, UINT32_MAX}, {"calm", &world->calm, 1},     {"silence", &world->silent, 1},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		if (!strcmp(line, flags[i].name)) {
			event("%s", flags[i].name);
			add(flags[i].flag, flags[i].add);
		}
	}
	if (!strncmp(line, "deny ", 5) || !strcmp(line, "allow"))
		deny(line);
	if (!strcmp(line, "silence"))
		wait_until(&world->settled, (uint32_t)settings.subscribers);
	if (!strcmp(line, "end"))
		return false;
	report(false);
	return true;
}

static int start(pthread_t *threads)
{
	pthread_attr_t attr;
	int n = settings.publishers + settings.subscribers;

	world->running = (uint32_t)n;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (int i = 0; i < n; i++) {
		bool sub = i < settings.subscribers;
		intptr_t number = sub ? i : i - settings.subscribers;

		if (pthread_create(&threads[i], &attr, sub ? subscriber : publisher, (void *)number)) {
			fail(CLIENTS, "no thread");
			return -1;
		}
	}
	return 0;
}

static int storm(void)
{
	pthread_t threads[PUBLISHERS_MAX + SUBSCRIBERS_MAX] = {0};
	char line[32];

	if (start(threads))
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!command(line))
			break;
	}
	add(&world->end, 1);
	for (int i = 0; i < settings.publishers + settings.subscribers; i++)
		pthread_join(threads[i], NULL);
	report(true);
	return world->failures ? 1 : 0;
}

static int usage(void)
{
	fputs("usage: storm ADDRESS PORT SEED PUBLISHERS SUBSCRIBERS CROWD\n       storm idle ADDRESS PORT COUNT\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	bool only_idle = argc > 1 && !strcmp(argv[1], "idle");

	if (argc != (only_idle ? 5 : 7))
		return usage();
	argv += only_idle;
	settings.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
	if (inet_pton(AF_INET, argv[1], &settings.address.sin_addr) != 1 || world_open())
		return usage();
	signal(SIGPIPE, SIG_IGN);
	letters_open();
	if (only_idle)
		return idle(atoi(argv[3]));
	settings.seed = strtoull(argv[3], NULL, 10);
	settings.publishers = atoi(argv[4]);
	settings.subscribers = atoi(argv[5]);
	settings.crowd = atoi(argv[6]);
	if (settings.publishers < 1 || settings.publishers > PUBLISHERS_MAX || settings.subscribers < 1 ||
	    settings.subscribers > SUBSCRIBERS_MAX || settings.crowd < 0 || settings.crowd >= settings.subscribers)
		return usage();
	topics_open();
	return storm();
}
