// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Where HTTP is served, and whether that is safe. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "conf/option.h"
#include "net/address.h"

static bool is_loopback(const char *address)
{
	struct net_address a;

	if (!*address || !strcasecmp(address, "localhost"))
		return true;
	if (!net_address_parse(address, strlen(address), &a))
		return false;
	if (a.family == AF_INET)
		return a.bytes[0] == 127;
	return !memcmp(a.bytes, &in6addr_loopback, sizeof(in6addr_loopback));
}

int conf_http_place(const char *value, struct conf_http_place *place)
{
	const char *colon = strrchr(value, ':'), *port = colon ? colon + 1 : value;
	size_t len = colon ? (size_t)(colon - value) : 0;
	struct net_address a;
	bool brackets;
	uint64_t n;

	*place = (struct conf_http_place){0};
	if (number_parse(port, UINT16_MAX, &n) || !n || (colon && !len))
		return -1;
	brackets = len > 2 && value[0] == '[' && value[len - 1] == ']';
	if (brackets) {
		value++;
		len -= 2;
	}
	if (len >= sizeof(place->address) || (!brackets && memchr(value, ':', len)) || strcspn(value, " \t/") < len ||
	    (brackets && (!net_address_parse(value, len, &a) || a.family != AF_INET6)))
		return -1;
	memcpy(place->address, value, len);
	place->port = (uint16_t)n;
	place->loopback = is_loopback(place->address);
	return 0;
}

int conf_parse_http_listener(struct conf *c, const struct conf_option *o, void *field, const char *value,
			     const char *where)
{
	struct conf_http_place place;

	if (conf_http_place(value, &place))
		return conf_error(where,
				  "%s: \"%.64s\" is neither a port, from 1 to 65535, nor an address and a port, as in "
				  "192.0.2.1:9883 or [2001:db8::1]:9883",
				  o->name, value);
	if (conf_set_string((char **)field, value, where))
		return -1;
	return conf_set_string(&c->http_where, where, where);
}

int conf_parse_hook_url(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if ((strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0) || strpbrk(value, " \t#"))
		return conf_error(where, "%s: \"%.64s\" is not a URL that begins with http:// or https://", o->name,
				  value);
	return conf_set_string(field, value, where);
}

int conf_parse_http_host(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if (strpbrk(value, " \t/:"))
		return conf_error(where, "%s: \"%.64s\" is not the name of a host, which stands without a port",
				  o->name, value);
	return conf_add_string((char ***)field, value, where);
}

int conf_check_http(const struct conf *c)
{
	struct conf_http_place place;

	if (!c->http_listener || c->http_tokens || conf_http_place(c->http_listener, &place) || place.loopback)
		return 0;
	return conf_error(
		c->http_where,
		"http_listener: other hosts could see everything there. Name a file of tokens by http_tokens, or "
		"write \"http_listener %u\", for this host only",
		place.port);
}
