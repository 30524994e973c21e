// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* TLS with clients of others: gnutls-cli, which shares no code with OpenSSL, and openssl s_client. The server is a thread
 * that echoes over TCP. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tls_keys.h"

enum {
	PATIENCE_MS = 20000,
	SEEN_MAX = 8,
};

/* What a connection came to. */
struct seen {
	char version[16], reason[TLS_REASON_MAX], alpn[16], name[64], identity[64];
	bool done, resumed, truncated;
};

static struct server {
	struct tls_context *context;
	int listener;
	uint16_t port;
	pthread_t thread;
	atomic_bool stop;
	struct seen seen[SEEN_MAX];
	int n;
} server;

static bool wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, PATIENCE_MS) == 1;
}

static void note(struct seen *seen, const struct tls_stream *s)
{
	const char *text, *why;
	char *name;
	size_t len;

	seen->done = true;
	seen->resumed = tls_stream_resumed(s);
	snprintf(seen->version, sizeof(seen->version), "%s", tls_stream_version(s));
	if ((text = tls_stream_alpn(s, &len)))
		snprintf(seen->alpn, sizeof(seen->alpn), "%.*s", (int)len, text);
	if ((text = tls_stream_psk_identity(s, &len)))
		snprintf(seen->identity, sizeof(seen->identity), "%.*s", (int)len, text);
	if ((name = tls_stream_common_name(s, &why)))
		snprintf(seen->name, sizeof(seen->name), "%s", name);
	free(name);
}

static void echo(struct tls_stream *s, int fd)
{
	char buf[1000];
	ssize_t n;

	while ((n = tls_stream_read(s, buf, sizeof(buf))) != 0) {
		struct iovec iov = {.iov_base = buf, .iov_len = n > 0 ? (size_t)n : 0};

		if (n == -EAGAIN ? !wait_for(fd, POLLIN) : n < 0 || tls_stream_write(s, &iov, 1) != n)
			return;
	}
	tls_stream_shutdown(s);
}

static void serve(int fd, struct seen *seen)
{
	struct tls_stream *s = tls_stream_new(server.context, fd);
	enum tls_progress progress;

	while ((progress = tls_stream_handshake(s)) == TLS_WANT_READ || progress == TLS_WANT_WRITE) {
		if (!wait_for(fd, progress == TLS_WANT_READ ? POLLIN : POLLOUT))
			break;
	}
	if (progress == TLS_DONE) {
		note(seen, s);
		echo(s, fd);
	}
	snprintf(seen->reason, sizeof(seen->reason), "%s", tls_stream_reason(s));
	seen->truncated = tls_stream_truncated(s);
	tls_stream_free(s);
}

static void *run_server(void *arg)
{
	(void)arg;
	while (!server.stop) {
		int fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (!server.stop && server.n < SEEN_MAX)
			serve(fd, &server.seen[server.n++]);
		close(fd);
	}
	return NULL;
}

static int connect_to_server(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(server.port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

static void start_server(struct tls_config config)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);

	memset(&server, 0, sizeof(server));
	server.context = new_context(config);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server.listener >= 0 && !bind(server.listener, (struct sockaddr *)&at, len) &&
		    !listen(server.listener, 10) && !getsockname(server.listener, (struct sockaddr *)&at, &len));
	server.port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&server.thread, NULL, run_server, NULL), 0);
}

static void stop_server(void)
{
	server.stop = true;
	close(connect_to_server());
	pthread_join(server.thread, NULL);
	close(server.listener);
	tls_context_unref(server.context);
}

static void need(const char *program)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	if (system(command) == 0)
		return;
	print_message("SKIP: there is no %s\n", program);
	skip();
}

/* Run a client that sends `hello` and ends, and see what the server saw of it, after stopping it. */
static void run_client(struct tls_config config, const char *program, const char *arguments, bool good)
{
	char command[1024], log[4096] = "";
	FILE *f;
	int rc;

	start_server(config);
	/* They end when their input does, which is when they have got it back, or there is nobody any more to read it. */
	snprintf(
		command, sizeof(command),
		"rm -f out; { echo hello; until grep -qs hello out; do sleep 0.02; echo; done; } | timeout 20 %s %s >out 2>&1",
		program, arguments);
	for (char *port; (port = strstr(command, "PORT"));) {
		char number[8];

		snprintf(number, sizeof(number), "%4u", server.port); /* ephemeral ports may have 5 digits */
		memmove(port + strlen(number), port + 4, strlen(port + 4) + 1);
		memcpy(port, number, strlen(number));
	}
	rc = system(command);
	stop_server();
	f = fopen("out", "re");
	assert_non_null(f);
	log[fread(log, 1, sizeof(log) - 1, f)] = '\0';
	fclose(f);
	if (good != (server.n > 0 && server.seen[0].done && strstr(log, "hello")))
		print_message("%s\nstatus %d, %s\n%s\n", command, rc, server.seen[0].reason, log);
	assert_int_equal(server.n > 0 && server.seen[0].done && strstr(log, "hello"), good);
}

#define GNUTLS "gnutls-cli"
#define S_CLIENT "openssl s_client"
#define GNUTLS_TO "--x509cafile ca.pem --port PORT --sni-hostname localhost --verify-hostname localhost 127.0.0.1 "
#define S_CLIENT_TO \
	"-quiet -no_ign_eof -CAfile ca.pem -verify_return_error -connect 127.0.0.1:PORT -servername localhost "
#define PSK_HEX "30313233343536373839616263646566"

static void test_versions(void **state)
{
	(void)state;
	need(GNUTLS);
	need("openssl");
	run_client(world_config, GNUTLS, GNUTLS_TO "--alpn mqtt --priority NORMAL:-VERS-ALL:+VERS-TLS1.2", true);
	assert_string_equal(server.seen[0].version, "TLSv1.2");
	assert_string_equal(server.seen[0].alpn, "mqtt");
	assert_string_equal(server.seen[0].reason, "");
	run_client(world_config, GNUTLS, GNUTLS_TO "--alpn mqtt --priority NORMAL:-VERS-ALL:+VERS-TLS1.3", true);
	assert_string_equal(server.seen[0].version, "TLSv1.3");
	assert_string_equal(server.seen[0].alpn, "mqtt");
	run_client(world_config, S_CLIENT, S_CLIENT_TO "-tls1_2", true);
	assert_string_equal(server.seen[0].version, "TLSv1.2");
	run_client(world_config, S_CLIENT, S_CLIENT_TO "-tls1_3 -alpn mqtt", true);
	assert_string_equal(server.seen[0].version, "TLSv1.3");
	assert_string_equal(server.seen[0].alpn, "mqtt");
}

static void test_refusals(void **state)
{
	struct tls_config config = with_clients();

	(void)state;
	need(GNUTLS);
	need("openssl");
	run_client(world_config, GNUTLS, GNUTLS_TO "--priority NORMAL:-VERS-ALL:+VERS-TLS1.1", false);
	assert_string_equal(server.seen[0].reason, "the client's version of TLS is too old, see tls_version");
	run_client(world_config, GNUTLS, GNUTLS_TO "--alpn h2", false);
	assert_string_equal(server.seen[0].reason, "the client offers only other protocols (ALPN)");
	run_client(world_config, GNUTLS, GNUTLS_TO "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-CBC",
		   false);
	assert_string_equal(server.seen[0].reason, "no shared cipher");
	run_client(config, GNUTLS, GNUTLS_TO "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2", false);
	assert_string_equal(server.seen[0].reason, "the client did not return a certificate");
	run_client(config, GNUTLS, GNUTLS_TO, false);
	assert_string_equal(server.seen[0].reason, "the client did not return a certificate");
	/* They do not know the server's CA. */
	run_client(world_config, GNUTLS,
		   "--x509cafile client.pem --port PORT --sni-hostname localhost --verify-hostname localhost 127.0.0.1",
		   false);
	run_client(
		world_config, S_CLIENT,
		"-quiet -no_ign_eof -CAfile client.pem -verify_return_error -connect 127.0.0.1:PORT -servername localhost",
		false);
	assert_string_equal(server.seen[0].reason, "the client refused: unknown CA");
}

static void test_certificates(void **state)
{
	struct tls_config config = with_clients();

	(void)state;
	need(GNUTLS);
	need("openssl");
	run_client(config, GNUTLS, GNUTLS_TO "--x509certfile client.pem --x509keyfile client.key", true);
	assert_string_equal(server.seen[0].name, "sensor");
	run_client(config, S_CLIENT, S_CLIENT_TO "-cert client.pem -key client.key -tls1_2", true);
	assert_string_equal(server.seen[0].name, "sensor");
}

static void test_keys(void **state)
{
	struct tls_config config = with_keys();

	(void)state;
	need(GNUTLS);
	need("openssl");
	run_client(config, GNUTLS,
		   "--pskusername sensor --pskkey " PSK_HEX
		   " --port PORT --sni-hostname localhost --verify-hostname localhost 127.0.0.1 "
		   "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK",
		   true);
	assert_string_equal(server.seen[0].version, "TLSv1.2");
	assert_string_equal(server.seen[0].identity, "sensor");
	run_client(config, GNUTLS,
		   "--pskusername sensor --pskkey " PSK_HEX
		   " --port PORT --sni-hostname localhost --verify-hostname localhost 127.0.0.1 "
		   "--priority NORMAL:-VERS-ALL:+VERS-TLS1.3:+PSK:+ECDHE-PSK",
		   true);
	assert_string_equal(server.seen[0].version, "TLSv1.3");
	assert_string_equal(server.seen[0].identity, "sensor");
	run_client(config, S_CLIENT,
		   "-quiet -no_ign_eof -connect 127.0.0.1:PORT -servername localhost -psk_identity sensor -psk " PSK_HEX
		   " -tls1_2 -cipher PSK",
		   true);
	assert_string_equal(server.seen[0].identity, "sensor");
	run_client(config, S_CLIENT,
		   "-quiet -no_ign_eof -connect 127.0.0.1:PORT -servername localhost -psk_identity sensor -psk " PSK_HEX
		   " -tls1_3",
		   true);
	assert_string_equal(server.seen[0].identity, "sensor");
	run_client(config, GNUTLS,
		   "--pskusername sensor --pskkey 00" PSK_HEX
		   " --port PORT --sni-hostname localhost --verify-hostname localhost 127.0.0.1 "
		   "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK",
		   false);
	assert_string_equal(server.seen[0].reason, "another key than psk_file has for the identity");
	run_client(config, S_CLIENT,
		   "-quiet -no_ign_eof -connect 127.0.0.1:PORT -servername localhost -psk_identity x -psk " PSK_HEX
		   " -tls1_3",
		   false);
	assert_string_equal(server.seen[0].reason, "an identity that psk_file does not have");
}

static void test_resumption(void **state)
{
	(void)state;
	need(GNUTLS);
	need("openssl");
	for (int version = 2; version <= 3; version++) {
		char arguments[256];

		snprintf(arguments, sizeof(arguments),
			 GNUTLS_TO "--resume --waitresumption --priority NORMAL:-VERS-ALL:+VERS-TLS1.%d", version);
		run_client(world_config, GNUTLS, arguments, true);
		assert_int_equal(server.n, 2);
		assert_false(server.seen[0].resumed);
		assert_true(server.seen[1].done && server.seen[1].resumed);

		/* Twice: to get a ticket, and to come back with it. */
		snprintf(arguments, sizeof(arguments), S_CLIENT_TO "-tls1_%d -sess_out session", version);
		run_client(world_config, S_CLIENT, arguments, true);
		snprintf(arguments, sizeof(arguments), S_CLIENT_TO "-tls1_%d -sess_in session", version);
		run_client(world_config, S_CLIENT, arguments, true);
		assert_true(server.seen[0].resumed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions), cmocka_unit_test(test_refusals),   cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_keys),	 cmocka_unit_test(test_resumption),
	};

	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
