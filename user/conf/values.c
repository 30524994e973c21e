// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* From the text of a value to the field of an option. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/number.h"
#include "base/version.h"
#include "conf/option.h"
#include "net/unix.h"

const char conf_default_where[] = "the defaults";

int conf_set_string(char **field, const char *value, const char *where)
{
	char *copy = strdup(value);

	if (!copy)
		return conf_error(where, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

int conf_add_string(char ***list, const char *value, const char *where)
{
	size_t n = 0;
	char **more;

	while (*list && (*list)[n])
		n++;
	more = realloc(*list, (n + 2) * sizeof(*more));
	if (!more)
		return conf_error(where, "out of memory");
	*list = more;
	more[n + 1] = NULL;
	more[n] = strdup(value);
	return more[n] ? 0 : conf_error(where, "out of memory");
}

void conf_free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

/* -1: neither. */
static int boolean(const char *value)
{
	if (!strcmp(value, "true") || !strcmp(value, "on") || !strcmp(value, "1"))
		return 1;
	if (!strcmp(value, "false") || !strcmp(value, "off") || !strcmp(value, "0"))
		return 0;
	return -1;
}

int conf_boolean(const struct conf_option *o, const char *value, const char *where)
{
	int on = boolean(value);

	return on < 0 ? conf_error(where, "%s: \"%.64s\" is neither true nor false", o->name, value) : on;
}

static int set_bool(const struct conf_option *o, bool *field, const char *value, const char *where)
{
	int on = conf_boolean(o, value, where);

	if (on < 0)
		return -1;
	*field = on;
	return 0;
}

static void store_uint(const struct conf_option *o, void *field, uint64_t n)
{
	switch (o->size) {
	case sizeof(uint8_t):
		*(uint8_t *)field = (uint8_t)n;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)field = (uint16_t)n;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)field = (uint32_t)n;
		break;
	default:
		*(uint64_t *)field = n;
	}
}

static bool is_negative(const char *value)
{
	uint64_t n;

	return *value == '-' && !number_parse(value + 1, UINT64_MAX, &n);
}

static int set_uint(const struct conf_option *o, void *field, const char *value, const char *where)
{
	uint64_t n = 0;

	if (o->or_negative && is_negative(value)) {
		store_uint(o, field, 0);
		return 0;
	}
	if (number_parse(value, o->max, &n) || (n < o->min && !(o->or_zero && n == 0)))
		return conf_error(where, "%s: \"%.64s\" is not %sa whole number from %llu to %llu", o->name, value,
				  o->or_zero ? "0 or " : "", (unsigned long long)o->min, (unsigned long long)o->max);
	store_uint(o, field, n);
	return 0;
}

/* Where the option's field is: in the configuration or in a listener. NULL after conf_error(). */
static void *find_field(struct conf *c, const struct conf_option *o, const char *where)
{
	struct conf_listener *l;

	if (o->scope == CONF_LISTENER) {
		l = conf_present_listener(c, o, where);
		return l ? (char *)l + o->offset : NULL;
	}
	if (!o->listener_offset || !c->per_listener_settings)
		return (char *)c + o->offset;
	if (c->present_listener == CONF_NO_LISTENER) {
		conf_error(where, "%s: with per_listener_settings true it belongs below a \"listener\" line", o->name);
		return NULL;
	}
	return (char *)&c->listeners[c->present_listener] + o->listener_offset;
}

int conf_set(struct conf *c, const struct conf_option *o, const char *value, const char *where)
{
	void *field = o->type == CONF_ACTION ? NULL : find_field(c, o, where);

	if (!field && o->type != CONF_ACTION)
		return -1;
	c->security_given |= o->listener_offset && where != conf_default_where;
	if (o->parse)
		return o->parse(c, o, field, value, where);
	switch (o->type) {
	case CONF_BOOL:
		return set_bool(o, field, value, where);
	case CONF_UINT:
		return set_uint(o, field, value, where);
	case CONF_STRING:
		return conf_set_string(field, value, where);
	default: /* they have functions */
		return -1;
	}
}

int conf_set_defaults(struct conf *c, enum conf_scope scope)
{
	int err = 0;

	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope == scope && o->value)
			err |= conf_set(c, o, o->value, conf_default_where);
	}
	return err;
}

int conf_parse_maybe(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	int on = conf_boolean(o, value, where);

	(void)c;
	if (on < 0)
		return -1;
	*(int *)field = on;
	return 0;
}

int conf_parse_prefix(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	enum { LENGTH_MAX = 50 };

	(void)c;
	if (strlen(value) > LENGTH_MAX)
		return conf_error(where, "%s: the text may have at most %d characters", o->name, LENGTH_MAX);
	return conf_set_string(field, value, where);
}

int conf_parse_file_name(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if (strchr(value, '/'))
		return conf_error(where,
				  "%s: \"%.64s\" is not the name of a file; its folder is the option "
				  "persistence_location",
				  o->name, value);
	return conf_set_string(field, value, where);
}

int conf_parse_durability(struct conf *c, const struct conf_option *o, void *field, const char *value,
			  const char *where)
{
	static const char batch[] = "batch ";
	enum store_durability *durability = field;
	uint64_t ms;

	if (strcmp(value, "sync") == 0) {
		*durability = STORE_SYNC;
	} else if (strcmp(value, "off") == 0) {
		*durability = STORE_NEVER;
	} else if (strncmp(value, batch, sizeof(batch) - 1) == 0 &&
		   number_parse(value + sizeof(batch) - 1, 3600000, &ms) == 0 && ms) {
		*durability = STORE_BATCHES;
		c->durability_batch_ms = (uint32_t)ms;
	} else {
		return conf_error(where,
				  "%s: \"%.64s\" is not \"sync\", \"off\", or \"batch\" and a number of "
				  "milliseconds from 1 to 3600000",
				  o->name, value);
	}
	return 0;
}

int conf_parse_damaged(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if (strcmp(value, "set_aside") != 0 && strcmp(value, "refuse") != 0)
		return conf_error(where, "%s: \"%.64s\" is neither \"set_aside\" nor \"refuse\"", o->name, value);
	*(bool *)field = strcmp(value, "refuse") == 0;
	return 0;
}

/* What it may be in mosquitto; it is not used. */
int conf_parse_autosave(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	uint64_t seconds;

	(void)c, (void)field;
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0 && number_parse(value, INT32_MAX, &seconds))
		return conf_error(where, "%s: \"%.64s\" is neither a number nor true or false", o->name, value);
	return 0;
}

int conf_parse_retain_expiry(struct conf *c, const struct conf_option *o, void *field, const char *value,
			     const char *where)
{
	uint64_t minutes;

	(void)c, (void)field;
	if (number_parse(value, UINT32_MAX, &minutes) || !minutes)
		return conf_error(where, "%s: \"%.64s\" is not a whole number from 1 to %u", o->name, value,
				  UINT32_MAX);
	return 0;
}

int conf_parse_queue_policy(struct conf *c, const struct conf_option *o, void *field, const char *value,
			    const char *where)
{
	static const char *const names[] = {
		[CONF_QUEUE_NEWEST] = "newest",
		[CONF_QUEUE_OLDEST] = "oldest",
		[CONF_QUEUE_DISCONNECT] = "disconnect",
	};

	(void)c;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*(enum conf_queue_policy *)field = (enum conf_queue_policy)i;
		return 0;
	}
	return conf_error(where, "%s: \"%.64s\" is none of newest, oldest, disconnect", o->name, value);
}

int conf_parse_acl_subscribe(struct conf *c, const struct conf_option *o, void *field, const char *value,
			     const char *where)
{
	static const char *const names[] = {
		[CONF_ACL_NEVER] = "never",
		[CONF_ACL_ANY] = "any",
		[CONF_ACL_ALL] = "all",
	};

	(void)c;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*(enum conf_acl_subscribe *)field = (enum conf_acl_subscribe)i;
		return 0;
	}
	return conf_error(where, "%s: \"%.64s\" is none of all, any, never", o->name, value);
}

int conf_parse_ban_flapping(struct conf *c, const struct conf_option *o, void *field, const char *value,
			    const char *where)
{
	(void)c;
	if (strcmp(value, "client") != 0 && strcmp(value, "address") != 0)
		return conf_error(where, "%s: \"%.64s\" is neither client nor address", o->name, value);
	*(bool *)field = !strcmp(value, "address");
	return 0;
}

int conf_parse_durable_policy(struct conf *c, const struct conf_option *o, void *field, const char *value,
			      const char *where)
{
	(void)c;
	if (strcmp(value, "refuse") != 0 && strcmp(value, "drop") != 0)
		return conf_error(where, "%s: \"%.64s\" is neither refuse nor drop", o->name, value);
	*(bool *)field = !strcmp(value, "drop");
	return 0;
}

int conf_parse_memory(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if (!strcmp(value, "auto")) {
		*(uint64_t *)field = CONF_MEMORY_AUTO;
		return 0;
	}
	if (number_parse(value, INT64_MAX, (uint64_t *)field))
		return conf_error(where, "%s: \"%.64s\" is neither auto nor a whole number from 0 to %llu", o->name,
				  value, (unsigned long long)INT64_MAX);
	return 0;
}

int conf_parse_duration(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	static const struct {
		char letter;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}, {'m', 30 * 86400}, {'y', 365 * 86400}};
	size_t len = strlen(value) - 1;
	char number[16] = "";
	uint64_t n;

	(void)c;
	if (len < sizeof(number))
		memcpy(number, value, len);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (value[len] != units[i].letter || number_parse(number, UINT32_MAX, &n))
			continue;
		*(uint64_t *)field = n * units[i].seconds;
		return 0;
	}
	return conf_error(where, "%s: \"%.64s\" is not a number and one of the letters s h d w m y, as in 14d", o->name,
			  value);
}

int conf_parse_log_type(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	enum { LOG_TYPE_FOREIGN = LOG_TYPE_ALL + 1 };
	static const struct {
		const char *name;
		unsigned mask;
	} types[] = {
		{"error", LOG_TYPE_ERROR},
		{"warning", LOG_TYPE_WARNING},
		{"notice", LOG_TYPE_NOTICE},
		{"information", LOG_TYPE_INFORMATION},
		{"debug", LOG_TYPE_DEBUG},
		{"subscribe", LOG_TYPE_SUBSCRIBE},
		{"unsubscribe", LOG_TYPE_UNSUBSCRIBE},
		{"all", LOG_TYPE_ALL},
		{"none", 0},
		/* Of mosquitto. There are no such lines here. */
		{"websockets", LOG_TYPE_FOREIGN},
		{"internal", LOG_TYPE_FOREIGN},
	};
	unsigned mask = c->log_types_given ? *(unsigned *)field : 0;

	while (*value) {
		size_t len = strcspn(value, " \t"), i;

		for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			if (strlen(types[i].name) == len && !memcmp(types[i].name, value, len))
				break;
		}
		if (i == sizeof(types) / sizeof(types[0]))
			return conf_error(where,
					  "%s: \"%.*s\" is none of error, warning, notice, information, subscribe, "
					  "unsubscribe, debug, all, none",
					  o->name, len < 64 ? (int)len : 64, value);
		mask = types[i].mask ? mask | (types[i].mask & LOG_TYPE_ALL) : 0;
		value += len;
		value += strspn(value, " \t");
	}
	*(unsigned *)field = mask;
	c->log_types_given = true;
	return 0;
}

int conf_parse_log_dest(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	static const struct {
		const char *name;
		enum log_dest dest;
	} dests[] = {
		{"stderr", LOG_DEST_STDERR}, {"stdout", LOG_DEST_STDOUT}, {"syslog", LOG_DEST_SYSLOG},
		{"topic", LOG_DEST_TOPIC},   {"file", LOG_DEST_FILE},
	};
	size_t len = strcspn(value, " \t");
	const char *path = value + len + strspn(value + len, " \t");
	unsigned mask = c->log_dests_given ? *(unsigned *)field : 0;
	enum log_dest dest = 0;

	for (size_t i = 0; i < sizeof(dests) / sizeof(dests[0]); i++) {
		if (strlen(dests[i].name) == len && !memcmp(dests[i].name, value, len))
			dest = dests[i].dest;
	}
	if (dest == LOG_DEST_FILE) {
		if (!*path)
			return conf_error(where, "%s: which file? Write \"log_dest file PATH\"", o->name);
		if (conf_set_string(&c->log_file, path, where))
			return -1;
	} else if (!strcmp(value, "none")) {
		mask = 0;
	} else if (!strcmp(value, "dlt")) {
		return conf_error(where, "%s: mosquitto logs to \"dlt\", Shunt %s does not", o->name, SHUNT_VERSION);
	} else if (!dest || (*path && *path != '#' && !(dest == LOG_DEST_STDOUT && !strcmp(path, "unbuffered")))) {
		return conf_error(where, "%s: \"%.64s\" is none of stderr, stdout, syslog, topic, none, file PATH",
				  o->name, value);
	}
	*(unsigned *)field = mask | dest;
	c->log_dests_given = true;
	return 0;
}

int conf_parse_log_timestamp_format(struct conf *c, const struct conf_option *o, void *field, const char *value,
				    const char *where)
{
	char sample[LOG_TIMESTAMP_MAX];
	struct tm tm = {.tm_mday = 1};

	(void)c;
	if (strlen(value) >= LOG_TIMESTAMP_MAX || !strftime(sample, sizeof(sample), value, &tm))
		return conf_error(where, "%s: the format and its result may have at most %d characters", o->name,
				  LOG_TIMESTAMP_MAX - 1);
	return conf_set_string((char **)field, value, where);
}

int conf_parse_fastpath(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	int on = boolean(value);

	(void)c;
	if (on < 0 && strcmp(value, "require") != 0)
		return conf_error(where, "%s: \"%.64s\" is none of true, false, require", o->name, value);
	*(enum fp_mode *)field = on < 0 ? FP_MODE_REQUIRE : on ? FP_MODE_ON : FP_MODE_OFF;
	return 0;
}

int conf_parse_seccomp(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	int on = boolean(value);

	(void)c;
	if (on < 0 && strcmp(value, "log") != 0)
		return conf_error(where, "%s: \"%.64s\" is none of true, false, log", o->name, value);
	*(enum sandbox_mode *)field = on < 0 ? SANDBOX_LOG : on ? SANDBOX_ON : SANDBOX_OFF;
	return 0;
}

int conf_parse_pin_path(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	/* What struct fp_status can hold, and room for the names of maps behind it. */
	enum { LENGTH_MAX = 150 };

	(void)c;
	if (*value != '/' || strlen(value) > LENGTH_MAX)
		return conf_error(where, "%s: \"%.64s\" is not a path that begins with / and has at most %d characters",
				  o->name, value, LENGTH_MAX);
	return conf_set_string((char **)field, value, where);
}

int conf_parse_control_socket(struct conf *c, const struct conf_option *o, void *field, const char *value,
			      const char *where)
{
	(void)c;
	if (strlen(value) >= NET_UNIX_PATH_MAX)
		return conf_error(where, "%s: the path has %zu characters, a Unix socket may have at most %d", o->name,
				  strlen(value), NET_UNIX_PATH_MAX - 1);
	return conf_set_string((char **)field, value, where);
}
