// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "admin/answer_guard.h"

#include "guard/xdp.h"

static void interfaces(struct json *j)
{
	struct guard_interface i;

	json_open_array(j, "interfaces");
	for (size_t n = 0; guard_interface(n, &i); n++) {
		json_open_object(j, NULL);
		json_string(j, "name", i.name);
		json_bool(j, "attached", i.attached);
		json_string(j, "mode", !i.attached ? "" : i.native ? "native" : "generic");
		json_string(j, "reason", i.reason);
		json_close_object(j);
	}
	json_close_array(j);
}

static void reasons(struct json *j, const char *name, const __u64 values[SHUNT_GUARD_REASONS])
{
	json_open_object(j, name);
	for (unsigned r = 0; r < SHUNT_GUARD_REASONS; r++)
		json_uint(j, guard_reason_name(r), values[r]);
	json_close_object(j);
}

void answer_guard(struct json *j, const cJSON *request)
{
	struct guard_status status;
	struct guard_stats stats;

	(void)request;
	guard_status(&status);
	guard_stats(&stats);
	json_open_object(j, NULL);
	json_open_object(j, "guard");
	json_string(j, "state", status.on ? "on" : "off");
	json_string(j, "reason", status.reason);
	json_string(j, "pin_path", status.pin_path);
	json_bool(j, "fail_closed", status.fail_closed);
	interfaces(j);
	json_uint(j, "packets", stats.sum.packets);
	json_uint(j, "bytes", stats.sum.bytes);
	json_uint(j, "allowed", stats.sum.allowed);
	json_uint(j, "retried", stats.sum.retried);
	reasons(j, "dropped", stats.sum.dropped);
	reasons(j, "dropped_bytes", stats.sum.dropped_bytes);
	json_close_object(j);
	json_close_object(j);
}
