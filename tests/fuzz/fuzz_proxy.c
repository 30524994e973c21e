// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A PROXY header, and what follows it: the answer does not depend on how it was cut, and is of a kind that can be used. */
#include <stddef.h>
#include <stdint.h>

#include "../unit/proxy_splits.h"
#include "mqtt/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

/* What it says of the client fits together. */
static void check_meaning(const struct proxy_header *h)
{
	struct net_address a = net_address_of_peer(h->peer);

	must(!memcmp(&a, &h->address, sizeof(a)));
	must(h->version == 1 || h->version == 2);
	must(!h->certified || h->tls);
	must(h->certified || !h->common_name.len);
	must(!h->local || (!h->peer[0] && !h->tls && !h->alpn.len && !h->authority.len));
	must(utf8_valid(h->authority.data, h->authority.len) && utf8_valid(h->common_name.data, h->common_name.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h;

	must(!check_proxy(data, size));
	if (proxy_parse(data, size, &h) == PROXY_DONE)
		check_meaning(&h);
	return 0;
}
