/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One option of the configuration; private to user/conf and its tests. */
#ifndef SHUNT_CONF_OPTION_H
#define SHUNT_CONF_OPTION_H

#include "conf/conf.h"

enum conf_scope {
	CONF_GLOBAL,   /* allowed everywhere, of the daemon as a whole */
	CONF_LISTENER, /* belongs to the listener line above it */
};

enum conf_type {
	CONF_BOOL,   /* true|false, on|off, 1|0 */
	CONF_UINT,   /* decimal number, limits below */
	CONF_STRING, /* rest of the line */
	CONF_OTHER,  /* by its function */
};

struct conf_option {
	const char *name;
	const char *old_name; /* that mosquitto accepts, too; NULL: none */
	enum conf_scope scope;
	enum conf_type type;
	size_t offset, size; /* of the field in struct conf, or in struct conf_listener */
	uint64_t min, max;   /* CONF_UINT */
	bool or_zero;	     /* CONF_UINT: 0 is allowed beside min to max */
	/* CONF_OTHER: set `field` of `c` from `value`, which is not empty. 0, or -1 after conf_error(). */
	int (*parse)(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where);
	const char *value;    /* the default as one would write it; NULL: the field is zero */
	const char *fallback; /* the default in words, when `value` does not tell it */
	const char *argument; /* as the manual page calls it */
	const char *help;     /* text as in base/document.h */
};

extern const struct conf_option conf_options[];
extern const size_t conf_noptions;

/* Log "Error in WHERE: ..."; returns -1. */
int conf_error(const char *where, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set an option from its value. 0, or -1 after conf_error(). */
int conf_set(struct conf *c, const struct conf_option *o, const char *value, const char *where);

/* Set all options of a scope to their defaults, of CONF_LISTENER for the last listener. 0, or -1 when out of memory. */
int conf_set_defaults(struct conf *c, enum conf_scope scope);
/* Where they come from, for messages. */
extern const char conf_default_where[];

/* Functions of CONF_OTHER. */
int conf_parse_listener(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_include_dir(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_allow_anonymous(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_protocol_versions(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_max_connections(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_duration(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_log_type(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_log_dest(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_log_timestamp_format(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_fastpath(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_pin_path(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_control_socket(struct conf *, const struct conf_option *, void *, const char *, const char *);

/* Names that are not in the table. */

/* Log that `name` is no option: one of mosquitto's that Shunt does not have, or unknown, with the nearest name if one
 * is near. Returns -1. */
int conf_unknown(const char *name, const char *where);
/* The names of mosquitto's options that Shunt does not have, in alphabetical order, NULL at the end. */
const char *conf_foreign_name(size_t i);

#endif
