/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the broker counts, as text for Prometheus: all that `shuntctl stats` has. */
#ifndef SHUNT_METRICS_H
#define SHUNT_METRICS_H

#include <stdbool.h>
#include <stdio.h>

/* Write them; in the form of OpenMetrics 1.0, or else in that of Prometheus, version 0.0.4. The end of OpenMetrics is not
 * written. Any thread that is not a worker, between broker_start() and broker_stop(). */
void metrics_write(FILE *f, bool openmetrics);

/* One family: what stands above its samples. `kind` is "counter" or "gauge"; the name of a counter is without _total. */
void metrics_family(FILE *f, bool openmetrics, const char *name, const char *kind, const char *help);

#endif
