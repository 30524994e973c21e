// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The thread of HTTP: it accepts connections, lets libmicrohttpd handle what is there to read or write, and ends those that
 * take too long. */
#include "admin/http_serve.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- connections -------------------------------------------------------------------------------------------------- */

/* MHD_NotifyConnectionCallback. Without memory for it, a connection has no deadline but that of silence. */
static void connection_changed(void *arg, struct MHD_Connection *c, void **socket_context,
			       enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info;
	struct http *h = arg;
	struct http_client *client = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		h->counters.open--;
		if (client)
			list_del(&client->all);
		free(client);
		*socket_context = NULL;
		return;
	}
	h->counters.open++;
	h->counters.connections++;
	client = calloc(1, sizeof(*client));
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!client || !info) {
		free(client);
		return;
	}
	client->fd = info->connect_fd;
	client->deadline_ns = clock_ns() + HTTP_REQUEST_S * NS_PER_S;
	list_push(&h->clients, &client->all);
	*socket_context = client;
}

/* libmicrohttpd notices the end of those that took too long, and tells. */
static void end_late(struct http *h)
{
	uint64_t now = clock_ns();

	for (struct list *l = h->clients.next; l != &h->clients; l = l->next) {
		struct http_client *client = container_of(l, struct http_client, all);

		if (now < client->deadline_ns)
			continue;
		client->deadline_ns = UINT64_MAX;
		h->counters.timeouts++;
		shutdown(client->fd, SHUT_RDWR);
	}
}

static void accept_clients(struct http *h, int listen_fd)
{
	struct sockaddr_storage addr;

	while (h->counters.open < HTTP_CLIENTS_MAX) {
		socklen_t len = sizeof(addr);
		int fd = accept4(listen_fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* The listener would stay readable and the thread would spin. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
				h->accept_after_ns = clock_ns() + NS_PER_S;
			return;
		}
		/* It closes the descriptor if it fails. */
		if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&addr, len) != MHD_YES) {
			h->accept_after_ns = clock_ns() + NS_PER_S;
			return;
		}
	}
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

/* Milliseconds; -1: nothing is to be done before something comes. */
static int poll_timeout(const struct http *h, uint64_t now)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int timeout = -1;

	if (h->accept_after_ns > now || !list_empty(&h->clients))
		timeout = 1000;
	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES && (timeout < 0 || ms < (unsigned)timeout))
		timeout = ms > INT_MAX ? INT_MAX : (int)ms;
	return timeout;
}

static void *serve(void *arg)
{
	enum { STOP = HTTP_SOCKETS_MAX, DAEMON, POLLED };
	struct http *h = arg;
	struct pollfd polled[POLLED];
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	pthread_setname_np(pthread_self(), "http");
	for (;;) {
		uint64_t now = clock_ns();
		bool accepting = now >= h->accept_after_ns && h->counters.open < HTTP_CLIENTS_MAX;

		for (int i = 0; i < HTTP_SOCKETS_MAX; i++) {
			polled[i] = (struct pollfd){.fd = -1};
			if (accepting && i < h->nlisten_fds)
				polled[i] = (struct pollfd){.fd = h->listen_fds[i], .events = POLLIN};
		}
		polled[STOP] = (struct pollfd){.fd = h->stop_fd, .events = POLLIN};
		polled[DAEMON] = (struct pollfd){.fd = info->epoll_fd, .events = POLLIN};
		if (poll(polled, POLLED, poll_timeout(h, now)) < 0 && errno != EINTR) {
			log_error("Error: HTTP stops working: %s.", strerror(errno));
			return NULL;
		}
		if (polled[STOP].revents)
			return NULL;
		for (int i = 0; i < h->nlisten_fds; i++) {
			if (polled[i].revents)
				accept_clients(h, h->listen_fds[i]);
		}
		MHD_run(h->daemon);
		end_late(h);
	}
}

/* What libmicrohttpd has to say is about what its clients do wrong. */
static void log_nothing(void *arg, const char *fmt, va_list args)
{
	(void)arg;
	(void)fmt;
	(void)args;
}

int http_serve_start(struct http *h)
{
	int err;

	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, http_request, h,
				     MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL,		   //
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CLIENTS_MAX,	   //
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADERS_MAX, //
				     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,	   //
				     MHD_OPTION_STRICT_FOR_CLIENT, 1,				   //
				     MHD_OPTION_NOTIFY_CONNECTION, connection_changed, h,	   //
				     MHD_OPTION_NOTIFY_COMPLETED, http_request_done, h, MHD_OPTION_END);
	if (!h->daemon)
		return errno ? -errno : -ENOMEM;
	err = pthread_create(&h->thread, NULL, serve, h);
	if (err)
		MHD_stop_daemon(h->daemon);
	return -err;
}

void http_serve_stop(struct http *h)
{
	pthread_join(h->thread, NULL);
	MHD_stop_daemon(h->daemon);
}
