// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Listeners: the lines that make one, and the ones that nobody wrote.
 *
 * As of mosquitto, there is a default listener beside those with a line: `port` and `bind_address` ask for it, and an
 * option of a listener that stands above every `listener` line belongs to it. If nothing asked for any listener, the
 * loopback addresses get its settings.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/number.h"
#include "conf/option.h"
#include "mqtt/packet.h"
#include "net/unix.h"

enum { DEFAULT_PORT = 1883 };

static const char blanks[] = " \t";

/* ---- the list ---------------------------------------------------------------------------------------------------- */

void conf_free_listener(struct conf_listener *l)
{
	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope != CONF_LISTENER)
			continue;
		if (o->type == CONF_STRING)
			free(*(char **)((char *)l + o->offset));
		else if (o->type == CONF_LIST)
			conf_free_list(*(char ***)((char *)l + o->offset));
	}
	free(l->address);
	free(l->path);
	free(l->where);
}

struct conf_listener *conf_add_listener(struct conf *c, const char *where)
{
	struct conf_listener l = {.own_allow_anonymous = -1, .own_allow_zero_length_clientid = -1};
	struct conf_listener *all = realloc(c->listeners, (c->nlisteners + 1) * sizeof(*all));

	if (all) {
		c->listeners = all;
		l.where = strdup(where);
	}
	if (!l.where) {
		conf_error(where, "out of memory");
		return NULL;
	}
	c->present_listener = (int)c->nlisteners;
	all[c->nlisteners++] = l;
	return conf_set_defaults(c, CONF_LISTENER) ? NULL : &c->listeners[c->present_listener];
}

/* There is at most one; it becomes the present one. */
static struct conf_listener *default_listener(struct conf *c, const char *where)
{
	struct conf_listener *l;

	if (c->default_listener != CONF_NO_LISTENER) {
		c->present_listener = c->default_listener;
		return &c->listeners[c->default_listener];
	}
	l = conf_add_listener(c, where);
	if (l) {
		c->default_listener = c->present_listener;
		l->port = DEFAULT_PORT;
		l->implied = true;
	}
	return l;
}

struct conf_listener *conf_present_listener(struct conf *c, const struct conf_option *o, const char *where)
{
	if (c->present_listener != CONF_NO_LISTENER)
		return &c->listeners[c->present_listener];
	log_notice("In %s: there is no \"listener\" line above %s, so it belongs to the default listener.", where,
		   o->name);
	return default_listener(c, where);
}

const char *conf_listener_name(const struct conf_listener *l, char *buffer, size_t size)
{
	const char *udp = l->protocol == CONF_MQTT_SN ? "UDP " : "";

	if (l->path)
		snprintf(buffer, size, "%s", l->path);
	else if (l->address)
		snprintf(buffer, size, "%sport %u of %s", udp, l->port, l->address);
	else
		snprintf(buffer, size, "%sport %u", udp, l->port);
	return buffer;
}

bool conf_same_place(const struct conf_listener *a, const struct conf_listener *b)
{
	/* UDP has ports of its own. */
	if ((a->protocol == CONF_MQTT_SN) != (b->protocol == CONF_MQTT_SN))
		return false;
	if (a->path || b->path)
		return a->path && b->path && !strcmp(a->path, b->path);
	if (a->port != b->port || !a->address != !b->address || (a->family && b->family && a->family != b->family))
		return false;
	if (a->bind_interface && b->bind_interface && strcmp(a->bind_interface, b->bind_interface) != 0)
		return false;
	return !a->address || !strcasecmp(a->address, b->address);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* The path of a Unix socket, behind port 0. */
static int set_path(struct conf_listener *l, const struct conf_option *o, const char *path, const char *where)
{
	if (!*path)
		return conf_error(where, "%s: port 0 is for Unix sockets: write \"%s 0 PATH\"", o->name, o->name);
	if (strlen(path) >= NET_UNIX_PATH_MAX)
		return conf_error(where, "%s: the path has %zu characters, a Unix socket may have at most %d", o->name,
				  strlen(path), NET_UNIX_PATH_MAX - 1);
	return conf_set_string(&l->path, path, where);
}

static int set_address(struct conf_listener *l, const struct conf_option *o, const char *address, const char *where)
{
	if (*address == '/')
		return conf_error(where, "%s: \"%.64s\": a Unix socket has the port 0: write \"listener 0 %.64s\"",
				  o->name, address, address);
	if (strpbrk(address, blanks))
		return conf_error(where, "%s: \"%.64s\" is not an address: write \"listener PORT ADDRESS\"", o->name,
				  address);
	return conf_set_string(&l->address, address, where);
}

/* A port at the beginning of `value`, of `len` characters. */
static int parse_port(const struct conf_option *o, const char *value, size_t len, uint64_t min, uint16_t *port,
		      const char *where)
{
	char text[8] = "";
	uint64_t n;

	if (len < sizeof(text))
		memcpy(text, value, len);
	if (number_parse(text, UINT16_MAX, &n) || n < min)
		return conf_error(where, "%s: \"%.*s\" is not a port number from 1 to 65535", o->name,
				  len < 64 ? (int)len : 64, value);
	*port = (uint16_t)n;
	return 0;
}

int conf_parse_listener(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	size_t len = strcspn(value, blanks);
	const char *address = value + len + strspn(value + len, blanks);
	struct conf_listener *l;
	uint16_t port = 0;

	(void)field;
	if (parse_port(o, value, len, 0, &port, where))
		return -1;
	l = conf_add_listener(c, where);
	if (!l)
		return -1;
	l->port = port;
	if (!port)
		return set_path(l, o, address, where);
	return *address ? set_address(l, o, address, where) : 0;
}

int conf_parse_port(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	struct conf_listener *l = default_listener(c, where);

	(void)field;
	if (!l || parse_port(o, value, strlen(value), 1, &l->port, where))
		return -1;
	l->implied = false;
	return 0;
}

int conf_parse_bind_address(struct conf *c, const struct conf_option *o, void *field, const char *value,
			    const char *where)
{
	struct conf_listener *l = default_listener(c, where);

	(void)field;
	if (!l || set_address(l, o, value, where))
		return -1;
	l->implied = false;
	return 0;
}

int conf_parse_socket_domain(struct conf *c, const struct conf_option *o, void *field, const char *value,
			     const char *where)
{
	(void)c;
	if (!strcmp(value, "ipv4"))
		*(int *)field = AF_INET;
	else if (!strcmp(value, "ipv6"))
		*(int *)field = AF_INET6;
	else
		return conf_error(where, "%s: \"%.64s\" is neither ipv4 nor ipv6", o->name, value);
	return 0;
}

int conf_parse_interface(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	if (strlen(value) >= IFNAMSIZ || strpbrk(value, "/ \t"))
		return conf_error(where, "%s: \"%.64s\" is not the name of a network interface, as in eth0", o->name,
				  value);
	c->listeners[c->present_listener].implied = false;
	return conf_set_string(field, value, where);
}

int conf_parse_protocol_versions(struct conf *c, const struct conf_option *o, void *field, const char *value,
				 const char *where)
{
	static const char separators[] = ", \t";
	unsigned mask = 0;

	(void)c;
	for (const char *v = value + strspn(value, separators); *v; v += strspn(v, separators)) {
		size_t len = strcspn(v, separators);
		int n = len == 1 ? *v - '0' : -1;

		if (n != MQTT_3_1 && n != MQTT_3_1_1 && n != MQTT_5_0) {
			mask = 0;
			break;
		}
		mask |= 1U << n;
		v += len;
	}
	if (!mask)
		return conf_error(where, "%s: \"%.64s\" is not a list of 3, 4 and 5, as in 3,4,5", o->name, value);
	*(unsigned *)field = mask;
	return 0;
}

int conf_parse_per_listener_settings(struct conf *c, const struct conf_option *o, void *field, const char *value,
				     const char *where)
{
	int on = conf_boolean(o, value, where);

	if (on < 0)
		return -1;
	if (on && c->security_given && !c->per_listener_settings)
		return conf_error(where, "%s: write it above the options that it changes the meaning of", o->name);
	*(bool *)field |= on;
	return 0;
}

/* ---- none asked for ---------------------------------------------------------------------------------------------- */

static bool has_ipv6_loopback(void)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return false;
	has = !bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
	return has;
}

/* Replace the field, which is another listener's, by a copy. 0 or -1. */
static int copy_string(char **field)
{
	const char *from = *field;

	*field = NULL;
	return from ? conf_set_string(field, from, conf_default_where) : 0;
}

static int copy_list(char ***field)
{
	char *const *from = *field;
	int err = 0;

	*field = NULL;
	for (size_t i = 0; from && from[i] && !err; i++)
		err = conf_add_string(field, from[i], conf_default_where);
	return err;
}

/* Another listener with the settings of the first. */
static struct conf_listener *copy_first(struct conf *c)
{
	struct conf_listener *l = conf_add_listener(c, conf_default_where);
	char *where = l ? l->where : NULL;
	int err = 0;

	if (!l)
		return NULL;
	*l = c->listeners[0];
	l->where = where;
	l->address = l->path = NULL;
	for (size_t i = 0; i < conf_noptions; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->scope == CONF_LISTENER && o->type == CONF_STRING)
			err |= copy_string((char **)((char *)l + o->offset));
		else if (o->scope == CONF_LISTENER && o->type == CONF_LIST)
			err |= copy_list((char ***)((char *)l + o->offset));
	}
	return err ? NULL : l;
}

int conf_listen_locally(struct conf *c, const uint16_t *ports, size_t nports)
{
	static const uint16_t usual[] = {DEFAULT_PORT};
	struct conf_listener *first = default_listener(c, conf_default_where), *l = first;
	const struct {
		const char *address;
		bool wanted;
	} hosts[] = {
		{"127.0.0.1", first && first->family != AF_INET6},
		{"::1", first && first->family != AF_INET && has_ipv6_loopback()},
	};

	if (!nports)
		ports = usual, nports = 1;
	for (size_t i = 0; l && i < nports; i++) {
		for (size_t k = 0; k < 2; k++) {
			if (!hosts[k].wanted)
				continue;
			if (c->listeners[0].address)
				l = copy_first(c);
			if (!l || conf_set_string(&l->address, hosts[k].address, conf_default_where))
				return -1;
			l->port = ports[i];
		}
	}
	return l ? 0 : -1;
}
