// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The files of the page, which the assembler takes from user/admin/dashboard as they are. */
#include <string.h>

#include <openssl/sha.h>

#include "admin/http_internal.h"

#define TAKE(name, file)                                                              \
	__asm__(".section .rodata\n" #name "_data:\n"                                 \
		".incbin \"user/admin/dashboard/" file "\"\n" #name "_end: .byte 0\n" \
		".previous\n");                                                       \
	extern const char name##_data[], name##_end[]

TAKE(page_html, "index.html");
TAKE(page_css, "style.css");
TAKE(page_charts, "charts.js");
TAKE(page_mqtt, "mqtt.js");
TAKE(page_app, "app.js");

static struct http_file files[] = {
	{"/", "text/html; charset=utf-8", page_html_data, page_html_end, ""},
	{"/style.css", "text/css; charset=utf-8", page_css_data, page_css_end, ""},
	{"/charts.js", "text/javascript; charset=utf-8", page_charts_data, page_charts_end, ""},
	{"/mqtt.js", "text/javascript; charset=utf-8", page_mqtt_data, page_mqtt_end, ""},
	{"/app.js", "text/javascript; charset=utf-8", page_app_data, page_app_end, ""},
};

void http_files_start(void)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct http_file *f = &files[i];

		SHA256((const uint8_t *)f->data, (size_t)(f->end - f->data), hash);
		f->etag[0] = '"';
		for (unsigned k = 0; k < 8; k++)
			snprintf(f->etag + 1 + 2 * k, 3, "%02x", hash[k]);
		f->etag[17] = '"';
	}
}

const struct http_file *http_file(const char *path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!strcmp(files[i].path, path))
			return &files[i];
	}
	return NULL;
}
