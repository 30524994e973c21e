/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The thread of HTTP. */
#ifndef SHUNT_HTTP_SERVE_H
#define SHUNT_HTTP_SERVE_H

#include "admin/http_internal.h"

/* 0 or -errno. */
int http_serve_start(struct http *h);
/* After stop_fd was written to: wait for it to end, and close its connections. */
void http_serve_stop(struct http *h);

#endif
