/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How fast a client may publish: max_publish_rate and max_publish_bytes. One that is faster is not read for a while, so that
 * TCP slows it down and nothing is dropped. The kernel counts nothing of this, so with either option it carries no messages
 * (FLOW_RATE_LIMITED). Of the connection's worker.
 */
#ifndef SHUNT_BROKER_RATE_H
#define SHUNT_BROKER_RATE_H

#include "broker/conn.h"

/* A PUBLISH of so many bytes came. */
void rate_publish(struct conn *c, size_t bytes);

/* Is nothing to be read from it for now? conn_dirty() is called when that is over. */
bool rate_over(const struct conn *c);

#endif
