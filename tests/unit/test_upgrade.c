// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The opening handshake of a WebSocket connection: section 4 of RFC 6455 where no other is named. */
#include "net/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "websocket_model.h"

#define LINE "GET /mqtt HTTP/1.1\r\n"
#define HOST "Host: broker.example\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"
#define REST UPGRADE KEY VERSION PROTOCOL
#define RESPONSE(protocol)                                                                  \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: " protocol "\r\n\r\n"

static const struct upgrade_rules no_rules;
static struct upgrade u;

/* Parse, and see that it is the same for every part of the bytes. */
static enum upgrade_result parse_by(const struct upgrade_rules *rules, const char *text)
{
	const char *wrong = check_upgrade((const uint8_t *)text, strlen(text), rules);

	if (wrong)
		fail_msg("%s: %s", wrong, text);
	return upgrade_parse((const uint8_t *)text, strlen(text), rules, &u);
}

static enum upgrade_result parse(const char *text)
{
	return parse_by(&no_rules, text);
}

static void assert_text(struct mqtt_str text, const char *want)
{
	assert_true(mqtt_str_eq(text, mqtt_str(want)));
}

static void assert_accepted(const char *text)
{
	if (parse(text) != UPGRADE_DONE)
		fail_msg("%s: %s", u.why ? u.why : "waits", text);
	assert_int_equal(u.status, 101);
	assert_null(u.why);
}

/* A response that says so, and all that a client needs to read it (RFC 9112, section 6.3). */
static void assert_response(int status)
{
	char text[UPGRADE_RESPONSE_MAX + 1], want[64];
	const char *body;

	snprintf(text, sizeof(text), "%.*s", (int)u.response_len, u.response);
	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	assert_memory_equal(text, want, strlen(want));
	body = strstr(text, "\r\n\r\n");
	assert_non_null(body);
	body += 4;
	assert_memory_equal(body, u.why, strlen(u.why));
	assert_string_equal(body + strlen(u.why), "\n");
	snprintf(want, sizeof(want), "\r\nContent-Length: %zu\r\n", strlen(body));
	assert_non_null(strstr(text, want));
	assert_non_null(strstr(text, "close\r\n"));
	assert_int_equal(strstr(text, "\r\nSec-WebSocket-Version: 13\r\n") != NULL, status == 426);
	assert_int_equal(strstr(text, "\r\nUpgrade: websocket\r\n") != NULL, status == 426);
	assert_int_equal(strstr(text, "\r\nAllow: GET\r\n") != NULL, status == 405);
}

static void assert_refused_by(const struct upgrade_rules *rules, const char *text, int status, const char *why)
{
	if (parse_by(rules, text) != UPGRADE_REFUSED || u.status != status || strcmp(u.why, why) != 0)
		fail_msg("%d %s: %s", u.status, u.why ? u.why : "waits or accepted", text);
	assert_response(status);
	assert_int_equal(u.consumed, 0);
	assert_text(u.path, "");
}

static void assert_refused(const char *text, int status, const char *why)
{
	assert_refused_by(&no_rules, text, status, why);
}

/* ---- what is accepted --------------------------------------------------------------------------------------------- */

/* Section 1.3: the key of the example and what becomes of it. */
static void test_example(void **state)
{
	static const char request[] =
		"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
		"Sec-WebSocket-Protocol: chat, mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n";
	char more[sizeof(request) + 8];

	(void)state;
	assert_accepted(request);
	assert_int_equal(u.consumed, sizeof(request) - 1);
	assert_int_equal(u.response_len, strlen(RESPONSE("mqtt")));
	assert_memory_equal(u.response, RESPONSE("mqtt"), u.response_len);
	assert_text(u.path, "/chat");
	assert_text(u.query, "");
	assert_text(u.host, "server.example.com");
	assert_text(u.origin, "http://example.com");
	assert_text(u.protocol, "mqtt");
	assert_text(u.forwarded_for, "");
	/* What follows is no part of it, even if it could be none. */
	snprintf(more, sizeof(more), "%s\x82\x01\n\r\x7f", request);
	assert_accepted(more);
	assert_int_equal(u.consumed, sizeof(request) - 1);
}

/* Names and some values in any case, spaces and tabs around values, lists in any form (4.2.1; RFC 9110, 5.1, 5.6). */
static void test_forms(void **state)
{
	static const char *const requests[] = {
		LINE HOST "UPGRADE:WebSocket\r\nconnection:UPGRADE\r\n" KEY VERSION PROTOCOL "\r\n",
		LINE HOST "Upgrade: \t websocket\t \r\nConnection: keep-alive , Upgrade\r\n" KEY VERSION PROTOCOL
			  "\r\n",
		LINE HOST "Upgrade: h2c, websocket\r\nConnection: ,,upgrade,\r\n" KEY VERSION PROTOCOL "\r\n",
		LINE HOST "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" KEY VERSION PROTOCOL
			  "\r\n",
		LINE HOST REST "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
		LINE HOST REST "Content-Length: 0\r\nUser-Agent: \xe4 \"(;\r\nX:\r\nX:\t\r\n\r\n",
		LINE REST HOST "\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		assert_accepted(requests[i]);
		assert_int_equal(u.consumed, strlen(requests[i]));
		/* No extension is accepted, so none is in the response (4.2.2, 9.1). */
		assert_memory_equal(u.response, RESPONSE("mqtt"), strlen(RESPONSE("mqtt")));
	}
}

/* 4.2.2, /subprotocol/, [MQTT-6.0.0-3] and [MQTT-6.0.0-4]; they are compared with their case. */
static void test_subprotocols(void **state)
{
	static const struct {
		const char *fields, *chosen;
	} cases[] = {
		{PROTOCOL, "mqtt"},
		{"Sec-WebSocket-Protocol: mqttv3.1\r\n", "mqttv3.1"},
		{"Sec-WebSocket-Protocol: mqttv3.1,mqtt\r\n", "mqtt"},
		{"Sec-WebSocket-Protocol: mqtt, mqttv3.1\r\n", "mqtt"},
		{"Sec-WebSocket-Protocol: a,b ,\tmqttv3.1\t,c\r\n", "mqttv3.1"},
		{"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, mqtt\r\n", "mqtt"},
		{"Sec-WebSocket-Protocol: mqttv3.1\r\nsec-websocket-protocol: mqtt\r\n", "mqtt"},
		{"", NULL},
		{"Sec-WebSocket-Protocol:\r\n", NULL},
		{"Sec-WebSocket-Protocol: MQTT\r\n", NULL},
		{"Sec-WebSocket-Protocol: mqttv5, mqttv3.1.1, xmqtt, mqtt x\r\n", NULL},
		{"Sec-WebSocket-Protocol: \"mqtt\"\r\n", NULL},
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), LINE HOST UPGRADE KEY VERSION "%s\r\n", cases[i].fields);
		if (cases[i].chosen) {
			assert_accepted(text);
			assert_text(u.protocol, cases[i].chosen);
			snprintf(text, sizeof(text), "%.*s", (int)u.response_len, u.response);
			assert_string_equal(text,
					    strcmp(cases[i].chosen, "mqtt") ? RESPONSE("mqttv3.1") : RESPONSE("mqtt"));
		} else {
			assert_refused(text, 400, "the subprotocol is not mqtt");
		}
	}
}

/* 4.2.1, item 1; RFC 9112, section 3.2. */
static void test_targets(void **state)
{
	static const struct {
		const char *target, *path, *query; /* path NULL: refused */
	} cases[] = {
		{"/", "/", ""},
		{"/mqtt?a=b&c?/d", "/mqtt", "a=b&c?/d"},
		{"//x/%20/../y;z?", "//x/%20/../y;z", ""},
		{"http://broker.example/mqtt?x", "/mqtt", "x"},
		{"HTTPS://broker.example:8083", "/", ""},
		{"ws://[::1]:80?x", "/", "x"},
		{"wss://broker.example/", "/", ""},
		{"mqtt", NULL, NULL},
		{"*", NULL, NULL},
		{"", NULL, NULL},
		{"?x", NULL, NULL},
		{"broker.example:80", NULL, NULL},
		{"ftp://broker.example/", NULL, NULL},
		{"/a#b", NULL, NULL},
		{"http://x#/", NULL, NULL},
		{"/a b", NULL, NULL},
		{"/a\tb", NULL, NULL},
		{"/\xc3\xa4", NULL, NULL},
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST REST "\r\n", cases[i].target);
		if (cases[i].path) {
			assert_accepted(text);
			assert_text(u.path, cases[i].path);
			assert_text(u.query, cases[i].query);
		} else {
			assert_refused(text, 400, "the request is malformed");
		}
	}
}

/* ---- what is refused ---------------------------------------------------------------------------------------------- */

/* RFC 9112, sections 2.2, 3, 5; RFC 6455, 4.2.1. */
static void test_refused(void **state)
{
	static const char malformed[] = "the request is malformed";
	static const char field[] = "a header field is malformed";
	static const char served[] = "only GET and HTTP/1.1 are served here";
	static const char only[] = "only WebSocket connections of MQTT are served here";
	static const char key[] = "Sec-WebSocket-Key is not 16 bytes in base64";
	static const char version[] = "the version of WebSocket is not 13";
	static const char twice[] = "a header field is there twice";
	static const char body[] = "the request has a body";
	static const struct {
		const char *text;
		int status;
		const char *why;
	} cases[] = {
		/* the request line */
		{"\x10\x0c", 400, malformed},
		{"\x16\x03\x01", 400, malformed},
		{"\r\n" LINE HOST REST "\r\n", 400, malformed},
		{"GET  /mqtt HTTP/1.1\r\n" HOST REST "\r\n", 400, malformed},
		{"GET /mqtt HTTP/1.1 \r\n" HOST REST "\r\n", 400, malformed},
		{" GET /mqtt HTTP/1.1\r\n" HOST REST "\r\n", 400, malformed},
		{"GET /mqtt\r\n" HOST REST "\r\n", 400, malformed},
		{"GET\r\n\r\n", 400, malformed},
		{"G@T /mqtt HTTP/1.1\r\n" HOST REST "\r\n", 400, malformed},
		{"GET /mqtt http/1.1\r\n" HOST REST "\r\n", 400, malformed},
		{"GET /mqtt HTTP/11\r\n" HOST REST "\r\n", 400, malformed},
		{"GET /mqtt HTTP/1.0\r\n" HOST REST "\r\n", 505, served},
		{"GET /mqtt HTTP/2.0\r\n" HOST REST "\r\n", 505, served},
		{"POST /mqtt HTTP/1.1\r\n" HOST REST "\r\n", 405, served},
		{"get /mqtt HTTP/1.1\r\n" HOST REST "\r\n", 405, served},
		/* lines */
		{LINE "Host: a\n" REST "\r\n", 400, malformed},
		{LINE "Host: a\rb\r\n" REST "\r\n", 400, malformed},
		{LINE "Host: a\r\r\n" REST "\r\n", 400, malformed},
		{LINE HOST "X: \x01\r\n" REST "\r\n", 400, malformed},
		{LINE HOST "X: \x7f\r\n" REST "\r\n", 400, malformed},
		{LINE HOST "X: a\r\n b\r\n" REST "\r\n", 400, field}, /* obs-fold */
		{LINE HOST "X: a\r\n X: b\r\n" REST "\r\n", 400, field},
		{LINE HOST "X : a\r\n" REST "\r\n", 400, field},
		{LINE HOST "X\r\n" REST "\r\n", 400, field},
		{LINE HOST ": a\r\n" REST "\r\n", 400, field},
		{LINE HOST "X(: a\r\n" REST "\r\n", 400, field},
		{LINE HOST "\xc3\xa4: a\r\n" REST "\r\n", 400, field},
		/* fields */
		{LINE REST "\r\n", 400, "there is no Host"},
		{LINE "Host:\r\n" REST "\r\n", 400, "there is no Host"},
		{LINE "\r\n", 400, "there is no Host"},
		{LINE HOST HOST REST "\r\n", 400, twice},
		{LINE "Host: a b\r\n" REST "\r\n", 400, "a header field has an unexpected character"},
		{LINE HOST "Origin: a\tb\r\n" REST "\r\n", 400, "a header field has an unexpected character"},
		{LINE HOST "Origin: http://a\r\nOrigin: http://b\r\n" REST "\r\n", 400, twice},
		{LINE HOST REST "Transfer-Encoding: chunked\r\n\r\n", 400, body},
		{LINE HOST REST "Content-Length: 1\r\n\r\nx", 400, body},
		{LINE HOST REST "Content-Length: 00\r\n\r\n", 400, body},
		{LINE HOST REST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, twice},
		{LINE HOST "\r\n", 426, only},
		{LINE HOST "Connection: Upgrade\r\n" KEY VERSION PROTOCOL "\r\n", 426, only},
		{LINE HOST "Upgrade: websocket\r\n" KEY VERSION PROTOCOL "\r\n", 426, only},
		{LINE HOST "Upgrade: websockets\r\nConnection: Upgrade\r\n" KEY VERSION PROTOCOL "\r\n", 426, only},
		{LINE HOST "Upgrade: websocket\r\nConnection: Upgrader\r\n" KEY VERSION PROTOCOL "\r\n", 426, only},
		/* 4.4 */
		{LINE HOST UPGRADE KEY PROTOCOL "\r\n", 426, version},
		{LINE HOST UPGRADE KEY PROTOCOL "Sec-WebSocket-Version: 8\r\n\r\n", 426, version},
		{LINE HOST UPGRADE KEY PROTOCOL "Sec-WebSocket-Version: 013\r\n\r\n", 426, version},
		{LINE HOST UPGRADE KEY PROTOCOL "Sec-WebSocket-Version: 13,8\r\n\r\n", 426, version},
		{LINE HOST REST VERSION "\r\n", 400, twice},
		/* 4.2.1, item 5 */
		{LINE HOST UPGRADE VERSION PROTOCOL "\r\n", 400, key},
		{LINE HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key:\r\n\r\n", 400, key},
		{LINE HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", 400, key},
		{LINE HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n", 400, key},
		{LINE HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n\r\n", 400, key},
		{LINE HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n\r\n", 400, key},
		{LINE HOST UPGRADE VERSION PROTOCOL "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==AAAA\r\n\r\n", 400,
		 key},
		{LINE HOST KEY REST "\r\n", 400, twice},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_refused(cases[i].text, cases[i].status, cases[i].why);
	/* A NUL ends no text here. */
	assert_int_equal(upgrade_parse((const uint8_t *)"GET /\0 HTTP/1.1\r\n", 18, &no_rules, &u), UPGRADE_REFUSED);
	assert_int_equal(u.status, 400);
}

static void test_waits(void **state)
{
	static const char *const texts[] = {"", "G", "GET /", LINE, LINE HOST REST, LINE HOST REST "\r"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(parse(texts[i]), UPGRADE_NEED_MORE);
}

/* Section 10.2. */
static void test_origins(void **state)
{
	static const char *const allowed[] = {"https://example.org", "http://localhost:8080", "null"};
	static const struct {
		const char *origin;
		bool good;
	} cases[] = {
		{"https://example.org", true},
		{"https://EXAMPLE.org", true},
		{"http://localhost:8080", true},
		{"null", true},
		{"http://example.org", false},
		{"https://example.org.evil", false},
		{"https://evil.example.org", false},
		{"https://example.org:443", false},
		{"https://example.or", false},
		{"http://localhost", false},
		{"*", false},
		{"", false},
	};
	const struct upgrade_rules rules = {.origins = allowed, .origin_count = COUNT(allowed)};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), LINE HOST REST "Origin: %s\r\n\r\n", cases[i].origin);
		assert_accepted(text); /* without rules */
		assert_text(u.origin, cases[i].origin);
		if (cases[i].good)
			assert_int_equal(parse_by(&rules, text), UPGRADE_DONE);
		else
			assert_refused_by(&rules, text, 403, "the Origin is not allowed");
	}
	assert_int_equal(parse_by(&rules, LINE HOST REST "\r\n"), UPGRADE_DONE);
}

/* A request may have as many bytes as allowed, and is refused as soon as it has one more. */
static void test_size(void **state)
{
	static const size_t limits[] = {0, 300, 1000};
	static char text[2 * UPGRADE_SIZE_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		const struct upgrade_rules rules = {.size_max = limits[i]};
		size_t max = limits[i] ? limits[i] : UPGRADE_SIZE_MAX;
		int pad = (int)(max - strlen(LINE HOST REST "X: \r\n\r\n"));

		snprintf(text, sizeof(text), LINE HOST REST "X: %0*d\r\n\r\n", pad, 0);
		assert_int_equal(strlen(text), max);
		assert_int_equal(upgrade_parse((const uint8_t *)text, max, &rules, &u), UPGRADE_DONE);
		assert_int_equal(u.consumed, max);
		snprintf(text, sizeof(text), LINE HOST REST "X: %0*d\r\n\r\n", pad + 1, 0);
		assert_int_equal(upgrade_parse((const uint8_t *)text, max, &rules, &u), UPGRADE_NEED_MORE);
		assert_refused_by(&rules, text, 431, "the request is too long");
	}
}

/* ---- X-Forwarded-For ---------------------------------------------------------------------------------------------- */

static void test_forwarded_for(void **state)
{
	static const char *const trusted_texts[] = {"10.0.0.0/8", "2001:db8:1::/48"};
	static const struct {
		const char *fields, *client; /* "": there is none */
	} cases[] = {
		{"", ""},
		{"X-Forwarded-For:\r\n", ""},
		{"X-Forwarded-For: ,, ,\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"},
		{"x-forwarded-for: 192.0.2.1:4711\r\n", "192.0.2.1:4711"},
		{"X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1:0"},
		{"X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1:0"},
		{"X-Forwarded-For: [2001:db8::1]:65535\r\n", "2001:db8::1:65535"},
		{"X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1:0"},
		/* The client can write what it likes left of what a proxy has appended. */
		{"X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\n", "192.0.2.1:0"},
		{"X-Forwarded-For: 10.0.0.1, 192.0.2.1\r\n", "192.0.2.1:0"},
		{"X-Forwarded-For: evil, 192.0.2.1\r\n", "192.0.2.1:0"},
		{"X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.0.0.2\r\n", "192.0.2.1:0"},
		{"X-Forwarded-For: 192.0.2.1:5,10.0.0.2:6 ,\t2001:db8:1::3,, 10.9.9.9\r\n", "192.0.2.1:5"},
		/* All are trusted. */
		{"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "10.0.0.1:0"},
		{"X-Forwarded-For: 10.0.0.1:7\r\n", "10.0.0.1:7"},
		/* Something else is in the way: what is right of it is true. */
		{"X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2\r\n", "10.0.0.2:0"},
		{"X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3:0"},
		{"X-Forwarded-For: 192.0.2.1, unknown\r\n", ""},
		{"X-Forwarded-For: 10.0.0.1, \xff\r\n", ""},
		/* Several fields are one list (RFC 9110, section 5.3). */
		{"X-Forwarded-For: 198.51.100.1\r\nX: y\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:0"},
		{"X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n", "192.0.2.1:0"},
		{"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: \r\n", "192.0.2.1:0"},
		/* What is no address. */
		{"X-Forwarded-For: 192.0.2.1:\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1:65536\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1:99999999999\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1:1x\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1 x\r\n", ""},
		{"X-Forwarded-For: [192.0.2.1]\r\n", ""},
		{"X-Forwarded-For: [::1\r\n", ""},
		{"X-Forwarded-For: [::1]x\r\n", ""},
		{"X-Forwarded-For: [::1]]:1\r\n", ""},
		{"X-Forwarded-For: []\r\n", ""},
		{"X-Forwarded-For: [\r\n", ""},
		{"X-Forwarded-For: :\r\n", ""},
		{"X-Forwarded-For: \"192.0.2.1\"\r\n", ""},
		{"X-Forwarded-For: localhost\r\n", ""},
	};
	struct network trusted[COUNT(trusted_texts)];
	char text[1024], peer[NET_ADDRESS_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(trusted_texts); i++)
		assert_null(network_parse(trusted_texts[i], &trusted[i]));
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), LINE HOST REST "%s\r\n", cases[i].fields);
		assert_accepted(text);
		memset(peer, 'x', sizeof(peer));
		assert_int_equal(upgrade_client(&u, trusted, COUNT(trusted), peer), cases[i].client[0] != '\0');
		if (strcmp(peer, cases[i].client) != 0)
			fail_msg("%s: %s", peer, cases[i].fields);
	}
	assert_accepted(LINE HOST REST "X-Forwarded-For: a\r\nX-Forwarded-For:  b, c \r\n\r\n");
	assert_text(u.forwarded_for, "b, c");
	/* Nobody but the peer is trusted: it is the last one. */
	assert_accepted(LINE HOST REST "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n\r\n");
	assert_true(upgrade_client(&u, NULL, 0, peer));
	assert_string_equal(peer, "10.0.0.1:0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example), cmocka_unit_test(test_forms),	cmocka_unit_test(test_subprotocols),
		cmocka_unit_test(test_targets), cmocka_unit_test(test_refused), cmocka_unit_test(test_waits),
		cmocka_unit_test(test_origins), cmocka_unit_test(test_size),	cmocka_unit_test(test_forwarded_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
