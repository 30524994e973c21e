// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The sockets of HTTP and the beginning and end of its thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admin/http_internal.h"
#include "admin/http_serve.h"
#include "base/log.h"
#include "net/listener.h"

static int listen_at(struct http *h, const char *address, const char **error)
{
	int n = net_listen(address, h->place.port, AF_UNSPEC, NULL, h->listen_fds + h->nlisten_fds,
			   HTTP_SOCKETS_MAX - h->nlisten_fds, error);

	if (n > 0)
		h->nlisten_fds += n;
	return n < 0 ? n : 0;
}

static int open_sockets(struct http *h)
{
	const char *error = "", *other = "";
	int err = listen_at(h, h->place.address[0] ? h->place.address : "127.0.0.1", &error);

	/* There may be no IPv6. */
	if (!err && !h->place.address[0])
		(void)listen_at(h, "::1", &other);
	if (err)
		log_error("Error: Unable to listen for HTTP on %s port %u: %s. Choose another place by http_listener.",
			  h->place.address[0] ? h->place.address : "127.0.0.1", h->place.port, error);
	return err;
}

static void free_http(struct http *h)
{
	for (int i = 0; i < h->nlisten_fds; i++)
		close(h->listen_fds[i]);
	http_rules_free(h->rules);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

int http_open(struct http **http, const struct conf *conf)
{
	struct http *h;

	*http = NULL;
	if (!conf->http_listener)
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h) {
		log_error("Error: Out of memory.");
		return -1;
	}
	h->stop_fd = -1;
	pthread_mutex_init(&h->lock, NULL);
	list_init(&h->clients);
	(void)conf_http_place(conf->http_listener, &h->place);
	h->rules = http_rules_load(conf, conf);
	if (!h->rules || open_sockets(h)) {
		free_http(h);
		return -1;
	}
	log_info("Serving HTTP on %s port %u.", h->place.address[0] ? h->place.address : "the loopback addresses,",
		 h->place.port);
	http_files_start();
	*http = h;
	return 0;
}

int http_start(struct http *http)
{
	int err;

	if (!http)
		return 0;
	http->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (http->stop_fd < 0)
		return -errno;
	err = http_serve_start(http);
	if (!err)
		return 0;
	close(http->stop_fd);
	http->stop_fd = -1;
	return err;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->stop_fd >= 0) {
		eventfd_write(http->stop_fd, 1);
		http_serve_stop(http);
		close(http->stop_fd);
	}
	free_http(http);
}
