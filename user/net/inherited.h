/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Listening sockets that the service manager has opened for us, sd_listen_fds(3): which of them is for which listener. Main
 * thread. */
#ifndef SHUNT_INHERITED_H
#define SHUNT_INHERITED_H

#include <stdbool.h>
#include <stdint.h>

enum {
	INHERITED_MAX = 256,
	INHERITED_TEXT_MAX = 128, /* "port 1883 of 192.0.2.1 (name)" */
};

struct inherited;

/* Take over what was passed to this process, once: the environment is cleared of it, the descriptors become non-blocking and
 * close-on-exec. 0; or -errno with the number of the descriptor that cannot be used in *which, and why. *out is NULL when there
 * are none. */
int inherited_take(struct inherited **out, int *which, const char **why);

/* What a listener would open. */
struct inherited_wish {
	const char *name;    /* FileDescriptorName=; NULL: by what it is bound to, that is */
	const char *path;    /* of a Unix socket; NULL: TCP, */
	const char *address; /* NULL: all */
	uint16_t port;
	int family; /* AF_UNSPEC: any */
};

/* The next descriptor that fits, the caller's from now on; -1: there is none (more). NULL is allowed. */
int inherited_next(struct inherited *in, const struct inherited_wish *wish);

/* Tell of one that nobody wanted; false: there is none. */
bool inherited_left(const struct inherited *in, char text[INHERITED_TEXT_MAX]);

/* Close what is left. NULL is allowed. */
void inherited_free(struct inherited *in);

#endif
