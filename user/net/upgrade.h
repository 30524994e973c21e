/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The opening handshake of a WebSocket connection, the server's side: an HTTP/1.1 request and the response to it (RFC 6455,
 * section 4.2). Only what a client of MQTT has to send is understood, strictly: a request is refused rather than guessed at.
 *
 * Nothing is kept between calls, and nothing allocated but by OpenSSL, which gives it back: the caller gives all that has
 * come so far, again with more when more has come.
 */
#ifndef SHUNT_UPGRADE_H
#define SHUNT_UPGRADE_H

#include <stddef.h>
#include <stdint.h>

#include "mqtt/str.h"
#include "net/address.h"

enum {
	UPGRADE_SIZE_MAX = 8192,    /* bytes of a request unless the caller has another limit */
	UPGRADE_RESPONSE_MAX = 512, /* bytes */
};

struct upgrade_rules {
	size_t size_max;	    /* bytes of a request; 0: UPGRADE_SIZE_MAX */
	const char *const *origins; /* allowed, as "https://example.org" or with ":PORT" */
	size_t origin_count;	    /* 0: all are */
};

enum upgrade_result {
	UPGRADE_NEED_MORE, /* what is there is the beginning of a request */
	UPGRADE_DONE,	   /* the response is to be sent; what follows are frames, see websocket.h */
	UPGRADE_REFUSED,   /* the response is to be sent, then the connection to be closed */
};

/* Texts point into the request or to constants, and are visible ASCII, but for `forwarded_for` and `fields`. Empty: it was
 * not there. */
struct upgrade {
	size_t consumed;	       /* DONE: the request's length */
	struct mqtt_str path;	       /* begins with '/', percent-encoded as it came */
	struct mqtt_str query;	       /* what follows '?' in the request's target */
	struct mqtt_str host;	       /* the Host field */
	struct mqtt_str origin;	       /* the Origin field: of browsers, the site that the script is from */
	struct mqtt_str protocol;      /* the subprotocol that was chosen: "mqtt" or "mqttv3.1" */
	struct mqtt_str forwarded_for; /* the last X-Forwarded-For field as it came; see upgrade_client() */
	struct mqtt_str fields;	       /* all header fields, for upgrade_client() */

	int status;	 /* of the response: 101, 400, ... */
	const char *why; /* REFUSED: static text */
	char response[UPGRADE_RESPONSE_MAX];
	size_t response_len;
};

/*
 * Read the request from data[0, len), all that has come since the connection began (behind a PROXY header, if there was one).
 *
 * Subprotocols: "mqtt", which [MQTT-6.0.0-3] asks for, or "mqttv3.1", by which some clients of MQTT 3.1 ask; "mqtt" if both
 * are offered [MQTT-6.0.0-4]. Extensions are not accepted. An Origin that is not in the list is refused; a request without
 * one is not from a browser, and the check protects nothing from others, who can send what they like (section 10.2).
 */
enum upgrade_result upgrade_parse(const uint8_t *data, size_t len, const struct upgrade_rules *rules,
				  struct upgrade *u);

/*
 * Who the client is according to the X-Forwarded-For fields of a request that came from a trusted proxy: the caller has
 * asked networks_have() about the socket's peer before. Each proxy has appended the peer it saw, so from the right all
 * addresses are true as long as they are those of trusted proxies, and the first one that is not is the client's. If all
 * are, it is the left-most.
 *
 * Writes a name like net_accept()'s, with port 0 if the proxy does not tell the port. False: there is no such address; or
 * something that is no address stands where it should be seen, and nothing right of it is one.
 */
bool upgrade_client(const struct upgrade *u, const struct network *trusted, size_t count, char peer[NET_ADDRESS_MAX]);

#endif
