// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The framing of wire.h as compiled for BPF and run by the kernel, against the same source compiled for this machine. The
 * native one is compared with a model of the standard in tests/unit/test_wire.c.
 */
#include "wiretest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>

#include "wiretest.skel.h"

#define CORPUS "tests/fuzz/corpus/wire"

enum { RANDOM_CASES = 30000 };

static struct wiretest_bpf *bpf;
static unsigned long compared;

static int load(void **state)
{
	(void)state;
	bpf = wiretest_bpf__open_and_load();
	if (!bpf) {
		print_message("SKIP: cannot load BPF programs: %s\n", strerror(errno));
		return 0;
	}
	return 0;
}

static int unload(void **state)
{
	(void)state;
	print_message("%lu comparisons\n", compared);
	wiretest_bpf__destroy(bpf);
	return 0;
}

static void compare(const uint8_t *bytes, uint32_t avail)
{
	struct {
		struct wiretest test;
		uint8_t bytes[WIRETEST_BYTES];
	} in = {.test = {.avail = avail}}, out = {0};
	struct bpf_test_run_opts opts = {
		.sz = sizeof(opts),
		.data_in = &in,
		.data_size_in = sizeof(in.test) + WIRETEST_BYTES,
		.data_out = &out,
		.data_size_out = sizeof(out),
	};

	if (!bpf) {
		skip();
		return;
	}
	memcpy(in.bytes, bytes, WIRETEST_BYTES);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.wiretest), &opts), 0);
	wiretest_run(&in.test, in.bytes);
	compared++;
	if (memcmp(&in, &out, sizeof(in.test) + WIRETEST_BYTES) != 0)
		fail_msg("%u of %02x %02x %02x %02x %02x %02x %02x: kernel %d %u %u, native %d %u %u", avail, bytes[0],
			 bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], out.test.total,
			 out.test.header_len, out.test.topic_len, in.test.total, in.test.header_len, in.test.topic_len);
}

/* A header with this Remaining Length and topic length, cut at every place. */
static void compare_lengths(uint32_t remaining, uint32_t topic_len)
{
	uint8_t b[WIRETEST_BYTES + 2] = {WIRE_FAST_PUBLISH};
	size_t at = 1;

	do {
		b[at++] = (uint8_t)((remaining & 0x7f) | (remaining > 0x7f ? 0x80 : 0));
		remaining >>= 7;
	} while (remaining);
	b[at++] = (uint8_t)(topic_len >> 8);
	b[at] = (uint8_t)topic_len;
	for (uint32_t avail = 0; avail <= WIRETEST_BYTES; avail++)
		compare(b, avail);
}

static void lengths(void **state)
{
	static const uint32_t topics[] = {0, 1, 127, 128, 129, 255, 256, 65535};

	(void)state;
	for (uint32_t remaining = 0; remaining < 300; remaining++)
		for (size_t t = 0; t < sizeof(topics) / sizeof(*topics); t++)
			compare_lengths(remaining, topics[t]);
	for (uint32_t shift = 7; shift <= 28; shift++)
		for (uint32_t below = 0; below < 5 && (1U << shift) - below <= WIRE_REMAINING_MAX + 1U; below++)
			for (size_t t = 0; t < sizeof(topics) / sizeof(*topics); t++)
				compare_lengths((1U << shift) - below > WIRE_REMAINING_MAX ? WIRE_REMAINING_MAX
											   : (1U << shift) - below,
						topics[t]);
	for (uint32_t topic_len = 0; topic_len < 140; topic_len++)
		for (uint32_t more = 0; more < 5; more++)
			compare_lengths(topic_len + more, topic_len);
}

static void random_bytes(void **state)
{
	uint64_t rng = 88172645463325252ULL;
	uint8_t b[WIRETEST_BYTES];

	(void)state;
	for (unsigned i = 0; i < RANDOM_CASES; i++) {
		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		memcpy(b, &rng, sizeof(b));
		if (i % 2) /* long lengths */
			b[1] |= 0x80, b[2] |= 0x80, b[3] |= i % 4 == 1 ? 0x80 : 0;
		compare(b, (uint32_t)(rng >> 60) % (WIRETEST_BYTES + 1));
	}
}

/* The fuzzer's inputs, from every place in them. */
static void corpus(void **state)
{
	DIR *dir = opendir(CORPUS);
	struct dirent *entry;
	uint8_t data[512];
	char path[512];

	(void)state;
	if (!dir) {
		print_message("SKIP: no %s here\n", CORPUS);
		skip();
		return;
	}
	while ((entry = readdir(dir))) {
		FILE *f;
		size_t len;

		snprintf(path, sizeof(path), "%s/%s", CORPUS, entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
		if (!f)
			continue;
		memset(data, 0, sizeof(data));
		len = fread(data, 1, sizeof(data) - WIRETEST_BYTES, f);
		fclose(f);
		for (size_t at = 0; at <= len && at < 64; at++)
			compare(data + at, (uint32_t)(len - at));
	}
	closedir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(corpus),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
