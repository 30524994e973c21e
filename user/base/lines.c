// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/log.h"

int lines_fault(const struct lines *at, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_error("Error in %s:%zu: %s.", at->path, at->line, text);
	return -1;
}

int lines_read(struct lines *at, FILE *f, int (*each)(void *arg, char *line, size_t len), void *arg)
{
	size_t size = 0;
	char *line = NULL;
	ssize_t len;
	int err = 0;

	while ((errno = 0, len = getline(&line, &size, f)) >= 0) {
		at->line++;
		if (strlen(line) != (size_t)len)
			err |= lines_fault(at, "there is a NUL byte in the line");
		else
			err |= each(arg, line, (size_t)len);
	}
	/* Beside errors of the stream, getline() may have found no memory. */
	if (ferror(f) || !feof(f)) {
		log_error("Error: Unable to read %s: %s.", at->path, strerror(errno));
		err = -1;
	}
	if (line)
		OPENSSL_cleanse(line, size); /* there may be secrets in it */
	free(line);
	return err;
}
