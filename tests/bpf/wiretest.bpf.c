// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * For the tests: the framing of wire.h as the kernel runs it. Programs on sockets cannot be run on data of the test's own,
 * an XDP program can. The packet is a struct wiretest, whose results are filled in, and MQTT bytes behind it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "wire.h"
#include "wiretest.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int wiretest(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end,
	     *bytes = data + sizeof(struct wiretest);
	struct wiretest *test = (void *)data;
	__u8 b[WIRETEST_BYTES] = {};

	if (bytes > end)
		return XDP_ABORTED;
	for (int i = 0; i < WIRETEST_BYTES; i++) {
		if (bytes + i + 1 > end)
			break;
		b[i] = bytes[i];
	}
	wiretest_run(test, b);
	return XDP_PASS;
}
