// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* One thread; a client is opened as soon as another has its CONNACK, so that `concurrency` are on their way all the time. */
#include "shunt-bench/storm.h"

#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "mqtt/encode.h"
#include "shunt-bench/tasks.h"

enum {
	CONNACK_LEN = 4,
	EVENTS = 256,
	TIMEOUT_MS = 30000, /* without anything happening: the rest has failed */
	PACKET_MAX = 1024,
};

enum stage {
	STAGE_NEW,
	STAGE_TCP,
	STAGE_TLS,
	STAGE_CONNACK,
	STAGE_OPEN,
	STAGE_FAILED,
};

struct client {
	int fd;
	enum stage stage;
	SSL *ssl;
	SSL_SESSION *session; /* to resume */
	uint64_t begun_ns;
	uint8_t got; /* bytes of the CONNACK */
};

struct storm {
	const struct options *o;
	struct addrinfo *to;
	SSL_CTX *tls; /* NULL: in the clear */
	int epoll;
	unsigned tag;
	size_t n, begun, open, failed, on_the_way, resumed;
	struct client *clients;
	struct histogram latency; /* ns, from connect() to the CONNACK */
	int error;		  /* errno of a failure, the last */
};

/* ---- one client --------------------------------------------------------------------------------------------------- */

static void finish(struct storm *s, struct client *c, enum stage stage)
{
	s->on_the_way--;
	c->stage = stage;
	if (stage == STAGE_OPEN) {
		s->open++;
		s->resumed += c->ssl && SSL_session_reused(c->ssl);
		histogram_record(&s->latency, clock_ns() - c->begun_ns);
		return;
	}
	s->error = errno;
	s->failed++;
	SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
	c->fd = -1;
}

/* What a call of OpenSSL came to: 0 go on later, -1 failed. */
static int after(const struct client *c, int rc)
{
	int error = SSL_get_error(c->ssl, rc);

	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	errno = EPROTO;
	return -1;
}

static int send_connect(struct storm *s, struct client *c)
{
	char id[64];
	uint8_t packet[PACKET_MAX];
	struct mqtt_connect connect = {
		.version = (enum mqtt_version)s->o->mqtt,
		.clean_start = !s->o->persistent,
		.keep_alive = (uint16_t)s->o->keepalive,
		.has_username = s->o->username,
		.has_password = s->o->password,
		.username = mqtt_str(s->o->username ? s->o->username : ""),
		.password = mqtt_str(s->o->password ? s->o->password : ""),
	};
	size_t len;
	ssize_t sent;

	snprintf(id, sizeof(id), "storm-%04x-%zu", s->tag, (size_t)(c - s->clients));
	connect.client_id = mqtt_str(id);
	len = mqtt_encode_connect(packet, sizeof(packet), &connect, NULL);
	if (!len) {
		errno = EMSGSIZE;
		return -1;
	}
	sent = c->ssl ? SSL_write(c->ssl, packet, (int)len) : send(c->fd, packet, len, MSG_NOSIGNAL);
	if (c->ssl && sent <= 0)
		after(c, (int)sent);
	c->stage = STAGE_CONNACK;
	return sent == (ssize_t)len ? 1 : -1; /* a new socket takes it */
}

static int read_connack(struct client *c)
{
	uint8_t buf[CONNACK_LEN];
	size_t left = CONNACK_LEN - (size_t)c->got;
	ssize_t n = c->ssl ? SSL_read(c->ssl, buf, (int)left) : recv(c->fd, buf, left, 0);

	if (n <= 0 && c->ssl)
		return after(c, (int)n);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		errno = n ? errno : ECONNRESET;
		return -1;
	}
	c->got += (uint8_t)n;
	if (c->got == CONNACK_LEN && buf[n - 1]) {
		errno = EACCES;
		return -1;
	}
	if (c->got < CONNACK_LEN)
		return 1;
	c->stage = STAGE_OPEN;
	return 1;
}

static int begin_tls(struct storm *s, struct client *c)
{
	if (!s->tls) {
		c->stage = STAGE_CONNACK;
		return send_connect(s, c);
	}
	c->ssl = SSL_new(s->tls);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_set_app_data(c->ssl, c) != 1 ||
	    (c->session && SSL_set_session(c->ssl, c->session) != 1)) {
		errno = ENOMEM;
		return -1;
	}
	c->stage = STAGE_TLS;
	return 1;
}

/* 1: again at once; 0: later; -1 with errno. */
static int step(struct storm *s, struct client *c)
{
	socklen_t len = sizeof(errno);
	int rc, err = 0;

	switch (c->stage) {
	case STAGE_TCP:
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
			errno = err ? err : errno;
			return -1;
		}
		return begin_tls(s, c);
	case STAGE_TLS:
		rc = SSL_connect(c->ssl);
		return rc == 1 ? send_connect(s, c) : after(c, rc);
	default:
		return read_connack(c);
	}
}

static void advance(struct storm *s, struct client *c)
{
	int rc = 1;

	while (rc > 0 && c->stage != STAGE_OPEN)
		rc = step(s, c);
	if (rc < 0)
		finish(s, c, STAGE_FAILED);
	else if (c->stage == STAGE_OPEN)
		finish(s, c, STAGE_OPEN);
}

static void begin(struct storm *s, struct client *c)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
	int one = 1;

	s->on_the_way++;
	c->begun_ns = clock_ns();
	c->got = 0;
	c->stage = STAGE_TCP;
	c->fd = socket(s->to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    (connect(c->fd, s->to->ai_addr, s->to->ai_addrlen) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		finish(s, c, STAGE_FAILED);
}

/* ---- all of them -------------------------------------------------------------------------------------------------- */

static void one_pass(struct storm *s)
{
	struct epoll_event events[EVENTS];

	s->begun = s->open = s->failed = s->on_the_way = s->resumed = 0;
	while (s->open + s->failed < s->n) {
		int n;

		while (s->begun < s->n && s->on_the_way < s->o->concurrency)
			begin(s, &s->clients[s->begun++]);
		n = epoll_wait(s->epoll, events, EVENTS, TIMEOUT_MS);
		if (n == 0 || (n < 0 && errno != EINTR)) {
			s->failed += s->on_the_way;
			errno = ETIMEDOUT;
			s->error = errno;
			return;
		}
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c->stage > STAGE_NEW && c->stage < STAGE_OPEN)
				advance(s, c);
		}
	}
}

static void close_all(struct storm *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct client *c = &s->clients[i];

		if (c->ssl) /* or OpenSSL would not let the session be resumed */
			SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(c->ssl);
		c->ssl = NULL;
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
	}
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static int make_tls(struct storm *s)
{
	if (!s->o->tls)
		return 0;
	s->tls = SSL_CTX_new(TLS_client_method());
	if (!s->tls || SSL_CTX_load_verify_locations(s->tls, s->o->tls, NULL) != 1) {
		fprintf(stderr, "shunt-bench: --tls: no certificates of a CA in %s\n", s->o->tls);
		return -1;
	}
	SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(s->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(s->tls, keep_session);
	SSL_CTX_set_mode(s->tls, SSL_MODE_RELEASE_BUFFERS);
	return 0;
}

static int prepare(struct storm *s, const struct options *o)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char port[8];
	int rc;

	*s = (struct storm){.o = o, .n = o->connections, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	s->tag = (unsigned)getpid() & 0xffff;
	s->clients = calloc(s->n, sizeof(s->clients[0]));
	if (s->epoll < 0 || !s->clients) {
		fprintf(stderr, "shunt-bench: out of memory\n");
		return -1;
	}
	for (size_t i = 0; i < s->n; i++)
		s->clients[i].fd = -1;
	snprintf(port, sizeof(port), "%u", (unsigned)o->port);
	rc = getaddrinfo(o->host, port, &hints, &s->to);
	if (rc) {
		fprintf(stderr, "shunt-bench: %s: %s\n", o->host, gai_strerror(rc));
		return -1;
	}
	return make_tls(s);
}

static void clean_up(struct storm *s)
{
	if (s->clients)
		close_all(s);
	for (size_t i = 0; s->clients && i < s->n; i++)
		SSL_SESSION_free(s->clients[i].session);
	free(s->clients);
	SSL_CTX_free(s->tls);
	if (s->to)
		freeaddrinfo(s->to);
	close(s->epoll);
}

/* ---- the result --------------------------------------------------------------------------------------------------- */

struct numbers {
	double seconds, broker_us, machine_us, resident_each; /* per client; NAN: not measured */
};

static void print_number(const char *name, double value, bool json)
{
	if (json && isnan(value))
		printf(", \"%s\": null", name);
	else if (!isnan(value))
		printf(json ? ", \"%s\": %.2f" : "\n%-26s %.2f", name, value);
}

static void print(const struct storm *s, const struct numbers *n)
{
	static const double percents[] = {50, 99, 99.9, 100};
	static const char *const names[] = {"p50_us", "p99_us", "p99.9_us", "max_us"};
	bool json = s->o->json;

	printf(json ? "{\"case\": \"storm\", \"tls\": %s, \"connections\": %zu, \"open\": %zu, \"failed\": %zu, \"resumed\": %zu"
		    : "storm: TLS %s, %zu connections: %zu open, %zu failed, %zu resumed",
	       s->tls ? "true" : "false", s->n, s->open, s->failed, s->resumed);
	print_number("seconds", n->seconds, json);
	print_number("connects_per_second", (double)s->open / n->seconds, json);
	for (size_t i = 0; i < 4; i++)
		print_number(names[i], (double)histogram_percentile(&s->latency, percents[i]) / 1000, json);
	print_number("broker_cpu_us", n->broker_us, json);
	print_number("machine_cpu_us", n->machine_us, json);
	print_number("broker_resident_bytes", n->resident_each, json);
	printf(json ? "}\n" : "\n");
	if (s->failed)
		fprintf(stderr, "shunt-bench: %zu could not connect, the last: %s\n", s->failed, strerror(s->error));
}

/* The pass that counts. */
static void measure(struct storm *s, struct numbers *n)
{
	struct tasks broker[2] = {0}, machine[2] = {0};
	pid_t pid = (pid_t)s->o->pid;
	uint64_t began_ns, before = pid ? process_resident(pid) : 0;

	if (pid)
		(void)tasks_read(&broker[0], pid);
	if (s->o->all_cpu)
		(void)tasks_read(&machine[0], 0);
	began_ns = clock_ns();
	one_pass(s);
	n->seconds = (double)(clock_ns() - began_ns) / 1e9;
	n->broker_us = n->machine_us = n->resident_each = NAN;
	if (pid && s->open && !tasks_read(&broker[1], pid)) {
		n->broker_us = (double)tasks_spent(&broker[0], &broker[1], 0, 0).all_ns / 1000 / (double)s->open;
		n->resident_each = ((double)process_resident(pid) - (double)before) / (double)s->open;
	}
	if (s->o->all_cpu && s->open && !tasks_read(&machine[1], 0))
		n->machine_us = (double)tasks_spent(&machine[0], &machine[1], 0, 0).all_ns / 1000 / (double)s->open;
	for (int i = 0; i < 2; i++) {
		tasks_free(&broker[i]);
		tasks_free(&machine[i]);
	}
}

int storm_run(const struct options *o)
{
	struct numbers numbers;
	struct storm s;
	int rc = prepare(&s, o);

	if (!rc && o->resume) { /* to get something to resume */
		one_pass(&s);
		close_all(&s);
		s.latency = (struct histogram){0};
	}
	if (!rc) {
		measure(&s, &numbers);
		print(&s, &numbers);
		rc = s.failed ? 1 : 0;
	}
	clean_up(&s);
	return rc;
}
