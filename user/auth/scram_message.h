/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The messages a SCRAM client sends, taken apart as section 7 of RFC 5802 has it; private to user/auth and its tests. */
#ifndef SHUNT_AUTH_SCRAM_MESSAGE_H
#define SHUNT_AUTH_SCRAM_MESSAGE_H

#include "auth/scram.h"

enum {
	SCRAM_GS2_HEADER_MAX = sizeof("n,a=,") - 1 + 3 * SCRAM_NAME_MAX, /* every character of the name escaped */
};

struct scram_client_first {
	struct mqtt_str gs2_header; /* with its commas: what the client-final-message has to repeat */
	struct mqtt_str nonce;
	uint8_t name[SCRAM_NAME_MAX]; /* without escapes */
	uint32_t name_len;
};

struct scram_client_final {
	struct mqtt_str channel_binding; /* base64 */
	struct mqtt_str nonce;
	struct mqtt_str without_proof; /* the message up to the comma in front of the proof */
	uint8_t proof[SCRAM_KEY_LEN];
};

/* Both point into the message. NULL; or, in words, why it is refused. */
const char *scram_parse_client_first(struct mqtt_str message, struct scram_client_first *first);
const char *scram_parse_client_final(struct mqtt_str message, struct scram_client_final *final);

#endif
