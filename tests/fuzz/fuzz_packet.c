// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Decoding, in every version and from both sides: first byte, then the body. What is accepted must be consistent and come
 * back the same from encoding and decoding. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../unit/mqtt_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mqtt_packet p;
	const char *wrong;
	uint8_t *body;

	if (!size)
		return 0;
	body = exact_copy(data + 1, size - 1);
	for (unsigned version = MQTT_3_1; version <= MQTT_5_0; version++) {
		for (int server = 0; server < 2; server++) {
			if (decode_as(server, (uint8_t)version, data[0], body, size - 1, &p) != 0)
				continue;
			wrong = check_decoded(server, &p);
			if (wrong) {
				fprintf(stderr, "%s of %s: %s\n", mqtt_type_name(p.type),
					mqtt_version_name((uint8_t)version), wrong);
				abort();
			}
		}
	}
	free(body);
	return 0;
}
