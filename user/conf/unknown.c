// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Names that are not in the table of options: what to say of them. */
#include <string.h>

#include "base/version.h"
#include "conf/option.h"

/* Options of mosquitto, up to 2.1, that Shunt does not have, in alphabetical order; and what to write instead. */
static const struct foreign {
	const char *name, *instead;
} foreign[] = {
	{"address", NULL},
	{"addresses", NULL},
	{"auth_plugin", NULL},
	{"auth_plugin_deny_special_chars", NULL},
	{"bridge_alpn", NULL},
	{"bridge_attempt_unsubscribe", NULL},
	{"bridge_bind_address", NULL},
	{"bridge_cafile", NULL},
	{"bridge_capath", NULL},
	{"bridge_certfile", NULL},
	{"bridge_identity", NULL},
	{"bridge_insecure", NULL},
	{"bridge_keyfile", NULL},
	{"bridge_max_packet_size", NULL},
	{"bridge_max_topic_alias", NULL},
	{"bridge_outgoing_retain", NULL},
	{"bridge_protocol_version", NULL},
	{"bridge_psk", NULL},
	{"bridge_receive_maximum", NULL},
	{"bridge_reload_type", NULL},
	{"bridge_require_ocsp", NULL},
	{"bridge_session_expiry_interval", NULL},
	{"bridge_tcp_keepalive", NULL},
	{"bridge_tcp_user_timeout", NULL},
	{"bridge_tls_use_os_certs", NULL},
	{"bridge_tls_version", NULL},
	{"check_retain_source", NULL},
	{"cleansession", NULL},
	{"clientid", NULL},
	{"clientid_prefixes", NULL},
	{"connection", NULL},
	{"disable_client_cert_date_checks", NULL},
	{"enable_control_api", NULL},
	{"global_plugin", NULL},
	{"http_dir", NULL},
	{"idle_timeout", NULL},
	{"keepalive_interval", NULL},
	{"local_cleansession", NULL},
	{"local_clientid", NULL},
	{"local_password", NULL},
	{"local_username", NULL},
	{"notification_topic", NULL},
	{"notifications", NULL},
	{"notifications_local_only", NULL},
	{"packet_buffer_size", NULL},
	{"packet_max_auth", NULL},
	{"packet_max_connect", NULL},
	{"packet_max_simple", NULL},
	{"packet_max_sub", NULL},
	{"password", NULL},
	{"plugin", NULL},
	{"plugin_load", NULL},
	{"plugin_use", NULL},
	{"remote_clientid", NULL},
	{"remote_password", NULL},
	{"remote_username", NULL},
	{"restart_timeout", NULL},
	{"retry_interval", NULL},
	{"round_robin", NULL},
	{"start_type", NULL},
	{"store_clean_interval", NULL},
	{"threshold", NULL},
	{"tls_engine", NULL},
	{"tls_engine_kpass_sha1", NULL},
	{"topic", NULL},
	{"trace_level", NULL},
	{"try_private", NULL},
	{"username", NULL},
	{"websockets_log_level", NULL},
};

/* Families of names: options for plugins are chosen by the plugin. */
static const char *const foreign_prefixes[] = {"auth_opt_", "plugin_opt_"};

const char *conf_foreign_name(size_t i)
{
	return i < sizeof(foreign) / sizeof(foreign[0]) ? foreign[i].name : NULL;
}

static const struct foreign *find_foreign(const char *name)
{
	static const struct foreign of_plugin = {"plugin_opt_", NULL};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (!strcmp(foreign[i].name, name))
			return &foreign[i];
	}
	for (size_t i = 0; i < sizeof(foreign_prefixes) / sizeof(foreign_prefixes[0]); i++) {
		if (!strncmp(foreign_prefixes[i], name, strlen(foreign_prefixes[i])))
			return &of_plugin;
	}
	return NULL;
}

enum { NAME_MAX_LEN = 64 };

/* How many letters have to be inserted, taken out, changed or swapped with their neighbour to make `b` of `a`
 * (Damerau and Levenshtein); `a` and `b` have at most NAME_MAX_LEN letters. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_LEN + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t alen = strlen(a), blen = strlen(b);

	for (size_t j = 0; j <= blen; j++)
		before[j] = last[j] = j;
	for (size_t i = 1; i <= alen; i++) {
		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (best > last[j] + 1)
				best = last[j] + 1;
			if (best > row[j - 1] + 1)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && best > before[j - 2] + 1)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[blen];
}

/* The option with the nearest name, or NULL when none is near enough to be meant. */
static const char *nearest(const char *name)
{
	size_t len = strlen(name), best = len / 3 + 1;
	const char *found = NULL;

	if (len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < conf_noptions; i++) {
		size_t d = distance(name, conf_options[i].name);

		if (d < best || (d == best && !found)) {
			best = d;
			found = conf_options[i].name;
		}
	}
	return found;
}

int conf_unknown(const char *name, const char *where)
{
	const struct foreign *f = find_foreign(name);
	const char *near;

	if (f && f->instead)
		return conf_error(where,
				  "%s is an option of mosquitto that Shunt %s does not have: write \"%s\" instead",
				  name, SHUNT_VERSION, f->instead);
	if (f)
		return conf_error(where, "%s is an option of mosquitto that Shunt %s does not have: take the line out",
				  name, SHUNT_VERSION);
	near = nearest(name);
	if (near)
		return conf_error(where, "unknown option \"%.64s\"; the nearest is %s", name, near);
	return conf_error(where, "unknown option \"%.64s\"; shunt.conf(5) lists those there are", name);
}
