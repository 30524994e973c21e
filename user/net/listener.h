/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Listening sockets and the names of peers. No state of its own: any thread. */
#ifndef SHUNT_LISTENER_H
#define SHUNT_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	NET_ADDRESS_MAX = INET6_ADDRSTRLEN + 8, /* "ADDRESS:PORT" or "unix:PID" and a NUL */
	NET_BACKLOG = 4096,			/* the kernel takes net.core.somaxconn if that is less */
};

/* Bind and listen on TCP `port` of every address that `address` (name or number; NULL: all) stands for; of `family`
 * only, if it is not AF_UNSPEC; of connections that come in by this interface only, if it is not NULL.
 * Stores up to `max` non-blocking descriptors and returns their number, at least 1; or -errno when not a single one
 * could be opened, with *error a static text for it. The caller closes them. */
int net_listen(const char *address, uint16_t port, int family, const char *interface, int *fds, int max,
	       const char **error);

/* The same on UDP. */
int net_listen_udp(const char *address, uint16_t port, int family, int *fds, int max, const char **error);

bool net_is_ipv6(int fd);

/* Accept one connection, non-blocking, close-on-exec. Stores "ADDRESS:PORT" of the peer, or "unix:PID" with the process
 * that connected, 0 if it is not of our PID namespace. The descriptor or -errno. */
int net_accept(int listen_fd, char peer[NET_ADDRESS_MAX]);

/* How much of a peer's name is without its port; of a Unix socket all of it. */
int net_host_len(const char *peer);

/* Of a TCP socket: set TCP_NODELAY, if wanted: what is written goes out at once; and SO_KEEPALIVE, by which a peer that vanished is
 * found out even if it asked for no MQTT keepalive. */
void net_set_options(int fd, bool nodelay);

#endif
