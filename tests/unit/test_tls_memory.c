// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* TLS without memory: each allocation on the server's side fails in its turn, ours (the linker leads them here, see the
 * Makefile) and OpenSSL's. Nothing leaks, nobody gets in by it, and the next one who comes is served. And what memory a
 * connection takes. */
#include <malloc.h>

#include "failing_malloc.h"
#include "tls_keys.h"

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return malloc(size);
}

static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return realloc(p, size);
}

static void openssl_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* Allocations of the server's that are still to succeed; negative: all. */
static long server_left = -1;

/* The handshake with one failure on the server's side, and the first bytes of data. Returns whether it succeeded. */
static bool converse(struct tls_context *context, struct pair *p)
{
	struct iovec iov[2] = {{.iov_base = (char[]){"hel"}, .iov_len = 3}, {.iov_base = (char[]){"lo"}, .iov_len = 2}};
	enum tls_progress progress = TLS_WANT_READ;
	char buf[8] = "";
	ssize_t n;

	left = server_left;
	p->server = tls_stream_new(context, p->fds[0]);
	server_left = left;
	left = -1;
	if (!p->server)
		return false;
	for (int turn = 0; turn < 20 && (progress == TLS_WANT_READ || progress == TLS_WANT_WRITE); turn++) {
		SSL_do_handshake(p->client);
		left = server_left;
		progress = tls_stream_handshake(p->server);
		server_left = left;
		left = -1;
	}
	if (progress != TLS_DONE) {
		assert_int_equal(progress, TLS_FAILED);
		assert_true(strlen(tls_stream_reason(p->server)) > 0);
		return false;
	}
	SSL_do_handshake(p->client);
	assert_int_equal(SSL_write(p->client, "word", 4), 4);
	left = server_left;
	n = tls_stream_write(p->server, iov, 2);
	if (n == 5)
		n = tls_stream_read(p->server, buf, sizeof(buf));
	server_left = left;
	left = -1;
	if (n != 4) {
		assert_true(n < 0 && n != -EAGAIN);
		return false;
	}
	assert_string_equal(buf, "word");
	return true;
}

static bool with_failure(struct tls_context *context, struct pair p, long fail_at, bool *met)
{
	bool good;

	/* tls_stream_new() is to be among what fails. */
	tls_stream_free(p.server);
	pair_client(&p);
	server_left = fail_at;
	good = converse(context, &p);
	*met = fail_at >= 0 && server_left < 0;
	pair_free(&p);
	return good;
}

/* As each kind of client. */
static struct pair certificate_pair(struct tls_context *context, int version)
{
	struct pair p = pair_new(context);

	client_version(&p, version);
	client_certificate(&p, &world_client);
	return p;
}

/* Every `stride`th allocation: signatures make thousands, all alike. */
static void fail_each(struct tls_config config, struct pair (*make)(struct tls_context *, int), int version,
		      long stride)
{
	struct tls_context *context = new_context(config);
	long tries = 0, refused = 0;
	bool met = true;

	/* OpenSSL makes its tables when it is first used, and they stay: that is before there are clients. */
	assert_true(with_failure(context, make(context, version), -1, &(bool){false}));
	for (; met; tries++) {
		refused += !with_failure(context, make(context, version), tries * stride, &met);
		if (tries % 50 == 0)
			assert_true(with_failure(context, make(context, version), -1, &(bool){false}));
	}
	assert_true(with_failure(context, make(context, version), -1, &(bool){false}));
	/* Some failures OpenSSL can do without. */
	assert_in_range(refused, 20, tries);
	tls_context_unref(context);
}

static void test_handshakes(void **state)
{
	(void)state;
	fail_each(with_clients(), certificate_pair, TLS1_2_VERSION, 23);
	fail_each(with_clients(), certificate_pair, TLS1_3_VERSION, 23);
	fail_each(with_keys(), psk_pair, TLS1_2_VERSION, 1);
	fail_each(with_keys(), psk_pair, TLS1_3_VERSION, 1);
}

static void test_context(void **state)
{
	static const struct tls_pair more = {"client.pem", "client.key"};
	struct tls_config config = with_keys();
	struct tls_context *context = NULL;
	long fail_at = 0;

	(void)state;
	log_set_dest(0, NULL);
	config.certfile = "server.pem";
	config.keyfile = "server.key";
	config.cafile = "ca.pem";
	config.crlfile = "crl.pem";
	config.require_certificate = true;
	config.pairs = &more;
	config.npairs = 1;
	write_crl("crl.pem", &world_ca, NULL, 10);
	/* Each of the first, which are ours and the beginnings of OpenSSL's, then some. */
	for (bool met = true; met; fail_at += fail_at < 100 ? 1 : 17) {
		tls_context_unref(context);
		left = fail_at;
		context = tls_context_new(&config);
		met = left < 0;
		left = -1;
	}
	assert_non_null(context);
	assert_true(fail_at > 1000);
	tls_context_unref(context);
	log_set_dest(LOG_DEST_STDERR, NULL);
}

static void test_names(void **state)
{
	struct tls_config config = with_clients();
	struct tls_context *context;
	struct pair p;

	(void)state;
	context = new_context(config);
	p = certificate_pair(context, TLS1_3_VERSION);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	for (int which = 0; which < 2; which++) {
		char *name = NULL;
		long fail_at = 0;

		for (; !name; fail_at++) {
			const char *why = "";

			left = fail_at;
			name = which ? tls_stream_subject(p.server, &why) : tls_stream_common_name(p.server, &why);
			left = -1;
			assert_true(name || *why);
			assert_true(fail_at < 1000);
		}
		assert_string_equal(name, which ? "CN=sensor,O=Example" : "sensor");
		free(name);
	}
	pair_free(&p);
	tls_context_unref(context);
}

/* ---- how much ---------------------------------------------------------------------------------------------------- */

enum {
	STREAMS = 200,
	STREAM_BYTES_MAX = 24000, /* of one that is idle; more is a buffer that should have been released */
};

/* Bytes that an idle stream takes, beyond the client's side of it, which stays. */
static size_t bytes_each(struct tls_config config, struct pair (*make)(struct tls_context *, int), int version)
{
	static struct pair pairs[STREAMS];
	struct tls_context *context = new_context(config);
	size_t before, after;

	for (int i = 0; i < STREAMS; i++) {
		pairs[i] = make(context, version);
		assert_int_equal(pair_shake(&pairs[i]), TLS_DONE);
		pair_greet(&pairs[i]);
		assert_int_equal(tls_stream_read(pairs[i].server, (char[1]){0}, 1), -EAGAIN);
	}
	before = mallinfo2().uordblks;
	for (int i = 0; i < STREAMS; i++)
		tls_stream_free(pairs[i].server);
	after = mallinfo2().uordblks;
	for (int i = 0; i < STREAMS; i++) {
		pairs[i].server = NULL;
		pair_free(&pairs[i]);
	}
	tls_context_unref(context);
	return (before - after) / STREAMS;
}

static struct pair plain_pair(struct tls_context *context, int version)
{
	struct pair p = pair_new(context);

	client_version(&p, version);
	return p;
}

static void test_idle(void **state)
{
	static const struct {
		const char *name;
		struct pair (*make)(struct tls_context *, int);
		struct tls_config (*config)(void);
	} rows[] = {
		{"certificate", certificate_pair, with_clients},
		{"key", psk_pair, with_keys},
	};

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("SKIP: a sanitizer's allocator does not count\n");
	skip();
#endif
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		size_t bytes = bytes_each(world_config, plain_pair, version);

		print_message("TLS 1.%d: %zu bytes\n", version - TLS1_VERSION, bytes);
		assert_in_range(bytes, 1000, STREAM_BYTES_MAX);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			bytes = bytes_each(rows[i].config(), rows[i].make, version);
			print_message("TLS 1.%d, client with %s: %zu bytes\n", version - TLS1_VERSION, rows[i].name,
				      bytes);
			assert_in_range(bytes, 1000, STREAM_BYTES_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_idle),
	};

	if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
		return 1;
	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
