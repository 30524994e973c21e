// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Built without BPF: there is no guard, and everything comes in. */
#include "guard/xdp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static size_t wanted;

int guard_open(const struct guard_config *cfg)
{
	for (wanted = 0; cfg->interfaces && cfg->interfaces[wanted]; wanted++)
		;
	return wanted && cfg->require ? -ENOTSUP : 0;
}

void guard_close(void)
{
}

int guard_listening(int fd, bool mqtt, bool shared)
{
	(void)fd, (void)mqtt, (void)shared;
	return 0;
}

int guard_update(const struct guard_rules *rules)
{
	(void)rules;
	return 0;
}

int guard_ban(const struct network *n, uint64_t until_ns)
{
	(void)n, (void)until_ns;
	return 0;
}

int guard_unban(const struct network *n)
{
	(void)n;
	return 0;
}

void guard_status(struct guard_status *out)
{
	memset(out, 0, sizeof(*out));
	out->interfaces = wanted;
	snprintf(out->reason, sizeof(out->reason), wanted ? "built without BPF" : "there is no guard_interface");
}

bool guard_interface(size_t i, struct guard_interface *out)
{
	(void)i, (void)out;
	return false;
}

void guard_stats(struct guard_stats *out)
{
	memset(out, 0, sizeof(*out));
}
