// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The thread of the control socket. Nothing here waits for one client: every step is bounded by what is there to read
 * or write, every client by its deadline. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/control_internal.h"
#include "base/clock.h"
#include "base/log.h"

static void restart_deadline(struct control_client *c)
{
	c->deadline_ns = clock_ns() + CONTROL_TIMEOUT_S * NS_PER_S;
}

static void drop_client(struct control_client *c)
{
	close(c->fd);
	free(c->answer);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

static struct control_client *free_place(struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].fd < 0)
			return &control->clients[i];
	}
	return NULL;
}

static void accept_clients(struct control *control)
{
	struct control_client *c;

	while ((c = free_place(control))) {
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* The listener would stay readable and the thread would spin. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
				control->accept_after_ns = clock_ns() + NS_PER_S;
			return;
		}
		c->fd = fd;
		restart_deadline(c);
	}
}

/* Take the answer over and give it its line end; false when memory is short. */
static bool set_answer(struct control_client *c, char *text, size_t len)
{
	char *line = text ? realloc(text, len + 1) : NULL;

	if (!line) {
		free(text);
		return false;
	}
	line[len] = '\n';
	c->answer = line;
	c->answer_len = len + 1;
	c->answer_sent = 0;
	restart_deadline(c);
	return true;
}

/* Answer the first request in the buffer, if there is a whole one. False when the client is to be dropped. */
static bool answer_next(struct control *control, struct control_client *c)
{
	static const char too_long[] = "{\"error\":\"the request is too long\"}";
	char *end = memchr(c->request, '\n', c->request_len), *text;
	size_t len = 0, used;

	if (!end && c->request_len < sizeof(c->request))
		return true;
	if (!end) {
		text = strdup(too_long);
		len = strlen(too_long);
		c->last = true;
		used = c->request_len;
	} else {
		*end = '\0';
		text = control->answer(c->request, &len);
		used = (size_t)(end + 1 - c->request);
	}
	c->request_len -= used;
	memmove(c->request, c->request + used, c->request_len);
	return set_answer(c, text, len);
}

/* False when the client is to be dropped, as below. */
static bool read_request(struct control *control, struct control_client *c)
{
	ssize_t n = recv(c->fd, c->request + c->request_len, sizeof(c->request) - c->request_len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->request_len += (size_t)n;
	return answer_next(control, c);
}

static bool write_answer(struct control *control, struct control_client *c)
{
	ssize_t n = send(c->fd, c->answer + c->answer_sent, c->answer_len - c->answer_sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->answer_sent += (size_t)n;
	if (c->answer_sent < c->answer_len)
		return true;
	free(c->answer);
	c->answer = NULL;
	restart_deadline(c);
	return !c->last && answer_next(control, c);
}

static void serve_client(struct control *control, struct control_client *c, short events)
{
	bool keep = true;

	if (events && c->answer)
		keep = write_answer(control, c);
	else if (events)
		keep = read_request(control, c);
	if (!keep || clock_ns() >= c->deadline_ns)
		drop_client(c);
}

/* Milliseconds for poll() until the first deadline; -1: there is none. */
static int poll_timeout(const struct control *control, uint64_t now)
{
	uint64_t first = control->accept_after_ns > now ? control->accept_after_ns : UINT64_MAX;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const struct control_client *c = &control->clients[i];

		if (c->fd >= 0 && c->deadline_ns < first)
			first = c->deadline_ns;
	}
	if (first == UINT64_MAX)
		return -1;
	return first > now ? (int)((first - now) / NS_PER_MS) + 1 : 0;
}

static void *serve(void *arg)
{
	enum { STOP = CONTROL_CLIENTS_MAX, LISTEN, POLLED };
	struct control *control = arg;
	struct pollfd polled[POLLED];

	for (;;) {
		uint64_t now = clock_ns();
		bool accepting = now >= control->accept_after_ns && free_place(control);

		/* poll() passes over negative descriptors: free places, and the listener while no one can be accepted. */
		for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
			const struct control_client *c = &control->clients[i];

			polled[i] = (struct pollfd){.fd = c->fd, .events = c->answer ? POLLOUT : POLLIN};
		}
		polled[STOP] = (struct pollfd){.fd = control->stop_fd, .events = POLLIN};
		polled[LISTEN] = (struct pollfd){.fd = accepting ? control->listen_fd : -1, .events = POLLIN};
		if (poll(polled, POLLED, poll_timeout(control, now)) < 0 && errno != EINTR) {
			log_error("Error: The control socket stops working: %s.", strerror(errno));
			return NULL;
		}
		if (polled[STOP].revents)
			return NULL;
		for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
			if (control->clients[i].fd >= 0)
				serve_client(control, &control->clients[i], polled[i].revents);
		}
		if (polled[LISTEN].revents)
			accept_clients(control);
	}
}

int control_start(struct control *control, control_answer_fn *answer)
{
	int err;

	if (!control)
		return 0;
	control->answer = answer;
	control->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (control->stop_fd < 0)
		return -errno;
	err = pthread_create(&control->thread, NULL, serve, control);
	if (err) {
		close(control->stop_fd);
		control->stop_fd = -1;
	}
	return -err;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	if (control->stop_fd >= 0) {
		eventfd_write(control->stop_fd, 1);
		pthread_join(control->thread, NULL);
		close(control->stop_fd);
	}
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].fd >= 0)
			drop_client(&control->clients[i]);
	}
	/* The file first: a connection that comes in between finds nobody rather than a socket that refuses. */
	net_unlisten_unix(control->path, &control->file);
	close(control->listen_fd);
	free(control);
}
