/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Inside of HTTP, for http_*.c only. */
#ifndef SHUNT_HTTP_INTERNAL_H
#define SHUNT_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/http.h"
#include "base/list.h"

enum {
	HTTP_SOCKETS_MAX = 8,
	HTTP_HOST_MAX = 256, /* bytes of a Host header, with its NUL */
};

/* What a token lets one do; each may what those before it may. */
enum http_role {
	HTTP_NOBODY,
	HTTP_READ,
	HTTP_ADMIN,
};

/* What became of requests, in metrics. */
enum http_outcome {
	HTTP_DONE,
	HTTP_WRONG,	   /* it asks for what there is not, or not in the way it has to */
	HTTP_UNAUTHORISED, /* no token, or one that is unknown */
	HTTP_FORBIDDEN,	   /* the token is for reading */
	HTTP_HOST,	   /* to another host */
	HTTP_FAILED,	   /* out of memory */
	HTTP_OUTCOMES,
};
extern const char *const http_outcome_names[HTTP_OUTCOMES];

/* The counters are the thread's. */
struct http_counters {
	uint64_t connections, timeouts;
	uint64_t requests[HTTP_OUTCOMES];
	size_t open;
};

struct http {
	/* constant while the thread runs */
	int listen_fds[HTTP_SOCKETS_MAX];
	int nlisten_fds;
	int stop_fd; /* eventfd; -1: no thread was started */
	pthread_t thread;
	struct MHD_Daemon *daemon;
	struct conf_http_place place;

	pthread_mutex_t lock;
	struct http_rules *rules; /* under the lock */

	/* the thread's */
	struct list clients; /* struct http_client */
	struct http_counters counters;
	uint64_t accept_after_ns; /* out of descriptors: no use before */
	uint64_t refused_logged_ns;
	uint64_t refused; /* since then */
};

/* A connection. */
struct http_client {
	struct list all;
	int fd; /* not ours */
	uint64_t deadline_ns;
};

/* ---- http_rules.c ------------------------------------------------------------------------------------------------- */

/* The role of the value of an Authorization header (NULL: there is none). *needed: a token has to be known. */
enum http_role http_role_of(struct http *h, const char *authorization, bool *needed);
/* Is the value of a Host header (NULL: there is none) one of ours, or an address? */
bool http_host_is_ours(struct http *h, const char *host);

/* ---- http_request.c ----------------------------------------------------------------------------------------------- */

/* MHD_AccessHandlerCallback and MHD_RequestCompletedCallback; the first argument is the struct http. */
enum MHD_Result http_request(void *http, struct MHD_Connection *c, const char *url, const char *method,
			     const char *version, const char *upload, size_t *upload_len, void **request);
void http_request_done(void *http, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode why);

/* ---- http_api.c --------------------------------------------------------------------------------------------------- */

/* An answer of the control socket's: a line of JSON, to be freed, and the status that says the same in HTTP. NULL without
 * memory. */
struct http_answer {
	char *text;
	size_t len;
	unsigned status;
};

/* What stands behind /api/v1/ of a path: is there such a thing? Then: who may use it, and by which method. */
struct http_resource;
const struct http_resource *http_resource(const char *path);
enum http_role http_resource_role(const struct http_resource *r);
bool http_resource_takes(const struct http_resource *r, const char *method);
/* Use it; body: NULL with GET, else a text with its NUL. */
struct http_answer http_use(const struct http_resource *r, const char *path, struct MHD_Connection *c,
			    const char *body);

/* ---- http_page.c -------------------------------------------------------------------------------------------------- */

struct http_file {
	const char *path, *type;
	const char *data, *end;
	char etag[20]; /* with its quotation marks */
};
/* A file of the page; NULL: there is none of that name. */
const struct http_file *http_file(const char *path);
/* Before the thread starts. */
void http_files_start(void);

#endif
