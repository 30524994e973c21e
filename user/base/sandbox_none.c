// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Built without libseccomp. */
#include "base/log.h"
#include "base/sandbox.h"

static const char *reason = "";

void sandbox_enter(enum sandbox_mode mode)
{
	reason = mode == SANDBOX_OFF ? "the option seccomp says so"
				     : "this shuntd was built without libseccomp (WITH_SECCOMP=0)";
	log_notice("Seccomp off: %s.", reason);
}

const char *sandbox_state(void)
{
	return "off";
}

const char *sandbox_reason(void)
{
	return reason;
}
