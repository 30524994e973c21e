// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"
#include "net/address.h"

enum { FIRST_FD = 3 };

union any_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

struct inherited {
	size_t n;
	struct one {
		int fd; /* -1: somebody has it */
		char name[64];
		union any_address at;
	} all[INHERITED_MAX];
};

/* ---- taking ------------------------------------------------------------------------------------------------------ */

/* How many were passed to this process, not to one that has started it. */
static size_t count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t to, n;

	if (!pid || !fds || number_parse(pid, INT32_MAX, &to) || (pid_t)to != getpid() ||
	    number_parse(fds, INHERITED_MAX, &n))
		return 0;
	return n;
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

static const char *examine(struct one *o)
{
	socklen_t len = sizeof(o->at) - 1; /* a path need not end with a NUL */
	int flags = fcntl(o->fd, F_GETFL);

	if (flags < 0 || getsockname(o->fd, &o->at.sa, &len))
		return "it is no socket";
	if (option_of(o->fd, SO_TYPE) != SOCK_STREAM || option_of(o->fd, SO_ACCEPTCONN) != 1)
		return "it is no listening stream socket: write ListenStream= without Accept=yes";
	if (o->at.sa.sa_family != AF_INET && o->at.sa.sa_family != AF_INET6 && o->at.sa.sa_family != AF_UNIX)
		return "it is none of IPv4, IPv6 or Unix";
	if (fcntl(o->fd, F_SETFL, flags | O_NONBLOCK) || fcntl(o->fd, F_SETFD, FD_CLOEXEC))
		return "it cannot be made non-blocking";
	return NULL;
}

/* The next of the names with colons between. */
static void take_name(struct one *o, const char **names)
{
	size_t len = strcspn(*names, ":");

	snprintf(o->name, sizeof(o->name), "%.*s", (int)len, *names);
	*names += len + ((*names)[len] == ':');
}

int inherited_take(struct inherited **out, int *which, const char **why)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t n = count();
	struct inherited *in = n ? calloc(1, sizeof(*in)) : NULL;

	*out = in;
	*which = FIRST_FD;
	*why = in ? NULL : "out of memory";
	if (n && !in)
		return -ENOMEM;
	for (; in && in->n < n && !*why; in->n++) {
		struct one *o = &in->all[in->n];

		*which = o->fd = FIRST_FD + (int)in->n;
		if (names)
			take_name(o, &names);
		*why = examine(o);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return in && *why ? -EINVAL : 0;
}

void inherited_free(struct inherited *in)
{
	for (size_t i = 0; in && i < in->n; i++) {
		if (in->all[i].fd >= 0)
			close(in->all[i].fd);
	}
	free(in);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

static uint16_t port_of(const union any_address *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

static bool is_any(const union any_address *a)
{
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == htonl(INADDR_ANY)
					  : IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* Is the socket bound to one of the addresses that the name stands for? */
static bool has_address(const union any_address *a, const char *name)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_family = a->sa.sa_family, .ai_socktype = SOCK_STREAM};
	struct net_address own = net_address_of(&a->sa);
	struct addrinfo *list;
	bool has = false;

	if (getaddrinfo(name, NULL, &hints, &list))
		return false;
	for (struct addrinfo *ai = list; ai && !has; ai = ai->ai_next) {
		struct net_address other = net_address_of(ai->ai_addr);

		has = own.family == other.family && !memcmp(own.bytes, other.bytes, sizeof(own.bytes));
	}
	freeaddrinfo(list);
	return has;
}

static bool fits(const struct one *o, const struct inherited_wish *w)
{
	sa_family_t family = o->at.sa.sa_family;

	if (w->name)
		return !strcmp(o->name, w->name) && (family == AF_UNIX) == (w->path != NULL);
	if (w->path)
		return family == AF_UNIX && !strcmp(o->at.un.sun_path, w->path);
	if (family == AF_UNIX || port_of(&o->at) != w->port || (w->family && w->family != family))
		return false;
	return w->address ? has_address(&o->at, w->address) : is_any(&o->at);
}

int inherited_next(struct inherited *in, const struct inherited_wish *wish)
{
	for (size_t i = 0; in && i < in->n; i++) {
		int fd = in->all[i].fd;

		if (fd < 0 || !fits(&in->all[i], wish))
			continue;
		in->all[i].fd = -1;
		return fd;
	}
	return -1;
}

static void describe(const struct one *o, char text[INHERITED_TEXT_MAX])
{
	struct net_address a = net_address_of(&o->at.sa);
	struct network host = network_of(&a, UINT8_MAX);
	char name[NETWORK_NAME_MAX];

	if (o->at.sa.sa_family == AF_UNIX)
		snprintf(text, INHERITED_TEXT_MAX, "%.100s", o->at.un.sun_path);
	else
		snprintf(text, INHERITED_TEXT_MAX, "port %u of %s", port_of(&o->at), network_name(&host, name));
}

bool inherited_left(const struct inherited *in, char text[INHERITED_TEXT_MAX])
{
	for (size_t i = 0; in && i < in->n; i++) {
		if (in->all[i].fd < 0)
			continue;
		describe(&in->all[i], text);
		return true;
	}
	return false;
}
