// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int open_one(const struct addrinfo *ai, const char *interface)
{
	const int on = 1;
	bool stream = ai->ai_socktype == SOCK_STREAM;
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
	int err;

	if (fd < 0)
		return -errno;
	/* Of UDP it would let another process have our datagrams. */
	if (stream && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		goto fail;
	/* The wildcard addresses of both families are sockets of their own. */
	if (ai->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		goto fail;
	/* Since Linux 5.7 without a privilege. */
	if (interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) < 0)
		goto fail;
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || (stream && listen(fd, NET_BACKLOG) < 0))
		goto fail;
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

static int listen_at(int type, const char *address, uint16_t port, int family, const char *interface, int *fds, int max,
		     const char **error)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_family = family, .ai_socktype = type};
	struct addrinfo *list;
	char service[8];
	int n = 0;
	int failed = -EADDRNOTAVAIL;
	int rc;

	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(address, service, &hints, &list);
	if (rc) {
		*error = gai_strerror(rc);
		return rc == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
	}
	for (struct addrinfo *ai = list; ai && n < max; ai = ai->ai_next) {
		int fd = open_one(ai, interface);

		if (fd >= 0)
			fds[n++] = fd;
		else if (failed == -EADDRNOTAVAIL || fd != -EAFNOSUPPORT)
			failed = fd;
	}
	freeaddrinfo(list);
	if (n > 0)
		return n;
	*error = strerrordesc_np(-failed);
	return failed;
}

int net_listen(const char *address, uint16_t port, int family, const char *interface, int *fds, int max,
	       const char **error)
{
	return listen_at(SOCK_STREAM, address, port, family, interface, fds, max, error);
}

int net_listen_udp(const char *address, uint16_t port, int family, int *fds, int max, const char **error)
{
	return listen_at(SOCK_DGRAM, address, port, family, NULL, fds, max, error);
}

bool net_is_ipv6(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_INET6;
}

static const char unix_peer[] = "unix:";

static void name_unix_peer(int fd, char peer[NET_ADDRESS_MAX])
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	snprintf(peer, NET_ADDRESS_MAX, "%s%d", unix_peer, cred.pid);
}

int net_accept(int listen_fd, char peer[NET_ADDRESS_MAX])
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} addr = {.sa = {.sa_family = AF_UNSPEC}};
	socklen_t len = sizeof(addr);
	char name[INET6_ADDRSTRLEN] = "?";
	uint16_t port = 0;
	int fd;

	do
		fd = accept4(listen_fd, &addr.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	if (addr.sa.sa_family == AF_UNIX) {
		name_unix_peer(fd, peer);
		return fd;
	}
	if (addr.sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &addr.in.sin_addr, name, sizeof(name));
		port = ntohs(addr.in.sin_port);
	} else if (addr.sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &addr.in6.sin6_addr, name, sizeof(name));
		port = ntohs(addr.in6.sin6_port);
	}
	snprintf(peer, NET_ADDRESS_MAX, "%s:%u", name, port);
	return fd;
}

int net_host_len(const char *peer)
{
	const char *port = strrchr(peer, ':');

	return port && strncmp(peer, unix_peer, sizeof(unix_peer) - 1) != 0 ? (int)(port - peer) : (int)strlen(peer);
}

void net_set_options(int fd, bool nodelay)
{
	const int on = 1;

	/* Neither can fail for a connected TCP socket. */
	if (nodelay)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}
