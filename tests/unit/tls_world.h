/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* For tests of TLS: a folder with a CA, certificates and keys in it; and a client of OpenSSL's, connected to a stream by a
 * pair of sockets, both in one thread. */
#ifndef SHUNT_TESTS_TLS_WORLD_H
#define SHUNT_TESTS_TLS_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/hash.h"
#include "base/log.h"
#include "net/tls_stream.h"
#include "tls_certs.h"

static char world_dir[] = "/tmp/shunt-test-tls.XXXXXX";
static struct cert world_ca, world_server, world_client;
static struct tls_tickets *world_tickets;

static inline void world_make(void)
{
	hash_init();
	certs_must(mkdtemp(world_dir) && !chdir(world_dir));
	umask(077);
	world_ca = make_cert(&(struct cert_spec){.cn = "Test CA", .ca = true});
	world_server = make_cert(
		&(struct cert_spec){.cn = "localhost", .san = "DNS:localhost", .issuer = &world_ca, .serial = 2});
	world_client = make_cert(
		&(struct cert_spec){.cn = "sensor", .organization = "Example", .issuer = &world_ca, .serial = 3});
	write_cert("ca.pem", &world_ca, NULL);
	write_cert("server.pem", &world_server, NULL);
	write_key("server.key", &world_server, NULL);
	write_cert("client.pem", &world_client, NULL);
	write_key("client.key", &world_client, NULL);
	world_tickets = tls_tickets_new();
	certs_must(world_tickets != NULL);
}

static inline int world_end(int failures)
{
	char command[64];

	free_cert(&world_ca);
	free_cert(&world_server);
	free_cert(&world_client);
	tls_tickets_unref(world_tickets);
	snprintf(command, sizeof(command), "rm -r %s", world_dir);
	return chdir("/") || system(command) ? 1 : failures;
}

static inline void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	certs_must(f && fputs(text, f) >= 0 && !fclose(f));
}

/* What most tests begin with. */
static const struct tls_config world_config = {.certfile = "server.pem", .keyfile = "server.key"};

static inline struct tls_context *new_context(struct tls_config config)
{
	struct tls_context *context;

	config.tickets = world_tickets;
	context = tls_context_new(&config);
	assert_non_null(context);
	return context;
}

struct pair {
	int fds[2]; /* the server's, the client's */
	struct tls_stream *server;
	SSL_CTX *client_context;
	SSL *client;
	enum tls_progress progress; /* of the handshake, the server's */
	bool client_done;
	int client_error; /* SSL_R_... */
};

/* Everything but the connection. The client checks nothing; what it is to be is the test's to change. */
static inline struct pair pair_new(struct tls_context *context)
{
	struct pair p = {.client_context = SSL_CTX_new(TLS_client_method())};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p.fds), 0);
	p.server = tls_stream_new(context, p.fds[0]);
	assert_non_null(p.server);
	assert_non_null(p.client_context);
	return p;
}

static inline void pair_client(struct pair *p)
{
	if (p->client)
		return;
	p->client = SSL_new(p->client_context);
	assert_non_null(p->client);
	SSL_set_fd(p->client, p->fds[1]);
	SSL_set_connect_state(p->client);
}

/* Both sides in turn, until neither goes on. */
static inline enum tls_progress pair_shake(struct pair *p)
{
	bool client_over = false;

	pair_client(p);
	p->progress = TLS_WANT_READ;
	for (int turn = 0; turn < 200 && (p->progress != TLS_DONE || !p->client_done); turn++) {
		if (!client_over) {
			int rc, error;

			ERR_clear_error();
			rc = SSL_do_handshake(p->client);
			error = SSL_get_error(p->client, rc);
			p->client_done = rc == 1;
			client_over = rc == 1 || error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
			if (error == SSL_ERROR_SSL)
				p->client_error = ERR_GET_REASON(ERR_peek_error());
		}
		if (p->progress == TLS_WANT_READ || p->progress == TLS_WANT_WRITE)
			p->progress = tls_stream_handshake(p->server);
		if (p->progress == TLS_FAILED && client_over)
			break;
	}
	return p->progress;
}

/* Send to the client, which reads it, and with it in TLS 1.3 its tickets. */
static inline void pair_greet(struct pair *p)
{
	struct iovec iov = {.iov_base = (char[]){"hello"}, .iov_len = 5};
	char text[6] = "";

	assert_int_equal(tls_stream_write(p->server, &iov, 1), 5);
	assert_int_equal(SSL_read(p->client, text, 5), 5);
	assert_string_equal(text, "hello");
}

static inline void pair_free(struct pair *p)
{
	tls_stream_free(p->server);
	SSL_free(p->client);
	SSL_CTX_free(p->client_context);
	close(p->fds[0]);
	if (p->fds[1] >= 0)
		close(p->fds[1]);
	ERR_clear_error();
}

static inline void client_certificate(struct pair *p, const struct cert *c)
{
	assert_int_equal(SSL_CTX_use_certificate(p->client_context, c->x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->client_context, c->key), 1);
}

static inline void client_version(struct pair *p, int version)
{
	assert_int_equal(SSL_CTX_set_min_proto_version(p->client_context, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(p->client_context, version), 1);
}

/* ---- for many tests ----------------------------------------------------------------------------------------------- */

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static inline struct tls_config with_clients(void)
{
	struct tls_config config = world_config;

	config.cafile = "ca.pem";
	config.require_certificate = true;
	return config;
}

static inline void assert_refused(struct pair *p, const char *reason)
{
	assert_int_equal(pair_shake(p), TLS_FAILED);
	assert_string_equal(tls_stream_reason(p->server), reason);
	assert_int_equal(tls_stream_handshake(p->server), TLS_FAILED);
}

#endif
