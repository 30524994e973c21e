/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The server's side of a WebSocket connection (RFC 6455) behind its opening handshake, see upgrade.h, for MQTT: all that is
 * in binary messages is one stream of bytes, and there are no other messages [MQTT-6.0.0-1]. How the stream is cut into
 * messages and frames means nothing [MQTT-6.0.0-2], so it is handed on as it comes and no message is ever collected.
 *
 * It knows nothing of sockets, and belongs to one thread. Memory: the structure, and a block of some 4.3 kB of the library
 * wslay that is there only while a frame has come in part; however large frames are, and whatever the peer does.
 */
#ifndef SHUNT_WEBSOCKET_H
#define SHUNT_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WEBSOCKET_HEADER_MAX = 10,   /* bytes of a frame's header that a server sends, section 5.2 */
	WEBSOCKET_PAYLOAD_MAX = 125, /* bytes, of a control frame, section 5.5 */
	/* The most that websocket_control() writes: a Pong, and a Close with a code. */
	WEBSOCKET_CONTROL_MAX = 2 + WEBSOCKET_PAYLOAD_MAX + 2 + 2,
};

/* Why a connection is closed, section 7.4.1. */
enum websocket_code {
	WEBSOCKET_NO_CODE = 0, /* a Close without a code */
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_PROTOCOL_ERROR = 1002,
	WEBSOCKET_UNSUPPORTED = 1003, /* a kind of data that is not accepted */
	WEBSOCKET_NOT_UTF8 = 1007,
	WEBSOCKET_POLICY = 1008,
	WEBSOCKET_TOO_BIG = 1009,
	WEBSOCKET_INTERNAL_ERROR = 1011,
};

enum websocket_state {
	WEBSOCKET_OPEN,
	/* We have closed and the peer has not answered yet: no data is to be sent any more, what comes is dropped, but reading
	 * goes on for a while, because its Close is to come (section 7.1.2). */
	WEBSOCKET_CLOSING,
	/* Both have closed, or the peer broke a rule: when what websocket_control() gives is written, the socket is to be
	 * closed, by the server first (section 7.1.1). */
	WEBSOCKET_CLOSED,
};

/* A connection. Zero-initialised it is open. The first three may be read. */
struct websocket {
	enum websocket_state state;
	uint16_t code;	 /* of the Close that came, or that we sent because of `why` (enum websocket_code) */
	const char *why; /* the rule that the peer broke, a static text; NULL: none */

	struct wslay_frame_context *frame; /* NULL between two frames */
	const uint8_t *in;		   /* during websocket_feed(): what wslay has not taken yet */
	size_t in_len;
	uint64_t unframed;   /* bytes that wslay has taken since the end of the last frame */
	uint64_t taken;	     /* bytes of the payload of a frame that has come in part */
	bool in_message;     /* between the first and the last frame of a message */
	bool ponging;	     /* a Pong is to be sent */
	bool closes;	     /* a Close is to be sent, with `close_code` */
	uint16_t close_code; /* or WEBSOCKET_NO_CODE */
	uint8_t payload_len; /* of a control frame that has come in part */
	uint8_t pong_len;
	uint8_t payload[WEBSOCKET_PAYLOAD_MAX];
	uint8_t pong[WEBSOCKET_PAYLOAD_MAX];
};

/* Free what it holds. It is as new then. */
void websocket_clear(struct websocket *ws);

/* Take what has come, data[0, len), all of it. The bytes of the stream among them are left at the beginning of `data`, and
 * their number returned; what stood behind them is spoilt. They came before whatever changed the state: they are to be
 * handled first, then the state looked at, and websocket_control() is to be called.
 *
 * Whoever cannot handle more does not read more from the socket: nothing is kept here that would have to be asked for.
 * Without memory the connection fails with WEBSOCKET_INTERNAL_ERROR. */
size_t websocket_feed(struct websocket *ws, uint8_t *data, size_t len);

/* Begin to close. From now on only websocket_control() has what is to be sent, after what was to be sent before. No effect
 * if the connection is closing or closed. The code must be one that may be sent, or WEBSOCKET_NO_CODE. */
void websocket_close(struct websocket *ws, enum websocket_code code);

/* Write the control frames that are to be sent, and forget them: returns their length, 0 if there are none. They may go
 * between any two frames, not into one (section 5.4). There is one Pong at most: to the last Ping, if a peer sends more of
 * them than it reads answers (section 5.5.3). A Close is the last that is sent. */
size_t websocket_control(struct websocket *ws, uint8_t out[WEBSOCKET_CONTROL_MAX]);

/* Write the header of a binary message of `len` bytes, up to 2^63 - 1, in one frame: the bytes themselves are to follow as
 * they are, because a server does not mask them (section 5.1). Returns the header's length. */
size_t websocket_header(uint64_t len, uint8_t out[WEBSOCKET_HEADER_MAX]);

#endif
