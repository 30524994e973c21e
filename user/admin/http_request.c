// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* One request of HTTP: is it for us, who asks, and what for. All that can be
 * said no to is, before the body is taken. */
#include <stdlib.h>
#include <string.h>

#include "admin/answers.h"
#include "admin/http_internal.h"
#include "admin/metrics.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/broker.h"
#include "net/address.h"

const char *const http_outcome_names[HTTP_OUTCOMES] = {
	[HTTP_DONE] = "done",		[HTTP_WRONG] = "wrong",	    [HTTP_UNAUTHORISED] = "unauthorised",
	[HTTP_FORBIDDEN] = "forbidden", [HTTP_HOST] = "wrong_host", [HTTP_FAILED] = "failed",
};

/* A request whose headers were found good; and its body. */
struct request {
	char *body; /* NULL with GET */
	size_t len;
};

static const char json_type[] = "application/json";
static const char text_type[] = "text/plain; charset=utf-8";
static const char closed_policy[] = "default-src 'none'; frame-ancestors 'none'";
static const char api[] = "/api/v1/";

/* ---- answering
 * ----------------------------------------------------------------------------------------------------
 */

static enum http_outcome outcome_of(unsigned status)
{
	switch (status) {
	case MHD_HTTP_UNAUTHORIZED:
		return HTTP_UNAUTHORISED;
	case MHD_HTTP_FORBIDDEN:
		return HTTP_FORBIDDEN;
	case MHD_HTTP_MISDIRECTED_REQUEST:
		return HTTP_HOST;
	}
	return status >= 500 ? HTTP_FAILED : status >= 400 ? HTTP_WRONG : HTTP_DONE;
}

static void harden(struct MHD_Response *r, const char *type, const char *policy)
{
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "Content-Security-Policy", policy);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
}

/* Takes the response; NULL: there was no memory for it. MHD_NO closes the
 * connection. */
static enum MHD_Result send_response(struct http *h, struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
	enum MHD_Result result;

	h->counters.requests[r ? outcome_of(status) : HTTP_FAILED]++;
	if (!r)
		return MHD_NO;
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/* Takes the text, which is NULL without memory. */
static enum MHD_Result send_text(struct http *h, struct MHD_Connection *c, unsigned status, const char *type,
				 char *text, size_t len)
{
	struct MHD_Response *r = text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE) : NULL;

	if (text && !r)
		free(text);
	if (r) {
		harden(r, type, closed_policy);
		MHD_add_response_header(r, "Cache-Control", "no-store");
	}
	if (r && status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"shunt\"");
	if (r && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD, POST");
	return send_response(h, c, status, r);
}

static enum MHD_Result send_error(struct http *h, struct MHD_Connection *c, unsigned status, const char *text)
{
	char *answer;
	int len = asprintf(&answer, "{\"error\":\"%s\"}\n", text);

	return send_text(h, c, status, json_type, len < 0 ? NULL : answer, len < 0 ? 0 : (size_t)len);
}

/* ---- metrics and probes
 * -------------------------------------------------------------------------------------------
 */

static void own_metrics(struct http *h, FILE *f, bool openmetrics)
{
	metrics_family(f, openmetrics, "http_connections_open", "gauge", "Open connections of HTTP.");
	fprintf(f, "shunt_http_connections_open %zu\n", h->counters.open);
	metrics_family(f, openmetrics, "http_connections", "counter", "Connections of HTTP.");
	fprintf(f, "shunt_http_connections_total %llu\n", (unsigned long long)h->counters.connections);
	metrics_family(f, openmetrics, "http_timeouts", "counter", "Connections of HTTP that took too long.");
	fprintf(f, "shunt_http_timeouts_total %llu\n", (unsigned long long)h->counters.timeouts);
	metrics_family(f, openmetrics, "http_requests", "counter", "Requests of HTTP, by what became of them.");
	for (size_t i = 0; i < HTTP_OUTCOMES; i++)
		fprintf(f, "shunt_http_requests_total{outcome=\"%s\"} %llu\n", http_outcome_names[i],
			(unsigned long long)h->counters.requests[i]);
}

static enum MHD_Result send_metrics(struct http *h, struct MHD_Connection *c)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool openmetrics = accept && strstr(accept, "application/openmetrics-text");
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool failed = !f;

	if (f) {
		metrics_write(f, openmetrics);
		own_metrics(h, f, openmetrics);
		if (openmetrics)
			fputs("# EOF\n", f);
		failed = ferror(f);
		failed |= fclose(f) != 0;
	}
	if (failed) {
		free(text);
		text = NULL;
	}
	return send_text(h, c, MHD_HTTP_OK,
			 openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
				     : "text/plain; version=0.0.4; charset=utf-8",
			 text, failed ? 0 : len);
}

static enum MHD_Result send_healthy(struct http *h, struct MHD_Connection *c)
{
	return send_text(h, c, MHD_HTTP_OK, text_type, strdup("ok"), 2);
}

static enum MHD_Result send_ready(struct http *h, struct MHD_Connection *c)
{
	const char *fault = NULL;
	struct broker_stats s;
	char *text;

	broker_stats(&s);
	if (s.persistence && s.store.failing)
		fault = "the store cannot be written";
	else if (s.memory_short)
		fault = "memory is short";
	text = strdup(fault ? fault : "ready");
	return send_text(h, c, fault ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, text_type, text,
			 text ? strlen(text) : 0);
}

/* ---- the page
 * -----------------------------------------------------------------------------------------------------
 */

/* Scripts and styles of its own only; and WebSockets of the daemon, whatever it
 * is called. */
static void page_policy(struct MHD_Connection *c, char *policy, size_t size)
{
	const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	const char *bracket = strrchr(host, ']'), *colon = strrchr(bracket ? bracket : host, ':');
	int len = colon ? (int)(colon - host) : (int)strlen(host);

	/* A source of an IPv6 address is not understood by browsers. */
	if (bracket)
		snprintf(policy, size, "default-src 'self'; connect-src 'self' ws: wss:; ");
	else
		snprintf(policy, size, "default-src 'self'; connect-src 'self' ws://%.*s:* wss://%.*s:*; ", len, host,
			 len, host);
	strncat(policy,
		"img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'",
		size - strlen(policy) - 1);
}

static enum MHD_Result send_file(struct http *h, struct MHD_Connection *c, const struct http_file *file)
{
	const char *known = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	bool same = known && strstr(known, file->etag);
	size_t len = same ? 0 : (size_t)(file->end - file->data);
	struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *)(uintptr_t)file->data,
								 MHD_RESPMEM_PERSISTENT);
	char policy[3 * HTTP_HOST_MAX];

	if (r) {
		page_policy(c, policy, sizeof(policy));
		harden(r, file->type, policy);
		MHD_add_response_header(r, "Cache-Control", "no-cache");
		MHD_add_response_header(r, "ETag", file->etag);
	}
	return send_response(h, c, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r);
}

/* ---- who may
 * ------------------------------------------------------------------------------------------------------
 */

/* At most a line each ten seconds. */
static void log_refused(struct http *h, struct MHD_Connection *c, const char *why)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	char name[NET_ADDRESS_MAX] = "";
	uint64_t now = clock_ns();
	struct net_address a;

	h->refused++;
	if (h->refused_logged_ns && now - h->refused_logged_ns < 10 * NS_PER_S)
		return;
	if (info && info->client_addr) {
		a = net_address_of(info->client_addr);
		net_address_name(&a, 0, name);
	}
	log_notice("HTTP request from %.*s refused: %s (%llu since the last such line).", net_host_len(name), name, why,
		   (unsigned long long)h->refused);
	h->refused_logged_ns = now;
	h->refused = 0;
}

/* MHD_YES and *refused: the request was answered, it lacks the right. */
static enum MHD_Result check_right(struct http *h, struct MHD_Connection *c, enum http_role wanted, bool *refused)
{
	const char *authorization = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	bool needed;
	enum http_role role = http_role_of(h, authorization, &needed);

	*refused = role < wanted;
	if (!*refused)
		return MHD_YES;
	if (!needed) {
		log_refused(h, c, "there are no http_tokens, so that nobody may change anything");
		return send_error(h, c, MHD_HTTP_FORBIDDEN,
				  "without the option http_tokens nobody may change anything over HTTP");
	}
	if (role == HTTP_READ) {
		log_refused(h, c, "its token is for reading");
		return send_error(h, c, MHD_HTTP_FORBIDDEN, "this takes a token of the role admin");
	}
	log_refused(h, c, authorization ? "its token is unknown" : "it has no token");
	return send_error(h, c, MHD_HTTP_UNAUTHORIZED, "this takes a token, in Authorization: Bearer TOKEN");
}

/* ---- what for
 * -----------------------------------------------------------------------------------------------------
 */

static bool is_get(const char *method)
{
	return !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

/* What the page has to know before it has a token. */
static enum MHD_Result send_access(struct http *h, struct MHD_Connection *c)
{
	static const char *const names[] = {[HTTP_NOBODY] = "none", [HTTP_READ] = "read", [HTTP_ADMIN] = "admin"};
	bool needed;
	enum http_role role = http_role_of(
		h, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION), &needed);
	char *text;
	int len = asprintf(&text, "{\"access\":{\"role\":\"%s\",\"tokens\":%s}}\n", names[role],
			   needed ? "true" : "false");

	return send_text(h, c, MHD_HTTP_OK, json_type, len < 0 ? NULL : text, len < 0 ? 0 : (size_t)len);
}

/* What takes no token; NULL: it is something else. */
static enum MHD_Result (*open_to_all(const char *url))(struct http *, struct MHD_Connection *)
{
	static const struct {
		const char *url;
		enum MHD_Result (*send)(struct http *, struct MHD_Connection *);
	} all[] = {{"/healthz", send_healthy}, {"/readyz", send_ready}, {"/api/v1/access", send_access}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strcmp(all[i].url, url))
			return all[i].send;
	}
	return NULL;
}

static const struct http_resource *resource_of(const char *url)
{
	return strncmp(url, api, strlen(api)) != 0 ? NULL : http_resource(url + strlen(api));
}

/* The headers are there. MHD_YES and not *answered: it may go on. */
static enum MHD_Result check_request(struct http *h, struct MHD_Connection *c, const char *url, const char *method,
				     bool *answered)
{
	const struct http_resource *resource = resource_of(url);
	bool metrics = !strcmp(url, "/metrics");

	*answered = true;
	if (!http_host_is_ours(h, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST))) {
		log_refused(h, c, "it is for another host, which an http_host could allow");
		return send_error(h, c, MHD_HTTP_MISDIRECTED_REQUEST,
				  "this is not the host: name it by the option http_host, "
				  "or use the address");
	}
	if ((http_file(url) || open_to_all(url)) && is_get(method)) {
		*answered = false;
		return MHD_YES;
	}
	if (!metrics && !resource)
		return send_error(h, c, MHD_HTTP_NOT_FOUND, "there is nothing here");
	if (metrics ? !is_get(method) : !http_resource_takes(resource, method))
		return send_error(h, c, MHD_HTTP_METHOD_NOT_ALLOWED, "this takes another method");
	return check_right(h, c, metrics ? HTTP_READ : http_resource_role(resource), answered);
}

static enum MHD_Result begin(struct http *h, struct MHD_Connection *c, const char *url, const char *method,
			     void **request)
{
	struct request *r;
	bool answered;
	enum MHD_Result result = check_request(h, c, url, method, &answered);

	if (answered)
		return result;
	r = calloc(1, sizeof(*r));
	if (r && !is_get(method))
		r->body = malloc(HTTP_BODY_MAX + 1);
	*request = r;
	return r && (r->body || is_get(method)) ? MHD_YES : MHD_NO;
}

/* All of it is there. */
static enum MHD_Result finish(struct http *h, struct MHD_Connection *c, const char *url, const struct request *r)
{
	enum MHD_Result (*send)(struct http *, struct MHD_Connection *) = open_to_all(url);
	const struct http_file *file = http_file(url);
	struct http_answer answer;

	if (file)
		return send_file(h, c, file);
	if (send)
		return send(h, c);
	if (!strcmp(url, "/metrics"))
		return send_metrics(h, c);
	answer = http_use(resource_of(url), url + strlen(api), c, r->body);
	return send_text(h, c, answer.status, json_type, answer.text, answer.len);
}

enum MHD_Result http_request(void *http, struct MHD_Connection *c, const char *url, const char *method,
			     const char *version, const char *upload, size_t *upload_len, void **request)
{
	struct request *r = *request;
	struct http *h = http;

	(void)version;
	if (!r)
		return begin(h, c, url, method, request);
	if (*upload_len) {
		/* What is too much is counted, not kept. */
		if (r->body && r->len + *upload_len <= HTTP_BODY_MAX)
			memcpy(r->body + r->len, upload, *upload_len);
		r->len += *upload_len;
		*upload_len = 0;
		return r->len <= 4 * HTTP_BODY_MAX ? MHD_YES : MHD_NO;
	}
	if (r->len > HTTP_BODY_MAX)
		return send_error(h, c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
	if (r->body)
		r->body[r->len] = '\0';
	return finish(h, c, url, r);
}

void http_request_done(void *http, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode why)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_client *client = info ? info->socket_context : NULL;
	struct request *r = *request;

	(void)http;
	(void)why;
	if (r)
		free(r->body);
	free(r);
	*request = NULL;
	if (client && client->deadline_ns != UINT64_MAX)
		client->deadline_ns = clock_ns() + HTTP_REQUEST_S * NS_PER_S;
}
