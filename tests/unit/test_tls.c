// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* TLS handshakes: who gets in and who does not and why, what certificate and protocol are chosen, and who the client is. */
#include "tls_world.h"

/* ---- handshakes ------------------------------------------------------------------------------------------------- */

static void test_versions(void **state)
{
	static const struct {
		int version;
		const char *name, *cipher;
	} rows[] = {
		{TLS1_2_VERSION, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"},
		{TLS1_3_VERSION, "TLSv1.3", "TLS_AES_256_GCM_SHA384"},
	};
	struct tls_context *context = new_context(world_config);
	const char *why;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_new(context);

		client_version(&p, rows[i].version);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		assert_string_equal(tls_stream_version(p.server), rows[i].name);
		assert_string_equal(tls_stream_cipher(p.server), rows[i].cipher);
		assert_string_equal(tls_stream_reason(p.server), "");
		assert_null(tls_stream_name(p.server));
		assert_null(tls_stream_alpn(p.server, &len));
		assert_null(tls_stream_psk_identity(p.server, &len));
		assert_null(tls_stream_username(p.server, &why));
		assert_string_equal(why, "");
		assert_null(tls_stream_common_name(p.server, &why));
		assert_string_equal(why, "it has no certificate");
		assert_false(tls_stream_resumed(p.server));
		pair_greet(&p);
		pair_free(&p);
	}
	tls_context_unref(context);
}

static void test_old_version(void **state)
{
	struct tls_config config = world_config;
	struct tls_context *context = new_context(config);
	struct pair p = pair_new(context);

	(void)state;
	client_version(&p, TLS1_1_VERSION);
	SSL_CTX_set_security_level(p.client_context, 0);
	SSL_CTX_set_cipher_list(p.client_context, "ALL:@SECLEVEL=0");
	assert_refused(&p, "the client's version of TLS is too old, see tls_version");
	assert_int_equal(p.client_error, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	pair_free(&p);
	tls_context_unref(context);

	config.tls_version = "tlsv1.3";
	context = new_context(config);
	p = pair_new(context);
	client_version(&p, TLS1_2_VERSION);
	assert_refused(&p, "the client's version of TLS is too old, see tls_version");
	pair_free(&p);
	tls_context_unref(context);
}

static void test_ciphers(void **state)
{
	struct tls_config config = world_config;
	struct tls_context *context;
	struct pair p;

	(void)state;
	/* The order of the option is the broker's. */
	config.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
	config.ciphers_tls13 = "TLS_CHACHA20_POLY1305_SHA256";
	context = new_context(config);
	p = pair_new(context);
	client_version(&p, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(p.client_context, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305");
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_string_equal(tls_stream_cipher(p.server), "ECDHE-ECDSA-CHACHA20-POLY1305");
	pair_free(&p);

	p = pair_new(context);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_string_equal(tls_stream_cipher(p.server), "TLS_CHACHA20_POLY1305_SHA256");
	pair_free(&p);

	for (size_t i = 0; i < 2; i++) {
		p = pair_new(context);
		client_version(&p, versions[i]);
		SSL_CTX_set_cipher_list(p.client_context, "ECDHE-ECDSA-AES256-GCM-SHA384");
		SSL_CTX_set_ciphersuites(p.client_context, "TLS_AES_128_GCM_SHA256");
		assert_refused(&p, "no shared cipher");
		assert_int_equal(p.client_error, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
		pair_free(&p);
	}
	tls_context_unref(context);

	/* Without the option it is the client's. */
	context = new_context(world_config);
	p = pair_new(context);
	client_version(&p, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(p.client_context, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256");
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_string_equal(tls_stream_cipher(p.server), "ECDHE-ECDSA-CHACHA20-POLY1305");
	pair_free(&p);
	p = pair_new(context);
	SSL_CTX_set1_groups_list(p.client_context, "P-521");
	assert_refused(&p, "no shared curve");
	pair_free(&p);
	tls_context_unref(context);
}

/* What is no TLS at all. */
static void test_other_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *reason;
	} rows[] = {
		{"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id", 16, "an MQTT packet, without TLS"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "an HTTP request, without TLS"},
		{"CONNECT x:1 HTTP/1.1\r\n\r\n", 24, "an HTTP request, without TLS"},
		{"SSH-2.0-OpenSSH_9.2\r\n", 21, "what the client sent is no TLS"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00", 8, "what the client sent is no TLS"},
	};
	struct tls_context *context = new_context(world_config);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = pair_new(context);

		assert_int_equal(tls_stream_handshake(p.server), TLS_WANT_READ);
		assert_int_equal(write(p.fds[1], rows[i].bytes, rows[i].len), rows[i].len);
		assert_int_equal(tls_stream_handshake(p.server), TLS_FAILED);
		assert_string_equal(tls_stream_reason(p.server), rows[i].reason);
		pair_free(&p);
	}
	tls_context_unref(context);
}

/* A ClientHello that ends anywhere, or comes byte by byte. */
static void test_closed_in_handshake(void **state)
{
	struct tls_context *context = new_context(world_config);
	uint8_t hello[4096];
	ssize_t len;

	(void)state;
	for (ssize_t cut = 0;; cut += 37) {
		struct pair p = pair_new(context), other = pair_new(context);

		pair_client(&other);
		assert_int_equal(SSL_do_handshake(other.client), -1);
		len = read(other.fds[0], hello, sizeof(hello));
		pair_free(&other);
		if (cut >= len) {
			pair_free(&p);
			break;
		}
		for (ssize_t i = 0; i < cut; i++) {
			assert_int_equal(write(p.fds[1], hello + i, 1), 1);
			assert_int_equal(tls_stream_handshake(p.server), TLS_WANT_READ);
		}
		close(p.fds[1]);
		p.fds[1] = -1;
		assert_int_equal(tls_stream_handshake(p.server), TLS_FAILED);
		assert_string_equal(tls_stream_reason(p.server), "the client closed the connection");
		pair_free(&p);
	}
	tls_context_unref(context);
}

/* The client has the last word about the server's certificate. */
static void test_refused_by_client(void **state)
{
	struct tls_context *context = new_context(world_config);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_new(context);

		client_version(&p, versions[i]);
		SSL_CTX_set_verify(p.client_context, SSL_VERIFY_PEER, NULL);
		assert_refused(&p, "the client refused: unknown CA");
		pair_free(&p);

		p = pair_new(context);
		client_version(&p, versions[i]);
		SSL_CTX_set_verify(p.client_context, SSL_VERIFY_PEER, NULL);
		assert_int_equal(SSL_CTX_load_verify_file(p.client_context, "ca.pem"), 1);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		pair_free(&p);
	}
	tls_context_unref(context);
}

/* ---- ALPN and SNI ----------------------------------------------------------------------------------------------- */

static void test_alpn(void **state)
{
	static const uint8_t both[] = "\x08http/1.1\x04mqtt", others[] = "\x08http/1.1\x02h2\x05mqtt2\x03mqt",
			     only[] = "\x04mqtt";
	struct tls_config config = world_config;
	struct tls_context *context = new_context(config);
	const char *name;
	struct pair p;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		p = pair_new(context);
		client_version(&p, versions[i]);
		SSL_CTX_set_alpn_protos(p.client_context, both, sizeof(both) - 1);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		name = tls_stream_alpn(p.server, &len);
		assert_int_equal(len, 4);
		assert_memory_equal(name, "mqtt", 4);
		pair_free(&p);

		p = pair_new(context);
		client_version(&p, versions[i]);
		SSL_CTX_set_alpn_protos(p.client_context, others, sizeof(others) - 1);
		assert_refused(&p, "the client offers only other protocols (ALPN)");
		assert_int_equal(p.client_error, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
		pair_free(&p);
	}
	tls_context_unref(context);

	config.alpn = "http/1.1";
	context = new_context(config);
	p = pair_new(context);
	SSL_CTX_set_alpn_protos(p.client_context, both, sizeof(both) - 1);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	name = tls_stream_alpn(p.server, &len);
	assert_memory_equal(name, "http/1.1", len);
	pair_free(&p);
	p = pair_new(context);
	SSL_CTX_set_alpn_protos(p.client_context, only, sizeof(only) - 1);
	assert_refused(&p, "the client offers only other protocols (ALPN)");
	pair_free(&p);
	tls_context_unref(context);
}

/* The certificate that the client is shown. */
static void assert_shown(struct tls_context *context, int version, const char *name, bool rsa_only,
			 const struct cert *want)
{
	struct pair p = pair_new(context);
	X509 *got;

	client_version(&p, version);
	if (rsa_only)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(p.client_context, "RSA-PSS+SHA256:RSA+SHA256"), 1);
	pair_client(&p);
	if (name)
		assert_int_equal(SSL_set_tlsext_host_name(p.client, name), 1);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	got = SSL_get0_peer_certificate(p.client);
	assert_int_equal(X509_cmp(got, want->x509), 0);
	if (name)
		assert_string_equal(tls_stream_name(p.server), name);
	else
		assert_null(tls_stream_name(p.server));
	pair_free(&p);
}

static void test_names(void **state)
{
	static const struct tls_pair pairs[] = {
		{"wild.pem", "wild.key"},
		{"exact.pem", "exact.key"},
		{"exact-rsa.pem", "exact-rsa.key"},
		{"cn.pem", "cn.key"},
	};
	static const struct cert_spec specs[] = {
		{.cn = "wild", .san = "DNS:*.example.org,DNS:example.org", .serial = 10},
		{.cn = "exact", .san = "DNS:exact.example.org", .serial = 11},
		{.cn = "exact", .san = "DNS:exact.example.org", .serial = 12, .rsa = true},
		{.cn = "old.example.net", .serial = 13},
	};
	struct tls_config config = world_config;
	struct tls_context *context;
	struct cert certs[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		certs[i] = make_cert(&specs[i]);
		write_cert(pairs[i].certfile, &certs[i], NULL);
		write_key(pairs[i].keyfile, &certs[i], NULL);
	}
	config.pairs = pairs;
	config.npairs = 4;
	context = new_context(config);
	for (size_t i = 0; i < 2; i++) {
		assert_shown(context, versions[i], NULL, false, &world_server);
		assert_shown(context, versions[i], "localhost", false, &world_server);
		assert_shown(context, versions[i], "elsewhere.example.com", false, &world_server);
		assert_shown(context, versions[i], "one.example.org", false, &certs[0]);
		assert_shown(context, versions[i], "ONE.Example.ORG", false, &certs[0]);
		assert_shown(context, versions[i], "example.org", false, &certs[0]);
		assert_shown(context, versions[i], "two.one.example.org", false, &world_server);
		assert_shown(context, versions[i], "exact.example.org", false, &certs[1]);
		assert_shown(context, versions[i], "exact.example.org", true, &certs[2]);
		assert_shown(context, versions[i], "old.example.net", false, &certs[3]);
	}
	tls_context_unref(context);
	for (size_t i = 0; i < 4; i++)
		free_cert(&certs[i]);
}

/* What cafile has completes the chain. */
static void test_chain(void **state)
{
	struct cert middle = make_cert(
		&(struct cert_spec){.cn = "Middle CA", .ca = true, .issuer = &world_ca, .serial = 20});
	struct cert leaf = make_cert(&(struct cert_spec){.cn = "localhost", .issuer = &middle, .serial = 21});
	struct tls_config config = {.certfile = "leaf.pem", .keyfile = "leaf.key"};

	(void)state;
	write_key("leaf.key", &leaf, NULL);
	write_cert("middle.pem", &middle, &world_ca);
	for (int given = 0; given < 2; given++) {
		struct tls_context *context;
		struct pair p;

		write_cert("leaf.pem", &leaf, given ? &middle : NULL);
		config.cafile = given ? NULL : "middle.pem";
		context = new_context(config);
		p = pair_new(context);
		SSL_CTX_set_verify(p.client_context, SSL_VERIFY_PEER, NULL);
		assert_int_equal(SSL_CTX_load_verify_file(p.client_context, "ca.pem"), 1);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.client)), 2);
		pair_free(&p);
		tls_context_unref(context);
	}
	free_cert(&leaf);
	free_cert(&middle);
}

/* ---- certificates of clients ------------------------------------------------------------------------------------ */

static void assert_certificate_refused(struct tls_context *context, const struct cert *cert, const char *reason)
{
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_new(context);

		client_version(&p, versions[i]);
		if (cert)
			client_certificate(&p, cert);
		assert_refused(&p, reason);
		pair_free(&p);
	}
}

static void test_clients(void **state)
{
	struct tls_config config = with_clients();
	struct tls_context *context = new_context(config);
	struct cert others[] = {
		make_cert(&(struct cert_spec){.cn = "sensor"}),
		make_cert(&(struct cert_spec){.cn = "sensor", .issuer = &world_ca, .from = -40, .days = 10}),
		make_cert(&(struct cert_spec){.cn = "sensor", .issuer = &world_ca, .from = 10}),
	};
	const char *why;
	struct pair p;
	char *name;

	(void)state;
	assert_certificate_refused(context, NULL, "the client did not return a certificate");
	assert_certificate_refused(context, &others[0], "the client's certificate: unknown CA");
	assert_certificate_refused(context, &others[1], "the client's certificate: certificate has expired");
	assert_certificate_refused(context, &others[2], "the client's certificate: certificate is not yet valid");
	for (size_t i = 0; i < 2; i++) {
		p = pair_new(context);
		client_version(&p, versions[i]);
		client_certificate(&p, &world_client);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		assert_null(tls_stream_username(p.server, &why));
		assert_string_equal(why, "");
		name = tls_stream_common_name(p.server, &why);
		assert_string_equal(name, "sensor");
		free(name);
		name = tls_stream_subject(p.server, &why);
		assert_string_equal(name, "CN=sensor,O=Example");
		free(name);
		pair_free(&p);
	}
	tls_context_unref(context);

	write_crl("crl.pem", &world_ca, NULL, 1);
	config.crlfile = "crl.pem";
	context = new_context(config);
	p = pair_new(context);
	client_certificate(&p, &world_client);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	pair_free(&p);
	tls_context_unref(context);

	write_crl("crl.pem", &world_ca, &world_client, 1);
	context = new_context(config);
	assert_certificate_refused(context, &world_client, "the client's certificate: certificate revoked");
	tls_context_unref(context);

	write_crl("crl.pem", &world_ca, NULL, -1);
	log_set_dest(0, NULL);
	context = new_context(config);
	log_set_dest(LOG_DEST_STDERR, NULL);
	assert_certificate_refused(context, &world_client,
				   "the client's certificate: the list of its CA in crlfile is out of date");
	tls_context_unref(context);

	write_crl("crl.pem", &others[0], NULL, 1);
	context = new_context(config);
	assert_certificate_refused(context, &world_client, "the client's certificate: crlfile has no list of its CA");
	tls_context_unref(context);
	for (size_t i = 0; i < 3; i++)
		free_cert(&others[i]);
}

/* A folder of CAs, as `openssl rehash` makes it. */
static void test_capath(void **state)
{
	struct tls_config config = world_config;
	struct tls_context *context;
	char path[32];
	struct pair p;

	(void)state;
	assert_int_equal(mkdir("cas", 0700), 0);
	snprintf(path, sizeof(path), "cas/%08lx.0", X509_subject_name_hash(world_ca.x509));
	write_cert(path, &world_ca, NULL);
	config.capath = "cas";
	config.require_certificate = true;
	context = new_context(config);
	p = pair_new(context);
	client_certificate(&p, &world_client);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(p.client)), 1);
	pair_free(&p);
	tls_context_unref(context);
}

/* Names that are none, or that would pass for others. */
static void test_usernames(void **state)
{
	static const struct {
		struct cert_spec spec;
		const char *name, *why;
	} rows[] = {
		{{.cn = "sensor"}, "sensor", ""},
		{{.cn = "S\303\274d"}, "S\303\274d", ""},
		{{.cn = "S\374d", .cn_type = V_ASN1_T61STRING}, "S\303\274d", ""},
		{{.cn = "admin\0x", .cn_len = 7, .cn_type = V_ASN1_UTF8STRING},
		 NULL,
		 "its name is no user name of MQTT"},
		{{.cn = "a\tb"}, NULL, "its name is no user name of MQTT"},
		{{.organization = "Example"}, NULL, "its certificate has no common name"},
	};
	struct tls_config config = with_clients();

	(void)state;
	config.use_identity_as_username = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cert_spec spec = rows[i].spec;
		struct tls_context *context = new_context(config);
		struct pair p = pair_new(context);
		const char *why;
		struct cert c;
		char *name;

		spec.issuer = &world_ca;
		c = make_cert(&spec);
		client_certificate(&p, &c);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		name = tls_stream_username(p.server, &why);
		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
		else
			assert_null(name);
		assert_string_equal(why, rows[i].why);
		free(name);
		pair_free(&p);
		tls_context_unref(context);
		free_cert(&c);
	}
}

static void test_subject_as_username(void **state)
{
	struct tls_config config = with_clients();
	struct cert odd = make_cert(
		&(struct cert_spec){.cn = "a,b=\"c\"+\303\274", .organization = "O O", .issuer = &world_ca});
	struct cert nobody = make_cert(&(struct cert_spec){.issuer = &world_ca});
	struct tls_context *context;
	const char *why;
	struct pair p;
	char *name;

	(void)state;
	config.use_subject_as_username = true;
	context = new_context(config);
	p = pair_new(context);
	client_certificate(&p, &odd);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	name = tls_stream_username(p.server, &why);
	assert_string_equal(name, "CN=a\\,b=\\\"c\\\"\\+\\C3\\BC,O=O O");
	free(name);
	pair_free(&p);

	p = pair_new(context);
	client_certificate(&p, &nobody);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_null(tls_stream_username(p.server, &why));
	assert_string_equal(why, "its name is empty");
	pair_free(&p);
	tls_context_unref(context);
	free_cert(&odd);
	free_cert(&nobody);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_old_version),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_other_bytes),
		cmocka_unit_test(test_closed_in_handshake),
		cmocka_unit_test(test_refused_by_client),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_capath),
		cmocka_unit_test(test_usernames),
		cmocka_unit_test(test_subject_as_username),
	};

	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
