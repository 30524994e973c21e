// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* The process has one log. `types` is read without the lock, relaxed: a line more or less around a change is nobody's
 * harm. The lock covers the rest and is held while a line is written, so that lines appear in the order of their
 * timestamps and a file is not closed under a writer. */
static struct {
	unsigned types;
	pthread_mutex_t lock;
	unsigned dests;
	int fd;
	char *path;
	int facility;
	log_sink_fn *sink;
	bool timestamp;
	char format[LOG_TIMESTAMP_MAX]; /* empty: seconds since the epoch */
} the_log = {
	.types = LOG_TYPE_DEFAULT,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.dests = LOG_DEST_STDERR,
	.fd = -1,
	.facility = LOG_DAEMON,
	.timestamp = true,
};

bool log_wants(enum log_type type)
{
	return __atomic_load_n(&the_log.types, __ATOMIC_RELAXED) & type;
}

void log_set_types(unsigned mask)
{
	__atomic_store_n(&the_log.types, mask, __ATOMIC_RELAXED);
}

void log_set_timestamp(bool on, const char *strftime_format)
{
	pthread_mutex_lock(&the_log.lock);
	the_log.timestamp = on;
	snprintf(the_log.format, sizeof(the_log.format), "%s", strftime_format ? strftime_format : "");
	pthread_mutex_unlock(&the_log.lock);
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

int log_set_dest(unsigned dests, const char *path)
{
	char *copy = NULL;
	int fd = -1;

	if (dests & LOG_DEST_FILE) {
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
		fd = open_file(copy);
		if (fd < 0) {
			free(copy);
			return fd;
		}
	}

	if (dests & LOG_DEST_SYSLOG)
		openlog(NULL, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	pthread_mutex_lock(&the_log.lock);
	if (the_log.fd >= 0)
		close(the_log.fd);
	free(the_log.path);
	the_log.dests = dests;
	the_log.path = copy;
	the_log.fd = fd;
	pthread_mutex_unlock(&the_log.lock);
	return 0;
}

void log_set_facility(int local)
{
	static const int facilities[] = {LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3,
					 LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};

	pthread_mutex_lock(&the_log.lock);
	the_log.facility = local < 0 ? LOG_DAEMON : facilities[local];
	pthread_mutex_unlock(&the_log.lock);
}

void log_set_sink(log_sink_fn *sink)
{
	pthread_mutex_lock(&the_log.lock);
	the_log.sink = sink;
	pthread_mutex_unlock(&the_log.lock);
}

int log_reopen(void)
{
	int err = 0;

	pthread_mutex_lock(&the_log.lock);
	if (the_log.path) {
		int fd = open_file(the_log.path);

		if (fd < 0) {
			err = fd;
		} else {
			close(the_log.fd);
			the_log.fd = fd;
		}
	}
	pthread_mutex_unlock(&the_log.lock);
	return err;
}

int log_chown(uid_t uid, gid_t gid)
{
	struct stat st;
	int err = 0;

	pthread_mutex_lock(&the_log.lock);
	if (the_log.fd >= 0) {
		/* Not a device, and not a file that has another name. */
		if (fstat(the_log.fd, &st))
			err = -errno;
		else if (S_ISREG(st.st_mode) && st.st_nlink == 1 && fchown(the_log.fd, uid, gid))
			err = -errno;
	}
	pthread_mutex_unlock(&the_log.lock);
	return err;
}

/* The timestamp with its colon, or nothing, into `out`; returns its length. The caller holds the lock. */
static size_t timestamp(char *out, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t len = 0;

	if (!the_log.timestamp)
		return 0;
	if (the_log.format[0] && localtime_r(&now, &tm))
		len = strftime(out, size - 2, the_log.format, &tm);
	if (!len) /* no format, or one whose result is empty or too long */
		len = (size_t)snprintf(out, size - 2, "%lld", (long long)now);
	out[len++] = ':';
	out[len++] = ' ';
	return len;
}

static void write_line(int fd, const struct iovec *parts, int nparts)
{
	/* A full disk or a closed pipe must not stop the broker, and there is nowhere to say so. */
	ssize_t ignored = writev(fd, parts, nparts);

	(void)ignored;
}

static int syslog_priority(enum log_type type)
{
	switch (type) {
	case LOG_TYPE_ERROR:
		return LOG_ERR;
	case LOG_TYPE_WARNING:
		return LOG_WARNING;
	case LOG_TYPE_INFORMATION:
		return LOG_INFO;
	case LOG_TYPE_DEBUG:
		return LOG_DEBUG;
	default:
		return LOG_NOTICE;
	}
}

/* The line to every destination. `parts` are the timestamp, the text and the newline. The caller holds the lock. */
static void distribute(enum log_type type, const struct iovec parts[3])
{
	const char *text = parts[1].iov_base;
	int len = (int)parts[1].iov_len;
	char whole[LOG_TIMESTAMP_MAX + LOG_LINE_MAX + 8];

	if (the_log.dests & LOG_DEST_STDERR)
		write_line(STDERR_FILENO, parts, 3);
	if (the_log.dests & LOG_DEST_STDOUT)
		write_line(STDOUT_FILENO, parts, 3);
	if (the_log.dests & LOG_DEST_FILE)
		write_line(the_log.fd, parts, 3);
	/* It has a time of its own. */
	if (the_log.dests & LOG_DEST_SYSLOG)
		syslog(the_log.facility | syslog_priority(type), "%.*s", len, text);
	if (the_log.dests & LOG_DEST_TOPIC && the_log.sink) {
		memcpy(whole, parts[0].iov_base, parts[0].iov_len);
		memcpy(whole + parts[0].iov_len, text, parts[1].iov_len);
		the_log.sink(type, whole, parts[0].iov_len + parts[1].iov_len);
	}
}

void log_msg(enum log_type type, const char *fmt, ...)
{
	static const char cut[] = "...";
	char stamp[LOG_TIMESTAMP_MAX + 2], text[LOG_LINE_MAX + sizeof(cut)];
	char newline[] = "\n";
	struct iovec line[3];
	int saved = errno, len;
	va_list args;

	if (!log_wants(type))
		return;
	va_start(args, fmt);
	len = vsnprintf(text, LOG_LINE_MAX, fmt, args);
	va_end(args);
	if (len < 0) {
		errno = saved;
		return;
	}
	if (len >= LOG_LINE_MAX) {
		len = LOG_LINE_MAX - 1;
		memcpy(text + len, cut, sizeof(cut) - 1);
		len += (int)sizeof(cut) - 1;
	}
	for (int i = (int)strspn(text, "\t"); i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	}
	pthread_mutex_lock(&the_log.lock);
	line[0] = (struct iovec){.iov_base = stamp, .iov_len = timestamp(stamp, sizeof(stamp))};
	line[1] = (struct iovec){.iov_base = text, .iov_len = (size_t)len};
	line[2] = (struct iovec){.iov_base = newline, .iov_len = 1};
	distribute(type, line);
	pthread_mutex_unlock(&the_log.lock);
	errno = saved;
}
