/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * MQTT framing in plain C without libc. One source for the daemon, the BPF programs and the fuzzer, so that the kernel
 * and the daemon can never disagree about where a packet ends. Nothing here allocates, loops without a constant bound
 * or reads beyond the bytes it is told of.
 */
#ifndef SHUNT_WIRE_H
#define SHUNT_WIRE_H

#ifndef __VMLINUX_H__ /* a BPF program has the types from vmlinux.h */
#include <linux/types.h>
#include <stdbool.h>
#endif

enum {
	WIRE_HEADER_MAX = 5,		/* fixed header: type byte and 1 to 4 length bytes [MQTT-2.2.3] */
	WIRE_REMAINING_MAX = 268435455, /* largest Remaining Length, 3.1.1 section 2.2.3 */
	WIRE_FAST_PUBLISH = 0x30,	/* PUBLISH, QoS 0, no RETAIN, no DUP: the only packet the kernel forwards */
	WIRE_PINGREQ = 0xC0,
	WIRE_PINGRESP = 0xD0,
	WIRE_DISCONNECT = 0xE0,
};

/* Results of wire_header() that are not a length. */
enum wire_error {
	WIRE_MORE = 0, /* the fixed header is not complete yet */
	WIRE_BAD = -1, /* the Remaining Length runs to a fifth byte: malformed */
};

/* Decode the fixed header in `b`, of which `avail` bytes (of at most WIRE_HEADER_MAX that matter) are there. `b` must be
 * readable for WIRE_HEADER_MAX bytes whatever `avail` says; bytes beyond `avail` are not looked at for the result.
 * Returns the length of the whole packet, header included, and stores the header's own length in *header_len; or
 * WIRE_MORE, or WIRE_BAD. Section 2.2.3 of 3.1.1, 2.1.4 and 1.5.5 of 5.0. */
static inline __attribute__((always_inline)) __s32 wire_header(const __u8 *b, __u32 avail, __u32 *header_len)
{
	__u32 remaining;

	if (avail < 2)
		return WIRE_MORE;
	remaining = b[1] & 0x7f;
	*header_len = 2;
	if (!(b[1] & 0x80))
		return (__s32)(remaining + 2);
	if (avail < 3)
		return WIRE_MORE;
	remaining |= (__u32)(b[2] & 0x7f) << 7;
	*header_len = 3;
	if (!(b[2] & 0x80))
		return (__s32)(remaining + 3);
	if (avail < 4)
		return WIRE_MORE;
	remaining |= (__u32)(b[3] & 0x7f) << 14;
	*header_len = 4;
	if (!(b[3] & 0x80))
		return (__s32)(remaining + 4);
	if (avail < 5)
		return WIRE_MORE;
	remaining |= (__u32)(b[4] & 0x7f) << 21;
	*header_len = 5;
	if (b[4] & 0x80)
		return WIRE_BAD;
	return (__s32)(remaining + 5);
}

/* Is a packet of this length, with a fixed header of this length, written the shortest way? Versions 3.1 and 3.1.1 allow more
 * length bytes than are needed; 5.0 does not [MQTT-1.5.5-1]. The daemon writes the shortest, so the kernel forwards no
 * other. */
static inline __attribute__((always_inline)) bool wire_shortest(__s32 total, __u32 header_len)
{
	__u32 remaining = (__u32)total - header_len;

	return header_len <= 2 || remaining >> (7 * (header_len - 2));
}

/* The length of a PUBLISH's topic, from the two bytes `t` behind its fixed header, in a packet whose Remaining Length is
 * `remaining`; 0 when it is empty or does not fit, which no valid PUBLISH of version 3 has. */
static inline __attribute__((always_inline)) __u32 wire_topic_len(const __u8 t[2], __u32 remaining)
{
	__u32 len = (__u32)t[0] << 8 | t[1];

	return remaining < 2 || len > remaining - 2 ? 0 : len;
}

#endif
