// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Base64: what is written, and that nothing else is read. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_model.h"

/* Section 10 of RFC 4648, and the last two characters of the alphabet. */
static const struct {
	const char *bytes, *text;
} vectors[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xff\xbf", "+/+/"},
};

static void test_vectors(void **state)
{
	uint8_t bytes[16];
	char text[16];

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t len = strlen(vectors[i].bytes);

		assert_int_equal(base64_encode(text, vectors[i].bytes, len), BASE64_LEN(len));
		assert_string_equal(text, vectors[i].text);
		assert_int_equal(base64_decode(bytes, sizeof(bytes), text, strlen(text)), len);
		assert_memory_equal(bytes, vectors[i].bytes, len);
	}
}

static void test_round_trip(void **state)
{
	uint64_t rng = 4648;
	uint8_t bytes[256] = {0}, back[256];
	char text[BASE64_LEN(sizeof(bytes)) + 1];

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rng_next(&rng);
		assert_int_equal(base64_encode(text, bytes, len), BASE64_LEN(len));
		assert_int_equal(base64_decode(back, len, text, BASE64_LEN(len)), len);
		assert_memory_equal(back, bytes, len);
		if (len)
			assert_int_equal(base64_decode(back, len - 1, text, BASE64_LEN(len)), -1);
	}
}

/* Any four characters that are read are what would be written for the bytes. */
static void test_one_form_only(void **state)
{
	static const char characters[] = "Aa09+/=-_ \n\x80zQgwB";
	char text[5] = "", again[5];
	uint8_t bytes[3];
	ssize_t len;

	(void)state;
	for (size_t i = 0; i < 17 * 17 * 17 * 17; i++) {
		for (size_t k = 0, n = i; k < 4; k++, n /= 17)
			text[k] = characters[n % 17];
		len = base64_decode(bytes, sizeof(bytes), text, 4);
		if (len < 0)
			continue;
		base64_encode(again, bytes, (size_t)len);
		assert_string_equal(again, text);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"Z",	"Zg",	    "Zg=",	"Zg===",  "Z===",  "====", "=g==", "Zg=v",    "Zh==",
		"Zm9=", "Zg==Zg==", "Zm8=Zm9v", "Zm9v\n", "Zm9\n", " m9v", "Zm-_", "Zm9\xc3",
	};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(base64_decode(bytes, sizeof(bytes), texts[i], strlen(texts[i])), -1);
	assert_int_equal(base64_decode(bytes, sizeof(bytes), "Zm9\0", 4), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_one_form_only),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
