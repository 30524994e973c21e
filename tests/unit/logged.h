/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is logged, kept in the file "log" of the present folder to be compared. */
#ifndef TESTS_LOGGED_H
#define TESTS_LOGGED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

/* All that was logged since the last time. */
static inline void assert_logged(const char *want)
{
	static char text[1 << 16];
	FILE *f = fopen("log", "re");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	assert_string_equal(text, want);
	assert_int_equal(truncate("log", 0), 0);
}

/* A setup of cmocka's, and its teardown. */
static inline int logged_begin(void **state)
{
	(void)state;
	unlink("log");
	log_set_timestamp(false, NULL);
	return log_set_dest(LOG_DEST_FILE, "log");
}

static inline int logged_end(void **state)
{
	(void)state;
	return log_set_dest(LOG_DEST_STDERR, NULL);
}

#endif
