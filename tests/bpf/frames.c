// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "frames.h"

#include <string.h>

enum { ETHERNET = 14, TAG = 4, IPV4 = 20, IPV6 = 40, TCP = 20, UDP = 8, NEXT_TCP = 6, NEXT_UDP = 17, HOP_BY_HOP = 255 };
enum { FRAGMENT_HEADER = 44, AUTHENTICATION = 51 };

static void put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void put32(uint8_t *to, uint32_t v)
{
	put16(to, v >> 16);
	put16(to + 2, v);
}

static uint32_t sum_of(const uint8_t *b, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* With the pseudo header: 0xffff when the checksum in it is right. */
static uint32_t transport_sum(const uint8_t *ip, size_t transport, size_t len)
{
	bool ipv6 = ip[0] >> 4 == 6;
	uint32_t sum = (uint32_t)(len - transport) + NEXT_TCP;

	sum = ipv6 ? sum_of(ip + 8, 32, sum) : sum_of(ip + 12, 8, sum);
	return sum_of(ip + transport, len - transport, sum);
}

bool frame_checksums(const uint8_t *ip, size_t transport, size_t len)
{
	if (ip[0] >> 4 == 4 && sum_of(ip, (size_t)(ip[0] & 15) * 4, 0) != 0xffff)
		return false;
	return transport_sum(ip, transport, len) == 0xffff;
}

size_t frame_ip(const struct frame *f)
{
	return ETHERNET + f->vlans * TAG;
}

static size_t extensions_len(const struct frame *f)
{
	size_t len = f->ipv6 && f->fragment ? 8 : 0;

	for (const uint8_t *e = f->extensions; f->ipv6 && e && *e; e++)
		len += *e == FRAGMENT_HEADER ? 8 : f->extension_len;
	return len;
}

size_t frame_transport(const struct frame *f)
{
	return frame_ip(f) + (f->ipv6 ? IPV6 + extensions_len(f) : IPV4 + f->ip_options);
}

static uint8_t type_of(uint8_t extension)
{
	return extension == HOP_BY_HOP ? 0 : extension;
}

/* The headers between IPv6's and the transport's; *first is the type of the first one. */
static void write_extensions(const struct frame *f, uint8_t *to, uint8_t *first)
{
	uint8_t *next = first;

	for (const uint8_t *e = f->extensions; e && *e; e++) {
		size_t len = *e == FRAGMENT_HEADER ? 8 : f->extension_len;

		*next = type_of(*e);
		next = to;
		if (*e == AUTHENTICATION)
			to[1] = (uint8_t)(len / 4 - 2);
		else if (*e != FRAGMENT_HEADER)
			to[1] = (uint8_t)(len / 8 - 1);
		to += len;
	}
	if (f->fragment) {
		*next = FRAGMENT_HEADER;
		next = to;
		put16(to + 2, (uint32_t)f->fragment_offset << 3 | 1);
	}
	*next = f->udp ? NEXT_UDP : NEXT_TCP;
}

static void write_ip(const struct frame *f, uint8_t *ip, size_t behind)
{
	if (f->ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, (uint32_t)(extensions_len(f) + behind));
		ip[7] = 64;
		memcpy(ip + 8, f->source, 16);
		memcpy(ip + 24, f->destination, 16);
		write_extensions(f, ip + IPV6, ip + 6);
		return;
	}
	ip[0] = (uint8_t)(0x45 + f->ip_options / 4);
	put16(ip + 2, (uint32_t)(IPV4 + f->ip_options + behind));
	put16(ip + 6, f->fragment_offset | (f->fragment ? 0x2000U : 0));
	ip[8] = 64;
	ip[9] = f->udp ? NEXT_UDP : NEXT_TCP;
	memcpy(ip + 12, f->source, 4);
	memcpy(ip + 16, f->destination, 4);
	memset(ip + IPV4, 1, f->ip_options); /* no operation */
	put16(ip + 10, ~sum_of(ip, IPV4 + f->ip_options, 0));
}

size_t frame_write(const struct frame *f, uint8_t to[FRAME_MAX])
{
	size_t header = f->udp ? UDP : TCP + f->tcp_options, at = frame_transport(f);
	uint8_t *ip = to + frame_ip(f), *transport = to + at;

	memset(to, 0, FRAME_MAX);
	memset(to, 2, 12);
	for (unsigned i = 0; i < f->vlans; i++)
		put16(to + 12 + (size_t)i * TAG, i + 1 < f->vlans ? 0x88a8 : 0x8100);
	put16(ip - 2, f->ipv6 ? 0x86dd : 0x0800);
	write_ip(f, ip, header + f->len);
	put16(transport, f->source_port);
	put16(transport + 2, f->destination_port);
	if (f->udp) {
		put16(transport + 4, (uint32_t)(header + f->len));
	} else {
		put32(transport + 4, f->seq);
		put32(transport + 8, f->flags & FRAME_ACK ? 0x01020304 : 0);
		transport[12] = (uint8_t)((TCP + f->tcp_options) / 4 << 4);
		transport[13] = (uint8_t)f->flags;
		put16(transport + 14, 0xffff);
		memset(transport + TCP, 1, f->tcp_options);
	}
	if (f->len)
		memcpy(transport + header, f->data, f->len);
	if (!f->udp)
		put16(transport + 16,
		      ~transport_sum(ip, (size_t)(transport - ip), (size_t)(transport - ip) + header + f->len));
	return at + header + f->len + f->padding;
}
