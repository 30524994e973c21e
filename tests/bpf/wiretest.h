/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What wiretest.bpf.c and test_framing.c share: one run of the framing, the same code in the kernel and natively. */
#ifndef SHUNT_TESTS_WIRETEST_H
#define SHUNT_TESTS_WIRETEST_H

#include "wire.h"

enum { WIRETEST_BYTES = WIRE_HEADER_MAX + 2 }; /* what framing looks at */

struct wiretest {
	__u32 avail; /* in: bytes that are there */
	/* out */
	__s32 total;
	__u32 header_len;
	__u32 topic_len; /* when the packet has all of a header and its next two bytes are there */
};

static inline __attribute__((always_inline)) void wiretest_run(struct wiretest *t, const __u8 b[WIRETEST_BYTES])
{
	__u32 avail = t->avail, header_len = 0, topic_len = 0;
	__s32 total = wire_header(b, avail, &header_len);

	if (total > 0 && header_len <= WIRE_HEADER_MAX && header_len + 2 <= avail)
		topic_len = wire_topic_len(b + header_len, total - header_len);
	t->total = total;
	t->header_len = header_len;
	t->topic_len = topic_len;
}

#endif
