// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* UTF-8 strings, section 1.5.3. */
#include "mqtt/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_model.h"

/* Length of the character at `p`, its code in *out, or 0 if there is none: by its bits, as RFC 3629 describes them. */
static size_t naive_code(const uint8_t *p, size_t left, uint32_t *out)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t code = len == 1 ? p[0] : p[0] & (0x7f >> len);

	if (!len || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	*out = code;
	return code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : len;
}

/* The same if MQTT allows it. */
static size_t naive_character(const uint8_t *p, size_t left)
{
	uint32_t code = 0;
	size_t len = naive_code(p, left, &code);

	if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) /* control characters */
		return 0;
	if ((code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe) /* non-characters */
		return 0;
	return len;
}

static bool naive_valid(const uint8_t *p, size_t left)
{
	size_t len;

	for (; left; p += len, left -= len) {
		len = naive_character(p, left);
		if (!len)
			return false;
	}
	return true;
}

static bool naive_well_formed(const uint8_t *p, size_t left)
{
	uint32_t code;
	size_t len;

	for (; left; p += len, left -= len) {
		len = naive_code(p, left, &code);
		if (!len)
			return false;
	}
	return true;
}

static void check(const uint8_t *p, size_t len)
{
	if (utf8_valid(p, len) != naive_valid(p, len) || utf8_well_formed(p, len) != naive_well_formed(p, len))
		fail_msg("%zu bytes %02x %02x %02x %02x", len, p[0], p[1], p[2], p[3]);
}

/* [MQTT-1.5.3-1] [MQTT-1.5.3-2]: every sequence of up to three bytes. */
static void every_short_sequence(void **state)
{
	uint8_t b[4] = {0};

	(void)state;
	for (uint32_t i = 0; i < 1 << 24; i++) {
		b[0] = (uint8_t)(i >> 16);
		b[1] = (uint8_t)(i >> 8);
		b[2] = (uint8_t)i;
		if ((i & 0xffff) == 0)
			check(b, 1);
		if ((i & 0xff) == 0)
			check(b, 2);
		check(b, 3);
	}
}

/* Four bytes: every first and second one, and the edges of the others. */
static void four_bytes(void **state)
{
	static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xff};
	const size_t n = sizeof(edges);
	uint8_t b[4];

	(void)state;
	for (uint32_t i = 0; i < 1 << 16; i++) {
		b[0] = (uint8_t)(i >> 8);
		b[1] = (uint8_t)i;
		for (size_t j = 0; j < n * n; j++) {
			b[2] = edges[j / n];
			b[3] = edges[j % n];
			check(b, 4);
		}
	}
}

/* A bad byte is found, and a good character accepted, at every place in and around the words of eight ASCII bytes, and
 * nothing is read behind the end. */
static void at_every_place(void **state)
{
	static const char *const pieces[] = {"\xc3\xa4",     "\xe2\x82\xac", "\xf0\x9f\x90\x9d",
					     "\xef\xbb\xbf", "\xef\xbf\xbf", "\x01",
					     "\x7f",	     "\x80",	     "\xff",
					     "\xed\xa0\x80", "\xc0\x80",     "\xc3",
					     "\xe2\x82",     "\xf0\x9f\x90"};
	uint8_t text[40], *exact;

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		for (size_t len = strlen(pieces[i]); len <= sizeof(text); len++) {
			for (size_t at = 0; at + strlen(pieces[i]) <= len; at++) {
				memset(text, 'x', sizeof(text));
				memcpy(text + at, pieces[i], strlen(pieces[i]));
				exact = exact_copy(text, len);
				assert_int_equal(utf8_valid(exact, len), naive_valid(exact, len));
				exact[at] = 0;
				assert_false(utf8_valid(exact, len));
				free(exact);
			}
		}
	}
}

/* Append a random valid character to `text`; returns its length. */
static size_t put_character(uint64_t *rng, uint8_t *text)
{
	uint32_t bytes;
	size_t len;

	do {
		bytes = rng_next(rng);
		memcpy(text, &bytes, sizeof(bytes));
		len = naive_character(text, sizeof(bytes));
	} while (!len);
	return len;
}

/* Random bytes are nearly never valid, so take random characters and change one byte. */
static void random_texts(void **state)
{
	uint64_t seed = 20260131, rng = seed;
	uint8_t text[64];
	size_t len;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 200000; round++) {
		len = 0;
		for (uint32_t chars = rng_below(&rng, 16); chars; chars--)
			len += put_character(&rng, text + len);
		assert_true(utf8_valid(text, len));
		if (!len)
			continue;
		text[rng_below(&rng, (uint32_t)len)] = (uint8_t)rng_next(&rng);
		assert_int_equal(utf8_valid(text, len), naive_valid(text, len));
	}
}

static void empty(void **state)
{
	(void)state;
	assert_true(utf8_valid(NULL, 0));
	assert_true(utf8_well_formed(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_sequence), cmocka_unit_test(four_bytes), cmocka_unit_test(at_every_place),
		cmocka_unit_test(random_texts),		cmocka_unit_test(empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
