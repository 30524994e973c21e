// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The PROXY protocol, versions 1 and 2: HAProxy's doc/proxy-protocol.txt, whose sections are cited. */
#include "net/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_hex.h"
#include "proxy_splits.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a "
#define V4 "c0000201 c6336402 dc04 01bb " /* 192.0.2.1:56324 to 198.51.100.2:443 */
#define V6 "20010db8000000000000000000000001 20010db8000000000000000000000002 dc04 01bb "

static struct proxy_header h;

/* Parse, and see that it is the same for every part of the bytes. */
static enum proxy_result parse(const void *data, size_t len)
{
	const char *wrong = check_proxy(data, len);

	if (wrong)
		fail_msg("%s", wrong);
	return proxy_parse(data, len, &h);
}

static enum proxy_result parse_text(const char *text)
{
	return parse(text, strlen(text));
}

/* A header of version 2 from its bytes after the signature; the two length bytes are not written. */
static struct hex header(const char *text)
{
	struct hex head = hex_parse(SIGNATURE), rest = hex_parse(text);

	hex_put(&head, rest.bytes[0]);
	hex_put(&head, rest.bytes[1]);
	hex_put(&head, (uint8_t)((rest.len - 2) >> 8));
	hex_put(&head, (uint8_t)(rest.len - 2));
	for (size_t i = 2; i < rest.len; i++)
		hex_put(&head, rest.bytes[i]);
	return head;
}

static enum proxy_result parse_hex(const char *text)
{
	static struct hex bytes; /* which `h` points into */

	bytes = header(text);
	return parse(bytes.bytes, bytes.len);
}

static void assert_bad(enum proxy_result result, const char *why)
{
	assert_int_equal(result, PROXY_BAD);
	assert_string_equal(h.why, why);
	assert_string_equal(h.peer, "");
	assert_int_equal(h.address.family, AF_UNSPEC);
}

static void assert_text(struct mqtt_str text, const char *want)
{
	assert_true(mqtt_str_eq(text, mqtt_str(want)));
}

/* ---- version 1, section 2.1 -------------------------------------------------------------------------------------- */

static void test_v1(void **state)
{
	static const struct {
		const char *text, *peer;
		int family;
	} cases[] = {
		{"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", AF_INET},
		{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", AF_INET},
		{"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", AF_INET},
		{"PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 1 2\r\n", "2001:db8::1:1", AF_INET6},
		{"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
		 "65535\r\n",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535", AF_INET6},
		{"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1", AF_INET},
		{"PROXY UNKNOWN\r\n", "", AF_UNSPEC},
		{"PROXY UNKNOWN \r\n", "", AF_UNSPEC},
		{"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
		 "65535\r\n",
		 "", AF_UNSPEC}, /* the longest there is */
		{"PROXY UNKNOWN what ever\r\n", "", AF_UNSPEC},
	};
	char text[2 * PROXY_V1_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse_text(cases[i].text), PROXY_DONE);
		assert_int_equal(h.version, 1);
		assert_int_equal(h.consumed, strlen(cases[i].text));
		assert_string_equal(h.peer, cases[i].peer);
		assert_int_equal(h.address.family, cases[i].family);
		assert_false(h.local || h.tls || h.certified);
		/* What follows is the client's. */
		snprintf(text, sizeof(text), "%s\r\nPROXY ", cases[i].text);
		assert_int_equal(parse_text(text), PROXY_DONE);
		assert_int_equal(h.consumed, strlen(cases[i].text));
	}
}

static void test_v1_bad(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line has a protocol that is not known"},
		{"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line has a protocol that is not known"},
		{"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line has a protocol that is not known"},
		{"PROXY UNKNOWNX 1\r\n", "the PROXY line has a protocol that is not known"},
		{"PROXY unknown\r\n", "the PROXY line is malformed"},
		{"PROXY \r\n", "the PROXY line is malformed"},
		{"PROXY TCP4\r\n", "the PROXY line is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "the PROXY line is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "the PROXY line is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "the PROXY line is malformed"},
		{"PROXY TCP4 1.2.3.4  1.2.3.4 1\r\n", "the PROXY line has an address that is malformed"},
		{"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "the PROXY line has an address that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.04 1 2\r\n", "the PROXY line has an address that is malformed"},
		{"PROXY TCP4 ::1 1.2.3.4 1 2\r\n", "the PROXY line has an address that is malformed"},
		{"PROXY TCP6 ::1 1.2.3.4 1 2\r\n", "the PROXY line has an address that is malformed"},
		{"PROXY TCP6 ::1%lo ::1 1 2\r\n", "the PROXY line has an address that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "the PROXY line has a port that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n", "the PROXY line has a port that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "the PROXY line has a port that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", "the PROXY line has a port that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n", "the PROXY line has a port that is malformed"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "the PROXY line does not end in CRLF"},
		{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", "the PROXY line does not end in CRLF"},
		{"PROXY UNKNOWN\r", NULL},
		{"PROXY UNKNOWN", NULL},
		{"PROXYTCP4", "there is no PROXY header"},
		{"proxy TCP4", "there is no PROXY header"},
		{"PUT / HTTP/1.1\r\n", "there is no PROXY header"},
		{"GET / HTTP/1.1\r\n", "there is no PROXY header"},
		{"\x10\x0c", "there is no PROXY header"},     /* a CONNECT */
		{"\x16\x03\x01", "there is no PROXY header"}, /* TLS */
		{"", NULL},
		{"P", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum proxy_result result = parse_text(cases[i].text);

		if (cases[i].why)
			assert_bad(result, cases[i].why);
		else
			assert_int_equal(result, PROXY_NEED_MORE);
	}
}

/* CRLF is in the first 107 bytes or nowhere. */
static void test_v1_longest(void **state)
{
	char text[256];

	(void)state;
	for (int len = 90; len < 120; len++) {
		snprintf(text, sizeof(text), "PROXY UNKNOWN %0*d\r\n", len - 16, 0);
		assert_int_equal(strlen(text), len);
		if (len <= PROXY_V1_MAX) {
			assert_int_equal(parse_text(text), PROXY_DONE);
			assert_int_equal(h.consumed, len);
		} else {
			assert_bad(parse_text(text), "the PROXY line is too long");
		}
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "PROXY ", 6);
	assert_int_equal(proxy_parse((const uint8_t *)text, PROXY_V1_MAX - 2, &h), PROXY_NEED_MORE);
	assert_int_equal(h.need, PROXY_V1_MAX);
	assert_bad(parse(text, PROXY_V1_MAX - 1), "the PROXY line is too long");
}

/* ---- version 2, section 2.2 -------------------------------------------------------------------------------------- */

static void test_v2(void **state)
{
	static const char path[] = "2f72756e2f78";
	char text[HEX_MAX];

	(void)state;
	assert_int_equal(parse_hex("21 11" V4), PROXY_DONE);
	assert_int_equal(h.version, 2);
	assert_int_equal(h.consumed, 28);
	assert_string_equal(h.peer, "192.0.2.1:56324");
	assert_false(h.local || h.tls || h.certified);
	assert_text(h.alpn, "");
	assert_int_equal(parse_hex("21 21" V6), PROXY_DONE);
	assert_string_equal(h.peer, "2001:db8::1:56324");
	assert_int_equal(h.address.family, AF_INET6);
	/* Clients of IPv4, by a socket for both. */
	assert_int_equal(parse_hex("21 21 00000000000000000000ffffc0000201 00000000000000000000ffffc0000202 0001 0002"),
			 PROXY_DONE);
	assert_string_equal(h.peer, "192.0.2.1:1");
	/* Datagrams have the same addresses. */
	assert_int_equal(parse_hex("21 12" V4), PROXY_DONE);
	assert_string_equal(h.peer, "192.0.2.1:56324");
	assert_int_equal(parse_hex("21 22" V6), PROXY_DONE);
	snprintf(text, sizeof(text), "21 31 %s%0*d%s%0*d", path, 216 - 12, 0, path, 216 - 12, 0);
	assert_int_equal(parse_hex(text), PROXY_DONE);
	assert_string_equal(h.peer, "unix:0");
	assert_int_equal(h.address.family, AF_UNIX);
}

/* The real peer counts, whatever stands there; and a LOCAL's block is discarded, malformed or not. */
static void test_v2_not_told(void **state)
{
	static const char *const local[] = {
		"20 00", "20 11" V4, "20 11 01", "20 ff 0102", "20 11" V4 "03 0004 00000000", "20 11" V4 "02 ffff"};
	static const char *const unknown[] = {"21 00", "21 10" V4, "21 20" V6, "21 01", "21 02"};

	(void)state;
	for (size_t i = 0; i < COUNT(local); i++) {
		assert_int_equal(parse_hex(local[i]), PROXY_DONE);
		assert_true(h.local);
		assert_string_equal(h.peer, "");
		assert_int_equal(h.address.family, AF_UNSPEC);
		assert_text(h.authority, "");
	}
	for (size_t i = 0; i < COUNT(unknown); i++) {
		assert_int_equal(parse_hex(unknown[i]), PROXY_DONE);
		assert_false(h.local);
		assert_string_equal(h.peer, "");
		assert_int_equal(h.address.family, AF_UNSPEC);
	}
	/* Its TLVs are told nevertheless. */
	assert_int_equal(parse_hex("21 00 02 0001 'a'"), PROXY_DONE);
	assert_text(h.authority, "a");
}

static void test_v2_bad(void **state)
{
	static const struct {
		const char *hex, *why;
	} cases[] = {
		{"11 11" V4, "the PROXY header has a version that is not known"},
		{"31 11" V4, "the PROXY header has a version that is not known"},
		{"22 11" V4, "the PROXY header has a command that is not known"},
		{"2f 11" V4, "the PROXY header has a command that is not known"},
		{"21 41" V4, "the PROXY header has a family that is not known"},
		{"21 f0" V4, "the PROXY header has a family that is not known"},
		{"21 13" V4, "the PROXY header has a family that is not known"},
		{"21 1f" V4, "the PROXY header has a family that is not known"},
		{"21 11", "the PROXY header is too short for its addresses"},
		{"21 11 c0000201 c6336402 dc04 01", "the PROXY header is too short for its addresses"},
		{"21 21" V4, "the PROXY header is too short for its addresses"},
		{"21 31" V4, "the PROXY header is too short for its addresses"},
	};
	static const char *const not_the_signature[] = {"0d0a0d0a000d0a515549540b 21", "0d0a0d0a0d", "0d0a'GET'", "0d"};
	struct hex bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_bad(parse_hex(cases[i].hex), cases[i].why);
	for (size_t i = 0; i < COUNT(not_the_signature); i++) {
		bytes = hex_parse(not_the_signature[i]);
		if (bytes.len == 1)
			assert_int_equal(parse(bytes.bytes, bytes.len), PROXY_NEED_MORE);
		else
			assert_bad(parse(bytes.bytes, bytes.len), "there is no PROXY header");
	}
}

/* Every length, and one more than is read. */
static void test_v2_longest(void **state)
{
	static uint8_t bytes[16 + UINT16_MAX];
	struct hex head = header("21 00");
	size_t rest;

	(void)state;
	memcpy(bytes, head.bytes, head.len);
	for (size_t len = PROXY_HEADER_MAX - 2; len < PROXY_HEADER_MAX + 3; len++) {
		rest = len - 16;
		bytes[14] = (uint8_t)(rest >> 8);
		bytes[15] = (uint8_t)rest;
		bytes[16] = 4; /* NOOP, section 2.2.4 */
		bytes[17] = (uint8_t)((rest - 3) >> 8);
		bytes[18] = (uint8_t)(rest - 3);
		if (len <= PROXY_HEADER_MAX) {
			assert_int_equal(proxy_parse(bytes, 16, &h), PROXY_NEED_MORE);
			assert_int_equal(h.need, len);
			assert_int_equal(proxy_parse(bytes, len - 1, &h), PROXY_NEED_MORE);
			assert_int_equal(proxy_parse(bytes, len, &h), PROXY_DONE);
			assert_int_equal(h.consumed, len);
		} else {
			assert_int_equal(proxy_parse(bytes, 16, &h), PROXY_BAD);
			assert_string_equal(h.why, "the PROXY header is too long");
		}
	}
}

/* Sections 2.2.1, 2.2.2, 2.2.4, 2.2.5, 2.2.7, 2.2.8: what is not known is skipped. */
static void test_tlvs(void **state)
{
	(void)state;
	assert_int_equal(parse_hex("21 11" V4
				   "04 0003 000000 01 0004 'mqtt' 05 0002 0102 02 000b 'example.org' 30 0001 'n' "
				   "e0 0000 ff 0001 00"),
			 PROXY_DONE);
	assert_text(h.alpn, "mqtt");
	assert_text(h.authority, "example.org");
	assert_false(h.tls);
	assert_int_equal(parse_hex("21 11" V4 "02 0000 01 0000"), PROXY_DONE);
	assert_text(h.authority, "");
	assert_int_equal(parse_hex("21 11" V4 "02 0003 e282ac 04 0000 04 0000"), PROXY_DONE);
	assert_text(h.authority, "\xe2\x82\xac");
}

static void test_bad_tlvs(void **state)
{
	static const char overrun[] = "a TLV of the PROXY header reaches beyond its end";
	static const char twice[] = "a TLV of the PROXY header is there twice";
	static const struct {
		const char *hex, *why;
	} cases[] = {
		{"21 11" V4 "04", overrun},
		{"21 11" V4 "04 00", overrun},
		{"21 11" V4 "04 0001", overrun},
		{"21 11" V4 "02 ffff 00", overrun},
		{"21 11" V4 "04 0000 02 0002 61", overrun},
		{"21 00 00", overrun},
		{"21 11" V4 "02 0001 'a' 02 0001 'b'", twice},
		{"21 11" V4 "01 0001 'a' 01 0001 'a'", twice},
		{"21 11" V4 "20 0005 01 00000000 20 0005 01 00000000", twice},
		{"21 11" V4 "02 0001 ff", "the authority of the PROXY header is not UTF-8"},
		{"21 11" V4 "02 0001 00", "the authority of the PROXY header is not UTF-8"},
		{"21 11" V4 "20 0004 01 000000", "the TLS information of the PROXY header is too short"},
		{"21 11" V4 "20 0000", "the TLS information of the PROXY header is too short"},
		{"21 11" V4 "20 0006 01 00000000 22", overrun},
		{"21 11" V4 "20 0009 01 00000000 22 0002 61 04 0000", overrun}, /* into the TLV behind it */
		{"21 11" V4 "20 000d 03 00000000 22 0001 'a' 22 0001 'b'", twice},
		{"21 11" V4 "20 0009 03 00000000 22 0001 80", "the common name of the PROXY header is not UTF-8"},
		{"21 11" V4 "20 0009 03 00000000 22 0001 00", "the common name of the PROXY header is not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_bad(parse_hex(cases[i].hex), cases[i].why);
}

/* Section 2.2.6: only a certificate that was given and verified makes a name. */
static void test_tls(void **state)
{
	static const struct {
		const char *client_verify;
		bool tls, certified;
	} cases[] = {
		{"00 00000000", false, false}, {"01 00000000", true, false},  {"01 00000001", true, false},
		{"03 00000000", true, true},   {"05 00000000", true, true},   {"07 00000000", true, true},
		{"03 00000001", true, false},  {"07 80000000", true, false},  {"02 00000000", false, false},
		{"06 00000000", false, false}, {"f8 00000000", false, false}, {"fb 00000000", true, true},
	};
	char text[HEX_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "21 11" V4 "20 001a %s 21 0007 'TLSv1.3' 22 0005 'alice' 25 0000",
			 cases[i].client_verify);
		assert_int_equal(parse_hex(text), PROXY_DONE);
		assert_int_equal(h.tls, cases[i].tls);
		assert_int_equal(h.certified, cases[i].certified);
		assert_text(h.common_name, cases[i].certified ? "alice" : "");
	}
	assert_int_equal(parse_hex("21 11" V4 "20 0005 03 00000000"), PROXY_DONE);
	assert_true(h.certified);
	assert_text(h.common_name, "");
}

/* A checksum by the definition of RFC 4960, appendix B: the remainder of a division of polynomials, highest power first,
 * with the bits of each byte and of the result mirrored. */
static uint32_t naive_crc32c(const uint8_t *data, size_t len)
{
	uint32_t remainder = UINT32_MAX, mirrored = 0;

	for (size_t i = 0; i < 8 * len; i++) {
		uint32_t bit = data[i / 8] >> i % 8 & 1;
		bool subtract = (remainder >> 31 ^ bit) & 1;

		remainder <<= 1;
		if (subtract)
			remainder ^= 0x1edc6f41;
	}
	for (int bit = 0; bit < 32; bit++)
		mirrored |= (remainder >> bit & 1) << (31 - bit);
	return ~mirrored;
}

/* Section 2.2.3. */
static void test_checksum(void **state)
{
	struct hex bytes = header("21 11" V4 "02 0001 'a' 03 0004 00000000 04 0001 ff");
	const size_t at = 16 + 12 + 4 + 3;
	uint32_t crc;

	(void)state;
	assert_int_equal(naive_crc32c((const uint8_t *)"123456789", 9), 0xe3069283); /* the usual check */
	crc = naive_crc32c(bytes.bytes, bytes.len);
	for (int i = 0; i < 4; i++)
		bytes.bytes[at + i] = (uint8_t)(crc >> (24 - 8 * i));
	assert_int_equal(parse(bytes.bytes, bytes.len), PROXY_DONE);
	assert_text(h.authority, "a");
	/* Any bit of the header is protected: another one makes it wrong in this or in another way. */
	for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
		bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (proxy_parse(bytes.bytes, bytes.len, &h) == PROXY_DONE) {
			/* But that there is a checksum, and that the proxy speaks for somebody, is said by one bit each. */
			assert_true(bit == 12 * 8 || bit / 8 == at - 3);
		}
		bytes.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_bad(parse_hex("21 11" V4 "03 0004 00000000"), "the checksum of the PROXY header is wrong");
	assert_bad(parse_hex("21 11" V4 "03 0003 000000"), "the checksum of the PROXY header is wrong");
	assert_bad(parse_hex("21 11" V4 "03 0005 0000000000"), "the checksum of the PROXY header is wrong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),	    cmocka_unit_test(test_v1_bad),
		cmocka_unit_test(test_v1_longest),  cmocka_unit_test(test_v2),
		cmocka_unit_test(test_v2_not_told), cmocka_unit_test(test_v2_bad),
		cmocka_unit_test(test_v2_longest),  cmocka_unit_test(test_tlvs),
		cmocka_unit_test(test_bad_tlvs),    cmocka_unit_test(test_tls),
		cmocka_unit_test(test_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
