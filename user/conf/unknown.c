// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Names that are not in the table of options: what to say of them. */
#include <string.h>

#include "base/version.h"
#include "conf/option.h"

/* Options of mosquitto, up to 2.1, that Shunt does not have, in alphabetical order. */
static const char *const foreign[] = {
	"address",
	"addresses",
	"auth_plugin",
	"auth_plugin_deny_special_chars",
	"bridge_alpn",
	"bridge_attempt_unsubscribe",
	"bridge_bind_address",
	"bridge_cafile",
	"bridge_capath",
	"bridge_certfile",
	"bridge_identity",
	"bridge_insecure",
	"bridge_keyfile",
	"bridge_max_packet_size",
	"bridge_max_topic_alias",
	"bridge_outgoing_retain",
	"bridge_protocol_version",
	"bridge_psk",
	"bridge_receive_maximum",
	"bridge_reload_type",
	"bridge_require_ocsp",
	"bridge_session_expiry_interval",
	"bridge_tcp_keepalive",
	"bridge_tcp_user_timeout",
	"bridge_tls_use_os_certs",
	"bridge_tls_version",
	"cleansession",
	"clientid",
	"clientid_prefixes",
	"connection",
	"disable_client_cert_date_checks",
	"enable_control_api",
	"global_plugin",
	"http_dir",
	"idle_timeout",
	"keepalive_interval",
	"local_cleansession",
	"local_clientid",
	"local_password",
	"local_username",
	"notification_topic",
	"notifications",
	"notifications_local_only",
	"packet_buffer_size",
	"packet_max_auth",
	"packet_max_connect",
	"packet_max_simple",
	"packet_max_sub",
	"password",
	"plugin",
	"plugin_load",
	"plugin_use",
	"remote_clientid",
	"remote_password",
	"remote_username",
	"restart_timeout",
	"retry_interval",
	"round_robin",
	"start_type",
	"store_clean_interval",
	"threshold",
	"tls_engine",
	"tls_engine_kpass_sha1",
	"topic",
	"trace_level",
	"try_private",
	"username",
	"websockets_log_level",
};

/* Families of names: options for plugins are chosen by the plugin. */
static const char *const foreign_prefixes[] = {"auth_opt_", "plugin_opt_"};

const char *conf_foreign_name(size_t i)
{
	return i < sizeof(foreign) / sizeof(foreign[0]) ? foreign[i] : NULL;
}

static bool is_foreign(const char *name)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (!strcmp(foreign[i], name))
			return true;
	}
	for (size_t i = 0; i < sizeof(foreign_prefixes) / sizeof(foreign_prefixes[0]); i++) {
		if (!strncmp(foreign_prefixes[i], name, strlen(foreign_prefixes[i])))
			return true;
	}
	return false;
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
	const char *near;

	if (is_foreign(name))
		return conf_error(where, "%s is an option of mosquitto that Shunt %s does not have: take the line out",
				  name, SHUNT_VERSION);
	near = nearest(name);
	if (near)
		return conf_error(where, "unknown option \"%.64s\"; the nearest is %s", name, near);
	return conf_error(where, "unknown option \"%.64s\"; shunt.conf(5) lists those there are", name);
}
