/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Frames for the tests of the guard: Ethernet, tags, IPv4 or IPv6 with options, TCP or UDP. */
#ifndef SHUNT_TESTS_FRAMES_H
#define SHUNT_TESTS_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAX = 2048 };
enum { FRAME_FIN = 1, FRAME_SYN = 2, FRAME_RST = 4, FRAME_PSH = 8, FRAME_ACK = 16 };

struct frame {
	bool ipv6;
	uint8_t source[16]; /* of IPv4 the first 4 */
	uint8_t destination[16];
	uint16_t source_port, destination_port;
	bool udp;
	unsigned vlans;		   /* tags */
	unsigned ip_options;	   /* bytes, of 4 */
	const uint8_t *extensions; /* types of the headers behind IPv6's, 0 at the end; hop-by-hop is 255 here */
	unsigned extension_len;	   /* of each, bytes, of 8 */
	bool fragment;		   /* one of several, */
	uint16_t fragment_offset;  /* this one: in units of 8 bytes */
	unsigned tcp_options;	   /* bytes, of 4 */
	unsigned flags;
	uint32_t seq;
	const void *data;
	size_t len;
	unsigned padding; /* bytes behind all of it */
};

/* Write the frame to `to`, with its checksums. Returns its length. */
size_t frame_write(const struct frame *f, uint8_t to[FRAME_MAX]);

/* Where in the frame the headers are. */
size_t frame_ip(const struct frame *f);
size_t frame_transport(const struct frame *f);

/* Are the checksums of this IP packet, and of the TCP in it, right? `transport`: the TCP header's offset in it, `len` that of
 * all. */
bool frame_checksums(const uint8_t *ip, size_t transport, size_t len);

#endif
