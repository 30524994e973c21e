// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Built without libcurl. */
#include <errno.h>

#include "auth/hook.h"
#include "base/log.h"

struct hook *hook_load(const struct hook_config *c)
{
	(void)c;
	log_error("Error: There is an auth_http_url, but this shuntd was built without libcurl (WITH_CURL=0).");
	return NULL;
}

struct hook *hook_ref(struct hook *h)
{
	return h;
}

void hook_unref(struct hook *h)
{
	(void)h;
}

bool hook_same(const struct hook *a, const struct hook *b)
{
	return a == b;
}

int hook_start(void)
{
	return 0;
}

void hook_stop(void)
{
}

int hook_submit(struct hook_question *q)
{
	(void)q;
	return -EBUSY;
}

void hook_give_up(struct hook_question *q)
{
	(void)q;
}
