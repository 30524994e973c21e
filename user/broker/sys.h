/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The $SYS topics, by mosquitto's names: published by worker 0 each sys_interval, retained, when they changed. */
#ifndef SHUNT_SYS_H
#define SHUNT_SYS_H

struct worker;

/* On the worker's thread. */
void sys_start(struct worker *w);
void sys_free(struct worker *w);

#endif
