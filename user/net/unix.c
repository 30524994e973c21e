// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Unix sockets: whose the file is, and what to do when there is one already. */
#include "net/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Two daemons that start at once must not both find the socket of a third dead and each remove what the other has made
 * there: the folder is locked meanwhile. Returns the descriptor that holds the lock, or -1; a folder that cannot be
 * locked (or that somebody keeps locked) is not worth refusing to start. */
static int lock_folder(const char *path)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	char copy[NET_UNIX_PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK && i < 20; i++)
		nanosleep(&pause, NULL);
	return fd;
}

/* Is the file at `addr` the socket of a process that lives? 0: no, it may be removed; else -errno, why it may not. */
static int probe(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, err;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	if (err == ECONNREFUSED || err == ENOENT)
		return 0;
	return err && err != EAGAIN ? -err : -EADDRINUSE;
}

/* Bind to the address, in place of a dead socket if there is one. 0 or -errno. */
static int bind_or_replace(int fd, const struct sockaddr_un *addr)
{
	int err;

	if (!bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	err = probe(addr);
	if (err)
		return err;
	if (unlink(addr->sun_path) && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;
}

/* After bind(): 0 or -errno. */
static int listen_and_give(int fd, const char *path, uid_t uid, gid_t gid, int backlog, struct net_unix_file *file)
{
	struct stat st;

	if (listen(fd, backlog) || lstat(path, &st) || (uid != (uid_t)-1 && lchown(path, uid, gid)))
		return -errno;
	*file = (struct net_unix_file){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

int net_listen_unix(const char *path, mode_t mode, uid_t uid, gid_t gid, int backlog, struct net_unix_file *file)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, lock, err;
	mode_t mask;

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	lock = lock_folder(path);
	mask = umask(~mode & 0777);
	err = bind_or_replace(fd, &addr);
	umask(mask);
	if (!err) {
		err = listen_and_give(fd, path, uid, gid, backlog, file);
		if (err)
			unlink(path);
	}
	if (lock >= 0)
		close(lock);
	if (err)
		close(fd);
	return err ? err : fd;
}

const char *net_unix_error(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another daemon has it";
	case -EEXIST:
		return "there is a file that is no socket";
	}
	return strerror(-error);
}

void net_unlisten_unix(const char *path, const struct net_unix_file *file)
{
	struct stat st;

	if (!lstat(path, &st) && st.st_ino == file->ino && st.st_dev == file->dev)
		unlink(path);
}
