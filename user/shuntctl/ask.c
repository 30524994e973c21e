// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"

enum { ANSWER_MAX = 1 << 30 };

/* A connection to the path, or -errno. */
static int dial(const char *path)
{
	const struct timeval patience = {.tv_sec = CONTROL_TIMEOUT_S};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) &&
	    !connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static const char *advice(int err)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "Start shuntd, or name the socket of a running one by -s FILE (its option control_socket).";
	case -EACCES:
	case -EPERM:
		return "Try as root, or as a member of the group the socket belongs to.";
	case -EAGAIN:
		return "It may be stopped or overloaded.";
	}
	return "Name another socket by -s FILE.";
}

static int say_unreachable(FILE *complaints, const char *path, int err)
{
	fprintf(complaints, "shuntctl: no daemon can be reached at %s: %s.\n%s\n", path,
		err == -EAGAIN ? "it does not answer" : strerror(-err), advice(err));
	return EXIT_NO_DAEMON;
}

static int send_request(int fd, const char *request)
{
	struct iovec parts[2] = {
		{.iov_base = (char *)request, .iov_len = strlen(request)},
		{.iov_base = "\n", .iov_len = 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	/* A request is shorter than any socket buffer, so that it goes as a whole. */
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The answer up to its line end. 0 or -errno. */
static int receive_answer(int fd, char **answer)
{
	size_t size = 65536, len = 0;
	char *text = malloc(size), *end, *larger;
	int err = -ENOMEM;
	ssize_t n;

	while (text && size <= ANSWER_MAX) {
		n = recv(fd, text + len, size - len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : -ECONNRESET;
			break;
		}
		end = memchr(text + len, '\n', (size_t)n);
		if (end) {
			*end = '\0';
			*answer = text;
			return 0;
		}
		len += (size_t)n;
		if (len < size)
			continue;
		size *= 2;
		larger = realloc(text, size);
		if (!larger)
			break;
		text = larger;
	}
	free(text);
	return err;
}

int ask(const char *path, const char *request, FILE *complaints, char **answer)
{
	char own[CONTROL_PATH_MAX];
	int fd, err;

	if (path) {
		fd = dial(path);
	} else {
		control_default_path(own);
		path = own;
		fd = dial(path);
		/* Not root, and no daemon of one's own: root's. */
		if ((fd == -ENOENT || fd == -ECONNREFUSED) && strcmp(path, CONTROL_ROOT_PATH) != 0) {
			int other = dial(CONTROL_ROOT_PATH);

			if (other != -ENOENT) {
				fd = other;
				path = CONTROL_ROOT_PATH;
			}
		}
	}
	if (fd < 0)
		return say_unreachable(complaints, path, fd);
	err = send_request(fd, request);
	if (!err)
		err = receive_answer(fd, answer);
	close(fd);
	return err ? say_unreachable(complaints, path, err) : EXIT_DONE;
}
