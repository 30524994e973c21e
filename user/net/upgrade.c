// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * First the end of the header is looked for, byte by byte; what can be refused without it, is: so the answer does not depend
 * on how the request was cut. Then it is read at once.
 */
#include "net/upgrade.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/sha.h>

#include "base/base64.h"

enum {
	KEY_LEN = 16,
	KEY_TEXT_LEN = BASE64_LEN(KEY_LEN),
	ACCEPT_TEXT_LEN = BASE64_LEN(SHA_DIGEST_LENGTH),
};

static const char malformed[] = "the request is malformed";

/* Fields that may be there once only. */
enum field {
	FIELD_HOST,
	FIELD_KEY,
	FIELD_VERSION,
	FIELD_ORIGIN,
	FIELD_LENGTH,
	FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
	[FIELD_HOST] = "Host",	   [FIELD_KEY] = "Sec-WebSocket-Key", [FIELD_VERSION] = "Sec-WebSocket-Version",
	[FIELD_ORIGIN] = "Origin", [FIELD_LENGTH] = "Content-Length",
};

struct request {
	struct mqtt_str fields[FIELD_COUNT]; /* data is NULL: not there */
	bool websocket, upgrade;	     /* Upgrade and Connection have it */
	bool mqtt, mqttv31;		     /* subprotocols that are offered */
	bool encoded;			     /* Transfer-Encoding is there */
};

/* ---- texts ------------------------------------------------------------------------------------------------------ */

static struct mqtt_str skip(struct mqtt_str s, size_t n)
{
	return (struct mqtt_str){.data = s.data + n, .len = s.len - (uint32_t)n};
}

/* Take what is in front of `end` off the text, and `end` too; all of it if there is no `end`. */
static struct mqtt_str take_until(struct mqtt_str *text, char end)
{
	const uint8_t *at = text->len ? memchr(text->data, end, text->len) : NULL;
	struct mqtt_str part = {text->data, at ? (uint32_t)(at - text->data) : text->len};

	*text = skip(*text, part.len + (at != NULL));
	return part;
}

/* Without spaces and tabs around it (RFC 9110, section 5.6.3). */
static struct mqtt_str trim(struct mqtt_str s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = skip(s, 1);
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static bool same_ignoring_case(struct mqtt_str s, const char *text)
{
	return s.len == strlen(text) && (!s.len || !strncasecmp((const char *)s.data, text, s.len));
}

static bool begins_ignoring_case(struct mqtt_str s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && !strncasecmp((const char *)s.data, text, len);
}

static bool all_visible(struct mqtt_str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.data[i] <= ' ' || s.data[i] >= 0x7f)
			return false;
	}
	return true;
}

/* A token (RFC 9110, section 5.6.2). */
static bool is_token(struct mqtt_str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (strchr("\"(),/:;<=>?@[\\]{}", s.data[i]))
			return false;
	}
	return s.len && all_visible(s);
}

/* Take the next line off the text, which has a CRLF at its end. */
static struct mqtt_str take_line(struct mqtt_str *text)
{
	struct mqtt_str line = take_until(text, '\n');

	line.len--;
	return line;
}

/* Take a header field off the text (RFC 9112, section 5). False: it is none; so is one that begins with a space, by which it
 * would once have gone on from the line before. */
static bool take_field(struct mqtt_str *text, struct mqtt_str *name, struct mqtt_str *value)
{
	struct mqtt_str line = take_line(text);

	if (!line.len || !memchr(line.data, ':', line.len))
		return false;
	*name = take_until(&line, ':');
	*value = trim(line);
	return is_token(*name);
}

/* ---- responses -------------------------------------------------------------------------------------------------- */

static const char *phrase(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 405:
		return "Method Not Allowed";
	case 426:
		return "Upgrade Required";
	case 431:
		return "Request Header Fields Too Large";
	case 505:
		return "HTTP Version Not Supported";
	}
	return "Internal Server Error";
}

static enum upgrade_result refuse(struct upgrade *u, int status, const char *why)
{
	const char *more = "Connection: close\r\n";

	if (status == 405)
		more = "Connection: close\r\nAllow: GET\r\n";
	else if (status == 426) /* RFC 6455, section 4.4; RFC 9110, section 15.5.22 */
		more = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	*u = (struct upgrade){.status = status, .why = why};
	u->response_len = (size_t)snprintf(
		u->response, sizeof(u->response),
		"HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s\n", status,
		phrase(status), more, strlen(why) + 1, why);
	return UPGRADE_REFUSED;
}

/* RFC 6455, section 4.2.2. */
static enum upgrade_result grant(struct upgrade *u, struct mqtt_str key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t text[KEY_TEXT_LEN + sizeof(guid) - 1], digest[SHA_DIGEST_LENGTH];
	char accepted[ACCEPT_TEXT_LEN + 1];

	memcpy(text, key.data, KEY_TEXT_LEN);
	memcpy(text + KEY_TEXT_LEN, guid, sizeof(guid) - 1);
	if (!SHA1(text, sizeof(text), digest))
		return refuse(u, 500, "there is no memory");
	base64_encode(accepted, digest, sizeof(digest));
	u->status = 101;
	u->response_len = (size_t)snprintf(
		u->response, sizeof(u->response),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		accepted, (const char *)u->protocol.data);
	return UPGRADE_DONE;
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

/* The length of the request up to and with the empty line, 0 if that has not come. *status is set if it can be refused
 * already. */
static size_t find_end(const uint8_t *data, size_t len, size_t max, int *status)
{
	size_t line = 0; /* where it begins */

	for (size_t i = 0; i < len; i++) {
		uint8_t c = data[i];

		if (i == max) {
			*status = 431;
			return 0;
		}
		/* Control characters, a line's end that is half one (RFC 9112, section 2.2); what is no HTTP at all, like a
		 * CONNECT or a TLS handshake, is found by its first byte. */
		if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f ||
		    (c == '\n') != (i > line && data[i - 1] == '\r')) {
			*status = 400;
			return 0;
		}
		if (c != '\n')
			continue;
		if (i == line + 1)
			return i + 1;
		line = i + 1;
	}
	return 0;
}

/* "/path?query", or with the server in front of it (RFC 9112, section 3.2). */
static bool parse_target(struct mqtt_str target, struct upgrade *u)
{
	static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
	struct mqtt_str rest = target;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (!begins_ignoring_case(target, schemes[i]))
			continue;
		rest = skip(target, strlen(schemes[i]));
		while (rest.len && rest.data[0] != '/' && rest.data[0] != '?')
			rest = skip(rest, 1);
	}
	if (!all_visible(target) || (target.len && memchr(target.data, '#', target.len)))
		return false;
	if (rest.data == target.data && (!rest.len || rest.data[0] != '/'))
		return false;
	u->path = take_until(&rest, '?');
	u->query = rest;
	if (!u->path.len)
		u->path = mqtt_str("/");
	return true;
}

/* "GET /path HTTP/1.1". 0, or the status to refuse it with. */
static int parse_request_line(struct mqtt_str line, struct upgrade *u)
{
	struct mqtt_str method = take_until(&line, ' '), target = take_until(&line, ' ');

	if (!is_token(method) || line.len != 8 || memcmp(line.data, "HTTP/", 5) != 0 || line.data[6] != '.')
		return 400;
	if (!mqtt_str_eq(line, mqtt_str("HTTP/1.1")))
		return 505;
	if (!mqtt_str_eq(method, mqtt_str("GET")))
		return 405;
	return parse_target(target, u) ? 0 : 400;
}

/* Does a list have the element? Elements may be empty (RFC 9110, section 5.6.1.2). */
static bool list_has(struct mqtt_str list, const char *element, bool ignoring_case)
{
	while (list.len) {
		struct mqtt_str e = trim(take_until(&list, ','));

		if (ignoring_case ? same_ignoring_case(e, element) : mqtt_str_eq(e, mqtt_str(element)))
			return true;
	}
	return false;
}

/* Lists may stand in several fields of the name (RFC 9110, section 5.3). */
static void handle_list(struct request *r, struct upgrade *u, struct mqtt_str name, struct mqtt_str value)
{
	if (same_ignoring_case(name, "Upgrade")) {
		r->websocket |= list_has(value, "websocket", true);
	} else if (same_ignoring_case(name, "Connection")) {
		r->upgrade |= list_has(value, "upgrade", true);
	} else if (same_ignoring_case(name, "Sec-WebSocket-Protocol")) {
		r->mqtt |= list_has(value, "mqtt", false);
		r->mqttv31 |= list_has(value, "mqttv3.1", false);
	} else if (same_ignoring_case(name, "X-Forwarded-For")) {
		u->forwarded_for = value;
	} else if (same_ignoring_case(name, "Transfer-Encoding")) {
		r->encoded = true;
	}
}

/* NULL, or why they are refused. */
static const char *parse_fields(struct request *r, struct upgrade *u)
{
	struct mqtt_str fields = u->fields, name, value;

	while (fields.len) {
		int field = 0;

		if (!take_field(&fields, &name, &value))
			return "a header field is malformed";
		while (field < FIELD_COUNT && !same_ignoring_case(name, field_names[field]))
			field++;
		if (field == FIELD_COUNT)
			handle_list(r, u, name, value);
		else if (r->fields[field].data)
			return "a header field is there twice";
		else if (!all_visible(value))
			return "a header field has an unexpected character";
		else
			r->fields[field] = value;
	}
	return NULL;
}

static bool key_is_valid(struct mqtt_str key)
{
	uint8_t bytes[KEY_LEN];

	return key.len == KEY_TEXT_LEN &&
	       base64_decode(bytes, sizeof(bytes), (const char *)key.data, key.len) == KEY_LEN;
}

static bool origin_is_allowed(const struct upgrade_rules *rules, struct mqtt_str origin)
{
	for (size_t i = 0; i < rules->origin_count; i++) {
		if (same_ignoring_case(origin, rules->origins[i]))
			return true;
	}
	return !rules->origin_count || !origin.data;
}

/* RFC 6455, section 4.2.1. */
static enum upgrade_result check(const struct request *r, const struct upgrade_rules *rules, struct upgrade *u)
{
	const struct mqtt_str *length = &r->fields[FIELD_LENGTH];

	u->host = r->fields[FIELD_HOST];
	u->origin = r->fields[FIELD_ORIGIN];
	if (!u->host.len)
		return refuse(u, 400, "there is no Host");
	/* The body would be taken for frames, and another server on the way might see it otherwise. */
	if (r->encoded || (length->data && !mqtt_str_eq(*length, mqtt_str("0"))))
		return refuse(u, 400, "the request has a body");
	if (!r->websocket || !r->upgrade)
		return refuse(u, 426, "only WebSocket connections of MQTT are served here");
	if (!mqtt_str_eq(r->fields[FIELD_VERSION], mqtt_str("13")))
		return refuse(u, 426, "the version of WebSocket is not 13");
	if (!key_is_valid(r->fields[FIELD_KEY]))
		return refuse(u, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
	if (!origin_is_allowed(rules, u->origin))
		return refuse(u, 403, "the Origin is not allowed");
	if (!r->mqtt && !r->mqttv31)
		return refuse(u, 400, "the subprotocol is not mqtt");
	u->protocol = mqtt_str(r->mqtt ? "mqtt" : "mqttv3.1");
	return grant(u, r->fields[FIELD_KEY]);
}

enum upgrade_result upgrade_parse(const uint8_t *data, size_t len, const struct upgrade_rules *rules, struct upgrade *u)
{
	struct mqtt_str head = {.data = data};
	struct request r = {0};
	int status = 0;
	const char *why;

	*u = (struct upgrade){0};
	head.len = (uint32_t)find_end(data, len, rules->size_max ? rules->size_max : UPGRADE_SIZE_MAX, &status);
	if (status)
		return refuse(u, status, status == 431 ? "the request is too long" : malformed);
	if (!head.len)
		return UPGRADE_NEED_MORE;
	u->consumed = head.len;
	head.len -= 2; /* the empty line */
	if (!head.len)
		return refuse(u, 400, malformed);
	status = parse_request_line(take_line(&head), u);
	if (status)
		return refuse(u, status, status == 400 ? malformed : "only GET and HTTP/1.1 are served here");
	u->fields = head;
	why = parse_fields(&r, u);
	return why ? refuse(u, 400, why) : check(&r, rules, u);
}

/* ---- X-Forwarded-For -------------------------------------------------------------------------------------------- */

/* "1.2.3.4", "1.2.3.4:5", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:5". */
static bool parse_peer(struct mqtt_str text, struct net_address *a, uint16_t *port)
{
	struct mqtt_str host, rest;
	bool bracket = text.len && text.data[0] == '[';
	uint32_t n = 0;

	*port = 0;
	if (bracket) {
		rest = skip(text, 1);
		host = take_until(&rest, ']');
		if (host.len + 2 + rest.len != text.len || (rest.len && rest.data[0] != ':'))
			return false;
	} else if (net_address_parse((const char *)text.data, text.len, a)) {
		return true;
	} else {
		rest = text;
		host = take_until(&rest, ':');
		rest = (struct mqtt_str){text.data + host.len, text.len - host.len};
	}
	if (!net_address_parse((const char *)host.data, host.len, a) || (bracket && !memchr(host.data, ':', host.len)))
		return false;
	if (!rest.len)
		return true;
	for (uint32_t i = 1; i < rest.len && n <= UINT16_MAX; i++) {
		if (rest.data[i] < '0' || rest.data[i] > '9')
			return false;
		n = 10 * n + (rest.data[i] - '0');
	}
	*port = (uint16_t)n;
	return rest.len > 1 && n <= UINT16_MAX;
}

bool upgrade_client(const struct upgrade *u, const struct network *trusted, size_t count, char peer[NET_ADDRESS_MAX])
{
	struct mqtt_str fields = u->fields, name, value;
	struct net_address client = {.family = AF_UNSPEC};
	uint16_t client_port = 0;

	/* From the left, keeping what has only trusted proxies right of it so far. */
	while (fields.len && take_field(&fields, &name, &value)) {
		if (!same_ignoring_case(name, "X-Forwarded-For"))
			continue;
		while (value.len) {
			struct mqtt_str entry = trim(take_until(&value, ','));
			struct net_address a = {.family = AF_UNSPEC};
			uint16_t port;

			if (!entry.len)
				continue;
			if (!parse_peer(entry, &a, &port))
				a.family = AF_UNSPEC;
			if (a.family != AF_UNSPEC && client.family != AF_UNSPEC && networks_have(trusted, count, &a))
				continue;
			client = a;
			client_port = port;
		}
	}
	net_address_name(&client, client_port, peer);
	return client.family != AF_UNSPEC;
}
