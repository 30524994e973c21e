// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntd/guarding.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/bans.h"
#include "broker/broker.h"
#include "shuntd/privileges.h"

static struct guard_rules rules_of(const struct conf *conf)
{
	return (struct guard_rules){
		.allow = conf->guard_allow,
		.block = conf->guard_block,
		.connections = conf->guard_connection_rate,
		.packets = conf->guard_packet_rate,
		.syns = conf->guard_syn_rate,
		.udp_size = conf->guard_udp_size,
		.ipv6_prefix = conf->guard_ipv6_prefix,
	};
}

int guarding_open(const struct conf *conf, const struct account *account)
{
	struct guard_status status;
	char pin_path[sizeof(status.pin_path)];
	const struct guard_config config = {
		.interfaces = conf->guard_interface,
		.require = conf->guard_require,
		.fail_closed = conf->guard_fail_closed,
		.pin_path = pin_path,
		.uid = account->uid,
		.gid = account->gid,
		.rules = rules_of(conf),
	};

	snprintf(pin_path, sizeof(pin_path), "%s-guard", conf->bpf_pin_path);
	if (WITH_BPF && conf->guard_interface)
		mount_bpffs(pin_path);
	if (!guard_open(&config))
		return 0;
	guard_status(&status);
	log_error("Error: The guard, which the option guard_require requires, cannot be had: %s.", status.reason);
	return -1;
}

/* ---- bans ---------------------------------------------------------------------------------------------------------- */

/* What the guard does not keep away the broker refuses. */
static void ban_changed(struct ban_observer *o, bool added, const struct network *network, uint64_t until_ns)
{
	int err = added ? guard_ban(network, until_ns) : guard_unban(network);

	(void)o;
	if (err)
		log_warning("Guard: a ban of a network could not be taken over: %s.", strerror(-err));
}

static struct ban_observer observer = {.changed = ban_changed};
static bool observing;

void guarding_watch_bans(void)
{
	bans_observe(broker_bans(), &observer);
	observing = true;
}

void guarding_end(void)
{
	if (observing)
		bans_unobserve(broker_bans(), &observer);
	observing = false;
}

/* -------------------------------------------------------------------------------------------------------------------- */

void guarding_log(void)
{
	struct guard_status status;
	struct guard_interface i;

	guard_status(&status);
	if (!status.interfaces)
		return;
	if (!status.on) {
		log_warning("Guard off: %s.", status.reason);
		return;
	}
	for (size_t n = 0; guard_interface(n, &i); n++) {
		if (i.attached)
			log_notice("Guard on: %s, %s%s%s.", i.name,
				   i.native ? "in the driver" : "in front of the network stack",
				   status.pin_path[0] ? ", maps in " : "", status.pin_path);
		else
			log_warning("Guard off on %s: %s.", i.name, i.reason);
	}
}

void guarding_update(const struct conf *conf)
{
	const struct guard_rules rules = rules_of(conf);
	int err = guard_update(&rules);

	if (err)
		log_error("Guard: not all of guard_allow and guard_block could be taken over: %s.", strerror(-err));
}
