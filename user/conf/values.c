// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* From the text of a value to the field of an option. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include "base/log.h"
#include "base/number.h"
#include "conf/option.h"
#include "mqtt/packet.h"

const char conf_default_where[] = "the defaults";

/* Replace a string of the configuration. */
static int set_string(char **field, const char *value, const char *where)
{
	char *copy = strdup(value);

	if (!copy)
		return conf_error(where, "out of memory");
	free(*field);
	*field = copy;
	return 0;
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

/* The same, with the error logged. */
static int need_boolean(const struct conf_option *o, const char *value, const char *where)
{
	int on = boolean(value);

	return on < 0 ? conf_error(where, "%s: \"%.64s\" is neither true nor false", o->name, value) : on;
}

static int set_bool(const struct conf_option *o, bool *field, const char *value, const char *where)
{
	int on = need_boolean(o, value, where);

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

static int set_uint(const struct conf_option *o, void *field, const char *value, const char *where)
{
	uint64_t n;

	if (number_parse(value, o->max, &n) || (n < o->min && !(o->or_zero && n == 0)))
		return conf_error(where, "%s: \"%.64s\" is not %sa whole number from %llu to %llu", o->name, value,
				  o->or_zero ? "0 or " : "", (unsigned long long)o->min, (unsigned long long)o->max);
	store_uint(o, field, n);
	return 0;
}

/* An option of a listener without a listener: as of mosquitto, there is one of port 1883 then. */
static int default_listener(struct conf *c, const struct conf_option *o, const char *where)
{
	log_notice(
		"In %s: %s is an option of a listener and there is no \"listener\" line above it: adding \"listener 1883\".",
		where, o->name);
	return conf_line(c, "listener 1883", where);
}

int conf_set(struct conf *c, const struct conf_option *o, const char *value, const char *where)
{
	char *base = (char *)c;

	if (o->scope == CONF_LISTENER) {
		if (!c->nlisteners && default_listener(c, o, where))
			return -1;
		base = (char *)&c->listeners[c->nlisteners - 1];
	}
	switch (o->type) {
	case CONF_BOOL:
		return set_bool(o, (bool *)(base + o->offset), value, where);
	case CONF_UINT:
		return set_uint(o, base + o->offset, value, where);
	case CONF_STRING:
		return set_string((char **)(base + o->offset), value, where);
	case CONF_OTHER:
		break;
	}
	return o->parse(c, o, base + o->offset, value, where);
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

int conf_parse_listener(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	struct conf_listener l = {0}, *all;
	size_t len = strcspn(value, " \t");
	const char *address = value + len + strspn(value + len, " \t");
	char port[8] = "";
	uint64_t n;

	(void)field;
	if (*address == '/')
		return conf_error(where, "%s: \"%.64s\": this version does not listen on Unix sockets", o->name,
				  address);
	if (len < sizeof(port))
		memcpy(port, value, len);
	if (number_parse(port, UINT16_MAX, &n) || !n)
		return conf_error(where, "%s: \"%.*s\" is not a port number from 1 to 65535", o->name, (int)len, value);
	if (strpbrk(address, " \t"))
		return conf_error(where, "%s: \"%.64s\" is not an address: write \"listener PORT ADDRESS\"", o->name,
				  address);

	all = realloc(c->listeners, (c->nlisteners + 1) * sizeof(*all));
	if (!all)
		return conf_error(where, "out of memory");
	c->listeners = all;
	l.port = (uint16_t)n;
	l.where = strdup(where);
	if (*address)
		l.address = strdup(address);
	if (!l.where || (*address && !l.address)) {
		free(l.where);
		free(l.address);
		return conf_error(where, "out of memory");
	}
	all[c->nlisteners++] = l;
	return conf_set_defaults(c, CONF_LISTENER);
}

int conf_parse_allow_anonymous(struct conf *c, const struct conf_option *o, void *field, const char *value,
			       const char *where)
{
	int on = need_boolean(o, value, where);

	(void)c;
	if (on < 0)
		return -1;
	*(int *)field = on;
	return 0;
}

int conf_parse_max_connections(struct conf *c, const struct conf_option *o, void *field, const char *value,
			       const char *where)
{
	uint64_t n = 0;

	(void)c;
	if (strcmp(value, "-1") != 0 && number_parse(value, UINT32_MAX, &n))
		return conf_error(where, "%s: \"%.64s\" is not a whole number from 0 to %u, nor -1", o->name, value,
				  UINT32_MAX);
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

int conf_parse_protocol_versions(struct conf *c, const struct conf_option *o, void *field, const char *value,
				 const char *where)
{
	static const char separators[] = ", \t";
	unsigned mask = 0;

	(void)c;
	for (const char *v = value + strspn(value, separators); *v; v += strspn(v, separators)) {
		uint64_t n = 0;
		size_t len = strcspn(v, separators);

		if (len == 1)
			n = (uint64_t)(*v - '0');
		if (n != MQTT_3_1 && n != MQTT_3_1_1 && n != MQTT_5_0)
			return conf_error(where, "%s: \"%.64s\" is not a list of 3, 4 and 5, as in 3,4,5", o->name,
					  value);
		mask |= 1U << n;
		v += len;
	}
	if (!mask)
		return conf_error(where, "%s: \"%.64s\" is not a list of 3, 4 and 5, as in 3,4,5", o->name, value);
	*(unsigned *)field = mask;
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
		mask = types[i].mask ? mask | types[i].mask : 0;
		value += len;
		value += strspn(value, " \t");
	}
	*(unsigned *)field = mask;
	c->log_types_given = true;
	return 0;
}

int conf_parse_log_dest(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	size_t len = strcspn(value, " \t");
	const char *path = value + len + strspn(value + len, " \t");
	unsigned dests = c->log_dests_given ? *(unsigned *)field : 0;

	if (!strcmp(value, "stderr")) {
		dests |= LOG_DEST_STDERR;
	} else if (!strcmp(value, "stdout")) {
		dests |= LOG_DEST_STDOUT;
	} else if (!strcmp(value, "none")) {
		dests = 0;
	} else if (len == 4 && !memcmp(value, "file", 4)) {
		if (!*path)
			return conf_error(where, "%s: which file? Write \"log_dest file PATH\"", o->name);
		if (set_string(&c->log_file, path, where))
			return -1;
		dests |= LOG_DEST_FILE;
	} else if (!strcmp(value, "syslog") || !strcmp(value, "topic") || !strcmp(value, "dlt")) {
		return conf_error(
			where, "%s: mosquitto logs to \"%s\", Shunt does not: write stderr, stdout, none or file PATH",
			o->name, value);
	} else {
		return conf_error(where, "%s: \"%.64s\" is none of stderr, stdout, none, file PATH", o->name, value);
	}
	*(unsigned *)field = dests;
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
	return set_string((char **)field, value, where);
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

int conf_parse_pin_path(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	/* What struct fp_status can hold, and room for the names of maps behind it. */
	enum { LENGTH_MAX = 150 };

	(void)c;
	if (*value != '/' || strlen(value) > LENGTH_MAX)
		return conf_error(where, "%s: \"%.64s\" is not a path that begins with / and has at most %d characters",
				  o->name, value, LENGTH_MAX);
	return set_string((char **)field, value, where);
}

int conf_parse_control_socket(struct conf *c, const struct conf_option *o, void *field, const char *value,
			      const char *where)
{
	(void)c;
	if (strlen(value) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return conf_error(where, "%s: the path has %zu characters, a Unix socket may have at most %zu", o->name,
				  strlen(value), sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	return set_string((char **)field, value, where);
}
