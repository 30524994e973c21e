/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the tests and the fuzz target of PROXY headers share: that the answer does not depend on how the bytes were cut. A
 * check returns NULL, or what is wrong.
 */
#ifndef SHUNT_TESTS_PROXY_SPLITS_H
#define SHUNT_TESTS_PROXY_SPLITS_H

#include "mqtt_model.h"
#include "net/proxy.h"

static inline bool same_proxy(const struct proxy_header *a, const struct proxy_header *b)
{
	return (a->why ? b->why && !strcmp(a->why, b->why) : !b->why) && a->consumed == b->consumed &&
	       a->version == b->version && a->local == b->local &&
	       !memcmp(&a->address, &b->address, sizeof(a->address)) && !strcmp(a->peer, b->peer) &&
	       mqtt_str_eq(a->alpn, b->alpn) && mqtt_str_eq(a->authority, b->authority) && a->tls == b->tls &&
	       a->certified == b->certified && mqtt_str_eq(a->common_name, b->common_name);
}

/* Each beginning of the bytes wants more until one has the answer, which is then the answer to all longer ones. */
static inline const char *check_proxy(const uint8_t *data, size_t len)
{
	struct proxy_header want, got;
	enum proxy_result result = proxy_parse(data, len, &want);
	const char *wrong = NULL;
	bool answered = false;

	if (result == PROXY_DONE && (want.consumed > len || want.consumed > PROXY_HEADER_MAX))
		return "more was consumed than there is";
	for (size_t n = 0; n <= len && !wrong; n++) {
		uint8_t *copy = exact_copy(data, n);
		enum proxy_result at = proxy_parse(copy, n, &got);

		if (at == PROXY_NEED_MORE) {
			if (answered)
				wrong = "an answer was taken back";
			else if (got.need <= n || got.need > PROXY_HEADER_MAX)
				wrong = "it needs what is there already, or too much";
			else if (result == PROXY_DONE && got.need > want.consumed)
				wrong = "it needs more than the header";
		} else {
			answered = true;
			if (at != result || !same_proxy(&got, &want))
				wrong = "a part has another answer than the whole";
			else if (at == PROXY_DONE && n < want.consumed)
				wrong = "it did not wait for all of the header";
		}
		free(copy);
	}
	return wrong;
}

#endif
