// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The server's side of WebSocket frames. Sections are those of RFC 6455 where no other is named. */
#include "net/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <wslay/wslay.h>

#include "mqtt_hex.h"
#include "websocket_model.h"

enum {
	TEXT = 0x81,
	BINARY = 0x82,
	BINARY_BEGIN = 0x02,
	MORE = 0x00,
	LAST = 0x80,
	CLOSE = 0x88,
	PING = 0x89,
	PONG = 0x8a,
	KEY = 0x37fa213d, /* of the examples in section 5.7 */
	BYTES_MAX = 1 << 18,
};

/* The linker leads the library's allocation here, see the Makefile. */
static bool no_memory;
int __real_wslay_frame_context_init(wslay_frame_context_ptr *ctx, const struct wslay_frame_callbacks *callbacks,
				    void *user_data);
int __wrap_wslay_frame_context_init(wslay_frame_context_ptr *ctx, const struct wslay_frame_callbacks *callbacks,
				    void *user_data);

int __wrap_wslay_frame_context_init(wslay_frame_context_ptr *ctx, const struct wslay_frame_callbacks *callbacks,
				    void *user_data)
{
	return no_memory ? -1 : __real_wslay_frame_context_init(ctx, callbacks, user_data);
}

static uint8_t bytes[BYTES_MAX];
static size_t len;

static void begin(void)
{
	len = 0;
}

static void frame(uint8_t first, const void *payload, size_t n)
{
	assert_true(len + n + 14 <= BYTES_MAX);
	len += put_frame(bytes + len, first, KEY, payload, n);
}

static void frame_text(uint8_t first, const char *payload)
{
	frame(first, payload, strlen(payload));
}

static void frame_hex(uint8_t first, const char *payload)
{
	struct hex h = hex_parse(payload);

	frame(first, h.bytes, h.len);
}

/* Cut in any way, what was put together is `stream`, then `control` (in hex) is sent, and the connection is in that state,
 * with that code. */
static void assert_fed(const char *stream, const char *control, enum websocket_state state, int code)
{
	const char *wrong = check_websocket(bytes, len, 20260131);
	struct hex want = hex_parse(control);
	struct fed f;

	if (wrong)
		fail_msg("%s", wrong);
	f = feed_in_pieces(bytes, len, len ? len : 1, NULL);
	assert_int_equal(f.len, strlen(stream));
	assert_memory_equal(f.stream, stream, f.len);
	assert_int_equal(f.control_len, want.len);
	assert_memory_equal(f.control, want.bytes, want.len);
	assert_int_equal(f.ws.state, state);
	assert_int_equal(f.ws.code, code);
	websocket_clear(&f.ws);
	free(f.stream);
}

static void assert_open(const char *stream, const char *control)
{
	assert_fed(stream, control, WEBSOCKET_OPEN, 0);
}

static void assert_failed(const char *stream, const char *control, int code, const char *why)
{
	struct fed f;

	assert_fed(stream, control, WEBSOCKET_CLOSED, code);
	f = feed_in_pieces(bytes, len, len, NULL);
	assert_string_equal(f.ws.why, why);
	/* Nothing is read any more, and nothing held. */
	assert_null(f.ws.frame);
	begin();
	frame_text(BINARY, "x");
	assert_int_equal(websocket_feed(&f.ws, bytes, len), 0);
	assert_int_equal(websocket_control(&f.ws, f.control), 0);
	free(f.stream);
}

#define CLOSE_1002 "88 02 03ea"

/* ---- data --------------------------------------------------------------------------------------------------------- */

/* The masked example of 5.7, as binary data. */
static void test_example(void **state)
{
	struct hex h = hex_parse("82 85 37fa213d 7f9f4d5158");

	(void)state;
	begin();
	memcpy(bytes, h.bytes, h.len);
	len = h.len;
	assert_open("Hello", "");
}

/* [MQTT-6.0.0-2]: packets are not aligned with messages, and messages not with frames (5.4). */
static void test_stream(void **state)
{
	(void)state;
	begin();
	frame_text(BINARY, "many packets in one");
	frame_text(BINARY_BEGIN, " and one");
	frame_text(MORE, " in");
	frame_text(MORE, "");
	frame_text(LAST, " many");
	frame_text(BINARY, "");
	frame_text(BINARY_BEGIN, "");
	frame_text(LAST, "");
	frame_text(BINARY, ".");
	assert_open("many packets in one and one in many.", "");
}

/* 5.2: each form of the length, and each of its edges. */
static void test_lengths(void **state)
{
	static const size_t lens[] = {0, 1, 125, 126, 127, 128, 4095, 4096, 4097, 65535, 65536, 65537, 200000};
	static char stream[200002];

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		for (size_t n = 0; n < lens[i]; n++)
			stream[n] = (char)('a' + n % 23);
		stream[lens[i]] = '\0';
		begin();
		frame_text(BINARY, stream);
		frame_text(BINARY, "!");
		stream[lens[i]] = '!';
		stream[lens[i] + 1] = '\0';
		assert_open(stream, "");
	}
}

/* 5.2: the shortest form must be used, and the highest bit be 0. */
static void test_bad_lengths(void **state)
{
	static const char *const headers[] = {"82 fe 007d 37fa213d 00",
					      "82 fe 0000 37fa213d 00",
					      "82 ff 000000000000ffff 37fa213d 00",
					      "82 ff 0000000000000001 37fa213d 00",
					      "82 ff 8000000000000000 37fa213d 00",
					      "82 ff ffffffffffffffff 37fa213d 00"};

	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		struct hex h = hex_parse(headers[i]);

		begin();
		memcpy(bytes, h.bytes, h.len);
		len = h.len;
		assert_failed("", CLOSE_1002, 1002, "the header of a frame is malformed");
	}
}

/* The largest frame there can be is handed on as it comes, with no more memory than any other. */
static void test_largest(void **state)
{
	struct hex h = hex_parse("82 ff 7fffffffffffffff 00000000");
	struct websocket ws = {0};
	uint64_t total = 0;
	void *frame_before;

	(void)state;
	memcpy(bytes, h.bytes, h.len);
	memset(bytes + h.len, 'x', 65536 - h.len);
	total += websocket_feed(&ws, bytes, 65536);
	frame_before = ws.frame;
	assert_non_null(frame_before);
	while (total < 256 << 20) {
		assert_int_equal(websocket_feed(&ws, bytes, 65536), 65536);
		total += 65536;
	}
	assert_ptr_equal(ws.frame, frame_before);
	assert_int_equal(ws.state, WEBSOCKET_OPEN);
	websocket_clear(&ws);
}

/* Between two frames nothing is held. */
static void test_idle(void **state)
{
	struct websocket ws = {0};

	(void)state;
	begin();
	frame_text(BINARY_BEGIN, "Hello");
	for (size_t i = 0; i < len; i++) {
		websocket_feed(&ws, bytes + i, 1);
		assert_int_equal(ws.frame != NULL, i + 1 < len);
	}
	begin();
	frame_text(MORE, "a");
	frame_text(PING, "b");
	frame_text(LAST, "c");
	assert_int_equal(websocket_feed(&ws, bytes, len), 2);
	assert_memory_equal(bytes, "ac", 2);
	assert_null(ws.frame);
}

static void test_masking(void **state)
{
	(void)state;
	/* 5.3: every key, those with zeros too. */
	for (uint32_t key = 1; key; key <<= 1) {
		begin();
		len = put_frame(bytes, BINARY, key, "mqtt mqtt", 9);
		assert_open("mqtt mqtt", "");
	}
	/* 5.1: a frame that is not masked, after one that is. */
	begin();
	frame_text(BINARY, "good");
	len += put_frame(bytes + len, BINARY, 0, "bad", 3);
	assert_failed("good", CLOSE_1002, 1002, "a frame is not masked");
	begin();
	len = put_frame(bytes, PING, 0, "", 0);
	assert_failed("", CLOSE_1002, 1002, "a frame is not masked");
	begin();
	len = put_frame(bytes, CLOSE, 0, "\x03\xe8", 2);
	assert_failed("", CLOSE_1002, 1002, "a frame is not masked");
}

/* [MQTT-6.0.0-1], 5.6, 7.4.1. */
static void test_text(void **state)
{
	static const uint8_t first[] = {TEXT, 0x01};

	(void)state;
	for (size_t i = 0; i < COUNT(first); i++) {
		for (int empty = 0; empty < 2; empty++) {
			begin();
			frame_text(BINARY, "a");
			frame_text(first[i], empty ? "" : "text");
			frame_text(BINARY, "b");
			assert_failed("a", "88 02 03eb", 1003, "a message is text");
		}
	}
}

/* 5.2: what no extension has given a meaning. */
static void test_reserved(void **state)
{
	static const uint8_t opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

	(void)state;
	for (uint8_t rsv = 1; rsv < 8; rsv++) {
		static const uint8_t firsts[] = {BINARY, BINARY_BEGIN, PING, CLOSE, PONG};

		for (size_t i = 0; i < COUNT(firsts); i++) {
			begin();
			frame_text(BINARY, "a");
			frame_text((uint8_t)(firsts[i] | rsv << 4), "b");
			assert_failed("a", CLOSE_1002, 1002, "a frame has reserved bits set");
		}
	}
	for (size_t i = 0; i < COUNT(opcodes); i++) {
		begin();
		frame_text(BINARY, "a");
		frame_text(0x80 | opcodes[i], "b");
		assert_failed("a", CLOSE_1002, 1002, "a frame has a reserved opcode");
	}
}

/* 5.4. */
static void test_fragments(void **state)
{
	(void)state;
	begin();
	frame_text(LAST, "a");
	assert_failed("", CLOSE_1002, 1002, "a message goes on that has not begun");
	begin();
	frame_text(MORE, "a");
	assert_failed("", CLOSE_1002, 1002, "a message goes on that has not begun");
	begin();
	frame_text(BINARY_BEGIN, "a");
	frame_text(LAST, "b");
	frame_text(LAST, "c");
	assert_failed("ab", CLOSE_1002, 1002, "a message goes on that has not begun");
	begin();
	frame_text(BINARY_BEGIN, "a");
	frame_text(BINARY, "b");
	assert_failed("a", CLOSE_1002, 1002, "a message begins before the last one has ended");
	begin();
	frame_text(BINARY_BEGIN, "");
	frame_text(BINARY_BEGIN, "b");
	assert_failed("", CLOSE_1002, 1002, "a message begins before the last one has ended");
}

/* ---- control frames, 5.5 ------------------------------------------------------------------------------------------ */

/* 5.5.2, 5.5.3: also between the frames of a message (5.4). */
static void test_ping(void **state)
{
	char most[WEBSOCKET_PAYLOAD_MAX + 1], pong[2 * WEBSOCKET_PAYLOAD_MAX + 16] = "8a 7d ";

	(void)state;
	begin();
	frame_text(PING, "");
	assert_open("", "8a 00");
	begin();
	frame_text(BINARY_BEGIN, "a");
	frame_text(PING, "Hello");
	frame_text(LAST, "b");
	assert_open("ab", "8a 05 'Hello'");
	memset(most, 'p', sizeof(most) - 1);
	most[sizeof(most) - 1] = '\0';
	begin();
	frame_text(PING, most);
	for (int i = 0; i < WEBSOCKET_PAYLOAD_MAX; i++)
		strcat(pong, "70");
	assert_open("", pong);
}

/* The last of many is answered, however many there are. */
static void test_ping_flood(void **state)
{
	struct websocket ws = {0};
	uint8_t out[WEBSOCKET_CONTROL_MAX];
	char text[16];

	(void)state;
	begin();
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%03d", i);
		frame_text(PING, text);
	}
	assert_open("", "8a 03 '999'");
	begin();
	frame_text(PING, "long");
	frame_text(PING, "s");
	assert_open("", "8a 01 's'");
	/* Who reads the answers gets them all. */
	for (int i = 0; i < 3; i++) {
		begin();
		frame_text(PING, "x");
		assert_int_equal(websocket_feed(&ws, bytes, len), 0);
		assert_int_equal(websocket_control(&ws, out), 3);
		assert_memory_equal(out, "\x8a\x01x", 3);
		assert_int_equal(websocket_control(&ws, out), 0);
	}
}

/* 5.5.3: that nobody asked for. */
static void test_pong(void **state)
{
	(void)state;
	begin();
	frame_text(PONG, "");
	frame_text(BINARY, "a");
	frame_text(PONG, "whatever");
	frame_text(PING, "b");
	assert_open("a", "8a 01 'b'");
}

/* 5.5: not in fragments, and no longer than 125 bytes. */
static void test_control_form(void **state)
{
	static const uint8_t firsts[] = {PING, PONG, CLOSE};
	char text[128];

	(void)state;
	memset(text, 'p', sizeof(text));
	for (size_t i = 0; i < COUNT(firsts); i++) {
		begin();
		frame_text(firsts[i] & 0x0f, "");
		assert_failed("", CLOSE_1002, 1002, "the header of a frame is malformed");
		for (size_t n = 126; n <= sizeof(text); n++) {
			begin();
			frame_text(BINARY, "a");
			frame(firsts[i], text, n);
			assert_failed("a", CLOSE_1002, 1002, "the header of a frame is malformed");
		}
	}
}

/* 5.5.1, 7.1.2: its code is sent back, and the server closes the socket. */
static void test_close(void **state)
{
	(void)state;
	begin();
	frame_text(BINARY, "last words");
	frame_hex(CLOSE, "03e8");
	frame_text(BINARY, "after it");
	frame_text(PING, "");
	assert_fed("last words", "88 02 03e8", WEBSOCKET_CLOSED, 1000);
	begin();
	frame_hex(CLOSE, "");
	assert_fed("", "88 00", WEBSOCKET_CLOSED, 0);
	begin();
	frame_hex(CLOSE, "03e9 'going \xe2\x82\xac away\n'");
	assert_fed("", "88 02 03e9", WEBSOCKET_CLOSED, 1001);
	/* In the middle of a message. */
	begin();
	frame_text(BINARY_BEGIN, "a");
	frame_hex(CLOSE, "03e8");
	assert_fed("a", "88 02 03e8", WEBSOCKET_CLOSED, 1000);
	/* 5.5.2: a Ping is not answered after a Close. */
	begin();
	frame_text(PING, "b");
	frame_hex(CLOSE, "03e8");
	assert_fed("", "88 02 03e8", WEBSOCKET_CLOSED, 1000);
}

/* 7.4.1, 7.4.2, and the registry of IANA. */
static void test_close_codes(void **state)
{
	char want[16];
	uint8_t payload[2];

	(void)state;
	for (int code = 0; code <= UINT16_MAX; code += code < 5100 ? 1 : 97) {
		bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
			    (code >= 3000 && code <= 4999);

		begin();
		payload[0] = (uint8_t)(code >> 8);
		payload[1] = (uint8_t)code;
		frame(CLOSE, payload, 2);
		snprintf(want, sizeof(want), "88 02 %04x", good ? code : 1002);
		if (good)
			assert_fed("", want, WEBSOCKET_CLOSED, code);
		else
			assert_failed("", want, 1002, "a Close has no valid code");
	}
	begin();
	frame_hex(CLOSE, "03");
	assert_failed("", CLOSE_1002, 1002, "a Close has no valid code");
}

/* 8.1. */
static void test_close_reason(void **state)
{
	static const char *const bad[] = {"03e8 ff", "03e8 'a' c3", "03e8 eda080", "03e8 c080"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin();
		frame_hex(CLOSE, bad[i]);
		assert_failed("", "88 02 03ef", 1007, "the reason of a Close is not UTF-8");
	}
	begin();
	frame_hex(CLOSE, "03e8 00 01 c280 efbfbf");
	assert_fed("", "88 02 03e8", WEBSOCKET_CLOSED, 1000);
}

/* Our Close: what is under way is dropped until the peer's comes (7.1.2, 5.5.1). */
static void test_closing(void **state)
{
	static const enum websocket_code codes[] = {WEBSOCKET_NORMAL,	      WEBSOCKET_GOING_AWAY,
						    WEBSOCKET_PROTOCOL_ERROR, WEBSOCKET_UNSUPPORTED,
						    WEBSOCKET_TOO_BIG,	      WEBSOCKET_INTERNAL_ERROR};
	uint8_t out[WEBSOCKET_CONTROL_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		struct websocket ws = {0};

		begin();
		frame_text(PING, "p");
		frame_text(BINARY_BEGIN, "a");
		assert_int_equal(websocket_feed(&ws, bytes, len), 1);
		websocket_close(&ws, codes[i]);
		assert_int_equal(ws.state, WEBSOCKET_CLOSING);
		/* The Pong was due before. */
		assert_int_equal(websocket_control(&ws, out), 7);
		assert_memory_equal(out, "\x8a\x01p\x88\x02", 5);
		assert_int_equal(out[5] << 8 | out[6], codes[i]);
		websocket_close(&ws, WEBSOCKET_TOO_BIG); /* no second one */
		begin();
		frame_text(LAST, "b");
		frame_text(BINARY, "c");
		frame_text(PING, "p");
		assert_int_equal(websocket_feed(&ws, bytes, len), 0);
		assert_int_equal(ws.state, WEBSOCKET_CLOSING);
		assert_int_equal(websocket_control(&ws, out), 0);
		begin();
		frame_hex(CLOSE, "03e8");
		assert_int_equal(websocket_feed(&ws, bytes, len), 0);
		assert_int_equal(ws.state, WEBSOCKET_CLOSED);
		assert_int_equal(ws.code, 1000);
		assert_null(ws.why);
		assert_int_equal(websocket_control(&ws, out), 0);
		websocket_close(&ws, WEBSOCKET_NORMAL);
		assert_int_equal(ws.state, WEBSOCKET_CLOSED);
		assert_int_equal(websocket_control(&ws, out), 0);
	}
}

/* A rule is broken while we wait for the Close: no other Close is sent. */
static void test_closing_failed(void **state)
{
	struct websocket ws = {0};
	uint8_t out[WEBSOCKET_CONTROL_MAX];

	(void)state;
	websocket_close(&ws, WEBSOCKET_NO_CODE);
	assert_int_equal(websocket_control(&ws, out), 2);
	assert_memory_equal(out, "\x88\x00", 2);
	begin();
	frame_text(TEXT, "a");
	assert_int_equal(websocket_feed(&ws, bytes, len), 0);
	assert_int_equal(ws.state, WEBSOCKET_CLOSED);
	assert_string_equal(ws.why, "a message is text");
	assert_int_equal(websocket_control(&ws, out), 0);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------ */

/* 5.2: written as the naive server reads it, which wants the shortest form. */
static void test_header(void **state)
{
	static const uint64_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 65537, UINT32_MAX, 1ULL << 32, INT64_MAX};
	uint8_t out[WEBSOCKET_HEADER_MAX];
	struct naive_frame f = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		size_t n = websocket_header(lens[i], out);

		assert_int_equal(naive_frame(out, n - 1, &f), 0);
		assert_int_equal(naive_frame(out, n, &f), 1);
		assert_int_equal(f.header, n);
		assert_int_equal(out[0], BINARY);
		assert_false(f.masked);
		assert_true(f.len == lens[i]);
	}
}

static void test_no_memory(void **state)
{
	struct websocket ws = {0};
	uint8_t out[WEBSOCKET_CONTROL_MAX];

	(void)state;
	begin();
	frame_text(BINARY, "a");
	assert_int_equal(websocket_feed(&ws, bytes, len), 1);
	begin();
	frame_text(BINARY, "b");
	no_memory = true;
	assert_int_equal(websocket_feed(&ws, bytes, len), 0);
	no_memory = false;
	assert_int_equal(ws.state, WEBSOCKET_CLOSED);
	assert_int_equal(ws.code, WEBSOCKET_INTERNAL_ERROR);
	assert_string_equal(ws.why, "there is no memory");
	assert_int_equal(websocket_control(&ws, out), 4);
	assert_memory_equal(out, "\x88\x02\x03\xf3", 4);
	assert_int_equal(websocket_feed(&ws, bytes, len), 0);
	websocket_clear(&ws);
	assert_int_equal(ws.state, WEBSOCKET_OPEN);
	/* While a frame has come in part, nothing more is needed. */
	begin();
	frame_text(BINARY, "b");
	websocket_feed(&ws, bytes, 1);
	no_memory = true;
	assert_int_equal(websocket_feed(&ws, bytes + 1, len - 1), 1);
	no_memory = false;
	websocket_feed(&ws, bytes, 0);
	assert_int_equal(ws.state, WEBSOCKET_OPEN);
}

/* Frames of a client that does nearly all right, against the naive server. */
static void test_random(void **state)
{
	static const uint8_t firsts[] = {BINARY, BINARY, BINARY_BEGIN, MORE, LAST, PING, PONG};
	static uint8_t payload[9000];
	uint64_t seed = 20260131, rng = seed;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)rng_next(&rng);
	for (int round = 0; round < 2000; round++) {
		bool in_message = false;
		const char *wrong;

		begin();
		for (uint32_t frames = rng_below(&rng, 8); frames; frames--) {
			uint8_t first = firsts[rng_below(&rng, COUNT(firsts))];
			size_t most = first & 8		   ? WEBSOCKET_PAYLOAD_MAX + 1
				      : rng_below(&rng, 4) ? 300
							   : sizeof(payload);

			if (in_message && (first & 0x0f) == 2)
				first &= 0xf0;
			if (!in_message && (first & 0x0f) == 0)
				first |= 2;
			if (!(first & 8))
				in_message = !(first & 0x80);
			if (rng_below(&rng, 50) == 0)
				first = (uint8_t)rng_next(&rng);
			len += put_frame(bytes + len, first, rng_below(&rng, 50) ? rng_next(&rng) : 0, payload,
					 rng_below(&rng, (uint32_t)most));
		}
		if (rng_below(&rng, 2))
			frame(CLOSE, payload, rng_below(&rng, 4));
		if (len && rng_below(&rng, 4) == 0)
			bytes[rng_below(&rng, (uint32_t)len)] = (uint8_t)rng_next(&rng);
		if (len && rng_below(&rng, 4) == 0)
			len = rng_below(&rng, (uint32_t)len);
		wrong = check_websocket(bytes, len, rng);
		if (wrong)
			fail_msg("%s in round %d", wrong, round);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),	       cmocka_unit_test(test_stream),
		cmocka_unit_test(test_lengths),	       cmocka_unit_test(test_bad_lengths),
		cmocka_unit_test(test_largest),	       cmocka_unit_test(test_idle),
		cmocka_unit_test(test_masking),	       cmocka_unit_test(test_text),
		cmocka_unit_test(test_reserved),       cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_ping),	       cmocka_unit_test(test_ping_flood),
		cmocka_unit_test(test_pong),	       cmocka_unit_test(test_control_form),
		cmocka_unit_test(test_close),	       cmocka_unit_test(test_close_codes),
		cmocka_unit_test(test_close_reason),   cmocka_unit_test(test_closing),
		cmocka_unit_test(test_closing_failed), cmocka_unit_test(test_header),
		cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
