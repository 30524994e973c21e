// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The control socket: requests and answers, its file, and clients that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"
#include "base/log.h"

enum { LARGE = 8 << 20 };

static char dir[] = "/tmp/shunt-test-control.XXXXXX";
static char path[sizeof(dir) + 16], log_path[sizeof(dir) + 16];
static struct control *control;

/* Answers with the request in quotation marks, or with LARGE bytes, or not at all. */
static char *echo(const char *request, size_t *len)
{
	char *text = NULL;

	if (!strcmp(request, "none"))
		return NULL;
	if (!strcmp(request, "large")) {
		text = malloc(LARGE + 1);
		if (text) {
			memset(text, 'x', LARGE);
			text[LARGE] = '\0';
			*len = LARGE;
		}
		return text;
	}
	*len = (size_t)asprintf(&text, "\"%s\"", request);
	return text;
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(addr.sun_path, path, sizeof(path));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect(int fd, const char *want)
{
	char got[256] = "";
	size_t len = 0;

	while (len < strlen(want)) {
		ssize_t n = recv(fd, got + len, strlen(want) - len, 0);

		if (n <= 0)
			fail_msg("got \"%s\", wanted \"%s\"", got, want);
		len += (size_t)n;
	}
	assert_string_equal(got, want);
}

static void expect_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void assert_logged(const char *want)
{
	char text[1024];
	FILE *f = fopen(log_path, "re");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	if (!strstr(text, want))
		fail_msg("logged \"%s\", wanted \"%s\"", text, want);
	assert_int_equal(truncate(log_path, 0), 0);
}

static int begin(void **state)
{
	(void)state;
	return control_open(&control, path, (uid_t)-1, (gid_t)-1) || control_start(control, echo);
}

static int end(void **state)
{
	(void)state;
	control_close(control);
	return access(path, F_OK) == 0; /* it must be gone */
}

static void test_requests(void **state)
{
	int fd = dial(), other = dial();

	(void)state;
	say(fd, "one\n");
	expect(fd, "\"one\"\n");
	say(fd, "two\nthree\nfo");
	expect(fd, "\"two\"\n\"three\"\n");
	say(other, "else\n");
	expect(other, "\"else\"\n");
	say(fd, "ur\n");
	expect(fd, "\"four\"\n");
	close(other);
	close(fd);
}

static void test_half_close(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "last\n");
	shutdown(fd, SHUT_WR);
	expect(fd, "\"last\"\n");
	expect_end(fd);
}

static void test_too_long(void **state)
{
	char request[CONTROL_REQUEST_MAX + 1];
	int fd = dial();

	(void)state;
	memset(request, 'x', sizeof(request));
	request[CONTROL_REQUEST_MAX - 1] = '\n';
	request[CONTROL_REQUEST_MAX] = '\0';
	say(fd, request);
	expect(fd, "\"xxxx");
	close(fd);

	fd = dial();
	request[CONTROL_REQUEST_MAX - 1] = 'x';
	say(fd, request);
	expect(fd, "{\"error\":\"the request is too long\"}\n");
	/* Closed; what was not read of the request may make it a reset. */
	assert_true(recv(fd, request, sizeof(request), 0) <= 0);
	close(fd);
}

static void test_no_memory(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "none\n");
	expect_end(fd);
}

/* Clients that say nothing, that do not take their answer, that vanish: the others are served. */
static void test_bad_clients(void **state)
{
	enum { SILENT = CONTROL_CLIENTS_MAX - 3 };
	int silent[SILENT], deaf = dial(), fd;

	(void)state;
	for (int i = 0; i < SILENT; i++) {
		silent[i] = dial();
		say(silent[i], "half a request");
	}
	say(deaf, "large\n");
	for (int i = 0; i < 100; i++) {
		fd = dial();
		say(fd, i % 2 ? "large\n" : "large");
		close(fd);
		fd = dial();
		say(fd, "hello\n");
		expect(fd, "\"hello\"\n");
		close(fd);
	}
	for (int i = 0; i < SILENT; i++)
		close(silent[i]);
	expect(deaf, "xxxxxxxx");
	close(deaf);
}

static void test_more_clients_than_places(void **state)
{
	enum { N = CONTROL_CLIENTS_MAX + 4 };
	int fd[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		fd[i] = dial();
		say(fd[i], "x\n");
	}
	for (int i = 0; i < N; i++) { /* each that goes makes a place */
		expect(fd[i], "\"x\"\n");
		close(fd[i]);
	}
}

static void test_large_answer(void **state)
{
	static char buffer[65536];
	size_t total = 0;
	ssize_t n;
	int fd = dial();

	(void)state;
	say(fd, "large\n");
	while (total < LARGE + 1 && (n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		total += (size_t)n;
	assert_int_equal(total, LARGE + 1);
	say(fd, "next\n");
	expect(fd, "\"next\"\n");
	close(fd);
}

/* Without descriptors the thread waits instead of spinning, and goes on when there are some again. */
static void test_no_descriptors(void **state)
{
	struct rlimit limit, none;
	struct rusage before, after;
	int fd, held[64], n = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	held[n++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (n < 64 && (held[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	close(held[--n]);
	fd = dial(); /* takes the last one */
	say(fd, "y\n");
	getrusage(RUSAGE_SELF, &before);
	usleep(300000);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec + after.ru_stime.tv_sec * 1000000 +
			    after.ru_stime.tv_usec <
		    before.ru_utime.tv_sec * 1000000 + before.ru_utime.tv_usec + before.ru_stime.tv_sec * 1000000 +
			    before.ru_stime.tv_usec + 150000);
	while (n > 0)
		close(held[--n]);
	setrlimit(RLIMIT_NOFILE, &limit);
	expect(fd, "\"y\"\n");
	close(fd);
}

static void test_file(void **state)
{
	struct control *second = (struct control *)1;
	struct stat st;

	(void)state;
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	/* in use */
	assert_int_equal(control_open(&second, path, (uid_t)-1, (gid_t)-1), -1);
	assert_null(second);
	assert_logged("another daemon has it. Name another file by control_socket.");
	test_requests(NULL);
}

static void test_stale_file(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), file;

	(void)state;
	memcpy(addr.sun_path, path, sizeof(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd); /* bound, never removed, nobody there */
	assert_int_equal(begin(NULL), 0);
	test_requests(NULL);

	/* Somebody else's by now: not removed at the end. */
	unlink(path);
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	control_close(control);
	assert_int_equal(access(path, F_OK), 0);

	/* What is no socket is not replaced. */
	assert_int_equal(control_open(&control, path, (uid_t)-1, (gid_t)-1), -1);
	assert_logged("there is a file that is no socket");
	assert_int_equal(unlink(path), 0);
}

static void test_no_folder(void **state)
{
	(void)state;
	assert_int_equal(control_open(&control, "/nonexistent/control", (uid_t)-1, (gid_t)-1), -1);
	assert_logged("Unable to open the control socket /nonexistent/control: No such file or directory.");
	assert_int_equal(control_start(NULL, echo), 0);
	control_close(NULL);
}

static void test_never_started(void **state)
{
	(void)state;
	assert_int_equal(control_open(&control, path, (uid_t)-1, (gid_t)-1), 0);
	control_close(control);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, begin, end),
		cmocka_unit_test_setup_teardown(test_half_close, begin, end),
		cmocka_unit_test_setup_teardown(test_too_long, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_bad_clients, begin, end),
		cmocka_unit_test_setup_teardown(test_more_clients_than_places, begin, end),
		cmocka_unit_test_setup_teardown(test_large_answer, begin, end),
		cmocka_unit_test_setup_teardown(test_no_descriptors, begin, end),
		cmocka_unit_test_setup_teardown(test_file, begin, end),
		cmocka_unit_test(test_stale_file),
		cmocka_unit_test(test_no_folder),
		cmocka_unit_test(test_never_started),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/control", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	if (log_set_dest(LOG_DEST_FILE, log_path))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	log_set_dest(LOG_DEST_STDERR, NULL);
	unlink(log_path);
	rmdir(dir);
	return failed;
}
