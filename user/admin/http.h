/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * HTTP, option http_listener: metrics, the answers of the control socket as JSON, probes, and a page.
 *
 * One thread of its own serves it, by libmicrohttpd. It sees the broker as shuntctl does, through admin/answers.h and
 * broker/broker.h. What clients may cost is bounded: HTTP_CLIENTS_MAX of them, HTTP_HEADERS_MAX bytes of memory for a
 * request without its body, HTTP_BODY_MAX bytes of body, HTTP_IDLE_S without a byte, HTTP_REQUEST_S for a request as a
 * whole with its answer. Built with WITH_HTTP=0, http_open() says that there is none.
 */
#ifndef SHUNT_HTTP_H
#define SHUNT_HTTP_H

#include "conf/conf.h"

enum {
	HTTP_CLIENTS_MAX = 64, /* connections at once; the others wait */
	HTTP_HEADERS_MAX = 32768,
	HTTP_BODY_MAX = 1 << 18,
	HTTP_IDLE_S = 10,
	HTTP_REQUEST_S = 30,
};

/* Who may do what: tokens and host names. Immutable. */
struct http_rules;

/* Read the file of tokens that `next` names; `live` has the address that is listened at, both are the same when the daemon
 * starts. NULL after logging what is wrong. */
struct http_rules *http_rules_load(const struct conf *live, const struct conf *next);
void http_rules_free(struct http_rules *rules); /* NULL is allowed */

struct http;

/* Read the rules and open the sockets, if the configuration asks for any: else *http is NULL, which the functions below
 * accept. 0, or -1 after logging. Before there are other threads; as root, if it is a port for root. */
int http_open(struct http **http, const struct conf *conf);

/* Start the thread. Between broker_start() and broker_stop(). 0 or -errno. */
int http_start(struct http *http);

/* Go by these rules from now on; takes them. Main thread. */
void http_set_rules(struct http *http, struct http_rules *rules);

/* Stop the thread and close all. Not while a request could wait for the caller. */
void http_close(struct http *http);

#endif
