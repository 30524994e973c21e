/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the tests and the fuzz target of WebSocket connections share: that the answer does not depend on how the bytes were
 * cut, and a naive server of frames to compare with, written from RFC 6455 and not from the code under test. A check returns
 * NULL, or what is wrong.
 */
#ifndef SHUNT_TESTS_WEBSOCKET_MODEL_H
#define SHUNT_TESTS_WEBSOCKET_MODEL_H

#include "mqtt/utf8.h"
#include "mqtt_model.h"
#include "net/upgrade.h"
#include "net/websocket.h"

static inline bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* ---- the upgrade ------------------------------------------------------------------------------------------------ */

static inline bool same_upgrade(const struct upgrade *a, const struct upgrade *b)
{
	return a->consumed == b->consumed && mqtt_str_eq(a->path, b->path) && mqtt_str_eq(a->query, b->query) &&
	       mqtt_str_eq(a->host, b->host) && mqtt_str_eq(a->origin, b->origin) &&
	       mqtt_str_eq(a->protocol, b->protocol) && mqtt_str_eq(a->forwarded_for, b->forwarded_for) &&
	       mqtt_str_eq(a->fields, b->fields) && a->status == b->status && same_text(a->why, b->why) &&
	       a->response_len == b->response_len && !memcmp(a->response, b->response, a->response_len);
}

static inline const char *check_upgrade(const uint8_t *data, size_t len, const struct upgrade_rules *rules)
{
	struct upgrade want, got;
	enum upgrade_result result = upgrade_parse(data, len, rules, &want);
	const char *wrong = NULL;
	bool answered = false;

	if (result == UPGRADE_DONE && want.consumed > len)
		return "more was consumed than there is";
	if (want.response_len >= UPGRADE_RESPONSE_MAX)
		return "the response is too long";
	for (size_t n = 0; n <= len && !wrong; n++) {
		uint8_t *copy = exact_copy(data, n);
		enum upgrade_result at = upgrade_parse(copy, n, rules, &got);

		if (at == UPGRADE_NEED_MORE && answered)
			wrong = "an answer was taken back";
		else if (at == UPGRADE_NEED_MORE && (got.response_len || n >= UPGRADE_SIZE_MAX + 1))
			wrong = "it goes on waiting";
		else if (at != UPGRADE_NEED_MORE && (at != result || !same_upgrade(&got, &want)))
			wrong = "a part has another answer than the whole";
		else if (at == UPGRADE_DONE && n < want.consumed)
			wrong = "it did not wait for all of the request";
		answered |= at != UPGRADE_NEED_MORE;
		free(copy);
	}
	return wrong;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

/* What a server has to make of bytes. */
struct naive_websocket {
	uint8_t *stream; /* to be freed */
	size_t len;
	int code; /* that the connection was closed with; -1: it was not; 0: without a code */
	bool failed;
	uint8_t pong[WEBSOCKET_PAYLOAD_MAX];
	int pong_len; /* -1: no Pong is due */
};

struct naive_frame {
	bool fin, masked;
	unsigned rsv, opcode;
	uint64_t len;
	uint8_t key[4];
	size_t header;
};

/* Section 5.2. 1: the header is there; 0: not yet; -1: it can be none. */
static inline int naive_frame(const uint8_t *p, size_t left, struct naive_frame *f)
{
	size_t extended;

	if (left < 2)
		return 0;
	*f = (struct naive_frame){
		.fin = p[0] >> 7, .rsv = p[0] >> 4 & 7, .opcode = p[0] & 15, .masked = p[1] >> 7, .len = p[1] & 127};
	if (f->opcode >= 8 && (!f->fin || f->len > 125)) /* section 5.5 */
		return -1;
	extended = f->len == 127 ? 8 : f->len == 126 ? 2 : 0;
	f->header = 2 + extended + (f->masked ? 4 : 0);
	if (left < 2 + extended)
		return 0;
	if (extended) {
		f->len = 0;
		for (size_t i = 0; i < extended; i++)
			f->len = f->len << 8 | p[2 + i];
		if (f->len < 126 || (extended == 8 && (f->len <= 0xffff || f->len >> 63)))
			return -1;
	}
	if (left < f->header)
		return 0;
	if (f->masked)
		memcpy(f->key, p + f->header - 4, 4);
	return 1;
}

/* 0, or the code to fail the connection with. */
static inline int naive_refusal(const struct naive_frame *f, bool in_message)
{
	if (f->rsv || !f->masked || (f->opcode >= 3 && f->opcode <= 7) || f->opcode > 10)
		return 1002;
	if (f->opcode == 1)
		return 1003;
	return (f->opcode == 0 && !in_message) || (f->opcode == 2 && in_message) ? 1002 : 0;
}

static inline void naive_close(struct naive_websocket *s, const uint8_t *p, size_t len)
{
	int code = len > 1 ? p[0] << 8 | p[1] : 0;

	if (len == 1 ||
	    (len && (code < 1000 || (code >= 1004 && code <= 1006) || (code > 1014 && code < 3000) || code > 4999))) {
		code = 1002;
		s->failed = true;
	} else if (len > 2 && !utf8_well_formed(p + 2, len - 2)) {
		code = 1007;
		s->failed = true;
	} else {
		s->pong_len = -1;
	}
	s->code = code;
}

/* Nothing is said about a frame of which not a byte of payload has come, unless it has none. */
static inline struct naive_websocket naive_websocket(const uint8_t *data, size_t len)
{
	struct naive_websocket s = {.stream = malloc(len + 1), .code = -1, .pong_len = -1};
	bool in_message = false;
	size_t at = 0;

	if (!s.stream)
		abort();
	while (s.code < 0) {
		struct naive_frame f;
		int there = naive_frame(data + at, len - at, &f);
		uint8_t control[WEBSOCKET_PAYLOAD_MAX] = {0};
		size_t avail;

		if (there < 0) {
			s.code = 1002;
			s.failed = true;
		}
		if (there <= 0 || (f.len && at + f.header == len))
			break;
		s.code = naive_refusal(&f, in_message) ? naive_refusal(&f, in_message) : -1;
		s.failed = s.code > 0;
		if (s.failed)
			break;
		at += f.header;
		avail = f.len < len - at ? (size_t)f.len : len - at;
		for (size_t i = 0; i < avail; i++) {
			uint8_t byte = data[at + i] ^ f.key[i % 4];

			if (f.opcode < 8)
				s.stream[s.len++] = byte;
			else
				control[i] = byte;
		}
		at += avail;
		if (avail < f.len)
			break;
		if (f.opcode < 8)
			in_message = !f.fin;
		if (f.opcode == 9) {
			s.pong_len = (int)f.len;
			memcpy(s.pong, control, sizeof(control));
		}
		if (f.opcode == 8)
			naive_close(&s, control, (size_t)f.len);
	}
	return s;
}

/* What a server that was fed came to. */
struct fed {
	struct websocket ws;
	uint8_t *stream; /* to be freed */
	size_t len;
	uint8_t control[WEBSOCKET_CONTROL_MAX];
	size_t control_len;
};

/* Feed the bytes in pieces: of `piece` bytes, or of random sizes up to 64 if it is 0. */
static inline struct fed feed_in_pieces(const uint8_t *data, size_t len, size_t piece, uint64_t *rng)
{
	struct fed f = {.stream = malloc(len + 1)};

	if (!f.stream)
		abort();
	for (size_t at = 0; at < len;) {
		size_t n = piece ? piece : 1 + rng_below(rng, 64);
		uint8_t *copy;
		size_t stream;

		if (n > len - at)
			n = len - at;
		copy = exact_copy(data + at, n);
		stream = websocket_feed(&f.ws, copy, n);
		if (stream > n)
			abort();
		memcpy(f.stream + f.len, copy, stream);
		f.len += stream;
		free(copy);
		at += n;
	}
	f.control_len = websocket_control(&f.ws, f.control);
	return f;
}

/* The control frames that the model has to send. */
static inline size_t naive_control(const struct naive_websocket *s, uint8_t out[WEBSOCKET_CONTROL_MAX])
{
	size_t len = 0;

	if (s->pong_len >= 0) {
		out[len++] = 0x8a;
		out[len++] = (uint8_t)s->pong_len;
		memcpy(out + len, s->pong, (size_t)s->pong_len);
		len += (size_t)s->pong_len;
	}
	if (s->code >= 0) {
		out[len++] = 0x88;
		out[len++] = s->code ? 2 : 0;
		if (s->code) {
			out[len++] = (uint8_t)(s->code >> 8);
			out[len++] = (uint8_t)s->code;
		}
	}
	return len;
}

static inline const char *compare_fed(struct fed *f, const struct naive_websocket *want)
{
	uint8_t control[WEBSOCKET_CONTROL_MAX];
	size_t control_len = naive_control(want, control);

	if (f->len != want->len || memcmp(f->stream, want->stream, f->len) != 0)
		return "the stream is another";
	if (f->ws.state != (want->code < 0 ? WEBSOCKET_OPEN : WEBSOCKET_CLOSED))
		return "the state is another";
	if (want->code >= 0 && f->ws.code != want->code)
		return "the code is another";
	if (want->failed != (f->ws.why != NULL))
		return "it failed, or should have";
	if (f->control_len != control_len || memcmp(f->control, control, control_len) != 0)
		return "the control frames are others";
	return NULL;
}

/* Cut in any way, the bytes are what the model says. */
static inline const char *check_websocket(const uint8_t *data, size_t len, uint64_t seed)
{
	struct naive_websocket want = naive_websocket(data, len);
	const size_t pieces[] = {len ? len : 1, 1, 2, 3, 7, 0};
	const char *wrong = NULL;
	uint64_t rng = seed | 1;

	for (size_t i = 0; i < COUNT(pieces) && !wrong; i++) {
		struct fed f = feed_in_pieces(data, len, pieces[i], &rng);

		wrong = compare_fed(&f, &want);
		websocket_clear(&f.ws);
		free(f.stream);
	}
	free(want.stream);
	return wrong;
}

/* A client's frame with this first byte; `key` 0: it is not masked. Returns its length. */
static inline size_t put_frame(uint8_t *out, uint8_t first, uint32_t key, const void *payload, size_t len)
{
	uint8_t mask[4] = {(uint8_t)(key >> 24), (uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key};
	size_t at = websocket_header(len, out);

	out[0] = first;
	if (key) {
		out[1] |= 0x80;
		memcpy(out + at, mask, 4);
		at += 4;
	}
	for (size_t i = 0; i < len; i++)
		out[at + i] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
	return at + len;
}

#endif
