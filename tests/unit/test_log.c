// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The log: what a line looks like, where it goes, what does not get into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static char dir[] = "/tmp/shunt-test-log.XXXXXX";
static char path[sizeof(dir) + 16];

/* The whole file, to be freed. */
static char *contents(const char *name)
{
	FILE *f = fopen(name, "re");
	size_t size = 0;
	char *text = NULL;

	assert_non_null(f);
	if (getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	assert_non_null(text);
	return text;
}

static void assert_contents(const char *name, const char *want)
{
	char *text = contents(name);

	assert_string_equal(text, want);
	free(text);
}

static int begin(void **state)
{
	(void)state;
	unlink(path);
	log_set_types(LOG_TYPE_DEFAULT);
	log_set_timestamp(false, NULL);
	return log_set_dest(LOG_DEST_FILE, path);
}

static int end(void **state)
{
	(void)state;
	return log_set_dest(LOG_DEST_STDERR, NULL);
}

static void test_types(void **state)
{
	(void)state;
	log_error("one %d", 1);
	log_debug("not wanted");
	log_msg(LOG_TYPE_SUBSCRIBE, "not wanted");
	assert_false(log_wants(LOG_TYPE_DEBUG));
	log_set_types(LOG_TYPE_DEBUG | LOG_TYPE_UNSUBSCRIBE);
	assert_true(log_wants(LOG_TYPE_DEBUG));
	assert_false(log_wants(LOG_TYPE_ERROR));
	log_error("not wanted");
	log_debug("two");
	log_msg(LOG_TYPE_UNSUBSCRIBE, "three");
	assert_contents(path, "one 1\ntwo\nthree\n");
}

static void test_timestamp(void **state)
{
	char *text, *end_of_number;
	long long stamp;

	(void)state;
	log_set_timestamp(true, NULL);
	log_notice("text");
	text = contents(path);
	stamp = strtoll(text, &end_of_number, 10);
	assert_in_range(time(NULL) - stamp, 0, 60);
	assert_string_equal(end_of_number, ": text\n");
	free(text);

	begin(NULL);
	log_set_timestamp(true, "no directive");
	log_notice("text");
	assert_contents(path, "no directive: text\n");

	/* A format whose result is empty: still a line that can be told from others. */
	begin(NULL);
	log_set_timestamp(true, "%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%Z%c%c%c%c%c%c%c%c");
	log_notice("text");
	text = contents(path);
	assert_non_null(strstr(text, ": text\n"));
	free(text);
}

static void test_no_forged_lines(void **state)
{
	(void)state;
	log_notice("client %s", "a\nb\r\tc\x1b[31m\x7f\xc3\xa4");
	assert_contents(path, "client a?b??c?[31m?\xc3\xa4\n");
}

/* As lines of mosquitto's are indented. */
static void test_indented(void **state)
{
	(void)state;
	log_notice("\t\t%s", "a\tb");
	assert_contents(path, "\t\ta?b\n");
}

static char sunk[256];
static enum log_type sunk_type;

static void sink(enum log_type type, const char *line, size_t len)
{
	assert_true(strlen(sunk) + len < sizeof(sunk));
	strncat(sunk, line, len);
	strcat(sunk, "|");
	sunk_type = type;
}

static void test_sink(void **state)
{
	(void)state;
	log_set_sink(sink);
	log_notice("not for a topic");
	assert_int_equal(log_set_dest(LOG_DEST_FILE | LOG_DEST_TOPIC, path), 0);
	log_warning("one %s", "line\n");
	assert_int_equal(sunk_type, LOG_TYPE_WARNING);
	log_set_timestamp(true, "then");
	log_msg(LOG_TYPE_ERROR, "two");
	assert_int_equal(sunk_type, LOG_TYPE_ERROR);
	log_debug("not wanted");
	log_set_sink(NULL);
	log_notice("nobody listens");
	assert_string_equal(sunk, "one line?|then: two|");
	assert_contents(path, "not for a topic\none line?\nthen: two\nthen: nobody listens\n");
}

static void test_long_line(void **state)
{
	char *long_text = calloc(1, 100001), *text;

	(void)state;
	assert_non_null(long_text);
	memset(long_text, 'x', 100000);
	log_notice("%s", long_text);
	log_notice("after");
	text = contents(path);
	assert_int_equal(strlen(text), LOG_LINE_MAX - 1 + strlen("...\nafter\n"));
	assert_string_equal(text + LOG_LINE_MAX - 1, "...\nafter\n");
	free(text);
	free(long_text);
}

static void test_keeps_errno(void **state)
{
	(void)state;
	errno = EPROTO;
	log_notice("%s", strerror(errno));
	assert_int_equal(errno, EPROTO);
}

static void test_reopen(void **state)
{
	char old[sizeof(path) + 4];

	(void)state;
	snprintf(old, sizeof(old), "%s.1", path);
	log_notice("first");
	assert_int_equal(rename(path, old), 0);
	log_notice("second");
	assert_int_equal(log_reopen(), 0);
	log_notice("third");
	assert_contents(old, "first\nsecond\n");
	assert_contents(path, "third\n");
	unlink(old);

	/* What cannot be opened leaves the old file in use. */
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(log_reopen(), -EISDIR);
	log_notice("fourth");
	assert_contents(old, "third\nfourth\n");
	rmdir(path);
	unlink(old);
}

static void test_refused_destinations(void **state)
{
	char target[sizeof(path) + 8];

	(void)state;
	snprintf(target, sizeof(target), "%s.link", path);
	assert_int_equal(symlink(path, target), 0);
	assert_int_equal(log_set_dest(LOG_DEST_FILE, target), -ELOOP);
	assert_int_equal(log_set_dest(LOG_DEST_FILE, "/nonexistent/log"), -ENOENT);
	log_notice("still here");
	assert_contents(path, "still here\n");
	unlink(target);

	assert_int_equal(log_set_dest(0, NULL), 0);
	log_notice("nowhere");
	assert_int_equal(log_reopen(), 0);
	assert_int_equal(log_chown((uid_t)-1, (gid_t)-1), 0);
	assert_contents(path, "still here\n");
}

static void test_file_mode(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777 & 0027, 0);
	assert_int_equal(log_chown(getuid(), getgid()), 0);
}

enum { THREADS = 4, LINES = 500 };

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++) {
		log_notice("thread %d line %d", *(int *)arg, i);
		if (i % 100 == 0)
			log_reopen();
		log_wants(LOG_TYPE_DEBUG);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	int numbers[THREADS], next[THREADS] = {0};
	char *text, *save, *l;

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = contents(path);
	for (l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char want[64];
		int thread = l[strlen("thread ")] - '0';

		assert_in_range(thread, 0, THREADS - 1);
		snprintf(want, sizeof(want), "thread %d line %d", thread, next[thread]++);
		assert_string_equal(l, want);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(next[i], LINES);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_types, begin, end),
		cmocka_unit_test_setup_teardown(test_timestamp, begin, end),
		cmocka_unit_test_setup_teardown(test_no_forged_lines, begin, end),
		cmocka_unit_test_setup_teardown(test_indented, begin, end),
		cmocka_unit_test_setup_teardown(test_sink, begin, end),
		cmocka_unit_test_setup_teardown(test_long_line, begin, end),
		cmocka_unit_test_setup_teardown(test_keeps_errno, begin, end),
		cmocka_unit_test_setup_teardown(test_reopen, begin, end),
		cmocka_unit_test_setup_teardown(test_refused_destinations, begin, end),
		cmocka_unit_test_setup_teardown(test_file_mode, begin, end),
		cmocka_unit_test_setup_teardown(test_threads, begin, end),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
