// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The options of the configuration, each in one place: what the parser accepts, what the default is, and what --help
 * and shunt.conf(5) say of it, in this order. */
#include "conf/option.h"

/* The field of an option, in the configuration or in the listener. */
#define IN_CONF(member) \
	.scope = CONF_GLOBAL, .offset = offsetof(struct conf, member), .size = sizeof(((struct conf *)NULL)->member)
#define IN_LISTENER(member)                                                       \
	.scope = CONF_LISTENER, .offset = offsetof(struct conf_listener, member), \
	.size = sizeof(((struct conf_listener *)NULL)->member)

/* And of the listener, with per_listener_settings. */
#define OR_LISTENER(member) .listener_offset = offsetof(struct conf_listener, member)

static const char true_false[] = "true|false";

/* clang-format off */
const struct conf_option conf_options[] = {

/* ---- listeners -------------------------------------------------------------------------------------------------- */
{
	.name = "listener", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_listener,
	.argument = "PORT [ADDRESS]",
	.fallback = "port 1883 on the loopback addresses only", .restart = true,
	.help = "Accept clients on TCP port PORT of ADDRESS. ADDRESS is an IPv4 or IPv6 address or a host name; without it, "
		"clients are accepted on all addresses. With port 0, ADDRESS is the path of a Unix socket.\n"
		"May be given many times. The lines that follow, up to the next `listener` or the end of the file, may hold "
		"the options of this listener.\n"
		"\n"
		"\tlistener 1883 192.0.2.1\n"
		"\tlistener 0 /run/shunt/mqtt.sock\n"
		"\n"
		"Without any `listener`, Shunt listens on 127.0.0.1 and, if there is IPv6, on ::1, on port 1883 or those "
		"given by `-p`, and everybody may connect. With a `listener` line, see `allow_anonymous`.\n"
		"\n"
		"A Unix socket belongs to the user that the daemon runs as, and who is in that user's group may use it, too. "
		"The file is made at the start, in place of one that nobody listens at any more, and removed at the end. Its "
		"clients are logged as unix:PID, with the process that connected. The kernel carries no messages of theirs "
		"past the daemon.",
}, {
	.name = "port", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_port,
	.argument = "PORT", .fallback = "1883 with bind_address, else no default listener", .restart = true,
	.help = "Accept clients on TCP port PORT, by the default listener. It is one beside those with a `listener` line, "
		"which is the way to write it that mosquitto recommends. The options of a listener that follow belong to it, "
		"as do those above all `listener` lines: one of these alone, without `port` and `bind_address`, adds the "
		"default listener to the others, on port 1883 of all addresses.",
}, {
	.name = "bind_address", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_bind_address,
	.argument = "ADDRESS", .fallback = "all addresses with port, else no default listener", .restart = true,
	.help = "Accept clients on ADDRESS, by the default listener, see `port`.",
}, {
	.name = "socket_domain", IN_LISTENER(family), .type = CONF_OTHER, .parse = conf_parse_socket_domain,
	.argument = "ipv4|ipv6", .fallback = "both", .restart = true,
	.help = "Accept clients of this listener over IPv4 or IPv6 only.",
}, {
	.name = "bind_interface", IN_LISTENER(bind_interface), .type = CONF_STRING, .parse = conf_parse_interface,
	.argument = "NAME", .fallback = "all interfaces", .restart = true,
	.help = "Accept only clients of this listener whose packets come in by the network interface NAME, which must be there when "
		"the broker starts, and whatever its addresses are. Clients on this host come in by `lo`, also when they connect to "
		"an address of another interface. With an ADDRESS in the `listener` line, that has to be one of the interface's. "
		"Several listeners may have the same port on different interfaces.",
}, {
	.name = "socket_name", IN_LISTENER(socket_name), .type = CONF_STRING,
	.argument = "NAME", .fallback = "sockets that are passed belong to the listener with their port and address, or path",
	.restart = true,
	.help = "When the broker is started by socket activation of systemd, the sockets of this listener are those that the unit "
		"calls NAME by FileDescriptorName=, see `shuntd`(8). Otherwise it opens its own, by its port and address. An option "
		"of Shunt's own.",
}, {
	.name = "protocol", IN_LISTENER(protocol), .type = CONF_OTHER, .parse = conf_parse_protocol,
	.argument = "mqtt|websockets|mqtt-sn", .value = "mqtt", .restart = true,
	.help = "What clients of this listener speak: MQTT, or MQTT over WebSocket, as web pages do. With `certfile` or "
		"`psk_hint` it is all inside of TLS. With `mqtt-sn` the listener is on UDP, a gateway for MQTT-SN 1.2; see "
		"`mqtt_sn_gateway_id` and the options that follow it.\n"
		"The kernel carries no messages past the daemon for clients that use WebSocket, TLS or a proxy with "
		"`enable_proxy_protocol`.",
}, {
	.name = "max_connections", IN_LISTENER(max_connections), .type = CONF_UINT, .max = UINT32_MAX,
	.or_negative = true,
	.argument = "COUNT", .value = "0",
	.help = "Refuse further clients of this listener while COUNT of them are connected. 0 or -1 is no limit.",
}, {
	.name = "max_connection_rate", IN_LISTENER(max_connection_rate), .type = CONF_UINT, .max = 1000000,
	.argument = "COUNT", .value = "0",
	.help = "Accept at most COUNT connections of this listener a second, and as many at once. Further ones wait in the "
		"kernel until it is their turn, and who is connected notices nothing. 0 is no limit.",
}, {
	.name = "max_qos", .old_name = "maximum_qos", IN_LISTENER(max_qos), .type = CONF_UINT, .max = 2,
	.argument = "0|1|2", .value = "2",
	.help = "The highest QoS that clients of this listener may publish with. One that publishes with a higher QoS is "
		"disconnected; clients of MQTT 5.0 are told of the limit when they connect. Subscriptions are granted at most "
		"this QoS.",
}, {
	.name = "mount_point", IN_LISTENER(mount_point), .type = CONF_STRING, .parse = conf_parse_mount_point,
	.argument = "PREFIX", .fallback = "none", .restart = true,
	.help = "Put PREFIX in front of the topics that clients of this listener publish to, of their wills, and of what they "
		"subscribe to, behind `$share/NAME/` if it is a shared subscription; and leave it out of what they are sent. So "
		"they have a part of the topics for themselves, and see nothing of the others, nor of `$SYS`. Response topics "
		"are left as they are.\n"
		"\n"
		"\tlistener 1884\n"
		"\tmount_point hall/\n"
		"\n"
		"Let PREFIX end with `/`, as nothing puts one in between; with another PREFIX, clients cannot subscribe to filters "
		"that begin with `+` or `#`. It must have no wildcards. The rules of an `acl_file`, the log and "
		"shuntctl(1) have the topics with PREFIX. A topic may have 65535 bytes together with it. Client identifiers "
		"are those of all listeners of its `namespace`: a client that comes back by a listener with another mount point has the "
		"subscriptions it made, and is not sent what its new mount point does not hold.\n"
		"Not for listeners of `protocol mqtt-sn`. The kernel carries no messages past the daemon for clients of a "
		"listener with a mount point.",
}, {
	.name = "namespace", IN_LISTENER(namespace), .type = CONF_STRING, .parse = conf_parse_namespace,
	.argument = "NAME", .fallback = "the default one, which has no name", .restart = true,
	.help = "Make clients of this listener those of another broker, called NAME, in the same process: with topics, "
		"subscriptions, retained messages and client identifiers of its own. Listeners with the same NAME share it, those "
		"without this option are in the default namespace. Clients of different namespaces cannot see each other, nor can "
		"they get in each other's way by a client identifier or topic: the same client identifier may be connected in each of "
		"them, with a session of its own. An option of Shunt's own.\n"
		"\n"
		"\tlistener 1884\n"
		"\tnamespace plant_a\n"
		"\tlistener_password_file /etc/shunt/plant_a.passwords\n"
		"\n"
		"NAME has up to 64 letters, digits, `-`, `_` and `.`. A `mount_point` is within the namespace. Topics are written "
		"without NAME everywhere, also in an `acl_file`. Users and rules are those of the listener: let each namespace have its own, "
		"by `listener_password_file` and `listener_acl_file` or `per_listener_settings`; the files of the "
		"default namespace hold for it otherwise.\n"
		"Limits that count what is there hold for each namespace by itself: `global_max_clients`, `max_sessions`, "
		"`max_retained_messages` and `max_retained_bytes`; those of connections are the listeners', or, as `memory_limit`, of the "
		"whole process. What is told below `$SYS` in a namespace is its own: `version`, `uptime`, all of `clients/`, "
		"`subscriptions/count`, `shared_subscriptions/count`, `retained messages/count`, `publish/messages/received` and "
		"`publish/messages/sent`, which in the default one are of the whole process. The other names are there in the default "
		"namespace alone, and are of the whole process, as are the lines of `log_dest topic`; "
		"shuntctl(1) tells of all of it.\n"
		"A client identifier or user name is banned in one namespace, by `ban_after_flapping` and `shuntctl ban --namespace`; "
		"an address in all of them.\n"
		"The log calls a client of a namespace NAME/ID, shuntctl(1) and HTTP name the namespace. With `persistence`, what is in "
		"the store of a namespace that no listener has any more stays there, and goes on when one has it again.",
}, {
	.name = "max_topic_alias", IN_LISTENER(max_topic_alias), .type = CONF_UINT, .max = 65535,
	.argument = "COUNT", .value = "10",
	.help = "Let a client of MQTT 5.0 use up to COUNT topic aliases in what it publishes. 0 allows none.",
}, {
	.name = "max_topic_alias_broker", IN_LISTENER(max_topic_alias_broker), .type = CONF_UINT, .max = 65535,
	.argument = "COUNT", .value = "10",
	.help = "Use up to COUNT topic aliases towards a client of MQTT 5.0, as far as it allows them: the first COUNT topics "
		"that it is sent get one each. 0 uses none.",
}, {
	.name = "accept_protocol_versions", IN_LISTENER(accept_versions), .type = CONF_OTHER,
	.parse = conf_parse_protocol_versions,
	.argument = "VERSION,...", .value = "3,4,5",
	.help = "Accept clients of these versions of MQTT: `3` is MQTT 3.1, `4` is 3.1.1, `5` is 5.0. Others are refused.",
}, {
	.name = "use_username_as_clientid", IN_LISTENER(use_username_as_clientid), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "Give each client its user name for its client identifier, whatever it says. Clients without a user name are "
		"refused. A client that connects with the user name of another takes over its session.",
}, {
	.name = "listener_allow_anonymous", IN_LISTENER(own_allow_anonymous), .type = CONF_OTHER,
	.parse = conf_parse_maybe,
	.argument = true_false, .fallback = "as allow_anonymous says",
	.help = "Accept clients of this listener that give no user name, or not, whatever `allow_anonymous` says.",
}, {
	.name = "listener_auto_id_prefix", IN_LISTENER(own_auto_id_prefix), .type = CONF_STRING, .parse = conf_parse_prefix,
	.argument = "TEXT", .fallback = "as auto_id_prefix says",
	.help = "What the client identifiers that Shunt gives to clients of this listener begin with.",
}, {
	.name = "listener_password_file", IN_LISTENER(own_password_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "as password_file says",
	.help = "The users of this listener, instead of those of `password_file`. An option of Shunt's own.",
}, {
	.name = "listener_auth_http_url", IN_LISTENER(own_auth_http_url), .type = CONF_STRING, .parse = conf_parse_hook_url,
	.argument = "URL", .fallback = "as auth_http_url says",
	.help = "The server that is asked of clients of this listener, instead of that of `auth_http_url`.",
}, {
	.name = "listener_acl_file", IN_LISTENER(own_acl_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "as acl_file says",
	.help = "The rules for clients of this listener, instead of those of `acl_file`. An option of Shunt's own.",
},

/* ---- TLS -------------------------------------------------------------------------------------------------------- */
{
	.name = "certfile", IN_LISTENER(certfile), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none: no TLS, unless there is a psk_hint",
	.help = "Clients of this listener have to speak TLS, 1.2 or 1.3. FILE has the listener's certificate in PEM, then those "
		"between it and its CA. All files of TLS are read again at a reload, and used for new connections; nobody "
		"who is connected is dropped. Whether a listener has TLS at all is fixed while the daemon runs.\n"
		"Clients of TLS may resume a session, of any listener, for a day after they last proved who they are. A client "
		"that offers protocols by ALPN has to offer `mqtt`, at a listener of `websockets` `http/1.1`.",
}, {
	.name = "keyfile", IN_LISTENER(keyfile), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none",
	.help = "The private key of the certificate in `certfile`, in PEM, not encrypted. Nobody but root and the user that the "
		"daemon runs as should be able to read it; the latter has to, for reloads.",
}, {
	.name = "tls_certificate", IN_LISTENER(tls_certificates), .type = CONF_LIST, .parse = conf_parse_certificate,
	.argument = "CERTFILE KEYFILE", .fallback = "only that of certfile",
	.help = "One more certificate of this listener with its key, for clients that ask for another host name (SNI), or "
		"that cannot use the kind of key that the others have. May be given many times. An option of Shunt's own.",
}, {
	.name = "tls_version", IN_LISTENER(tls_version), .type = CONF_STRING,
	.argument = "tlsv1.2|tlsv1.3", .fallback = "tlsv1.2",
	.help = "The oldest version of TLS that is accepted.",
}, {
	.name = "ciphers", IN_LISTENER(ciphers), .type = CONF_STRING, .to_the_end = true,
	.argument = "LIST", .fallback = "those with forward secrecy and authentication",
	.help = "The ciphers of TLS 1.2, in OpenSSL's syntax, those that Shunt is to prefer first.",
}, {
	.name = "ciphers_tls1.3", IN_LISTENER(ciphers_tls13), .type = CONF_STRING, .to_the_end = true,
	.argument = "LIST", .fallback = "all of OpenSSL's",
	.help = "The ciphers of TLS 1.3: names with colons between, those that Shunt is to prefer first. With `psk_hint` those "
		"with SHA256 have to be first.",
}, {
	.name = "dhparamfile", IN_LISTENER(dhparamfile), .type = CONF_STRING,
	.argument = "FILE", .fallback = "as strong as the certificate's key asks for",
	.help = "Parameters for the exchange of keys by DHE, in PEM.",
}, {
	.name = "require_certificate", IN_LISTENER(require_certificate), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "Clients of this listener need a certificate that one of the CAs in `cafile` or `capath` has signed. Without "
		"this they are not asked for theirs.",
}, {
	.name = "cafile", IN_LISTENER(cafile), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none",
	.help = "The certificates of CAs that clients' certificates are signed by, in PEM.",
}, {
	.name = "capath", IN_LISTENER(capath), .type = CONF_STRING,
	.argument = "FOLDER", .fallback = "none",
	.help = "The same, a folder with links to the certificates as `openssl rehash` makes them.",
}, {
	.name = "crlfile", IN_LISTENER(crlfile), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none",
	.help = "Certificates of clients that were revoked (CRL), in PEM. With it there has to be a list of each CA that signs "
		"them, which is not out of date.",
}, {
	.name = "use_identity_as_username", IN_LISTENER(use_identity_as_username), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "A client's user name is the common name (CN) of its certificate, or the identity of its key with `psk_hint`, "
		"whatever its CONNECT says; a password is not looked at. Clients without are refused.",
}, {
	.name = "use_subject_as_username", IN_LISTENER(use_subject_as_username), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "The same with the whole subject of the certificate, as in CN=sensor,O=Example.",
}, {
	.name = "psk_hint", IN_LISTENER(psk_hint), .type = CONF_STRING, .to_the_end = true,
	.argument = "TEXT", .fallback = "none: clients need the server's certificate",
	.help = "Clients of this listener may use TLS with a key that they share with the broker (PSK), of `psk_file`. Clients "
		"of TLS 1.2 are told TEXT, which may help them to choose one. With `certfile` beside it a client may choose.",
}, {
	.name = "listener_psk_file", IN_LISTENER(own_psk_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "as psk_file says",
	.help = "The keys of this listener's clients, instead of those of `psk_file`. An option of Shunt's own.",
}, {
	.name = "tls_keyform", IN_LISTENER(keyform), .type = CONF_STRING,
	.argument = "pem", .fallback = "pem",
	.help = "The form of `keyfile`. mosquitto's other one, `engine`, is refused.",
},

/* ---- tokens ----------------------------------------------------------------------------------------------------- */
{
	.name = "jwt_key_file", IN_LISTENER(jwt_keys), .type = CONF_LIST, .parse = conf_parse_jwt_key,
	.argument = "ALGORITHM FILE [KID]", .fallback = "none: no tokens are accepted",
	.help = "Clients of this listener may give a JSON Web Token (RFC 7519) for their password, which this key has signed. "
		"ALGORITHM is RS256 or ES256 with a public key or certificate in PEM, or HS256 with a secret of at least 32 bytes, "
		"all that is in FILE but the end of its line. A token with a Key ID in its header has to be signed by the key with "
		"that KID, one without by a key without. May be given many times.\n"
		"\n"
		"\tlistener 8883\n"
		"\tjwt_key_file ES256 /etc/shunt/issuer.pem\n"
		"\tjwt_issuer https://login.example.org\n"
		"\tjwt_audience shunt\n"
		"\n"
		"A token has to say when it expires (`exp`), and is accepted from `nbf` and `iat` on, if it has them. It names the user, "
		"see `jwt_username_claim`. The user name in the CONNECT may be missing or empty, or has to be the same. A client "
		"with a user name and without a token is refused, unless `password_file` lets it in: with both, what begins with "
		"`ey` and has two dots is a token, anything else a password. One without either is let in or not by `allow_anonymous`.\n"
		"When its token expires a client is disconnected, by MQTT 5.0 with reason 0xA0, maximum connect time.\n"
		"The claim `acl` limits what the client may do, beside `acl_file`: both have to allow it. It names filters of topics, "
		"with %c and %u as there, and what is not named is denied; without the claim there is no such limit.\n"
		"\n"
		"\t\"acl\": {\"publish\": [\"in/%c/#\"], \"subscribe\": [\"out/#\"]}\n"
		"\n"
		"A client whose token has an `acl` of another form, or whose names have a `+` or `#` that would come into a filter, is "
		"refused. The rights stay with the session, for messages that wait while its client is away, until that comes with "
		"another token.\n"
		"Keys are read when the daemon starts, before it gives up being root, and again on SIGHUP, as the user it runs as. "
		"Who is connected by a token whose key is not there any more, or whose user, issuer or audience is another by what "
		"the options say then, is disconnected.\n"
		"Not with `use_identity_as_username` and `use_subject_as_username`, nor for listeners of `protocol mqtt-sn`: its "
		"clients have no passwords. An option of Shunt's own, as the next ones.",
}, {
	.name = "jwt_issuer", IN_LISTENER(jwt_issuer), .type = CONF_STRING,
	.argument = "TEXT", .fallback = "any",
	.help = "Accept only tokens of this issuer (`iss`).",
}, {
	.name = "jwt_audience", IN_LISTENER(jwt_audience), .type = CONF_STRING,
	.argument = "TEXT", .fallback = "any",
	.help = "Accept only tokens for this audience (`aud`), perhaps beside others.",
}, {
	.name = "jwt_username_claim", IN_LISTENER(jwt_username_claim), .type = CONF_STRING,
	.argument = "NAME", .fallback = "sub",
	.help = "The claim of a token that is the user name, for `acl_file` and the log. A token without it is refused.",
}, {
	.name = "jwt_leeway", IN_LISTENER(jwt_leeway), .type = CONF_UINT, .max = 3600,
	.argument = "SECONDS", .value = "0",
	.help = "Let the clock of who makes the tokens differ from ours by SECONDS: they are accepted so much earlier, and expire so "
		"much later.",
},

/* ---- WebSocket and proxies -------------------------------------------------------------------------------------- */
{
	.name = "websockets_origin", IN_LISTENER(websockets_origins), .type = CONF_LIST, .parse = conf_parse_origin,
	.argument = "ORIGIN", .fallback = "all",
	.help = "Web pages of this origin may connect to this listener of `protocol websockets`: https://example.org, or with "
		":PORT behind. May be given many times; pages of all others are refused then. Who is no browser says no "
		"origin, and is not refused for it.",
}, {
	.name = "websockets_headers_size", IN_LISTENER(websockets_headers_size), .type = CONF_UINT, .min = 512, .max = 65536,
	.or_zero = true,
	.argument = "BYTES", .value = "8192",
	.help = "The most that the request may have by which a client begins a WebSocket connection, with all its header fields. "
		"0 is the default.",
}, {
	.name = "enable_proxy_protocol", IN_LISTENER(proxy_protocol), .type = CONF_UINT, .min = 1, .max = 2, .or_zero = true,
	.argument = "1|2", .value = "0", .restart = true,
	.help = "All clients of this listener come through a proxy, which puts a header of this version of HAProxy's PROXY "
		"protocol in front of each connection: it says who the client is. Only proxies of `trusted_proxy` may connect.",
}, {
	.name = "proxy_protocol_v2_require_tls", IN_LISTENER(proxy_requires_tls), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "With `enable_proxy_protocol 2`: refuse clients that did not speak TLS with the proxy, by what its header says. "
		"With `use_identity_as_username` the common name in it, of the certificate that the proxy has verified, is the "
		"client's user name.",
}, {
	.name = "trusted_proxy", IN_LISTENER(trusted_proxies), .type = CONF_LIST, .parse = conf_parse_trusted_proxy,
	.argument = "ADDRESS[/PREFIX]|unix", .fallback = "127.0.0.0/8, ::1 and unix",
	.help = "Proxies with these addresses may say who the client is, of this listener: by the PROXY protocol where "
		"`enable_proxy_protocol` is on, and by the field X-Forwarded-For of a WebSocket request, which is not looked at "
		"when somebody else sends it. `unix` is who comes by a Unix socket. May be given many times. An option of "
		"Shunt's own.",
},

/* ---- MQTT-SN ---------------------------------------------------------------------------------------------------- */
{
	.name = "mqtt_sn_gateway_id", IN_LISTENER(sn_gateway_id), .type = CONF_UINT, .min = 1, .max = 255, .restart = true,
	.argument = "NUMBER", .value = "1",
	.help = "The gateway id of this listener of `protocol mqtt-sn`, in what clients are told that search for a gateway. All "
		"options of MQTT-SN are Shunt's own.\n"
		"\n"
		"\tlistener 1884\n"
		"\tprotocol mqtt-sn\n"
		"\n"
		"Its clients have sessions like others: they get what those publish, and the other way round, are taken over by "
		"their client identifier, have their session kept if they connect without CleanSession, and their rights "
		"by `acl_file`, with no user name. As MQTT-SN has no passwords, and so no tokens, they are let in only where "
		"`allow_anonymous` is true; anybody who can send datagrams can be any client. An address is a client's from its "
		"CONNECT on, until it is silent for longer than it said; `max_keepalive` refuses those that never want to be found "
		"missing. A client that sleeps has its messages kept as one that does not read, see `max_output_bytes` and "
		"`max_queued_messages`, and gets them at its PINGREQ, or when it connects again. Forwarders may put packets "
		"in their envelopes.",
}, {
	.name = "mqtt_sn_advertise", IN_LISTENER(sn_advertise), .type = CONF_UINT, .max = 65535, .restart = true,
	.argument = "SECONDS", .value = "0",
	.help = "Send ADVERTISE every SECONDS, by broadcast or to `mqtt_sn_multicast`. 0 sends none. Clients that search are "
		"answered in any case.",
}, {
	.name = "mqtt_sn_multicast", IN_LISTENER(sn_multicast), .type = CONF_STRING, .parse = conf_parse_group, .restart = true,
	.argument = "ADDRESS", .fallback = "none",
	.help = "Listen to this multicast group, too, for clients that search for a gateway there, on the port of the listener, which "
		"must have no ADDRESS.",
}, {
	.name = "mqtt_sn_predefined", IN_LISTENER(sn_predefined), .type = CONF_STRING, .restart = true,
	.argument = "FILE", .fallback = "none",
	.help = "Topics that clients of this listener know by numbers beforehand: a line for each, as in\n"
		"\n"
		"\t12 plant/pump/speed\n"
		"\n"
		"with numbers from 1 to 65534. A line that begins with # is a comment.",
}, {
	.name = "mqtt_sn_qos_minus_one", IN_LISTENER(sn_anonymous), .type = CONF_STRING, .restart = true,
	.argument = "NAME", .fallback = "nobody may",
	.help = "Let anybody publish with QoS -1, that is without a connection, to predefined topics and those whose names have two "
		"characters, with the rights that `acl_file` gives the user NAME whose client identifier is NAME, too. Without "
		"this such messages are dropped.",
}, {
	.name = "mqtt_sn_retry", IN_LISTENER(sn_retry_ms), .type = CONF_UINT, .min = 10, .max = 3600000, .restart = true,
	.argument = "MILLISECONDS", .value = "10000",
	.help = "Send again what a client has not acknowledged for so long.",
}, {
	.name = "mqtt_sn_retries", IN_LISTENER(sn_retries), .type = CONF_UINT, .max = 255, .restart = true,
	.argument = "COUNT", .value = "4",
	.help = "So often; after that the client is lost, and its will is published. One that sleeps gets it at its next PINGREQ.",
}, {
	.name = "mqtt_sn_max_topics", IN_LISTENER(sn_max_topics), .type = CONF_UINT, .min = 1, .max = 65534, .restart = true,
	.argument = "COUNT", .value = "1000",
	.help = "Keep at most COUNT topic ids for a session. A client that registers or subscribes to more is told that there is "
		"congestion; it does not get messages of other topics that would need an id, which are counted as dropped.",
}, {
	.name = "mqtt_sn_max_size", IN_LISTENER(sn_max_size), .type = CONF_UINT, .min = 64, .max = 65000, .restart = true,
	.argument = "BYTES", .value = "65000",
	.help = "Do not send clients messages that are larger, with their topic: they are counted as dropped. What is larger than a "
		"packet of the network is cut into fragments by IP, which a small network may not bring.",
}, {
	.name = "mqtt_sn_max_rate", IN_LISTENER(sn_rate), .type = CONF_UINT, .max = 1000000, .restart = true,
	.argument = "COUNT", .value = "1000",
	.help = "Take at most COUNT datagrams a second from an IP address, and as many at once; further ones are dropped and "
		"counted. 0 is no limit.",
},

/* ---- who may connect -------------------------------------------------------------------------------------------- */
{
	.name = "allow_anonymous", IN_CONF(allow_anonymous), OR_LISTENER(own_allow_anonymous), .type = CONF_OTHER,
	.parse = conf_parse_maybe,
	.argument = true_false, .fallback = "true without any listener line, else false",
	.help = "Accept clients that give no user name; and those that give one, where there is no `password_file` and no "
		"`jwt_key_file`: then nobody knows whether they are who they say.",
}, {
	.name = "password_file", IN_CONF(password_file), OR_LISTENER(own_password_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none",
	.help = "Accept clients that give a user name only with a password by FILE, which `shuntctl passwd` and "
		"mosquitto_passwd write. All of mosquitto's kinds of hashes are known. Whether clients without a user name "
		"are accepted is said by `allow_anonymous`. Passwords are checked beside the traffic of others, a few at a "
		"time.\n"
		"The file is read when the daemon starts, before it gives up being root, and again on SIGHUP, as the user it "
		"runs as. Who is connected as a user that is not there any more, or has another password, is "
		"disconnected then.",
}, {
	.name = "auth_http_url", IN_CONF(auth_http_url), OR_LISTENER(own_auth_http_url), .type = CONF_STRING,
	.parse = conf_parse_hook_url, .argument = "URL", .fallback = "none",
	.help = "Accept clients that give a user name only if the server at URL says so, an http:// or https:// one; but for the "
		"users in `password_file`, if there is one, whose passwords count. Whether clients without a user name are "
		"accepted is said by `allow_anonymous`; those that prove who they are by certificate, key or SCRAM are not "
		"asked for.\n"
		"The server gets a POST of `application/x-www-form-urlencoded` with the fields `client_id`, `username`, "
		"`password` (the bytes that the client gave; missing if it gave none), `address` (without a port; `unix` for a Unix "
		"socket), `certificate` (the common name of the client's, if it has one) and `port` (of the listener; 0 for a Unix "
		"socket). It answers with status 200 to let the client in, or with 401 or 403 to refuse it: reason 0x87, "
		"not authorized. With any other answer, or none in time, nobody is let in: reason 0x88, server unavailable; "
		"redirects are not followed. What a client may publish and read says `acl_file`; the server is not asked for it.\n"
		"Nobody but the client waits for the answer. 100 questions at most are asked at a time. "
		"On SIGHUP, what was kept by `auth_http_cache` is forgotten; who came in by another URL, or by other authorities, is "
		"disconnected. An option of Shunt's own, as the next four; it needs libcurl.\n"
		"\n"
		"\tauth_http_url https://users.example.org/mqtt/login",
}, {
	.name = "auth_http_cafile", IN_CONF(auth_http_cafile), .type = CONF_STRING,
	.argument = "FILE", .fallback = "those of the system",
	.help = "The certificates, in PEM, of the authorities that the server of `auth_http_url` may have its certificate from. It "
		"is always verified.",
}, {
	.name = "auth_http_timeout", IN_CONF(auth_http_timeout), .type = CONF_UINT, .min = 1, .max = 300,
	.argument = "SECONDS", .value = "5",
	.help = "How long to wait for the answer of `auth_http_url`.",
}, {
	.name = "auth_http_cache", IN_CONF(auth_http_cache), .type = CONF_UINT, .max = 86400,
	.argument = "SECONDS", .value = "0",
	.help = "Let a client in without asking `auth_http_url` again that was allowed so many seconds ago at most, if all "
		"that is told of it is the same. Only a keyed hash of it is kept, of up to 65536 clients. 0 asks each time.",
}, {
	.name = "auth_http_max_pending", IN_CONF(auth_http_max_pending), .type = CONF_UINT, .min = 1, .max = 1000000,
	.argument = "COUNT", .value = "1000",
	.help = "Let at most COUNT clients wait for answers of `auth_http_url`. Further ones are refused with reason 0x89, server "
		"busy.",
}, {
	.name = "acl_file", IN_CONF(acl_file), OR_LISTENER(own_acl_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none: everybody may do everything",
	.help = "Let clients publish to topics, and receive messages, as the rules in FILE say; what they do not allow is "
		"denied. They are those of mosquitto:\n"
		"\n"
		"\ttopic [read|write|readwrite|deny] TOPIC\n"
		"\tuser NAME\n"
		"\tpattern [read|write|readwrite|deny] TOPIC\n"
		"\n"
		"`topic` is for the user named above it, or before the first `user` for clients without a user name; "
		"`pattern` for all, with %c and %u in TOPIC for the client identifier and the user name. TOPIC may have "
		"wildcards.\n"
		"What a client publishes without a right is acknowledged and dropped, with reason 0x87 by MQTT 5.0; it gets "
		"no message without a right, whatever it has subscribed to, see `acl_subscribe`; both are counted. The file "
		"is read again on SIGHUP, and what is sent afterwards obeys it. Messages of a publisher whose rights a "
		"file says take the fast path, too, by flows of its own.",
}, {
	.name = "acl_subscribe", IN_CONF(acl_subscribe), .type = CONF_OTHER, .parse = conf_parse_acl_subscribe,
	.argument = "all|any|never", .value = "never",
	.help = "Refuse a subscription, with reason 0x87 or 0x80, unless the client may read `all` topics, or `any` topic, that "
		"it matches; or `never`, as mosquitto does. An option of Shunt's own.",
}, {
	.name = "per_listener_settings", IN_CONF(per_listener_settings), .type = CONF_OTHER,
	.parse = conf_parse_per_listener_settings,
	.argument = true_false, .value = "false",
	.help = "When true, `allow_anonymous`, `password_file`, `auth_http_url`, `acl_file`, `psk_file`, `allow_zero_length_clientid` and `auto_id_prefix` "
		"are options of the listener "
		"above them, not of all. Write it above them. mosquitto is giving it up; `listener_allow_anonymous`, "
		"`listener_password_file`, `listener_auth_http_url`, `listener_acl_file` and `listener_auto_id_prefix` do the same without it.",
}, {
	.name = "global_max_connections", IN_CONF(global_max_connections), .type = CONF_UINT, .max = UINT32_MAX,
	.or_negative = true,
	.argument = "COUNT", .value = "0",
	.help = "Refuse further connections while COUNT clients are connected, at all listeners together. 0 or -1 is no "
		"limit.",
}, {
	.name = "global_max_connection_rate", IN_CONF(global_max_connection_rate), .type = CONF_UINT, .max = 1000000,
	.argument = "COUNT", .value = "0",
	.help = "The same as `max_connection_rate`, for all listeners together.",
}, {
	.name = "memory_limit", IN_CONF(memory_limit), .type = CONF_OTHER, .parse = conf_parse_memory,
	.argument = "auto|BYTES", .value = "auto",
	.help = "Let all clients together take at most BYTES of memory: for messages that wait, are on their way or are "
		"retained, for output, packets that are not complete, sessions, connections and subscriptions. With auto it is "
		"half of the memory that the machine has. 0 is no limit.\n"
		"Above it nothing more is kept: clients without a session are refused; new subscriptions, retained messages, "
		"and messages of QoS 2 are refused with reason 0x97 where that can be said; messages that would have to wait "
		"are dropped and counted, unless they are on disk; a client with a packet that is not complete, or that "
		"waits, is disconnected when that grows. What can be passed on at once is, what makes room goes on, and each "
		"connected client may have 16 messages or 4096 bytes waiting, so that one that is only a moment late loses none. "
		"mosquitto has the option, too; there, memory is denied to whoever asks for it next.\n"
		"With the default a machine of 512 MB gives its clients 256 MB, whatever they do, and 8 MB more that a look at "
		"the counters can miss. Beside that the daemon takes, without any client, 17 MB, most of which are the program "
		"and its libraries; the kernel up to 64 MB where all of `fastpath_flows` are in use, and what it has for sockets, "
		"as it is set (`net.ipv4.tcp_mem`); with `persistence`, each worker up to 32 MB that are not on disk yet. That is "
		"409 MB with two workers.",
}, {
	.name = "max_sessions", IN_CONF(max_sessions), .type = CONF_UINT, .max = UINT32_MAX,
	.argument = "COUNT", .value = "0",
	.help = "Let at most COUNT sessions outlive their connections, whose clients are there or away. A further client of MQTT "
		"5.0 is told in its CONNACK that its session will end with the connection; one of an older version that wants to "
		"keep it is refused. Who has a session keeps it. Each `namespace` may have so many. 0 is no limit.",
}, {
	.name = "global_max_clients", IN_CONF(global_max_clients), .type = CONF_UINT, .max = UINT32_MAX,
	.or_negative = true,
	.argument = "COUNT", .value = "0",
	.help = "Refuse further clients while there are COUNT of them, connected or away with a session that is kept. Who has a "
		"session can always come back. Each `namespace` may have so many. 0 or -1 is no limit.",
},

/* ---- bans ------------------------------------------------------------------------------------------------------- */
{
	.name = "ban_after_failures", IN_CONF(ban_after_failures), .type = CONF_UINT, .max = 1000000,
	.argument = "COUNT", .value = "0",
	.help = "Ban an address that fails COUNT times within `ban_window`, for `ban_time`: a login that is refused, a "
		"connection without a CONNECT in time, a packet that breaks the protocol, a handshake of TLS or WebSocket that "
		"goes wrong. Of an IPv6 address its network, with 64 bits, is counted and banned. 0 bans nobody.\n"
		"Who is banned is cut off, and refused before a byte is read from him; clients behind the same address with "
		"him. Bans are seen, made and lifted by `shuntctl`(1); they survive a reload and, with `persistence`, a restart: their time goes on meanwhile. Each is one line "
		"of the log, `Banned address ADDRESS for N s: REASON`; who is refused is counted, see `shuntctl stats`. "
		"mosquitto has no bans: all options for them are of Shunt's own.",
}, {
	.name = "ban_after_flapping", IN_CONF(ban_after_flapping), .type = CONF_UINT, .max = 1000000,
	.argument = "COUNT", .value = "0",
	.help = "Ban a client that connects and goes COUNT times within `ban_window`, for `ban_time`. 0 bans nobody.",
}, {
	.name = "ban_flapping", IN_CONF(ban_flapping_address), .type = CONF_OTHER, .parse = conf_parse_ban_flapping,
	.argument = "client|address", .value = "client",
	.help = "What `ban_after_flapping` counts and bans: client identifiers, but for those that Shunt gave; or addresses, where "
		"connections that ended before a CONNECT count, too.",
}, {
	.name = "ban_window", IN_CONF(ban_window), .type = CONF_UINT, .min = 1, .max = 86400,
	.argument = "SECONDS", .value = "60",
	.help = "Within which time what is counted for a ban has to happen, from the first on.",
}, {
	.name = "ban_time", IN_CONF(ban_time), .type = CONF_UINT, .min = 1, .max = 31536000,
	.argument = "SECONDS", .value = "300",
	.help = "How long such a ban holds.",
}, {
	.name = "ban_exempt", IN_CONF(ban_exempt), .type = CONF_LIST, .parse = conf_parse_ban_exempt,
	.argument = "ADDRESS[/PREFIX]", .fallback = "127.0.0.0/8 and ::1",
	.help = "Nothing is counted for a ban of who comes from these addresses. May be given many times; write those of this host "
		"as well, if they are not to count either. Who comes by a Unix socket never counts, nor does a `trusted_proxy` for "
		"what its clients do.",
},

/* ---- sessions and messages -------------------------------------------------------------------------------------- */
{
	.name = "max_packet_size", IN_CONF(max_packet_size), .type = CONF_UINT,
	.min = 20, .max = 268435460, .or_zero = true, .restart = true,
	.argument = "BYTES", .value = "2000000",
	.help = "Disconnect a client that sends an MQTT packet of more than BYTES. 0 leaves only the limit of the protocol, "
		"268435460.",
}, {
	.name = "message_size_limit", IN_CONF(message_size_limit), .type = CONF_UINT, .max = 268435455,
	.argument = "BYTES", .value = "0",
	.help = "Do not deliver messages with a payload of more than BYTES, but acknowledge them: to MQTT 5.0 clients with "
		"reason 0x95, packet too large. 0 is no limit. `max_packet_size` is the limit to prefer, because clients are "
		"told of it.",
}, {
	.name = "max_keepalive", IN_CONF(max_keepalive), .type = CONF_UINT, .max = 65535,
	.argument = "SECONDS", .value = "0",
	.help = "Refuse clients whose keep alive is off or more than SECONDS; those of MQTT 5.0 are accepted and told to keep to "
		"SECONDS. 0 accepts all.",
}, {
	.name = "max_inflight_messages", IN_CONF(max_inflight_messages), .type = CONF_UINT, .or_negative = true, .max = 65535,
	.argument = "COUNT", .value = "20",
	.help = "Send a client at most COUNT messages of QoS 1 and 2 that it has not acknowledged. The others wait in its "
		"queue. 0 is no limit; 1 keeps the order of messages even when some are sent again.\n"
		"A client of MQTT 5.0 may itself have at most COUNT messages of QoS 1 and 2 unacknowledged, up to 65535.",
}, {
	.name = "max_inflight_bytes", IN_CONF(max_inflight_bytes), .type = CONF_UINT, .or_negative = true, .max = INT64_MAX,
	.argument = "BYTES", .value = "0",
	.help = "Send a client no further message of QoS 1 and 2 while those that it has not acknowledged have BYTES of payload "
		"or more. 0 is no limit. The limit that is reached first counts, this one or `max_inflight_messages`.",
}, {
	.name = "max_queued_messages", IN_CONF(max_queued_messages), .type = CONF_UINT, .or_negative = true, .max = UINT32_MAX,
	.argument = "COUNT", .value = "1000",
	.help = "Keep at most COUNT messages of QoS 1 and 2 for a client beside those in flight. For a further one, "
		"`queue_policy` says what is dropped; a session on disk has no such limit unless `durable_queue_policy` is "
		"drop, and those in flight count there. Of QoS 0, at most as many wait for the socket of a client that does not read. 0 is no limit.",
}, {
	.name = "max_queued_bytes", IN_CONF(max_queued_bytes), .type = CONF_UINT, .or_negative = true, .max = INT64_MAX,
	.argument = "BYTES", .value = "0",
	.help = "Keep at most BYTES of messages for a client beside those in flight: of their topics, payloads and "
		"properties. 0 is no limit. The limit that is reached first counts, this one or `max_queued_messages`.\n"
		"For a session on disk, those in flight count as well, and `durable_queue_policy` says what happens.",
}, {
	.name = "max_output_bytes", IN_CONF(max_output_bytes), .type = CONF_UINT, .min = 4096, .max = INT64_MAX,
	.or_zero = true, .argument = "BYTES", .value = "1048576",
	.help = "Keep at most BYTES of output for a connected client that does not read. Messages of QoS 0 above it are "
		"dropped and counted, see `queue_policy`; those of QoS 1 and 2 wait in the client's queue. 0 is no limit, so "
		"that only `max_queued_messages` bounds what waits for the socket.",
}, {
	.name = "queue_policy", IN_CONF(queue_policy), .type = CONF_OTHER, .parse = conf_parse_queue_policy,
	.argument = "newest|oldest|disconnect", .value = "newest",
	.help = "What is dropped when there is no room for a message, by `max_queued_messages`, `max_queued_bytes` or "
		"`max_output_bytes`: with newest, which is what mosquitto does, that message; with oldest, those that have "
		"waited longest; with disconnect it is that message, and a connected client is disconnected, from MQTT 5.0 "
		"on with reason 0x97, quota exceeded. It counts for each client by itself: others get the message.\n"
		"What was sent and not acknowledged, or was already written for the socket, is never dropped for a later "
		"message; nor are the retained messages that a new subscription brings.",
}, {
	.name = "durable_queue_policy", IN_CONF(durable_queue_drop), .type = CONF_OTHER,
	.parse = conf_parse_durable_policy,
	.argument = "refuse|drop", .value = "refuse",
	.help = "What happens when the queue on disk of a session is full, see `persistence`. With refuse, nothing of QoS 1 or "
		"2 that was acknowledged is dropped. `max_queued_messages` does not count; at `max_queued_bytes` a message "
		"that the session should get is not taken: a client of MQTT 5.0 gets reason 0x97, quota exceeded, in its "
		"PUBACK or PUBREC, and nobody gets the message; one of an older version gets no acknowledgement until there "
		"is room, or until nobody with a full queue is subscribed any more. What it publishes meanwhile with QoS 1 "
		"or 2 waits as well, up to 1 MiB, and then nothing more is read from it. A client whose acknowledgements "
		"could be what the broker waits for, among what is not read, is disconnected after 2 seconds of this.\n"
		"With drop, messages above either limit are dropped for that session, and counted, as mosquitto does.\n"
		"A will, a message of $SYS and a retained message for a new subscription cannot be refused: with either, they "
		"are dropped for a session whose queue is full, and counted. A message of QoS 2 for which the queue had room "
		"at its PUBREC is delivered at its PUBREL, and an empty queue takes any message: so the queue may get larger "
		"by a message, or by what was on its way.",
}, {
	.name = "queue_qos0_messages", IN_CONF(queue_qos0_messages), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "Keep messages of QoS 0, too, for clients with a persistent session while they are away.",
}, {
	.name = "persistent_client_expiration", IN_CONF(persistent_client_expiration), .type = CONF_OTHER,
	.parse = conf_parse_duration,
	.argument = "DURATION", .fallback = "never",
	.help = "Forget a persistent session whose client was away for DURATION. It is a number and one of the letters "
		"s h d w m y: seconds, hours, days, weeks, months of 30 days, years of 365 days. Of a client of MQTT 5.0 the "
		"shorter time counts, this one or what it asked for.\n"
		"\n"
		"\tpersistent_client_expiration 14d",
}, {
	.name = "max_publish_rate", IN_CONF(max_publish_rate), .type = CONF_UINT, .max = 1000000000,
	.argument = "COUNT", .value = "0",
	.help = "Let each client publish COUNT messages a second, and as many at once. One that publishes more is read from more "
		"slowly; nothing is dropped. 0 is no limit. With a limit the kernel carries no messages past the daemon, which "
		"counts them.",
}, {
	.name = "max_publish_bytes", IN_CONF(max_publish_bytes), .type = CONF_UINT, .max = UINT32_MAX,
	.argument = "BYTES", .value = "0",
	.help = "The same for the bytes of the messages that a client publishes, with topics and properties. A message that is "
		"larger is taken, and paid for by a longer pause.",
}, {
	.name = "max_subscriptions", IN_CONF(max_subscriptions), .type = CONF_UINT, .max = UINT32_MAX,
	.argument = "COUNT", .value = "0",
	.help = "Let each client have at most COUNT subscriptions. Further ones are refused, from MQTT 5.0 on with reason 0x97, "
		"quota exceeded; those it has can be changed. 0 is no limit.",
}, {
	.name = "max_topic_levels", IN_CONF(max_topic_levels), .type = CONF_UINT, .max = 200,
	.argument = "COUNT", .value = "0",
	.help = "The most levels of a topic, between slashes. Who publishes to a deeper one is disconnected, and a "
		"subscription to one is refused. 0 leaves the limit of 200 that Shunt has, as mosquitto.",
}, {
	.name = "max_retained_messages", IN_CONF(max_retained_messages), .type = CONF_UINT, .max = UINT32_MAX,
	.argument = "COUNT", .value = "0",
	.help = "Retain at most COUNT messages of clients. For a further one of QoS 1 or 2, a client of MQTT 5.0 gets reason 0x97, "
		"quota exceeded, and it is not taken at all. Others cannot be told so: their message is delivered and not "
		"retained, and one that was retained for that topic before is removed, as it is out of date "
		"[MQTT-3.3.1-7]. A retained message can always be removed, and be replaced by one that is not larger. Each "
		"`namespace` may have so many. 0 is no limit.",
}, {
	.name = "max_retained_bytes", IN_CONF(max_retained_bytes), .type = CONF_UINT, .max = INT64_MAX,
	.argument = "BYTES", .value = "0",
	.help = "The same for the bytes of topics, payloads and properties of all retained messages of clients together.",
}, {
	.name = "max_retained_payload", IN_CONF(max_retained_payload), .type = CONF_UINT, .max = 268435455,
	.argument = "BYTES", .value = "0",
	.help = "The same for the payload of each of them.",
}, {
	.name = "max_retained_levels", IN_CONF(max_retained_levels), .type = CONF_UINT, .max = 200,
	.argument = "COUNT", .value = "0",
	.help = "The same for the levels of its topic.",
}, {
	.name = "retain_available", IN_CONF(retain_available), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Keep retained messages. When false, a client that publishes one is disconnected, and one whose will is to be "
		"retained is refused; clients of MQTT 5.0 are told so when they connect.",
}, {
	.name = "check_retain_source", IN_CONF(check_retain_source), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Deliver a retained message to new subscribers only while the client that published it may still publish to its "
		"topic, by the `acl_file` of the listener it came in by; by the global one when there is no such listener any more, "
		"or, with `per_listener_settings`, not at all. It is not removed: after a reload that gives the right back it is "
		"delivered again. A client is known by its user name and identifier, also when it is gone and when the daemon "
		"was restarted. What the broker published itself is always delivered, and so is what earlier versions kept and the "
		"wills of clients that have not come back since a restart, of which no user name is known.",
}, {
	.name = "wildcard_subscriptions", IN_CONF(wildcard_subscriptions), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Accept subscriptions to topic filters with + or #. When false, they are refused, and clients of MQTT 5.0 are "
		"told so when they connect.",
}, {
	.name = "shared_subscriptions", IN_CONF(shared_subscriptions), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Accept subscriptions to $share/NAME/FILTER, of which each message goes to one of the clients that share it. "
		"When false, they are refused, and clients of MQTT 5.0 are told so when they connect.",
}, {
	.name = "subscription_identifiers", IN_CONF(subscription_identifiers), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Accept subscription identifiers of MQTT 5.0 clients. When false, the clients are told so when they connect, "
		"and a subscription with an identifier is refused.",
}, {
	.name = "upgrade_outgoing_qos", IN_CONF(upgrade_outgoing_qos), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "Deliver each message with the QoS of the subscription, also when it was published with a lower one. This is "
		"not what the standard says [MQTT-3.8.4-8].",
}, {
	.name = "allow_duplicate_messages", IN_CONF(allow_duplicate_messages), .type = CONF_BOOL,
	.argument = true_false, .value = "false",
	.help = "Send a client with several subscriptions that match a message one copy for each of them. When false, it gets "
		"one copy, with the highest QoS of them and, in MQTT 5.0, the identifiers of all of them.\n"
		"The default of mosquitto 2.1 is true; the standard allows both [MQTT-3.3.4-2]. A message that two shared "
		"subscriptions of one client match is delivered for each of them in either case.",
}, {
	.name = "server_reference", IN_CONF(server_reference), .type = CONF_STRING,
	.argument = "TEXT", .fallback = "none",
	.help = "Another server, which clients of MQTT 5.0 are pointed to by reason 0x9C, use another server, when "
		"`global_max_clients` refuses them or the broker stops. TEXT is one or more names or addresses, with a colon and a port if it "
		"is not the usual one, separated by spaces. An option of Shunt's own.\n"
		"\n"
		"\tserver_reference backup.example.org:8883",
}, {
	.name = "response_information", IN_CONF(response_information), .type = CONF_STRING,
	.argument = "TEXT", .fallback = "none",
	.help = "What clients of MQTT 5.0 get that ask for Response Information; by convention the topic below which they can "
		"expect responses to their requests. An option of Shunt's own.",
}, {
	.name = "psk_file", IN_CONF(psk_file), OR_LISTENER(own_psk_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none: no client of a listener with psk_hint can come in",
	.help = "The keys of clients of listeners with `psk_hint`: lines of `IDENTITY:KEY`, with KEY in hexadecimal digits. It is "
		"read again at a reload.",
}, {
	.name = "scram_file", IN_CONF(scram_file), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none",
	.help = "Let clients of MQTT 5.0 authenticate themselves by SCRAM-SHA-256, with the credentials in FILE. An option of "
		"Shunt's own.",
}, {
	.name = "allow_zero_length_clientid", IN_CONF(allow_zero_length_clientid),
	OR_LISTENER(own_allow_zero_length_clientid), .type = CONF_OTHER, .parse = conf_parse_maybe,
	.argument = true_false, .value = "true",
	.help = "Accept clients that have no client identifier and give them one.",
}, {
	.name = "auto_id_prefix", IN_CONF(auto_id_prefix), OR_LISTENER(own_auto_id_prefix), .type = CONF_STRING,
	.parse = conf_parse_prefix,
	.argument = "TEXT", .value = "auto-",
	.help = "What the client identifiers that Shunt gives begin with.",
}, {
	.name = "retain_expiry_interval", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_retain_expiry,
	.argument = "MINUTES", .fallback = "none",
	.help = "Nothing. mosquitto looks for retained messages whose time is over every MINUTES; Shunt removes each when its "
		"time is over.",
}, {
	.name = "persistence", IN_CONF(persistence), .type = CONF_BOOL, .old_name = "retained_persistence",
	.restart = true, .argument = true_false, .value = "false",
	.help = "Keep on disk what has to outlive the daemon: sessions that do not end with their connection, with their "
		"subscriptions and the messages of QoS 1 and 2 that wait for them or are on their way; wills; retained "
		"messages; bans. How safe they are there, durability says.",
}, {
	.name = "persistence_location", IN_CONF(persistence_location), .type = CONF_STRING,
	.restart = true, .argument = "FOLDER", .value = "/var/lib/shunt",
	.help = "Keep them in FOLDER, which belongs to the user that Shunt runs as; it is made if it is not there.",
}, {
	.name = "persistence_file", IN_CONF(persistence_file), .type = CONF_STRING, .parse = conf_parse_file_name,
	.restart = true, .argument = "NAME", .value = "shunt.db",
	.help = "Call the file NAME. It is an SQLite database; while Shunt runs there are more files beside it, which belong "
		"to it. Anybody may read it with sqlite3 at any time, and nobody but Shunt may write it.",
}, {
	.name = "durability", IN_CONF(durability), .type = CONF_OTHER, .parse = conf_parse_durability,
	.restart = true, .argument = "sync|batch MS|off", .value = "sync",
	.help = "With sync, what Shunt has acknowledged survives a power cut: a PUBACK, PUBREC, PUBCOMP or SUBACK is sent when "
		"what it confirms is on disk. What comes while the disk writes is written together. With batch, changes are on "
		"disk after MS milliseconds at the latest, and a power cut takes with it what is younger; acknowledgements "
		"do not wait. With off they are written each second, and the kernel decides when they are on disk; it keeps "
		"what was written when the daemon dies, and not when the machine does: then the store is what it was some "
		"time before.",
}, {
	.name = "persistence_damaged", IN_CONF(refuse_damaged), .type = CONF_OTHER, .parse = conf_parse_damaged,
	.restart = true, .argument = "set_aside|refuse", .value = "set_aside",
	.help = "When the file is damaged: give it another name, say so in the log and begin with an empty one; or do not "
		"start.",
}, {
	.name = "autosave_interval", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_autosave,
	.argument = "SECONDS", .fallback = "none",
	.help = "Nothing. mosquitto writes all it has every SECONDS; Shunt writes what changes, see durability.",
}, {
	.name = "autosave_on_changes", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_autosave,
	.argument = true_false, .fallback = "none",
	.help = "Nothing, as autosave_interval.",
}, {
	.name = "sys_interval", IN_CONF(sys_interval), .type = CONF_UINT, .max = 65535,
	.argument = "SECONDS", .value = "10",
	.help = "Publish the state of the broker below $SYS/broker every SECONDS. 0 publishes nothing there. What is published where, "
		"if there are several: see `namespace`.",
},

/* ---- the process ------------------------------------------------------------------------------------------------ */
{
	.name = "workers", IN_CONF(workers), .type = CONF_UINT, .max = 256,
	.restart = true, .argument = "COUNT", .value = "0",
	.help = "Serve clients by COUNT threads. 0 is one for each processor.",
}, {
	.name = "set_tcp_nodelay", IN_CONF(set_tcp_nodelay), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Set TCP_NODELAY on the connections of clients. Shunt writes what it has for a client at once, so that little "
		"is gained by false.",
}, {
	.name = "user", IN_CONF(user), .type = CONF_STRING,
	.restart = true, .argument = "NAME", .fallback = "shunt, or nobody if there is no such user",
	.help = "When started as root, go on as user NAME after what needs root is done, without any capability. `root` stays "
		"root, of its capabilities with CAP_DAC_OVERRIDE only, so that the files it opens again may be in folders of "
		"other users. Does nothing when not started as root.",
}, {
	.name = "seccomp", IN_CONF(seccomp), .type = CONF_OTHER, .parse = conf_parse_seccomp,
	.restart = true, .argument = "true|false|log", .value = "true",
	.help = "Give up, together with the capabilities, all system calls that the broker does not need to serve (seccomp(2)): it "
		"can start no programs then, look into no other process, and open no other sockets than those of TCP, UDP and Unix. "
		"What is not needed gets an error, and what could only be somebody else's doing, as execve(2), ends the "
		"process. Where it cannot be, the log says why and the broker runs all the same. With `log` nothing is refused, "
		"and the kernel's log tells what would be. An option of Shunt's own.",
}, {
	.name = "pid_file", IN_CONF(pid_file), .type = CONF_STRING,
	.restart = true, .argument = "FILE", .fallback = "none",
	.help = "Write the process identifier to FILE.",
}, {
	.name = "control_socket", IN_CONF(control_socket), .type = CONF_STRING, .parse = conf_parse_control_socket,
	.restart = true, .argument = "FILE",
	.fallback = "/run/shunt/control.sock when started as root, else $XDG_RUNTIME_DIR/shunt.sock or /tmp/shunt-UID.sock",
	.help = "The Unix socket where `shuntctl`(1) reaches the daemon. Its owner is the daemon's user, and who is in that "
		"user's group may use it.\n"
		"When another daemon has the socket, that is an error if this option is given; by default Shunt then "
		"runs without one and warns.",
}, {
	.name = "http_listener", IN_CONF(http_listener), .type = CONF_STRING, .parse = conf_parse_http_listener,
	.restart = true, .argument = "[ADDRESS:]PORT", .fallback = "none",
	.help = "Serve HTTP on PORT of ADDRESS: an IPv4 address, an IPv6 address in brackets, or a host name; without it, of the "
		"loopback addresses. There are a page that shows what the broker does, at /; metrics for Prometheus, at /metrics; "
		"the answers that `shuntctl`(1) gets, as JSON below /api/v1/; and for probes /healthz, that the daemon runs, and "
		"/readyz, that it is able to work: the store can be written and memory is not short.\n"
		"Without `http_tokens` only this host may connect, everybody on it may look, and nobody may change anything. HTTP is "
		"in the clear: across networks let a proxy on this host add TLS.\n"
		"\n"
		"\thttp_listener 9883",
}, {
	.name = "http_tokens", IN_CONF(http_tokens), .type = CONF_STRING,
	.argument = "FILE", .fallback = "none: only this host may connect, and only look",
	.help = "Who uses `http_listener` has to know a token of FILE (`Authorization: Bearer TOKEN`), except for the "
		"probes and the empty page. Each line is a role and a token of 16 to 256 letters, digits and -._~+/=: `read` may look, "
		"`admin` may also disconnect clients, publish, and switch the fast path. Empty lines and those that begin with # "
		"are skipped. Others may not be able to read the file, nor its group to write it. It is read again at a reload.\n"
		"\n"
		"\tread ffSLdyBVqsmWZh8qiXcCgPr3SKFyQgk9\n"
		"\tadmin Nq6mNCGSgpNCgMK0rZ4Tb+jqx2g0ToYa",
}, {
	.name = "http_host", IN_CONF(http_hosts), .type = CONF_LIST, .parse = conf_parse_http_host,
	.argument = "NAME", .fallback = "none",
	.help = "Answer HTTP requests to the host NAME. May be given many times. Requests to addresses, to localhost and to a "
		"name in `http_listener` are answered anyway, others are not: a page of somebody else's could otherwise reach "
		"the daemon through the browser of one who may, by a name that leads here (DNS rebinding).",
}, {
	.name = "include_dir", .scope = CONF_GLOBAL, .type = CONF_ACTION, .parse = conf_parse_include_dir,
	.argument = "FOLDER", .fallback = "none", .to_the_end = true,
	.help = "Read all files of FOLDER whose names end in `.conf`, here. They are read in alphabetical order, upper case "
		"before the lower case of the same letter: 00.conf, 01.conf, A.conf, a.conf, B.conf. A relative FOLDER is "
		"taken from the working folder, as are all paths. Such a file cannot include others, and the options of a "
		"listener in it belong to a `listener` in the same file.",
},

/* ---- the fast path ---------------------------------------------------------------------------------------------- */
{
	.name = "fastpath", IN_CONF(fastpath), .type = CONF_OTHER, .parse = conf_parse_fastpath,
	.restart = true, .argument = "true|false|require", .value = "true",
	.help = "Let the kernel carry messages of QoS 0 past the daemon where it can. When it cannot (no privileges, an old "
		"kernel), one line of the log says why and the daemon carries everything. With `require` it does not start "
		"then. Can be switched at run time by `shuntctl fastpath on|off`.",
}, {
	.name = "fastpath_local", IN_CONF(fastpath_local), .type = CONF_BOOL,
	.restart = true, .argument = "on|off", .value = "on",
	.help = "Use the road for clients on this host, which crosses neither TCP nor the daemon. When off, they are treated as "
		"clients on other hosts are.",
}, {
	.name = "fastpath_cgroup", IN_CONF(fastpath_cgroup), .type = CONF_STRING, .parse = conf_parse_cgroup,
	.restart = true, .argument = "PATH",
	.fallback = "the root of cgroup v2, which holds every process",
	.help = "Only clients in this cgroup, or in one below it, take the local road. PATH is the full path of a directory of "
		"cgroup v2, or a path below its root as /proc/PID/cgroup has it. It must exist when the broker starts; a slice "
		"is a good choice, because the cgroup of a service goes when the service stops, and the local road of its "
		"clients with it. What counts is the cgroup in which a process made its socket. Clients elsewhere are "
		"treated as clients on other hosts are. The broker itself may be in any cgroup.\n"
		"\n"
		"\tfastpath_cgroup machine.slice",
}, {
	.name = "fastpath_exclude_uid", IN_CONF(fastpath_exclude_uid), .type = CONF_LIST, .parse = conf_parse_exclude_uid,
	.restart = true, .argument = "USER",
	.fallback = "no user is excluded",
	.help = "Clients of this user, a name or a number, do not take the local road: their sockets stay as they are, and they "
		"are treated as clients on other hosts are. May be given many times. What counts is the user who made the "
		"socket, by the number it has outside of all containers.",
}, {
	.name = "fastpath_exclude_cgroup", IN_CONF(fastpath_exclude_cgroup), .type = CONF_LIST,
	.parse = conf_parse_exclude_cgroup, .restart = true, .argument = "PATH",
	.fallback = "no cgroup is excluded",
	.help = "Clients in this cgroup, or in one below it, do not take the local road, as with `fastpath_exclude_uid`. PATH is "
		"as in `fastpath_cgroup`. The cgroup itself may come and go, as that of a service does; the one that it is in "
		"must exist when the broker starts, and stay. May be given many times.\n"
		"\n"
		"\tfastpath_exclude_cgroup system.slice/recorder.service",
}, {
	.name = "fastpath_flows", IN_CONF(fastpath_flows), .type = CONF_UINT,
	.min = 16, .max = 1048576, .restart = true, .argument = "COUNT", .value = "65536",
	.help = "Let the kernel know at most COUNT topics at once whose messages it carries; each takes about 1 KiB of memory. When "
		"one more is needed, about the least recently used one makes room (`evicted` in `shuntctl stats`); where all are in "
		"use, only some of the others do.",
}, {
	.name = "bpf_pin_path", IN_CONF(bpf_pin_path), .type = CONF_STRING, .parse = conf_parse_pin_path,
	.restart = true, .argument = "FOLDER", .value = "/sys/fs/bpf/shunt",
	.help = "Show the maps of the fast path in FOLDER, which must be below a mounted bpffs.\n"
		"\n"
		"\tbpftool map dump pinned /sys/fs/bpf/shunt/flows",
},

/* ---- the guard -------------------------------------------------------------------------------------------------- */
{
	.name = "guard_interface", IN_CONF(guard_interface), .type = CONF_LIST, .parse = conf_parse_guard_interface,
	.restart = true, .argument = "INTERFACE...", .fallback = "none: there is no guard",
	.help = "Guard what comes to the listeners over these network interfaces, by an XDP program: what is blocked, "
		"banned, over a budget or no MQTT is dropped before a socket or the broker has any work with it. May be given "
		"many times. Packets to other ports, and all that the guard cannot read, as fragments, pass. `shuntctl guard` "
		"shows what it does.\n"
		"\n"
		"\tguard_interface eth0 eth1\n"
		"\tguard_block 192.0.2.0/24\n"
		"\n"
		"Of connections to listeners of plain MQTT, the first bytes are looked at: where they cannot be those of a "
		"CONNECT, the connection is reset, which is no failure that `ban_after_failures` counts. TCP segments with flags that contradict each other are dropped.\n"
		"The program runs in the driver where that can do it, else in front of the network stack, which costs more. There "
		"can be one XDP program on an interface: when there is another one, the log names it, and the broker runs "
		"without a guard there. So it does when it is not started as root, nor with CAP_BPF and CAP_NET_ADMIN. When "
		"the broker ends, in whatever way, the guard goes; see `guard_fail_closed`. Its maps are in the folder "
		"`bpf_pin_path` with `-guard` at its end. It needs Linux 5.18.",
}, {
	.name = "guard_require", IN_CONF(guard_require), .type = CONF_BOOL,
	.restart = true, .argument = true_false, .value = "false",
	.help = "Do not start unless the guard is on each `guard_interface`.",
}, {
	.name = "guard_fail_closed", IN_CONF(guard_fail_closed), .type = CONF_BOOL,
	.restart = true, .argument = true_false, .value = "false",
	.help = "When the broker dies without having been stopped, let the guard go on with the lists, bans and budgets that it "
		"has, until the broker is started again, or `bpftool link detach pinned` takes it off: for a service that "
		"is started again at once. When false it goes with the broker, and everything passes.",
}, {
	.name = "guard_allow", IN_CONF(guard_allow), .type = CONF_LIST, .parse = conf_parse_guard_networks,
	.argument = "NETWORK...", .fallback = "none",
	.help = "Pass all that comes from these addresses or networks, whatever the other options of the guard say: those of "
		"administrators, of proxies, of bridges. May be given many times. A network is an address, of IPv4 or IPv6, and "
		"the number of bits that count, as in 192.0.2.0/24 and 2001:db8::/32.",
}, {
	.name = "guard_block", IN_CONF(guard_block), .type = CONF_LIST, .parse = conf_parse_guard_networks,
	.argument = "NETWORK...", .fallback = "none",
	.help = "Drop all that comes from these addresses or networks, written as in `guard_allow`, to the ports of the "
		"listeners. Who is connected from there is cut off at once, without a word.",
}, {
	.name = "guard_connection_rate", IN_CONF(guard_connection_rate), .type = CONF_OTHER,
	.parse = conf_parse_guard_rate, .argument = "COUNT [BURST]", .value = "100 1000",
	.help = "Let an address open COUNT connections a second, and BURST at once; without BURST, as many as COUNT. Further "
		"ones are dropped; a client tries again by itself after a second. 0 is no limit. Clients behind one "
		"router may all have its address, and come all at once after a power cut. At listeners with `proxy_protocol` or "
		"`trusted_proxy` nobody has a budget, this one or that of packets: clients come from their proxy's address there.",
}, {
	.name = "guard_packet_rate", IN_CONF(guard_packet_rate), .type = CONF_OTHER,
	.parse = conf_parse_guard_rate, .argument = "COUNT [BURST]", .value = "0",
	.help = "Let an address send COUNT packets a second, and BURST at once; further ones are dropped, and TCP then slows down. "
		"0 is no limit. Packets are those of the network, acknowledgements included, not messages: a client that is "
		"to send or receive 1,000 messages a second may need 2,000.",
}, {
	.name = "guard_syn_rate", IN_CONF(guard_syn_rate), .type = CONF_OTHER,
	.parse = conf_parse_guard_rate, .argument = "COUNT [BURST]", .value = "2000 4000",
	.help = "Let COUNT connections a second be opened, and BURST at once, from all addresses together that have not been "
		"connected through the guard lately: a flood comes from forged addresses without end. Above that a client is "
		"dropped the first time, and let in when it tries again, after a second, which forged ones do not. 0 is no limit.",
}, {
	.name = "guard_udp_size", IN_CONF(guard_udp_size), .type = CONF_UINT, .max = 65507,
	.argument = "BYTES", .value = "0",
	.help = "Drop UDP datagrams with more than BYTES of data to listeners of MQTT-SN. 0 is no limit.",
}, {
	.name = "guard_ipv6_prefix", IN_CONF(guard_ipv6_prefix), .type = CONF_UINT, .min = 32, .max = 128,
	.argument = "BITS", .value = "128",
	.help = "Count IPv6 addresses with the same first BITS as one in `guard_connection_rate` and `guard_packet_rate`. Who has "
		"a network of 64 bits can send from any address in it; but so can all devices of a local network, which then share "
		"the budgets.",
},

/* ---- the log ---------------------------------------------------------------------------------------------------- */
{
	.name = "log_dest", IN_CONF(log_dests), .type = CONF_OTHER, .parse = conf_parse_log_dest, .to_the_end = true,
	.argument = "stderr|stdout|syslog|topic|none|file PATH", .value = "stderr",
	.help = "Where the log goes. May be given many times to have it in several places, but in one file only; `none` takes "
		"back the lines before. The file is closed and opened again when the daemon gets SIGHUP. It must not be a "
		"symbolic link.\n"
		"With `topic`, lines are published below $SYS/broker/log/, not retained: D for debug is left out, then there "
		"are E, W, N, I, M/subscribe and M/unsubscribe.",
}, {
	.name = "log_facility", IN_CONF(log_facility), .type = CONF_UINT, .max = 7,
	.argument = "0|...|7", .fallback = "the facility daemon",
	.help = "What `log_dest syslog` logs as: local0 to local7.",
}, {
	.name = "log_type", IN_CONF(log_types), .type = CONF_OTHER, .parse = conf_parse_log_type,
	.argument = "TYPE...", .value = "error warning notice information",
	.help = "What is logged: `error`, `warning`, `notice`, `information`, `subscribe`, `unsubscribe`, `debug`, `all` or "
		"`none`. May be given many times; each adds to those before, `none` takes them back. `debug` logs every "
		"packet, so the kernel carries no messages then. mosquitto's `websockets` and `internal` are accepted and "
		"stand for nothing.",
}, {
	.name = "log_timestamp", IN_CONF(log_timestamp), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Begin each line of the log with the time.",
}, {
	.name = "log_timestamp_format", IN_CONF(log_timestamp_format), .type = CONF_STRING,
	.parse = conf_parse_log_timestamp_format,
	.argument = "FORMAT", .fallback = "seconds since 1970",
	.help = "How the time is written in the log, as of `strftime`(3).\n"
		"\n"
		"\tlog_timestamp_format %Y-%m-%dT%H:%M:%S",
}, {
	.name = "connection_messages", IN_CONF(connection_messages), .type = CONF_BOOL,
	.argument = true_false, .value = "true",
	.help = "Log clients that connect and disconnect.",
},
};
/* clang-format on */

const size_t conf_noptions = sizeof(conf_options) / sizeof(conf_options[0]);
