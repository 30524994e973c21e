// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Built without HTTP. */
#include <stdlib.h>

#include "admin/http.h"
#include "base/log.h"

struct http_rules *http_rules_load(const struct conf *live, const struct conf *next)
{
	(void)live;
	(void)next;
	return malloc(1); /* there are none */
}

void http_rules_free(struct http_rules *rules)
{
	free(rules);
}

int http_open(struct http **http, const struct conf *conf)
{
	*http = NULL;
	if (!conf->http_listener)
		return 0;
	log_error("Error: There is an http_listener (%s), but this shuntd was built without HTTP (WITH_HTTP=0).",
		  conf->http_where);
	return -1;
}

int http_start(struct http *http)
{
	(void)http;
	return 0;
}

void http_set_rules(struct http *http, struct http_rules *rules)
{
	(void)http;
	http_rules_free(rules);
}

void http_close(struct http *http)
{
	(void)http;
}
