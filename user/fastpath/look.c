// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Looking at the socket of a local client, which the daemon has no descriptor of: a BPF program does it. */
#include <bpf/bpf.h>
#include <errno.h>

#include "fastpath/internal.h"

static int run(struct shunt_look *look)
{
	struct bpf_test_run_opts opts = {.sz = sizeof(opts), .ctx_in = look, .ctx_size_in = sizeof(*look)};

	if (bpf_prog_test_run_opts(fp.look_fd, &opts))
		return -errno;
	return look->result;
}

int fp_look_bind(uint64_t isn_pair, uint32_t slot)
{
	struct shunt_look look = {.isn_pair = isn_pair, .slot = slot, .command = SHUNT_LOOK_BIND};

	return run(&look);
}

int fp_look(uint64_t isn_pair, uint32_t *queued, uint32_t *in_use)
{
	struct shunt_look look = {.isn_pair = isn_pair, .command = SHUNT_LOOK_STATE};
	int error = run(&look);

	if (error)
		return error;
	*queued = look.queued;
	*in_use = look.in_use;
	return 0;
}

bool fp_look_unread(void)
{
	uint64_t previous, isn_pair;
	const void *from = NULL;

	while (!bpf_map_get_next_key(fp.local_clients_fd, from, &isn_pair)) {
		uint32_t queued, in_use;

		if (!fp_look(isn_pair, &queued, &in_use) && queued)
			return true;
		previous = isn_pair;
		from = &previous;
	}
	return false;
}
