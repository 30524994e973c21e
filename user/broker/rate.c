// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "broker/rate.h"

#include "base/log.h"
#include "base/rate.h"
#include "broker/internal.h"

static void go_on(struct timer *t)
{
	conn_dirty(container_of(t, struct conn, rate)); /* where reading goes on */
}

bool rate_over(const struct conn *c)
{
	return c->rate.armed;
}

static void hold_back(struct conn *c, uint64_t ns)
{
	COUNTER_ADD(publish_paused, 1);
	if (!c->said_too_fast)
		log_notice("Client %s [%s] publishes faster than it may, it is read from more slowly.",
			   c->session->name, c->peer);
	c->said_too_fast = true;
	loop_after(&c->worker->loop, &c->rate, ns / NS_PER_MS, go_on);
}

void rate_publish(struct conn *c, size_t bytes)
{
	const struct conf *conf = c->worker->broker->conf;
	uint64_t now = c->worker->loop.now_ns;
	uint64_t wait, wait_bytes;

	if (conf->max_publish_rate)
		c->rate_messages = rate_add(c->rate_messages, now, 1, conf->max_publish_rate);
	if (conf->max_publish_bytes)
		c->rate_bytes = rate_add(c->rate_bytes, now, bytes, conf->max_publish_bytes);
	wait = rate_wait(c->rate_messages, now);
	wait_bytes = rate_wait(c->rate_bytes, now);
	if (wait || wait_bytes)
		hold_back(c, wait > wait_bytes ? wait : wait_bytes);
}
