/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The configuration: mosquitto.conf syntax, read into plain values. user/conf/options.c holds the one table of options
 * from which the parser, the man page, --help and the defaults come. Read by the main thread before the workers start,
 * read-only from then on.
 */
#ifndef SHUNT_CONF_H
#define SHUNT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/sandbox.h"
#include "fastpath/fastpath.h"
#include "guard/xdp.h"
#include "store/durability.h"

/* memory_limit: half of the machine's. */
#define CONF_MEMORY_AUTO UINT64_MAX

enum {
	CONF_PORTS_MAX = 10,	      /* options -p */
	CONF_NAMESPACE_MAX = 64,      /* bytes of the name of one */
	CONF_LISTENER_NAME_MAX = 320, /* "UDP port 1883 of " and a host name */
};

/* What happens when the queue of a client is full, option queue_policy. */
enum conf_queue_policy {
	CONF_QUEUE_NEWEST, /* the message that comes is dropped */
	CONF_QUEUE_OLDEST, /* those that wait longest are dropped */
	CONF_QUEUE_DISCONNECT,
};

/* Whether a client may subscribe to topics it may not read, option acl_subscribe. */
enum conf_acl_subscribe {
	CONF_ACL_NEVER, /* refuse nothing */
	CONF_ACL_ANY,	/* it has to be allowed to read one of them */
	CONF_ACL_ALL,
};

/* What clients of a listener speak, option protocol. */
enum conf_protocol {
	CONF_MQTT,
	CONF_WEBSOCKETS,
	CONF_MQTT_SN, /* on UDP */
};

struct conf_listener {
	uint16_t port;			 /* 0: a Unix socket */
	char *address;			 /* host or address to bind; NULL: all */
	char *path;			 /* of a Unix socket; NULL: TCP */
	char *bind_interface;		 /* NULL: all */
	char *socket_name;		 /* of the service manager's; NULL: by port and address */
	int family;			 /* AF_INET, AF_INET6; AF_UNSPEC: both, the default */
	uint32_t max_connections;	 /* 0: no limit */
	uint32_t max_connection_rate;	 /* a second; 0: no limit */
	uint8_t max_qos;		 /* default 2 */
	uint16_t max_topic_alias;	 /* that clients may use towards us; 5.0; default 10 */
	char *mount_point;		 /* what the topics of its clients begin with; NULL: nothing */
	char *namespace;		 /* which its clients are in, see broker/namespace.h; NULL: the default one */
	uint16_t max_topic_alias_broker; /* that we use towards a client at most; 5.0; default 10 */
	unsigned accept_versions;	 /* mask of 1u << enum mqtt_version; default all */
	bool use_username_as_clientid;	 /* default false */

	enum conf_protocol protocol;
	uint32_t websockets_headers_size; /* bytes of a request; 0: UPGRADE_SIZE_MAX */
	char **websockets_origins;	  /* NULL: all; lists end with NULL */
	uint32_t proxy_protocol;	  /* version of the header that a proxy puts in front; 0: none does */
	bool proxy_requires_tls;
	char **trusted_proxies; /* networks, as network_parse() reads them; NULL: those of this host */

	/* TLS: the fields of struct tls_config; NULL: not given. */
	char *certfile, *keyfile, *keyform, *cafile, *capath, *crlfile, *psk_hint, *tls_version, *ciphers,
		*ciphers_tls13, *dhparamfile;
	char **tls_certificates; /* "CERTFILE KEYFILE" */
	bool require_certificate, use_identity_as_username, use_subject_as_username;

	/* Tokens; see struct jwt_rules. */
	char **jwt_keys; /* "ALGORITHM FILE [KID]"; NULL: none, no tokens are taken */
	char *jwt_issuer, *jwt_audience, *jwt_username_claim;
	uint32_t jwt_leeway; /* seconds; default 0 */

	/* MQTT-SN */
	uint8_t sn_gateway_id;	/* default 1 */
	uint16_t sn_advertise;	/* seconds between ADVERTISE; 0 off */
	char *sn_multicast;	/* group of IPv4 or IPv6; NULL: none */
	char *sn_predefined;	/* file of topics; NULL: none */
	char *sn_anonymous;	/* whose rights who publishes without a connection has; NULL: nobody may */
	uint32_t sn_retry_ms;	/* default 10000 */
	uint8_t sn_retries;	/* default 4 */
	uint16_t sn_max_topics; /* ids of a client; default 1000 */
	uint16_t sn_max_size;	/* bytes of a message that is sent; default 65000 */
	uint32_t sn_rate;	/* datagrams a second of an address; 0 no limit; default 1000 */

	/* What holds for this listener: its own option, or else the global one. Set by conf_finish(). */
	bool allow_anonymous;
	bool allow_zero_length_clientid;
	const char *auto_id_prefix;

	int own_allow_anonymous, own_allow_zero_length_clientid; /* -1: not set */
	char *own_auto_id_prefix;				 /* NULL: not set, as the next two */
	char *own_password_file, *own_acl_file, *own_psk_file, *own_auth_http_url;
	char *where;  /* "FILE:LINE", for messages */
	bool implied; /* no line asked for it, an option of a listener made it */
};

struct conf {
	struct conf_listener *listeners;
	size_t nlisteners;
	bool local_only;		     /* there is no listener line; set by conf_finish() */
	int allow_anonymous;		     /* -1 not set: true only when there is no listener line */
	bool per_listener_settings;	     /* default false */
	uint32_t global_max_clients;	     /* connected or with a session; 0 no limit */
	uint32_t global_max_connection_rate; /* a second, of all listeners; 0 no limit */
	uint32_t max_sessions;		     /* that outlive their connections; 0 no limit */
	uint64_t memory_limit;		     /* bytes that clients may take; 0 no limit; default CONF_MEMORY_AUTO */
	uint32_t max_publish_rate;	     /* messages a second of a client; 0 no limit */
	uint64_t max_publish_bytes;	     /* bytes of them a second; 0 no limit */
	uint32_t max_subscriptions;	     /* of a client; 0 no limit */
	uint16_t max_topic_levels;	     /* 0 no limit but the tree's; of 200 */
	uint32_t max_retained_messages;	     /* 0 no limit, as the next three */
	uint64_t max_retained_bytes;	     /* of topics, payloads and properties */
	uint32_t max_retained_payload;	     /* bytes of a message */
	uint16_t max_retained_levels;	     /* of its topic */
	uint32_t global_max_connections;     /* of all listeners; 0 no limit */
	uint32_t ban_after_failures;	     /* of an address in ban_window; 0 never, as the next */
	uint32_t ban_after_flapping;	     /* connections that ended */
	bool ban_flapping_address;	     /* ban the address then, not the client identifier; default false */
	uint32_t ban_window, ban_time;	     /* seconds */
	char **ban_exempt;		     /* networks, as network_parse() reads them; NULL: those of this host */
	uint32_t workers;		     /* 0: one per core */
	uint32_t max_inflight_messages;	     /* per client; 0 no limit; default 20 */
	uint64_t max_inflight_bytes;	     /* payload, per client; 0 no limit; default 0 */
	uint32_t max_queued_messages;	     /* per client; 0 no limit; default 1000 */
	uint64_t max_queued_bytes;	     /* per client; 0 no limit; default 0 */
	uint64_t max_output_bytes; /* per client, output the socket does not take; 0 no limit; default 1 MiB */
	enum conf_queue_policy queue_policy; /* default newest */
	bool durable_queue_drop;	/* do not refuse what a session in the store has no room for; default false */
	bool queue_qos0_messages;	/* for offline persistent sessions; default false */
	uint32_t max_packet_size;	/* bytes, whole packet; default 2000000; 0 no limit */
	uint32_t message_size_limit;	/* bytes of payload; 0 no limit; default 0 */
	uint16_t max_keepalive;		/* seconds; 0 no limit; default 0 */
	bool retain_available;		/* default true */
	bool check_retain_source;	/* default true */
	int allow_zero_length_clientid; /* default true; see the listener's */
	char *auto_id_prefix;		/* default "auto-"; see the listener's */
	bool upgrade_outgoing_qos;	/* deliver with the QoS of the subscription; default false */
	bool allow_duplicate_messages;	/* one copy for each subscription that matches; default false */
	bool wildcard_subscriptions;	/* default true */
	bool shared_subscriptions;	/* default true */
	bool subscription_identifiers;	/* default true */
	char *server_reference;		/* of 5.0, for clients that are sent elsewhere; NULL: none */
	char *response_information;	/* of 5.0; NULL: none */
	char *password_file, *acl_file; /* NULL: none; see the listener's */
	char *psk_file;			/* likewise */
	char *auth_http_url;		/* likewise */
	char *auth_http_cafile;		/* NULL: the system's authorities */
	uint32_t auth_http_timeout;	/* seconds; default 5 */
	uint32_t auth_http_cache;	/* seconds; 0 off, the default */
	uint32_t auth_http_max_pending; /* default 1000 */
	enum conf_acl_subscribe acl_subscribe;
	char *scram_file;		       /* credentials for SCRAM-SHA-256; NULL: none */
	uint32_t sys_interval;		       /* seconds; 0 off; default 10 */
	uint64_t persistent_client_expiration; /* seconds; 0 never */
	bool persistence;		       /* default false */
	char *persistence_location;	       /* folder; default /var/lib/shunt */
	char *persistence_file;		       /* in it; default shunt.db */
	bool refuse_damaged;		       /* do not start with a damaged store; default false */
	enum store_durability durability;
	uint32_t durability_batch_ms;
	bool set_tcp_nodelay;	    /* default true here: messages are batched by the daemon itself */
	bool connection_messages;   /* default true */
	unsigned log_types;	    /* mask of enum log_type */
	unsigned log_dests;	    /* mask of enum log_dest; default stderr */
	int log_facility;	    /* of syslog: 0 to 7 for local0 to local7, -1 daemon, the default */
	char *log_file;		    /* log_dest file PATH; NULL: none */
	bool log_timestamp;	    /* default true */
	char *log_timestamp_format; /* NULL: epoch seconds */
	char *user;		    /* run as, when started as root; NULL: "shunt", or "nobody" where that is missing */
	enum sandbox_mode seccomp;  /* default SANDBOX_ON */
	char *pid_file;		    /* NULL: none */
	enum fp_mode fastpath;	    /* default true */
	bool fastpath_local;	    /* default true */
	char *fastpath_cgroup;	    /* full path; NULL: the root of cgroup v2 */
	char **fastpath_exclude_uid;	/* numbers in decimal, NULL at the end; NULL: none */
	char **fastpath_exclude_cgroup; /* full paths, likewise; they need not exist */
	uint32_t fastpath_flows;	/* default 65536 */
	char *bpf_pin_path;		/* default /sys/fs/bpf/shunt */

	/* The guard; lists end with NULL, and are NULL when they are empty. */
	char **guard_interface;
	bool guard_require;	/* default false */
	bool guard_fail_closed; /* default false */
	char **guard_allow;	/* as network_parse() reads them */
	char **guard_block;	/* likewise */
	struct guard_rate guard_connection_rate, guard_packet_rate, guard_syn_rate;
	uint32_t guard_udp_size;    /* bytes; 0 no limit */
	uint16_t guard_ipv6_prefix; /* default 128 */

	char *control_socket; /* NULL: control_default_path() of admin/control.h */
	char *http_listener;  /* "PORT" or "ADDRESS:PORT", see conf_http_place(); NULL: none */
	char *http_where;     /* "FILE:LINE" of it, for messages */
	char *http_tokens;    /* NULL: none */
	char **http_hosts;    /* beside addresses and localhost; NULL: none */

	/* The parser's own. */
	int present_listener, default_listener; /* index, or -1 */
	bool security_given;			/* an option was read that per_listener_settings would change */
	bool in_include;			/* reading a file of include_dir */
	bool log_types_given;			/* by a line: the next one adds to it, the first replaces the default */
	bool log_dests_given;
};

/* Do clients of the listener have to speak TLS? */
static inline bool conf_has_tls(const struct conf_listener *l)
{
	return l->certfile || l->psk_hint;
}

/* Does a connection of the listener begin with MQTT, in the clear? */
static inline bool conf_is_plain(const struct conf_listener *l)
{
	return !conf_has_tls(l) && l->protocol == CONF_MQTT && !l->proxy_protocol;
}

/* Defaults. 0 or -ENOMEM; conf_free() is due in both cases. */
int conf_init(struct conf *c);
void conf_free(struct conf *c);

/* Each returns 0, or -1 after logging all that is wrong, with file and line. conf_line is option -o. */
int conf_file(struct conf *c, const char *path);

/* The path of the store; malloc()ed, NULL without memory. */
char *conf_store_path(const struct conf *c);
int conf_line(struct conf *c, const char *line, const char *where);
/* Check what only the whole can tell, fill in the defaults that depend on other options; ports: options -p. 0, or -1
 * after logging what is wrong. */
int conf_finish(struct conf *c, const uint16_t *ports, size_t nports);

/* Where the option http_listener says to listen. */
struct conf_http_place {
	char address[256]; /* host or address; "": the loopback addresses */
	uint16_t port;
	bool loopback; /* nobody on another host can get there */
};
/* Read its value. 0, or -1 when it is none. */
int conf_http_place(const char *value, struct conf_http_place *place);

/* After conf_finish(): warn of what is allowed, but hardly meant. */
void conf_hint(const struct conf *c, const uint16_t *ports, size_t nports);

/* How messages and the store call a listener: "port 1883", "/run/mqtt.sock". */
const char *conf_listener_name(const struct conf_listener *l, char *buffer, size_t size);

/* ---- reading it again: both after conf_finish() ------------------------------------------------------------------ */

/* The listener of `next` at the place of one of `live`; NULL: there is none. */
const struct conf_listener *conf_same_listener(const struct conf *next, const struct conf_listener *l);

/* Log what is different in `next`, and warn of what cannot be changed without a restart. Returns the number of options
 * that conf_update() will change. */
size_t conf_compare(const struct conf *live, const struct conf *next);
/* Take over from `next` what can be changed, in place; what it replaces is in `next` afterwards. Nobody else may look
 * at `live` meanwhile, nor keep pointers into it. Cannot fail. */
void conf_update(struct conf *live, struct conf *next);

/* ------------------------------------------------------------------------------------------------------------------ */

/* The options for --help, a summary of each. */
void conf_help(FILE *f);
/* The manual page shunt.conf(5), man(7) source. */
void conf_man(FILE *f);

#endif
