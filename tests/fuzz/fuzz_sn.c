// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A datagram of MQTT-SN: what is decoded can be encoded, and from that comes the same again. */
#include <stdlib.h>

#include "sn/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void check_packet(const struct sn_packet *p, size_t size)
{
	static uint8_t again[SN_SIZE_MAX], third[SN_SIZE_MAX];
	struct sn_packet q;
	size_t len = sn_encode(p, again, sizeof(again));

	/* Only a length of three bytes where one would do makes it longer. */
	must(len && len <= size && len == sn_encode(p, NULL, 0));
	must(!sn_encode(p, again, len - 1));
	must(sn_encode(p, again, len) == len && sn_decode(again, len, &q));
	must(q.type == p->type && mqtt_str_eq(p->data, q.data));
	must(sn_encode(&q, third, sizeof(third)) == len && !memcmp(again, third, len));
	must(sn_type_name(p->type)[0] != 'R' || p->type == SN_REGISTER || p->type == SN_REGACK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	size_t len = size;
	struct sn_packet p = {0};
	struct sn_envelope e;
	uint8_t wrapped[SN_ENVELOPE_MAX];

	if (size > SN_SIZE_MAX || !sn_unwrap(&at, &len, &e))
		return 0;
	must(at + len == data + size && sn_wrap(&e, wrapped) == (size_t)(at - data));
	must(!e.node_len || !memcmp(e.node, data + 3, e.node_len));
	if (sn_decode(at, len, &p))
		check_packet(&p, len);
	return 0;
}
