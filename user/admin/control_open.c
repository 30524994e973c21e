// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The file of the control socket: where it is, whose it is, and what to do when there is one already. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "admin/control_internal.h"
#include "base/log.h"

static const char root_folder[] = "/run/shunt"; /* of CONTROL_ROOT_PATH */

void control_default_path(char path[CONTROL_PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		snprintf(path, CONTROL_PATH_MAX, "%s", CONTROL_ROOT_PATH);
	else if (!runtime || *runtime != '/' ||
		 snprintf(path, CONTROL_PATH_MAX, "%s/shunt.sock", runtime) >= CONTROL_PATH_MAX)
		snprintf(path, CONTROL_PATH_MAX, "/tmp/shunt-%u.sock", getuid());
}

/* The folder of the default path of root, which is the daemon's user's, so that the socket can be removed at the end.
 * */
static int make_root_folder(uid_t uid, gid_t gid)
{
	struct stat st;

	if (mkdir(root_folder, 0755) && errno != EEXIST)
		return -errno;
	if (lstat(root_folder, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (uid != (uid_t)-1 && st.st_uid != uid && lchown(root_folder, uid, gid))
		return -errno;
	return 0;
}

/* Two daemons that start at once must not both find the socket of a third dead and each remove what the other has made
 * there: the folder is locked meanwhile. Returns the descriptor that holds the lock, or -1; a folder that cannot be
 * locked (or that somebody keeps locked) is not worth refusing to start. */
static int lock_folder(const char *path)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	char copy[CONTROL_PATH_MAX];
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

/* A listening socket at c->path. 0 or -errno. */
static int listen_at_path(struct control *c, uid_t uid, gid_t gid)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int lock, err;
	mode_t mask;

	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->listen_fd < 0)
		return -errno;
	memcpy(addr.sun_path, c->path, sizeof(c->path));
	lock = lock_folder(c->path);
	/* The mode is right from the first moment. */
	mask = umask(0117);
	err = bind_or_replace(c->listen_fd, &addr);
	umask(mask);
	if (!err && (listen(c->listen_fd, CONTROL_CLIENTS_MAX) || lstat(c->path, &c->inode) ||
		     (uid != (uid_t)-1 && lchown(c->path, uid, gid)))) {
		err = -errno;
		unlink(c->path);
	}
	if (lock >= 0)
		close(lock);
	if (err)
		close(c->listen_fd);
	return err;
}

static const char *explain(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "another daemon has it";
	case -EEXIST:
		return "there is a file that is no socket";
	}
	return strerror(-err);
}

int control_open(struct control **control, const char *path, uid_t uid, gid_t gid)
{
	struct control *c = calloc(1, sizeof(*c));
	int err = 0;

	*control = NULL;
	if (!c) {
		log_error("Error: Out of memory.");
		return -1;
	}
	c->stop_fd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	if (path) {
		snprintf(c->path, sizeof(c->path), "%s", path);
	} else {
		control_default_path(c->path);
		if (geteuid() == 0)
			err = make_root_folder(uid, gid);
	}
	if (!err)
		err = listen_at_path(c, uid, gid);
	if (!err) {
		*control = c;
		return 0;
	}

	if (path)
		log_error("Error: Unable to open the control socket %s: %s. Name another file by control_socket.",
			  c->path, explain(err));
	else
		log_warning("Warning: Running without a control socket, %s cannot be used: %s. Name another file by "
			    "control_socket.",
			    c->path, explain(err));
	free(c);
	return path ? -1 : 0;
}
