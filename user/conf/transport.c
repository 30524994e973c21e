// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Options of a listener: what stands between its clients and the broker. */
#include <string.h>

#include "base/version.h"
#include "conf/option.h"
#include "mqtt/topic.h"
#include "net/address.h"

int conf_parse_protocol(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if (!strcmp(value, "http_api"))
		return conf_error(where, "%s: mosquitto has listeners of \"%s\", Shunt %s has not", o->name, value,
				  SHUNT_VERSION);
	if (!strcmp(value, "mqtt"))
		*(enum conf_protocol *)field = CONF_MQTT;
	else if (!strcmp(value, "websockets"))
		*(enum conf_protocol *)field = CONF_WEBSOCKETS;
	else if (!strcmp(value, "mqtt-sn"))
		*(enum conf_protocol *)field = CONF_MQTT_SN;
	else
		return conf_error(where, "%s: \"%.64s\" is none of mqtt, websockets, mqtt-sn", o->name, value);
	return 0;
}

int conf_parse_trusted_proxy(struct conf *c, const struct conf_option *o, void *field, const char *value,
			     const char *where)
{
	struct network n;
	const char *why = network_parse(value, &n);

	(void)c;
	if (why)
		return conf_error(where, "%s: \"%.64s\": %s", o->name, value, why);
	return conf_add_string((char ***)field, value, where);
}

int conf_parse_ban_exempt(struct conf *c, const struct conf_option *o, void *field, const char *value,
			  const char *where)
{
	struct network n;
	const char *why = network_parse(value, &n);

	(void)c;
	if (!why && n.address.family == AF_UNIX)
		why = "who comes by a Unix socket is never banned";
	if (why)
		return conf_error(where, "%s: \"%.64s\": %s", o->name, value, why);
	return conf_add_string((char ***)field, value, where);
}

int conf_parse_origin(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	(void)c;
	if (!strstr(value, "://") || value[strlen(value) - 1] == '/')
		return conf_error(where,
				  "%s: \"%.64s\" is not an origin, as in https://example.org or with :PORT behind",
				  o->name, value);
	return conf_add_string((char ***)field, value, where);
}

int conf_parse_certificate(struct conf *c, const struct conf_option *o, void *field, const char *value,
			   const char *where)
{
	size_t len = strcspn(value, " \t");

	(void)c;
	if (!value[len + strspn(value + len, " \t")])
		return conf_error(where, "%s: write \"%s CERTFILE KEYFILE\"", o->name, o->name);
	return conf_add_string((char ***)field, value, where);
}

int conf_parse_jwt_key(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	size_t len = strcspn(value, " \t");

	(void)c;
	if (!value[len + strspn(value + len, " \t")])
		return conf_error(where, "%s: write \"%s ALGORITHM FILE\", as in \"%s ES256 /etc/shunt/issuer.pem\"",
				  o->name, o->name, o->name);
	return conf_add_string((char ***)field, value, where);
}

int conf_parse_group(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	struct net_address a = {0};

	(void)c;
	if (!net_address_parse(value, strlen(value), &a) ||
	    (a.family == AF_INET ? a.bytes[0] >> 4 != 14 : a.bytes[0] != 0xff))
		return conf_error(where, "%s: \"%.64s\" is not the address of a multicast group", o->name, value);
	return conf_set_string(field, value, where);
}

int conf_parse_mount_point(struct conf *c, const struct conf_option *o, void *field, const char *value,
			   const char *where)
{
	(void)c;
	if (!topic_name_valid(mqtt_str(value)))
		return conf_error(where,
				  "%s: \"%.64s\" cannot begin topics, which are UTF-8 without the wildcards + and #",
				  o->name, value);
	if (!strncmp(value, "$share/", strlen("$share/")))
		return conf_error(where, "%s: \"%.64s\": $share/ begins shared subscriptions, and no topics", o->name,
				  value);
	return conf_set_string(field, value, where);
}

int conf_parse_namespace(struct conf *c, const struct conf_option *o, void *field, const char *value, const char *where)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	(void)c;
	if (value[len] || len > CONF_NAMESPACE_MAX)
		return conf_error(where, "%s: \"%.80s\" is no name of up to %d letters, digits, '-', '_' and '.'",
				  o->name, value, CONF_NAMESPACE_MAX);
	return conf_set_string(field, value, where);
}

/* Of a listener of MQTT-SN, and of one that is not. */
static int check_sn(const struct conf_listener *l)
{
	if (l->protocol != CONF_MQTT_SN)
		return l->sn_predefined || l->sn_anonymous || l->sn_advertise || l->sn_multicast
			       ? conf_error(l->where,
					    "the options mqtt_sn_... are for listeners of \"protocol mqtt-sn\"")
			       : 0;
	if (l->path)
		return conf_error(l->where, "protocol: MQTT-SN is on UDP: write \"listener PORT [ADDRESS]\"");
	if (l->sn_multicast && l->address)
		return conf_error(l->where,
				  "mqtt_sn_multicast: a listener with an ADDRESS gets nothing that is sent to others");
	if (conf_has_tls(l) || l->proxy_protocol || l->use_identity_as_username || l->use_username_as_clientid)
		return conf_error(l->where, "protocol: a listener of mqtt-sn has no TLS, no proxies and no user names");
	if (l->mount_point)
		return conf_error(l->where, "mount_point: a listener of mqtt-sn has none");
	return 0;
}

/* Sockets that are opened in other ways than those of TCP. */
static int check_socket(const struct conf_listener *l)
{
	if (l->bind_interface && (l->path || l->protocol == CONF_MQTT_SN))
		return conf_error(l->where, "bind_interface: this listener is none of TCP: take the line out");
	if (l->socket_name && l->protocol == CONF_MQTT_SN)
		return conf_error(l->where, "socket_name: the sockets of MQTT-SN cannot be passed: take the line out");
	return 0;
}

/* Tokens, which clients give for their passwords. */
static int check_tokens(const struct conf_listener *l)
{
	if (!l->jwt_keys)
		return l->jwt_issuer || l->jwt_audience || l->jwt_username_claim || l->jwt_leeway
			       ? conf_error(l->where, "the options jwt_... do nothing without jwt_key_file")
			       : 0;
	if (l->protocol == CONF_MQTT_SN)
		return conf_error(l->where, "jwt_key_file: clients of mqtt-sn have no passwords: take the line out");
	if (l->use_identity_as_username || l->use_subject_as_username)
		return conf_error(l->where,
				  "jwt_key_file: clients of this listener are who their certificates or keys say: "
				  "take out that line, or use_identity_as_username and "
				  "use_subject_as_username");
	return 0;
}

int conf_check_transport(const struct conf_listener *l)
{
	const struct {
		const char *name;
		bool given;
	} options[] = {
		{"keyfile", l->keyfile},
		{"cafile", l->cafile},
		{"capath", l->capath},
		{"crlfile", l->crlfile},
		{"require_certificate", l->require_certificate},
		{"tls_certificate", l->tls_certificates},
		{"tls_version", l->tls_version},
		{"ciphers", l->ciphers},
		{"ciphers_tls1.3", l->ciphers_tls13},
		{"dhparamfile", l->dhparamfile},
		{"use_subject_as_username", l->use_subject_as_username},
		/* A proxy can tell the name of a certificate, too. */
		{"use_identity_as_username", l->use_identity_as_username && !l->proxy_protocol},
	};
	int err = check_sn(l) | check_socket(l) | check_tokens(l);

	for (size_t i = 0; !conf_has_tls(l) && i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].given)
			err = conf_error(l->where,
					 "%s: this listener has no TLS without certfile and keyfile, or psk_hint",
					 options[i].name);
	}
	return err;
}
