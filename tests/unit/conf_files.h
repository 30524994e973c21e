/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What tests of the configuration have in common: a folder for their files, one struct conf, and what is logged. After
 * the headers of cmocka. */
#ifndef TEST_CONF_FILES_H
#define TEST_CONF_FILES_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/option.h"
#include "logged.h"

static char conf_files_dir[] = "/tmp/shunt-test-conf.XXXXXX";
static struct conf conf;

static inline void write_file(const char *name, const void *content, size_t len)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(content, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *name, const char *content)
{
	write_file(name, content, strlen(content));
}

static inline int begin(void **state)
{
	(void)state;
	unlink("log");
	log_set_timestamp(false, NULL);
	return log_set_dest(LOG_DEST_FILE, "log") || conf_init(&conf);
}

static inline int end(void **state)
{
	(void)state;
	conf_free(&conf);
	return log_set_dest(LOG_DEST_STDERR, NULL);
}

/* Read a file that is fine. */
static inline void read_text(const char *content)
{
	write_text("test.conf", content);
	assert_int_equal(conf_file(&conf, "test.conf"), 0);
	assert_logged("");
}

/* Read a file of one line, the second, that is an error, and expect this message. */
static inline void assert_error(const char *line, const char *message)
{
	char text[1024], want[1024];

	snprintf(text, sizeof(text), "# comment\n%s\n", line);
	snprintf(want, sizeof(want), "Error in test.conf:2: %s\n", message);
	write_text("test.conf", text);
	assert_int_equal(conf_file(&conf, "test.conf"), -1);
	assert_logged(want);
}

static inline int take_away(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* Around cmocka_run_group_tests(); not 0: the folder could not be made or removed. */
static inline int conf_files_begin(void)
{
	return !mkdtemp(conf_files_dir) || chdir(conf_files_dir);
}

static inline int conf_files_end(void)
{
	return nftw(conf_files_dir, take_away, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
