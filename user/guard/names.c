// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "guard/xdp.h"

const char *guard_reason_name(enum shunt_guard_reason reason)
{
	static const char *const names[SHUNT_GUARD_REASONS] = {
		[SHUNT_GUARD_BLOCKED] = "blocked",     [SHUNT_GUARD_BANNED] = "banned",
		[SHUNT_GUARD_PACKETS] = "packet_rate", [SHUNT_GUARD_CONNECTIONS] = "connection_rate",
		[SHUNT_GUARD_SYNS] = "syn_rate",       [SHUNT_GUARD_NOT_MQTT] = "not_mqtt",
		[SHUNT_GUARD_MALFORMED] = "malformed", [SHUNT_GUARD_OVERSIZED] = "oversized",
	};

	return names[reason];
}
