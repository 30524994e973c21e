// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* WebSocket connections of a client that is not ours: Python's websockets, as websocket_peer.py has it. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/upgrade.h"
#include "net/websocket.h"

enum {
	PATIENCE_MS = 60000, /* nothing takes long, but a sanitizer does */
	READ_SIZE = 16384,
};

static const char script[] = "tests/unit/websocket_peer.py";

static int listen_fd;
static uint16_t port;

/* A connection: first its request, then frames. */
struct conn {
	int fd;
	bool upgraded;
	struct websocket ws;
	size_t len;
	uint8_t data[READ_SIZE];
};

static pid_t start(const char *const arguments[])
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	execv("/usr/bin/python3", (char *const *)arguments);
	_exit(127);
}

static int finish(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool write_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		data = (const char *)data + n;
		len -= (size_t)n;
	}
	return true;
}

/* False: the connection is to be closed. */
static bool handle_request(struct conn *c)
{
	static const char *const origins[] = {"http://allowed.example"};
	static const struct upgrade_rules rules = {.origins = origins, .origin_count = 1};
	struct upgrade u;
	enum upgrade_result result = upgrade_parse(c->data, c->len, &rules, &u);

	if (result == UPGRADE_NEED_MORE)
		return true;
	if (!write_all(c->fd, u.response, u.response_len) || result == UPGRADE_REFUSED)
		return false;
	assert_int_equal(u.consumed, c->len); /* a client waits for the response, section 4.1 */
	c->len = 0;
	c->upgraded = true;
	return true;
}

static bool handle_frames(struct conn *c)
{
	static const char command[] = "close ";
	uint8_t header[WEBSOCKET_HEADER_MAX], control[WEBSOCKET_CONTROL_MAX];
	size_t n = websocket_feed(&c->ws, c->data, c->len);
	bool good = true;

	c->len = 0;
	if (n > sizeof(command) && n < 16 && !memcmp(c->data, command, sizeof(command) - 1)) {
		c->data[n] = '\0';
		websocket_close(&c->ws, (enum websocket_code)atoi((const char *)c->data + sizeof(command) - 1));
	} else if (n) {
		good = write_all(c->fd, header, websocket_header(n, header)) && write_all(c->fd, c->data, n);
	}
	return good && write_all(c->fd, control, websocket_control(&c->ws, control)) && c->ws.state != WEBSOCKET_CLOSED;
}

static bool handle(struct conn *c)
{
	ssize_t n = recv(c->fd, c->data + c->len, sizeof(c->data) - c->len, 0);

	if (n <= 0)
		return false;
	c->len += (size_t)n;
	return c->upgraded ? handle_frames(c) : handle_request(c);
}

/* Serve one connection after the other until the script is through. */
static void serve(pid_t pid)
{
	struct conn *c = calloc(1, sizeof(*c));
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd polls[2] = {{.fd = pid_fd, .events = POLLIN}, {.events = POLLIN}};

	assert_non_null(c);
	assert_true(pid_fd >= 0);
	c->fd = -1;
	for (;;) {
		polls[1].fd = c->fd >= 0 ? c->fd : listen_fd;
		if (poll(polls, 2, PATIENCE_MS) == 0) {
			kill(pid, SIGKILL);
			print_message("nothing happens any more\n");
			break;
		}
		if (c->fd >= 0 && polls[1].revents) {
			if (handle(c))
				continue;
			close(c->fd);
			websocket_clear(&c->ws);
			*c = (struct conn){.fd = -1};
		} else if (polls[1].revents) {
			c->fd = accept(listen_fd, NULL, NULL);
			assert_true(c->fd >= 0);
		} else if (polls[0].revents) {
			break;
		}
	}
	if (c->fd >= 0)
		close(c->fd);
	websocket_clear(&c->ws);
	free(c);
	close(pid_fd);
}

static void run(void **state)
{
	const char *scenario = *state;
	const char *const probe[] = {"python3", "-c", "import importlib.util as u; exit(not u.find_spec('websockets'))",
				     NULL};
	char text[8];
	const char *const command[] = {"python3", script, text, scenario, NULL};
	pid_t pid;

	if (finish(start(probe))) {
		print_message("SKIP: no python3-websockets\n");
		skip();
	}
	snprintf(text, sizeof(text), "%u", port);
	pid = start(command);
	serve(pid);
	assert_int_equal(finish(pid), 0);
}

static int open_listener(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	(void)state;
	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(listen_fd, 16) ||
	    getsockname(listen_fd, (struct sockaddr *)&addr, &len))
		return -1;
	port = ntohs(addr.sin_port);
	return 0;
}

static int close_listener(void **state)
{
	(void)state;
	return close(listen_fd);
}

int main(void)
{
#define SCENARIO(scenario)                                            \
	{                                                             \
		"test_" scenario, run, NULL, NULL, (void *)(scenario) \
	}
	const struct CMUnitTest tests[] = {
		SCENARIO("handshake"), SCENARIO("sizes"), SCENARIO("fragments"),
		SCENARIO("big"),       SCENARIO("pings"), SCENARIO("closes"),
	};

	return cmocka_run_group_tests(tests, open_listener, close_listener);
}
