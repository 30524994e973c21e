// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Data through TLS: pieces of any size over sockets that take little, ends of any kind, and clients that misuse it. */
#include <poll.h>
#include <pthread.h>

#include "tls_world.h"

enum {
	BULK = 10 << 20,
	IOVECS = 64,
};

static struct pair shaken(struct tls_context *context, int version)
{
	struct pair p = pair_new(context);

	client_version(&p, version);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	pair_greet(&p);
	return p;
}

static ssize_t server_write(struct tls_stream *s, const void *data, size_t len)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};

	return tls_stream_write(s, &iov, 1);
}

static void set_buffers(const struct pair *p, int size)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(setsockopt(p->fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
		assert_int_equal(setsockopt(p->fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	}
}

static uint8_t *random_bytes(size_t len, unsigned seed)
{
	uint8_t *data = malloc(len);
	uint64_t x = seed + 1;

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		data[i] = (uint8_t)(x >> 56);
	}
	return data;
}

/* ---- all of it, in order ----------------------------------------------------------------------------------------- */

struct echo {
	struct pair *p;
	const uint8_t *want;
	unsigned seed;
};

/* Read all, as much at a time as comes, send it back, and see that it is what was sent. */
static void *read_and_echo(void *arg)
{
	struct echo *e = arg;
	uint8_t buf[20000];
	size_t got = 0;
	uintptr_t wrong = 0;

	while (got < BULK) {
		int n = SSL_read(e->p->client, buf, (int)(1 + (unsigned)rand_r(&e->seed) % sizeof(buf)));

		if (n <= 0 || memcmp(buf, e->want + got, (size_t)n) != 0 || SSL_write(e->p->client, buf, n) != n) {
			wrong = 1;
			break;
		}
		got += (size_t)n;
	}
	return (void *)wrong;
}

/* Up to IOVECS random pieces of `data`, some of them empty, with `least` bytes in all at least. Returns how many. */
static int cut(struct iovec *iov, uint8_t *data, size_t len, size_t least, unsigned *seed)
{
	size_t at = 0;
	int n = 0;

	while (n < IOVECS && at < len) {
		size_t most = rand_r(seed) % 8 ? 200 : 40000, piece = (unsigned)rand_r(seed) % most;

		if (n == IOVECS - 1 && at + piece < least)
			piece = least - at;
		if (piece > len - at)
			piece = len - at;
		iov[n++] = (struct iovec){.iov_base = data + at, .iov_len = piece};
		at += piece;
	}
	return n;
}

/* The data moves between calls, as a queue's may: what is torn is found by its bytes only. */
static void bulk(struct tls_context *context, int version, int buffers, unsigned seed)
{
	struct pair p = shaken(context, version);
	uint8_t *data = random_bytes(BULK, seed), *moving = NULL, buf[70000];
	struct echo e = {.p = &p, .want = data, .seed = seed};
	size_t sent = 0, got = 0, torn = 0;
	pthread_t thread;
	void *wrong;

	set_buffers(&p, buffers);
	fcntl(p.fds[1], F_SETFL, 0);
	assert_int_equal(pthread_create(&thread, NULL, read_and_echo, &e), 0);
	while (got < BULK) {
		size_t window = BULK - sent < 300000 ? BULK - sent : 300000;
		struct pollfd poller = {.fd = p.fds[0], .events = POLLIN};
		struct iovec iov[IOVECS];
		ssize_t n = -EAGAIN;

		if (window) {
			free(moving);
			moving = malloc(window);
			assert_non_null(moving);
			memcpy(moving, data + sent, window);
			n = tls_stream_write(p.server, iov, cut(iov, moving, window, tls_stream_torn(p.server), &seed));
		}
		if (n > 0)
			sent += (size_t)n;
		else
			assert_int_equal(n, -EAGAIN);
		torn += tls_stream_torn(p.server) > 0;
		assert_in_range(tls_stream_torn(p.server), 0, TLS_RECORD_MAX);
		if (n < 0 && !tls_stream_readable(p.server)) {
			poller.events |= window ? POLLOUT : 0;
			assert_int_equal(poll(&poller, 1, 10000), 1);
		}
		n = tls_stream_read(p.server, buf, 1 + (unsigned)rand_r(&seed) % sizeof(buf));
		if (n > 0) {
			assert_memory_equal(buf, data + got, n);
			got += (size_t)n;
		} else {
			assert_int_equal(n, -EAGAIN);
			assert_false(tls_stream_readable(p.server));
			assert_int_equal(tls_stream_pending(p.server), 0);
		}
	}
	assert_int_equal(pthread_join(thread, &wrong), 0);
	assert_null(wrong);
	assert_true(torn > 10);
	free(moving);
	free(data);
	pair_free(&p);
}

static void test_bulk(void **state)
{
	struct tls_context *context = new_context(world_config);

	(void)state;
	bulk(context, TLS1_3_VERSION, 4096, 1);
	bulk(context, TLS1_2_VERSION, 4096, 2);
	bulk(context, TLS1_3_VERSION, 100000, 3);
	tls_context_unref(context);
}

/* Small pieces go together: a hundred packets are one record, that is one write to the socket. */
static size_t records;

static void count_records(int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
	(void)version, (void)len, (void)ssl, (void)arg;
	if (!sent && type == SSL3_RT_HEADER && *(const uint8_t *)data == SSL3_RT_APPLICATION_DATA)
		records++;
}

static void test_records(void **state)
{
	static const struct {
		size_t piece;
		int n;
		size_t records;
	} rows[] = {{50, 60, 1}, {1000, 16, 1}, {1000, 60, 4}, {16384, 3, 3}, {20000, 4, 5}, {1, 1, 1}, {0, 60, 0}};
	struct tls_context *context = new_context(world_config);
	static uint8_t data[20000], buf[100000];
	struct iovec iov[60];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = shaken(context, TLS1_2_VERSION);
		size_t total = rows[i].piece * (size_t)rows[i].n, got = 0;

		for (int j = 0; j < rows[i].n; j++)
			iov[j] = (struct iovec){.iov_base = data, .iov_len = rows[i].piece};
		records = 0;
		SSL_set_msg_callback(p.client, count_records);
		assert_int_equal(tls_stream_write(p.server, iov, rows[i].n), total);
		while (got < total) {
			int n = SSL_read(p.client, buf, sizeof(buf));

			assert_true(n > 0);
			got += (size_t)n;
		}
		assert_int_equal(records, rows[i].records);
		pair_free(&p);
	}
	tls_context_unref(context);
}

/* And records of the client's are read together. */
static void test_read_many(void **state)
{
	struct tls_context *context = new_context(world_config);
	struct pair p = shaken(context, TLS1_3_VERSION);
	char buf[5000];

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(SSL_write(p.client, "0123456789", 10), 10);
	assert_int_equal(tls_stream_read(p.server, buf, 15), 15);
	assert_int_equal(tls_stream_pending(p.server), 5);
	assert_true(tls_stream_readable(p.server));
	assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 985);
	assert_memory_equal(buf, "567890123", 9);
	assert_false(tls_stream_readable(p.server));
	assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), -EAGAIN);
	pair_free(&p);
	tls_context_unref(context);
}

static void fill(struct pair *p, uint8_t *data, size_t len, size_t *sent)
{
	ssize_t n;

	set_buffers(p, 4096);
	while ((n = server_write(p->server, data + *sent, len - *sent)) > 0)
		*sent += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_true(tls_stream_torn(p->server) > 0);
}

static void drain(struct pair *p, uint8_t *data, size_t len, size_t *sent)
{
	static uint8_t buf[TLS_RECORD_MAX];
	size_t got = 0;

	while (got < len) {
		int n = SSL_read(p->client, buf, sizeof(buf));
		ssize_t m;

		if (n > 0) {
			assert_memory_equal(buf, data + got, n);
			got += (size_t)n;
			continue;
		}
		assert_int_equal(SSL_get_error(p->client, n), SSL_ERROR_WANT_READ);
		m = server_write(p->server, data + *sent, len - *sent);
		if (m > 0)
			*sent += (size_t)m;
		else
			assert_int_equal(m, -EAGAIN);
	}
}

/* What is torn has to be offered again, and nothing is lost by offering too little. */
static void test_torn(void **state)
{
	struct tls_context *context = new_context(world_config);
	enum { LEN = 1 << 20 };
	uint8_t *data = random_bytes(LEN, 7);

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct pair p = shaken(context, version);
		size_t sent = 0;

		fill(&p, data, LEN, &sent);
		assert_int_equal(server_write(p.server, data + sent, tls_stream_torn(p.server) - 1), -EINVAL);
		assert_int_equal(tls_stream_write(p.server, NULL, 0), -EINVAL);
		/* An end in the middle of a record would be nonsense to the client. */
		tls_stream_shutdown(p.server);
		drain(&p, data, LEN, &sent);
		assert_int_equal(tls_stream_torn(p.server), 0);
		tls_stream_shutdown(p.server);
		assert_int_equal(SSL_read(p.client, (char[1]){0}, 1), 0);
		assert_int_equal(SSL_get_shutdown(p.client), SSL_RECEIVED_SHUTDOWN);
		pair_free(&p);
	}
	free(data);
	tls_context_unref(context);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void test_ends(void **state)
{
	struct tls_context *context = new_context(world_config);

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct pair p = shaken(context, version);
		char buf[8];

		/* With close_notify the other direction goes on. */
		assert_int_equal(SSL_write(p.client, "last", 4), 4);
		assert_int_equal(SSL_shutdown(p.client), 0);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 4);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 0);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 0);
		assert_false(tls_stream_truncated(p.server));
		pair_greet(&p);
		tls_stream_shutdown(p.server);
		tls_stream_shutdown(p.server);
		assert_int_equal(SSL_shutdown(p.client), 1);
		pair_free(&p);

		/* Without it. */
		p = shaken(context, version);
		assert_int_equal(SSL_write(p.client, "last", 4), 4);
		assert_int_equal(shutdown(p.fds[1], SHUT_WR), 0);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 4);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 0);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 0);
		assert_true(tls_stream_truncated(p.server));
		assert_int_equal(server_write(p.server, "x", 1), -EPIPE);
		tls_stream_shutdown(p.server);
		assert_string_equal(tls_stream_reason(p.server), "");
		pair_free(&p);

		/* In the middle of a record. */
		p = shaken(context, version);
		assert_int_equal(write(p.fds[1], "\x17\x03\x03\x01\x00xyz", 8), 8);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), -EAGAIN);
		close(p.fds[1]);
		p.fds[1] = -1;
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 0);
		assert_true(tls_stream_truncated(p.server));
		pair_free(&p);

		/* Nobody is there to write to, and no signal says so. */
		p = shaken(context, version);
		close(p.fds[1]);
		p.fds[1] = -1;
		assert_int_equal(server_write(p.server, "x", 1), -EPIPE);
		assert_int_equal(server_write(p.server, "x", 1), -EPIPE);
		assert_string_equal(tls_stream_reason(p.server), "the client closed the connection");
		pair_free(&p);
	}
	tls_context_unref(context);
}

static void test_forged_record(void **state)
{
	struct tls_context *context = new_context(world_config);
	static const char record[] = "\x17\x03\x03\x00\x20"
				     "0123456789abcdef0123456789abcdef";

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct pair p = shaken(context, version);
		char buf[8];

		assert_int_equal(SSL_write(p.client, "good", 4), 4);
		assert_int_equal(write(p.fds[1], record, sizeof(record) - 1), sizeof(record) - 1);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 4);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), -EPROTO);
		assert_string_equal(tls_stream_reason(p.server), "a record that was forged or damaged");
		assert_int_equal(server_write(p.server, "x", 1), -EPROTO);
		pair_free(&p);
	}
	tls_context_unref(context);
}

/* ---- clients that misuse it --------------------------------------------------------------------------------------- */

static void test_key_updates(void **state)
{
	struct tls_context *context = new_context(world_config);
	struct pair p = shaken(context, TLS1_3_VERSION);
	char buf[8];
	ssize_t n = 0;
	int updates = 0;

	(void)state;
	/* A few are good, and answered where they ask for it. */
	for (int i = 0; i < 10; i++) {
		assert_int_equal(
			SSL_key_update(p.client, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_write(p.client, "x", 1), 1);
		assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 1);
		pair_greet(&p);
	}
	/* Nothing but new keys is not. */
	for (; updates < 1000 && n != -EPROTO; updates++) {
		assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		if (SSL_do_handshake(p.client) != 1)
			break;
		n = tls_stream_read(p.server, buf, sizeof(buf));
		assert_true(n == -EAGAIN || n == -EPROTO);
	}
	assert_int_equal(n, -EPROTO);
	assert_true(updates < 20);
	assert_string_equal(tls_stream_reason(p.server), "the client changes its keys too often");
	pair_free(&p);
	tls_context_unref(context);
}

/* The client asks for new keys while a record to it is torn. */
static void test_key_update_while_torn(void **state)
{
	struct tls_context *context = new_context(world_config);
	struct pair p = shaken(context, TLS1_3_VERSION);
	enum { LEN = 1 << 20 };
	uint8_t *data = random_bytes(LEN, 8);
	char buf[8];
	size_t sent = 0;

	(void)state;
	fill(&p, data, LEN, &sent);
	assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(p.client, "x", 1), 1);
	assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 1);
	drain(&p, data, LEN, &sent);
	pair_greet(&p);
	free(data);
	pair_free(&p);
	tls_context_unref(context);
}

/* And while the socket takes no answer: reading does not wait for that. */
static void test_key_update_without_room(void **state)
{
	struct tls_context *context = new_context(world_config);
	struct pair p = shaken(context, TLS1_3_VERSION);
	static uint8_t filler[4096];
	size_t filled = 0;
	char buf[8];
	ssize_t n;

	(void)state;
	set_buffers(&p, 4096);
	for (size_t piece = sizeof(filler); piece; piece /= 2) {
		while ((n = send(p.fds[0], filler, piece, MSG_DONTWAIT)) > 0)
			filled += (size_t)n;
	}
	assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(p.client, "x", 1), 1);
	assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), 1);
	assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(server_write(p.server, "hello", 5), -EAGAIN);
	for (; filled; filled -= (size_t)n) {
		n = read(p.fds[1], filler, sizeof(filler) < filled ? sizeof(filler) : filled);
		assert_true(n > 0);
	}
	pair_greet(&p);
	pair_free(&p);
	tls_context_unref(context);
}

static void test_renegotiation(void **state)
{
	struct tls_context *context = new_context(world_config);
	struct pair p = shaken(context, TLS1_2_VERSION);
	char buf[8];

	(void)state;
	assert_int_equal(SSL_renegotiate(p.client), 1);
	assert_int_equal(SSL_do_handshake(p.client), -1);
	assert_int_equal(tls_stream_read(p.server, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(SSL_do_handshake(p.client), -1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	pair_free(&p);
	tls_context_unref(context);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void *use_context(void *arg)
{
	struct tls_context *context = arg;

	for (int i = 0; i < 20; i++) {
		struct pair p = shaken(context, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);

		pair_free(&p);
	}
	tls_context_unref(context);
	return NULL;
}

/* One context for streams of several threads, the last of which frees it. */
static void test_threads(void **state)
{
	struct tls_context *context = new_context(world_config);
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_context, tls_context_ref(context)), 0);
	tls_context_unref(context);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(tls_tickets_rotate(world_tickets), 0);
		pthread_join(threads[i], NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_read_many),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_forged_record),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_key_update_while_torn),
		cmocka_unit_test(test_key_update_without_room),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_threads),
	};

	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
