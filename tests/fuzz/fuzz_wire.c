// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The framing of include/wire.h against the algorithm of the standard, on a stream that is cut at every byte. */
#include <stddef.h>
#include <stdint.h>

#include "../unit/mqtt_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t at = 0; at < size;) {
		struct naive_header h = naive_header(data + at, size - at);

		for (size_t avail = 0; avail <= size - at && avail <= 2 * WIRE_HEADER_MAX; avail++) {
			if (check_header(data + at, avail))
				abort();
		}
		if (h.total <= 0 || (size_t)h.total > size - at)
			break;
		at += (size_t)h.total;
	}
	return 0;
}
