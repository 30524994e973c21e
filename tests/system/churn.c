// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Publishers must not be harmed by what subscribers do. Publishers send QoS 0, some 10,000 a second, each on a topic of
 * its own, and look at the result of every send; for each a subscriber connects, reads some messages, and goes away in
 * one of the ways there are: close with unread data, reset, half close, DISCONNECT, sudden death of the process.
 *
 * Arguments: ADDRESS PORT PUBLISHERS CLOSES SECONDS. Ends after so many closes in all, or seconds. Prints
 * `sends N closes N received N failed N errors N` and a line for each kind of error. The status is 0 if there was none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ERRNO_MAX = 200, PAYLOAD = 64, ANSWER_MAX = 4096, READ_TIMEOUT_S = 10 };
enum way { CLOSE, RESET, HALF_CLOSE, DISCONNECT, DIE, WAYS };

static struct sockaddr_in address;
static unsigned long closes_wanted;
static unsigned long sends, closes, received, failed_subscribers, errors[ERRNO_MAX];
static bool stop;

static void count(unsigned long *counter, unsigned long n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* A connected client, or -1. */
static int mqtt_connect(const char *id)
{
	uint8_t packet[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}, answer[4];
	const struct timeval timeout = {.tv_sec = READ_TIMEOUT_S};
	size_t len = strlen(id);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	packet[1] = (uint8_t)(12 + len);
	packet[13] = (uint8_t)len;
	memcpy(packet + 14, id, len);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    send(fd, packet, 14 + len, MSG_NOSIGNAL) != (ssize_t)(14 + len) || recv(fd, answer, 4, MSG_WAITALL) != 4 ||
	    answer[0] != 0x20 || answer[3] != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool mqtt_subscribe(int fd, const char *topic)
{
	uint8_t packet[64] = {0x82, 0, 0, 1}, answer[1];
	size_t len = strlen(topic);

	packet[1] = (uint8_t)(5 + len);
	packet[5] = (uint8_t)len;
	memcpy(packet + 6, topic, len);
	packet[6 + len] = 0;
	return send(fd, packet, 7 + len, MSG_NOSIGNAL) == (ssize_t)(7 + len) && recv(fd, answer, 1, 0) == 1;
}

static void *publisher(void *arg)
{
	uint8_t packet[128] = {0x30};
	char name[32], topic[32];
	size_t len;
	int fd;

	snprintf(name, sizeof(name), "churn-p%ld", (long)arg);
	snprintf(topic, sizeof(topic), "churn/%ld", (long)arg);
	fd = mqtt_connect(name);
	if (fd < 0) {
		perror("publisher cannot connect");
		exit(2);
	}
	len = strlen(topic);
	packet[1] = (uint8_t)(2 + len + PAYLOAD);
	packet[3] = (uint8_t)len;
	memcpy(packet + 4, topic, len);
	for (unsigned long n = 0; !stopped(); n++) {
		ssize_t rc = send(fd, packet, 4 + len + PAYLOAD, MSG_NOSIGNAL);

		if (rc == (ssize_t)(4 + len + PAYLOAD)) {
			count(&sends, 1);
		} else {
			count(&errors[rc < 0 && errno < ERRNO_MAX ? errno : 0], 1);
			break;
		}
		if (n % 4 == 3)
			usleep(200);
	}
	close(fd);
	return NULL;
}

/* Read until n bytes came, or an error. */
static void read_some(int fd, size_t n)
{
	uint8_t buffer[ANSWER_MAX];

	while (n > 0) {
		ssize_t rc = recv(fd, buffer, n < sizeof(buffer) ? n : sizeof(buffer), MSG_DONTWAIT);

		if (rc < 0 && errno == EAGAIN && !stopped()) {
			struct pollfd wait = {.fd = fd, .events = POLLIN};

			poll(&wait, 1, 100);
			continue;
		}
		if (rc <= 0)
			return;
		count(&received, (unsigned long)rc);
		n -= (size_t)rc;
	}
}

static void leave(int fd, enum way way)
{
	const struct linger reset = {.l_onoff = 1};

	switch (way) {
	case RESET:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		break;
	case HALF_CLOSE:
		shutdown(fd, SHUT_WR);
		break;
	case DISCONNECT:
		send(fd, "\xe0\0", 2, MSG_NOSIGNAL);
		break;
	default:
		break;
	}
	close(fd);
}

/* The same in a process that ends without closing anything. */
static void die(const char *id, const char *topic)
{
	pid_t pid = fork();

	if (pid == 0) {
		int fd;

		alarm(READ_TIMEOUT_S); /* nobody tells this process when the publishers stop */
		fd = mqtt_connect(id);
		if (fd >= 0 && mqtt_subscribe(fd, topic))
			read_some(fd, 500);
		kill(getpid(), SIGKILL);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void *subscriber(void *arg)
{
	char name[32], topic[32];

	snprintf(name, sizeof(name), "churn-s%ld", (long)arg);
	snprintf(topic, sizeof(topic), "churn/%ld", (long)arg);
	for (unsigned n = 0; !stopped(); n++) {
		enum way way = n % 50 == 49 ? DIE : n % DIE;
		int fd;

		if (way == DIE) {
			die(name, topic);
		} else {
			fd = mqtt_connect(name);
			if (fd < 0 || !mqtt_subscribe(fd, topic)) {
				count(&failed_subscribers, 1);
				if (fd >= 0)
					close(fd);
				continue;
			}
			read_some(fd, 100 + n % 7 * 150);
			leave(fd, way);
		}
		if (__atomic_add_fetch(&closes, 1, __ATOMIC_RELAXED) >= closes_wanted)
			__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int report(void)
{
	unsigned long bad = 0;

	for (int i = 0; i < ERRNO_MAX; i++)
		bad += errors[i];
	printf("sends %lu closes %lu received %lu failed %lu errors %lu\n", sends, closes, received, failed_subscribers,
	       bad);
	for (int i = 0; i < ERRNO_MAX; i++) {
		if (errors[i])
			printf("%lu publishers: %s\n", errors[i], i ? strerror(i) : "short send");
	}
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	long publishers;
	int seconds;

	if (argc != 6 || (publishers = atol(argv[3])) < 1 || publishers > 32) {
		fputs("usage: ADDRESS PORT PUBLISHERS CLOSES SECONDS\n", stderr);
		return 2;
	}
	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
	inet_pton(AF_INET, argv[1], &address.sin_addr);
	closes_wanted = strtoul(argv[4], NULL, 10);
	seconds = atoi(argv[5]);
	signal(SIGPIPE, SIG_IGN);
	for (long i = 0; i < publishers; i++) {
		if (pthread_create(&threads[i], NULL, publisher, (void *)i) ||
		    pthread_create(&threads[32 + i], NULL, subscriber, (void *)i))
			return 2;
	}
	for (int i = 0; i < seconds * 100 && !stopped(); i++)
		usleep(10000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (long i = 0; i < publishers; i++) {
		pthread_join(threads[32 + i], NULL);
		pthread_join(threads[i], NULL);
	}
	return report();
}
