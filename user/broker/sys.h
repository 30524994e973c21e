/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The $SYS topics, by mosquitto's names: published by worker 0 each sys_interval, retained, when they changed; and lines
 * of the log, for log_dest topic. */
#ifndef SHUNT_SYS_H
#define SHUNT_SYS_H

#include <stddef.h>
#include <stdint.h>

struct namespace;
struct worker;

/* On the thread of worker 0. */
void sys_start(struct worker *w);
void sys_free(struct worker *w);

/* What was published in a namespace last; it may be none. */
void sys_space_free(struct namespace *space);

/* Publish $SYS/broker/TOPIC in the default namespace: retained, or not retained and to be delivered within so many seconds, if they are not 0. On
 * a worker's thread. */
void sys_publish(struct worker *w, const char *topic, const char *payload, size_t len, uint32_t seconds);

/* log_topic.c: publish what is logged from here on, or no more. When the workers run, main thread. */
void log_topic_start(void);
void log_topic_stop(void);

#endif
