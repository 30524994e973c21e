/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* One option of the configuration; private to user/conf and its tests. */
#ifndef SHUNT_CONF_OPTION_H
#define SHUNT_CONF_OPTION_H

#include "conf/conf.h"

enum conf_scope {
	CONF_GLOBAL,   /* allowed everywhere, of the daemon as a whole */
	CONF_LISTENER, /* belongs to the listener line above it */
};

/* What the field is; and how it is read, unless there is a function for that. */
enum conf_type {
	CONF_BOOL,   /* true|false, on|off, 1|0 */
	CONF_UINT,   /* decimal number, limits below */
	CONF_STRING, /* rest of the line */
	CONF_LIST,   /* strings, each line adds one; read by the function */
	CONF_OTHER,  /* a number of any kind, read by the function */
	CONF_ACTION, /* there is no field: the function does it all */
};

struct conf_option {
	const char *name;
	const char *old_name; /* that mosquitto accepts, too; NULL: none */
	enum conf_scope scope;
	enum conf_type type;
	size_t offset, size;	/* of the field in struct conf, or in struct conf_listener */
	size_t listener_offset; /* of the field in the listener that is meant with per_listener_settings; 0: none */
	uint64_t min, max;	/* CONF_UINT */
	bool or_zero;		/* CONF_UINT: 0 is allowed beside min to max */
	bool or_negative;	/* CONF_UINT: a negative number is the same as 0 */
	bool to_the_end;	/* a # behind a blank belongs to the value, as in every CONF_STRING */
	bool restart;		/* a change of it counts from the next start on, not when the file is read again */
	/* Set `field` of `c` from `value`, which is not empty. 0, or -1 after conf_error(). NULL: as the type tells. */
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
/* Replace a string of the configuration. */
int conf_set_string(char **field, const char *value, const char *where);
/* Add a string to a list, which ends with NULL; a list without any is NULL. */
int conf_add_string(char ***list, const char *value, const char *where);
void conf_free_list(char **list);
/* 1, 0, or -1 after conf_error(). */
int conf_boolean(const struct conf_option *o, const char *value, const char *where);

/* Set all options of a scope to their defaults, of CONF_LISTENER for the present listener. 0, or -1 when out of
 * memory. */
int conf_set_defaults(struct conf *c, enum conf_scope scope);
/* Where they come from, for messages. */
extern const char conf_default_where[];

/* Set what holds for each listener, from its own options and the global ones. conf.c */
void conf_resolve(struct conf *c);

/* ---- listeners.c ------------------------------------------------------------------------------------------------- */

enum { CONF_NO_LISTENER = -1 };

/* Add a listener with the defaults and make it the present one. NULL after conf_error(). */
struct conf_listener *conf_add_listener(struct conf *c, const char *where);
/* The listener that the present line belongs to; the default listener when there is none above. NULL after
 * conf_error(). */
struct conf_listener *conf_present_listener(struct conf *c, const struct conf_option *o, const char *where);
/* Do the two listen at the same place? */
bool conf_same_place(const struct conf_listener *a, const struct conf_listener *b);
void conf_free_listener(struct conf_listener *l);
/* Without a listener line: the loopback addresses, on each of the ports. 0, or -1 after conf_error(). */
int conf_listen_locally(struct conf *c, const uint16_t *ports, size_t nports);

/* Would the listener let clients in without TLS although it looks as if they needed it? 0, or -1 after conf_error(). */
int conf_check_transport(const struct conf_listener *l);

/* ---- functions of options ---------------------------------------------------------------------------------------- */

int conf_parse_listener(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_port(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_bind_address(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_group(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_protocol(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_ban_exempt(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_ban_flapping(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_interface(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_trusted_proxy(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_origin(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_certificate(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_socket_domain(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_protocol_versions(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_per_listener_settings(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_include_dir(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_maybe(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_mount_point(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_namespace(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_prefix(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_queue_policy(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_acl_subscribe(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_durable_policy(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_memory(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_duration(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_file_name(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_durability(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_damaged(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_autosave(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_retain_expiry(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_log_type(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_log_dest(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_log_timestamp_format(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_seccomp(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_fastpath(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_cgroup(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_exclude_cgroup(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_exclude_uid(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_pin_path(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_guard_interface(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_guard_networks(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_guard_rate(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_control_socket(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_jwt_key(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_http_listener(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_hook_url(struct conf *, const struct conf_option *, void *, const char *, const char *);
int conf_parse_http_host(struct conf *, const struct conf_option *, void *, const char *, const char *);

/* http.c: may others get at the broker over HTTP without a token? 0, or -1 after conf_error(). */
int conf_check_http(const struct conf *c);

/* ---- names that are not in the table ----------------------------------------------------------------------------- */

/* Log that `name` is no option: one of mosquitto's that Shunt does not have, or unknown, with the nearest name if one
 * is near. Returns -1. */
int conf_unknown(const char *name, const char *where);
/* The names of mosquitto's options that Shunt does not have, in alphabetical order, NULL at the end. */
const char *conf_foreign_name(size_t i);

#endif
