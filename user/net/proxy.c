// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/proxy.h"

#include <string.h>

#include "mqtt/utf8.h"

enum {
	PREAMBLE = 16, /* of version 2, up to the addresses */
	CRC_LEN = 4,
	TLV_HEADER = 3,
	SSL_HEADER = 5, /* of the value of PP2_TYPE_SSL, up to its own TLVs */
};

/* The second byte's halves, section 2.2. */
enum {
	COMMAND_LOCAL = 0,
	COMMAND_PROXY = 1,
	FAMILY_UNSPEC = 0,
	FAMILY_INET = 1,
	FAMILY_INET6 = 2,
	FAMILY_UNIX = 3,
	TRANSPORT_UNSPEC = 0,
	TRANSPORT_DGRAM = 2, /* the largest */
};

enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_SSL = 0x20,
	TLV_SSL_CN = 0x22,
};

enum {
	CLIENT_SSL = 0x01,
	CLIENT_CERT_CONN = 0x02,
	CLIENT_CERT_SESS = 0x04,
};

static const uint8_t signature[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const char no_header[] = "there is no PROXY header";

static enum proxy_result bad(struct proxy_header *h, const char *why)
{
	*h = (struct proxy_header){.why = why};
	return PROXY_BAD;
}

static enum proxy_result more(struct proxy_header *h, size_t need)
{
	*h = (struct proxy_header){.need = need};
	return PROXY_NEED_MORE;
}

static enum proxy_result done(struct proxy_header *h, uint8_t version, size_t len)
{
	h->version = version;
	h->consumed = len;
	return PROXY_DONE;
}

/* ---- version 1 -------------------------------------------------------------------------------------------------- */

/* Take a word off the line, and the one space behind it, which must be there unless it is the last word. */
static bool take_word(struct mqtt_str *line, bool last, struct mqtt_str *word)
{
	const uint8_t *space = line->len ? memchr(line->data, ' ', line->len) : NULL;

	if (last ? space != NULL : space == NULL)
		return false;
	*word = (struct mqtt_str){line->data, space ? (uint32_t)(space - line->data) : line->len};
	*line = (struct mqtt_str){line->data + word->len + !last, line->len - word->len - !last};
	return true;
}

/* A decimal number up to 65535 without leading zeros. */
static bool parse_port(struct mqtt_str text, uint16_t *port)
{
	uint32_t n = 0;

	if (!text.len || text.len > 5 || (text.len > 1 && text.data[0] == '0'))
		return false;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = 10 * n + (text.data[i] - '0');
	}
	*port = (uint16_t)n;
	return n <= UINT16_MAX;
}

/* Is it an address, and written in the form that was announced? */
static bool parse_address(struct mqtt_str text, bool ipv6, struct net_address *a)
{
	return text.len && (memchr(text.data, ':', text.len) != NULL) == ipv6 &&
	       net_address_parse((const char *)text.data, text.len, a);
}

/* The line after "PROXY ", without CRLF. */
static const char *parse_line(struct mqtt_str line, struct proxy_header *h)
{
	struct mqtt_str protocol, words[4];
	struct net_address dst;
	uint16_t port, dst_port;
	bool ipv6;

	/* What follows UNKNOWN is to be ignored. */
	if (mqtt_str_eq(line, mqtt_str("UNKNOWN")) || (line.len >= 8 && !memcmp(line.data, "UNKNOWN ", 8)))
		return NULL;
	if (!take_word(&line, false, &protocol))
		return "the PROXY line is malformed";
	ipv6 = mqtt_str_eq(protocol, mqtt_str("TCP6"));
	if (!ipv6 && !mqtt_str_eq(protocol, mqtt_str("TCP4")))
		return "the PROXY line has a protocol that is not known";
	for (int i = 0; i < 4; i++) {
		if (!take_word(&line, i == 3, &words[i]))
			return "the PROXY line is malformed";
	}
	if (!parse_address(words[0], ipv6, &h->address) || !parse_address(words[1], ipv6, &dst))
		return "the PROXY line has an address that is malformed";
	if (!parse_port(words[2], &port) || !parse_port(words[3], &dst_port))
		return "the PROXY line has a port that is malformed";
	net_address_name(&h->address, port, h->peer);
	return NULL;
}

/* Section 2.1. The first byte is right. */
static enum proxy_result parse_v1(const uint8_t *data, size_t len, struct proxy_header *h)
{
	static const char prefix[] = "PROXY ";
	const size_t prefix_len = sizeof(prefix) - 1;
	const char *why;
	size_t end = prefix_len;

	if (memcmp(data, prefix, len < prefix_len ? len : prefix_len) != 0)
		return bad(h, no_header);
	while (end < len && end < PROXY_V1_MAX && data[end] != '\r' && data[end] != '\n')
		end++;
	if (end + 1 >= PROXY_V1_MAX)
		return bad(h, "the PROXY line is too long");
	if (end >= len)
		return more(h, end + 2);
	if (data[end] == '\n' || (end + 1 < len && data[end + 1] != '\n'))
		return bad(h, "the PROXY line does not end in CRLF");
	if (end + 1 == len)
		return more(h, end + 2);
	why = parse_line((struct mqtt_str){data + prefix_len, (uint32_t)(end - prefix_len)}, h);
	return why ? bad(h, why) : done(h, 1, end + 2);
}

/* ---- version 2 -------------------------------------------------------------------------------------------------- */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* CRC32c (RFC 4960, appendix B) with four bytes at `hole` counting as zero. A bit at a time: it is once for a connection,
 * and few proxies send it. */
static uint32_t crc32c(const uint8_t *data, size_t len, size_t hole)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= i - hole < CRC_LEN ? 0 : data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* Take the first TLV off the text. False: it reaches beyond the end. */
static bool take_tlv(struct mqtt_str *text, uint8_t *type, struct mqtt_str *value)
{
	uint32_t len;

	if (text->len < TLV_HEADER)
		return false;
	*type = text->data[0];
	len = get16(text->data + 1);
	if (text->len - TLV_HEADER < len)
		return false;
	*value = (struct mqtt_str){text->data + TLV_HEADER, len};
	*text = (struct mqtt_str){value->data + len, text->len - TLV_HEADER - len};
	return true;
}

static const char tlv_overrun[] = "a TLV of the PROXY header reaches beyond its end";
static const char tlv_twice[] = "a TLV of the PROXY header is there twice";

/* Section 2.2.6. */
static const char *parse_ssl(struct mqtt_str value, struct proxy_header *h)
{
	struct mqtt_str sub, cn = {0};
	uint8_t client, type;

	if (value.len < SSL_HEADER)
		return "the TLS information of the PROXY header is too short";
	client = value.data[0];
	h->tls = client & CLIENT_SSL;
	h->certified = h->tls && client & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) && get32(value.data + 1) == 0;
	value = (struct mqtt_str){value.data + SSL_HEADER, value.len - SSL_HEADER};
	while (value.len) {
		if (!take_tlv(&value, &type, &sub))
			return tlv_overrun;
		if (type != TLV_SSL_CN)
			continue;
		if (cn.data)
			return tlv_twice;
		cn = sub;
	}
	if (!utf8_valid(cn.data, cn.len))
		return "the common name of the PROXY header is not UTF-8";
	/* Nobody is to take for a client's name what a client has made up. */
	if (h->certified)
		h->common_name = cn;
	return NULL;
}

/* The TLVs of the header data[0, len), which begin at `at`. Unknown ones are skipped. */
static const char *parse_tlvs(const uint8_t *data, size_t len, size_t at, struct proxy_header *h)
{
	struct mqtt_str text = {data + at, (uint32_t)(len - at)}, value;
	bool seen[TLV_SSL + 1] = {false};
	const char *why = NULL;
	uint8_t type;

	while (text.len && !why) {
		if (!take_tlv(&text, &type, &value))
			return tlv_overrun;
		if (type != TLV_ALPN && type != TLV_AUTHORITY && type != TLV_CRC32C && type != TLV_SSL)
			continue;
		/* One that another hides might be meant for somebody who reads the other. */
		if (seen[type])
			return tlv_twice;
		seen[type] = true;
		if (type == TLV_ALPN)
			h->alpn = value;
		else if (type == TLV_AUTHORITY && !utf8_valid(value.data, value.len))
			why = "the authority of the PROXY header is not UTF-8";
		else if (type == TLV_AUTHORITY)
			h->authority = value;
		else if (type == TLV_SSL)
			why = parse_ssl(value, h);
		else if (value.len != CRC_LEN || crc32c(data, len, (size_t)(value.data - data)) != get32(value.data))
			why = "the checksum of the PROXY header is wrong";
	}
	return why;
}

/* The addresses; *used gets how many bytes they take. */
static const char *parse_addresses(uint8_t family, const uint8_t *p, size_t len, struct proxy_header *h, size_t *used)
{
	static const uint8_t lens[] = {
		[FAMILY_UNSPEC] = 0, [FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216};
	uint16_t port = 0;

	*used = lens[family];
	if (len < *used)
		return "the PROXY header is too short for its addresses";
	switch (family) {
	case FAMILY_INET:
		h->address = net_address_ipv4(p);
		port = get16(p + 8);
		break;
	case FAMILY_INET6:
		h->address = net_address_ipv6(p);
		port = get16(p + 32);
		break;
	case FAMILY_UNIX:
		h->address.family = AF_UNIX;
		break;
	}
	net_address_name(&h->address, port, h->peer);
	return NULL;
}

/* A header that is whole. */
static const char *parse_block(const uint8_t *data, size_t len, struct proxy_header *h)
{
	uint8_t family = data[13] >> 4, transport = data[13] & 0x0f;
	const char *why;
	size_t used;

	if ((data[12] & 0x0f) == COMMAND_LOCAL) {
		h->local = true; /* the rest is to be discarded, whatever it is */
		return NULL;
	}
	if (family > FAMILY_UNIX || transport > TRANSPORT_DGRAM)
		return "the PROXY header has a family that is not known";
	why = parse_addresses(family, data + PREAMBLE, len - PREAMBLE, h, &used);
	if (why)
		return why;
	if (transport == TRANSPORT_UNSPEC) { /* addresses are there, but are to be ignored */
		h->address = (struct net_address){.family = AF_UNSPEC};
		h->peer[0] = '\0';
	}
	return parse_tlvs(data, len, PREAMBLE + used, h);
}

/* Section 2.2. The first byte is right. */
static enum proxy_result parse_v2(const uint8_t *data, size_t len, struct proxy_header *h)
{
	const char *why;
	size_t total;

	if (memcmp(data, signature, len < sizeof(signature) ? len : sizeof(signature)) != 0)
		return bad(h, no_header);
	if (len > sizeof(signature) && data[12] >> 4 != 2)
		return bad(h, "the PROXY header has a version that is not known");
	if (len > sizeof(signature) && (data[12] & 0x0f) > COMMAND_PROXY)
		return bad(h, "the PROXY header has a command that is not known");
	if (len < PREAMBLE)
		return more(h, PREAMBLE);
	total = PREAMBLE + (size_t)get16(data + 14);
	if (total > PROXY_HEADER_MAX)
		return bad(h, "the PROXY header is too long");
	if (len < total)
		return more(h, total);
	why = parse_block(data, total, h);
	return why ? bad(h, why) : done(h, 2, total);
}

enum proxy_result proxy_parse(const uint8_t *data, size_t len, struct proxy_header *h)
{
	*h = (struct proxy_header){.address = {.family = AF_UNSPEC}};
	if (!len)
		return more(h, 8); /* the least that tells which version it is, section 2.2 */
	if (data[0] == 'P')
		return parse_v1(data, len, h);
	if (data[0] == signature[0])
		return parse_v2(data, len, h);
	return bad(h, no_header);
}
