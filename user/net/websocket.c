// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * wslay takes frames apart and refuses headers that can be nothing; what frames may follow each other, and what they mean to
 * a server of MQTT, is decided here. Its frames are used and not its events, because those queue an answer to each Ping
 * without bound.
 */
#include "net/websocket.h"

#include <string.h>
#include <wslay/wslay.h>

#include "mqtt/utf8.h"

enum {
	FIN = 0x80,
	MASK_LEN = 4,
	CODE_LEN = 2,
};

static void put16(uint8_t *p, uint64_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

/* Send a Close, once. */
static void send_close(struct websocket *ws, uint16_t code)
{
	if (ws->state == WEBSOCKET_OPEN) {
		ws->closes = true;
		ws->close_code = code;
	}
}

/* Fail the connection (section 7.1.7). */
static void fail(struct websocket *ws, enum websocket_code code, const char *why)
{
	send_close(ws, (uint16_t)code);
	ws->state = WEBSOCKET_CLOSED;
	ws->code = (uint16_t)code;
	ws->why = why;
}

static ssize_t give(uint8_t *buf, size_t len, int flags, void *user_data)
{
	struct websocket *ws = user_data;

	(void)flags;
	if (len > ws->in_len)
		len = ws->in_len;
	if (!len)
		return -1;
	memcpy(buf, ws->in, len);
	ws->in += len;
	ws->in_len -= len;
	ws->unframed += len;
	return (ssize_t)len;
}

static const struct wslay_frame_callbacks callbacks = {.recv_callback = give};

static void free_frame(struct websocket *ws)
{
	wslay_frame_context_free(ws->frame);
	ws->frame = NULL;
	ws->unframed = 0;
}

void websocket_clear(struct websocket *ws)
{
	free_frame(ws);
	*ws = (struct websocket){0};
}

/* Codes that may stand in a Close: those of section 7.4.1 and that IANA has registered since, of libraries and applications;
 * without those that stand for a Close that never came. */
static bool may_be_sent(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* The peer's Close has come, whole. */
static void handle_close(struct websocket *ws)
{
	const uint8_t *p = ws->payload;
	unsigned code = ws->payload_len >= CODE_LEN ? (unsigned)(p[0] << 8 | p[1]) : WEBSOCKET_NO_CODE;

	if (ws->payload_len == 1 || (ws->payload_len && !may_be_sent(code))) {
		fail(ws, WEBSOCKET_PROTOCOL_ERROR, "a Close has no valid code");
		return;
	}
	if (ws->payload_len > CODE_LEN && !utf8_well_formed(p + CODE_LEN, ws->payload_len - CODE_LEN)) {
		fail(ws, WEBSOCKET_NOT_UTF8, "the reason of a Close is not UTF-8");
		return;
	}
	ws->ponging = false; /* section 5.5.2: not after a Close */
	send_close(ws, (uint16_t)code);
	ws->state = WEBSOCKET_CLOSED;
	ws->code = (uint16_t)code;
}

static void handle_ping(struct websocket *ws)
{
	if (ws->state != WEBSOCKET_OPEN) /* our Close was the last that we send */
		return;
	ws->ponging = true;
	ws->pong_len = ws->payload_len;
	memcpy(ws->pong, ws->payload, ws->payload_len);
}

/* Part of a control frame; `last`: it is whole now. */
static void handle_control(struct websocket *ws, const struct wslay_frame_iocb *f, bool last)
{
	memcpy(ws->payload + ws->payload_len, f->data, f->data_length);
	ws->payload_len += (uint8_t)f->data_length;
	if (!last)
		return;
	if (f->opcode == WSLAY_CONNECTION_CLOSE)
		handle_close(ws);
	else if (f->opcode == WSLAY_PING)
		handle_ping(ws);
	ws->payload_len = 0; /* a Pong that nobody asked for means nothing, section 5.5.3 */
}

/* May there be such a frame, as its header says? False: the connection has failed. */
static bool check_frame(struct websocket *ws, const struct wslay_frame_iocb *f, bool first)
{
	if (f->rsv != 0)
		fail(ws, WEBSOCKET_PROTOCOL_ERROR, "a frame has reserved bits set");
	else if (!f->mask)
		fail(ws, WEBSOCKET_PROTOCOL_ERROR, "a frame is not masked");
	else if (f->opcode == WSLAY_TEXT_FRAME)
		fail(ws, WEBSOCKET_UNSUPPORTED, "a message is text");
	else if (f->opcode > WSLAY_BINARY_FRAME && (f->opcode < WSLAY_CONNECTION_CLOSE || f->opcode > WSLAY_PONG))
		fail(ws, WEBSOCKET_PROTOCOL_ERROR, "a frame has a reserved opcode");
	else if (first && f->opcode == WSLAY_BINARY_FRAME && ws->in_message)
		fail(ws, WEBSOCKET_PROTOCOL_ERROR, "a message begins before the last one has ended");
	else if (first && f->opcode == WSLAY_CONTINUATION_FRAME && !ws->in_message)
		fail(ws, WEBSOCKET_PROTOCOL_ERROR, "a message goes on that has not begun");
	return ws->state != WEBSOCKET_CLOSED;
}

/* A frame is whole: how much of what wslay has taken it was. It refuses lengths that are not the shortest. */
static uint64_t frame_len(const struct wslay_frame_iocb *f)
{
	uint64_t header = 2 + MASK_LEN;

	if (f->payload_length > UINT16_MAX)
		header += 8;
	else if (f->payload_length > WEBSOCKET_PAYLOAD_MAX)
		header += 2;
	return header + f->payload_length;
}

/* Part of a frame. Returns how many bytes of the stream it was, which are in f->data. */
static size_t handle_part(struct websocket *ws, const struct wslay_frame_iocb *f)
{
	bool last = ws->taken + f->data_length == f->payload_length;

	/* wslay gives a part without bytes only if there are none. */
	if (!check_frame(ws, f, ws->taken == 0))
		return 0;
	ws->taken = last ? 0 : ws->taken + f->data_length;
	if (last)
		ws->unframed -= frame_len(f);
	if (wslay_is_ctrl_frame(f->opcode)) {
		handle_control(ws, f, last);
		return 0;
	}
	if (last)
		ws->in_message = !f->fin;
	return ws->state == WEBSOCKET_OPEN ? f->data_length : 0;
}

size_t websocket_feed(struct websocket *ws, uint8_t *data, size_t len)
{
	struct wslay_frame_iocb f;
	size_t out = 0;

	if (!len || ws->state == WEBSOCKET_CLOSED)
		return 0;
	if (!ws->frame && wslay_frame_context_init(&ws->frame, &callbacks, ws)) {
		ws->frame = NULL;
		fail(ws, WEBSOCKET_INTERNAL_ERROR, "there is no memory");
		return 0;
	}
	ws->in = data;
	ws->in_len = len;
	while (ws->state != WEBSOCKET_CLOSED) {
		ssize_t n = wslay_frame_recv(ws->frame, &f);
		size_t stream;

		if (n == WSLAY_ERR_WANT_READ)
			break;
		if (n < 0) {
			fail(ws, WEBSOCKET_PROTOCOL_ERROR, "the header of a frame is malformed");
			break;
		}
		/* wslay has a copy, and headers were left out: this is never ahead of what it has yet to take. */
		stream = handle_part(ws, &f);
		memcpy(data + out, f.data, stream);
		out += stream;
	}
	ws->in = NULL;
	ws->in_len = 0;
	if (!ws->unframed || ws->state == WEBSOCKET_CLOSED)
		free_frame(ws);
	return out;
}

void websocket_close(struct websocket *ws, enum websocket_code code)
{
	send_close(ws, (uint16_t)code);
	if (ws->state == WEBSOCKET_OPEN)
		ws->state = WEBSOCKET_CLOSING;
}

/* A whole control frame, section 5.5. Returns its length. */
static size_t put_control(uint8_t *out, unsigned opcode, const uint8_t *payload, size_t len)
{
	out[0] = (uint8_t)(FIN | opcode);
	out[1] = (uint8_t)len;
	memcpy(out + 2, payload, len);
	return 2 + len;
}

size_t websocket_control(struct websocket *ws, uint8_t out[WEBSOCKET_CONTROL_MAX])
{
	uint8_t code[CODE_LEN];
	size_t len = 0;

	if (ws->ponging)
		len = put_control(out, WSLAY_PONG, ws->pong, ws->pong_len);
	put16(code, ws->close_code);
	if (ws->closes)
		len += put_control(out + len, WSLAY_CONNECTION_CLOSE, code, ws->close_code ? CODE_LEN : 0);
	ws->ponging = ws->closes = false;
	return len;
}

size_t websocket_header(uint64_t len, uint8_t out[WEBSOCKET_HEADER_MAX])
{
	out[0] = FIN | WSLAY_BINARY_FRAME;
	if (len <= WEBSOCKET_PAYLOAD_MAX) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len <= UINT16_MAX) {
		out[1] = 126;
		put16(out + 2, len);
		return 4;
	}
	out[1] = 127;
	for (int i = 0; i < 4; i++)
		put16(out + 2 + 2 * i, len >> (48 - 16 * i));
	return 10;
}
