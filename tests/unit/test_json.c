// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The JSON writer: what it writes, a parser of somebody else's reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "admin/json.h"

static void assert_text(struct json *j, const char *want)
{
	size_t len = 0;
	char *text = json_end(j, &len);

	assert_non_null(text);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}

static void test_structure(void **state)
{
	struct json j = {0};

	(void)state;
	json_open_object(&j, NULL);
	json_open_object(&j, "empty");
	json_close_object(&j);
	json_open_array(&j, "list");
	json_uint(&j, NULL, 0);
	json_uint(&j, NULL, UINT64_MAX);
	json_open_object(&j, NULL);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_close_object(&j);
	json_string(&j, NULL, "");
	json_open_array(&j, NULL);
	json_close_array(&j);
	json_close_array(&j);
	json_string(&j, "s", "t");
	json_close_object(&j);
	assert_text(&j,
		    "{\"empty\":{},\"list\":[0,18446744073709551615,{\"yes\":true,\"no\":false},\"\",[]],\"s\":\"t\"}");
	/* empty again */
	json_uint(&j, NULL, 7);
	assert_text(&j, "7");
}

/* A string that ends with what would open an object must not swallow the comma. */
static void test_comma_after_string(void **state)
{
	struct json j = {0};

	(void)state;
	json_open_array(&j, NULL);
	json_string(&j, NULL, "{");
	json_string(&j, NULL, "[");
	json_uint(&j, NULL, 1);
	json_close_array(&j);
	assert_text(&j, "[\"{\",\"[\",1]");
}

static void test_strings(void **state)
{
	static const char *const same[] = {"a\"b\\c/d", "\x01\x1f\x7f\n\r\t\b\f",
					   "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9d", "", "{[,:]}"};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct json j = {0};
		size_t len;
		char *text;
		cJSON *parsed;

		json_string(&j, NULL, same[i]);
		text = json_end(&j, &len);
		assert_non_null(text);
		assert_null(strchr(text, '\n'));
		parsed = cJSON_Parse(text);
		assert_non_null(parsed);
		assert_string_equal(parsed->valuestring, same[i]);
		cJSON_Delete(parsed);
		free(text);
	}
}

static void test_not_utf8(void **state)
{
	static const struct {
		const char *value, *want;
	} cases[] = {
		{"a\xff"
		 "b",
		 "\"a\xef\xbf\xbd"
		 "b\""},
		{"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* a name that was cut in the middle */
		{"\xc3", "\"\xef\xbf\xbd\""},
		{"\xc0\xafx", "\"\xef\xbf\xbd\xef\xbf\xbdx\""},
		{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{"\xf0\x9f\x90", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *exact = strdup(cases[i].value); /* for the sanitizer: nothing is read behind its end */
		struct json j = {0};

		assert_non_null(exact);
		json_string(&j, NULL, exact);
		assert_text(&j, cases[i].want);
		free(exact);
	}
}

static void test_large(void **state)
{
	enum { N = 100000 };
	struct json j = {0};
	size_t len;
	char *text;
	cJSON *parsed;

	(void)state;
	json_open_array(&j, NULL);
	for (int i = 0; i < N; i++)
		json_uint(&j, NULL, (uint64_t)i);
	json_close_array(&j);
	text = json_end(&j, &len);
	assert_non_null(text);
	parsed = cJSON_Parse(text);
	assert_int_equal(cJSON_GetArraySize(parsed), N);
	cJSON_Delete(parsed);
	free(text);
}

static void test_empty(void **state)
{
	struct json j = {0};
	size_t len;

	(void)state;
	assert_null(json_end(&j, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure), cmocka_unit_test(test_comma_after_string),
		cmocka_unit_test(test_strings),	  cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_large),	  cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
