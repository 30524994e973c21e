/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The log: one line an event, to stderr, stdout, syslog, a file or MQTT topics, in mosquitto's wording where it has one.
 * Any thread may log; the settings are the main thread's, and may be changed while others log.
 */
#ifndef SHUNT_LOG_H
#define SHUNT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Types of option log_type; a bit each. */
enum log_type {
	LOG_TYPE_ERROR = 1 << 0,
	LOG_TYPE_WARNING = 1 << 1,
	LOG_TYPE_NOTICE = 1 << 2,
	LOG_TYPE_INFORMATION = 1 << 3,
	LOG_TYPE_DEBUG = 1 << 4,
	LOG_TYPE_SUBSCRIBE = 1 << 5,
	LOG_TYPE_UNSUBSCRIBE = 1 << 6,
	LOG_TYPE_ALL = (1 << 7) - 1,
	LOG_TYPE_DEFAULT = LOG_TYPE_ERROR | LOG_TYPE_WARNING | LOG_TYPE_NOTICE | LOG_TYPE_INFORMATION,
};

/* Where the lines go, option log_dest; a bit each. */
enum log_dest {
	LOG_DEST_STDERR = 1 << 0,
	LOG_DEST_STDOUT = 1 << 1,
	LOG_DEST_FILE = 1 << 2,
	LOG_DEST_SYSLOG = 1 << 3,
	LOG_DEST_TOPIC = 1 << 4,
};

enum {
	LOG_LINE_MAX = 2048,	/* bytes of a message; longer ones are cut and end with "..." */
	LOG_TIMESTAMP_MAX = 64, /* bytes of a timestamp, and of its format */
};

/* Is a line of this type wanted? Lock-free. */
bool log_wants(enum log_type type);
/* Set the wanted types (a mask); at first LOG_TYPE_DEFAULT. */
void log_set_types(unsigned mask);
/* Timestamps: on/off, and a strftime format (of less than LOG_TIMESTAMP_MAX bytes, copied) or NULL for seconds since
 * the epoch ("1700000000: text"), which is how it starts. */
void log_set_timestamp(bool on, const char *strftime_format);
/* Set the destinations (a mask; 0: no log); at first LOG_DEST_STDERR. `path` is copied, and opened for appending when
 * LOG_DEST_FILE is among them; it must not be a symbolic link, because a privileged process may open it in a folder of
 * somebody else. 0, or -errno: then everything is as before. */
int log_set_dest(unsigned dests, const char *path);
/* What syslog takes the lines for: 0 to 7 for local0 to local7, -1 for daemon, which is how it starts. */
void log_set_facility(int local);
/* Where lines for LOG_DEST_TOPIC go, with their timestamp and no newline; NULL: nowhere. It is called by whoever logs,
 * one line at a time, and must neither log nor wait. */
typedef void log_sink_fn(enum log_type type, const char *line, size_t len);
void log_set_sink(log_sink_fn *sink);
/* Close the file and open the same path again, for whoever renamed it. 0, or -errno: then the old one stays in use. */
int log_reopen(void);
/* Give the open file to a user, so that log_reopen() works after privileges are dropped. 0 (also without a file), or
 * -errno. */
int log_chown(uid_t uid, gid_t gid);

/* Control characters in the message are written as '?', so that a client identifier cannot forge a line; but tabs may
 * begin it. errno is kept. */
void log_msg(enum log_type type, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_TYPE_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_TYPE_WARNING, __VA_ARGS__)
#define log_notice(...) log_msg(LOG_TYPE_NOTICE, __VA_ARGS__)
#define log_info(...) log_msg(LOG_TYPE_INFORMATION, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_TYPE_DEBUG, __VA_ARGS__)

#endif
