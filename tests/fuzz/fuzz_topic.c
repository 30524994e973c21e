// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Topic matching against a naive model: a topic filter, a NUL, a topic name. */
#include <stddef.h>
#include <stdint.h>

#include "../unit/mqtt_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	struct mqtt_str filter, name, group, inner;
	uint8_t *a, *b;

	if (!nul)
		return 0;
	filter.len = (uint32_t)(nul - data);
	name.len = (uint32_t)(size - filter.len - 1);
	filter.data = a = exact_copy(data, filter.len);
	name.data = b = exact_copy(nul + 1, name.len);
	if (topic_filter_valid(filter)) {
		if (!naive_filter_valid(filter))
			abort();
		if (topic_share(filter, &group, &inner) == 1 && !topic_filter_valid(inner))
			abort();
		if (topic_name_valid(name) && topic_matches(filter, name) != naive_matches(filter, name))
			abort();
	}
	free(a);
	free(b);
	return 0;
}
