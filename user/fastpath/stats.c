// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The kernel's counters, summed over the CPUs. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "fastpath/internal.h"

static void sum_road(enum fp_road road, struct fp_road_stats *out, uint64_t *lost)
{
	int cpus = libbpf_num_possible_cpus();
	struct shunt_counters *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	uint32_t key = road;

	if (values && !bpf_map_lookup_elem(fp.counters_fd, &key, values)) {
		for (int i = 0; i < cpus; i++) {
			out->taken += values[i].taken;
			out->taken_bytes += values[i].taken_bytes;
			out->taken_payload += values[i].taken_payload;
			out->pings += values[i].pings;
			out->diverted += values[i].diverted;
			*lost += values[i].lost;
			out->forwarded += values[i].forwarded;
			out->forwarded_bytes += values[i].forwarded_bytes;
			out->forwarded_payload += values[i].forwarded_payload;
			for (unsigned r = 0; r < SHUNT_PASS_REASONS; r++)
				out->passed += values[i].passed[r];
			out->passed_off += values[i].passed[SHUNT_PASS_OFF];
			out->passed_fence += values[i].passed[SHUNT_PASS_FENCE];
			out->passed_shape += values[i].passed[SHUNT_PASS_SHAPE];
			out->passed_no_flow += values[i].passed[SHUNT_PASS_FLOW];
			out->passed_dead += values[i].passed[SHUNT_PASS_DEAD];
			out->passed_held += values[i].passed[SHUNT_PASS_HELD];
			out->passed_full += values[i].passed[SHUNT_PASS_FULL];
			out->passed_busy += values[i].passed[SHUNT_PASS_BUSY];
		}
	}
	free(values);
}

void fp_stats(struct fp_stats *out)
{
	memset(out, 0, sizeof(*out));
	if (!fp.bpf)
		return;
	sum_road(FP_ROAD_LOCAL, &out->local, &out->dropped);
	sum_road(FP_ROAD_REMOTE, &out->remote, &out->dropped);
	out->flows = fp_flows_count();
	out->flows_max = fp.flows_max;
	out->evicted = fp_flows_evicted();
	out->told = fp_told();
	out->slots = fp_slots_used();
}
