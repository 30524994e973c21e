/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Listening Unix sockets and their files. No state of its own; main thread, because it changes the umask. */
#ifndef SHUNT_UNIX_H
#define SHUNT_UNIX_H

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

enum { NET_UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) }; /* with the NUL */

/* A file that was made, so that no other is removed in its place. */
struct net_unix_file {
	dev_t dev;
	ino_t ino;
};

/* Listen at `path` (shorter than NET_UNIX_PATH_MAX), with the file mode `mode` from the first moment. A socket that
 * nobody listens at any more is replaced. The file is given to uid and gid, unless uid is -1. Returns the descriptor,
 * non-blocking and close-on-exec, and what to pass to net_unlisten_unix(); or -errno, of which -EADDRINUSE: a process
 * that lives listens there; -EEXIST: the file is no socket. */
int net_listen_unix(const char *path, mode_t mode, uid_t uid, gid_t gid, int backlog, struct net_unix_file *file);

/* Text for an error of it. */
const char *net_unix_error(int error);

/* Remove the file, if it is still that one and we may. */
void net_unlisten_unix(const char *path, const struct net_unix_file *file);

#endif
