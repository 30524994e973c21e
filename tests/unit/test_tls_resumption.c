// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Which sessions of TLS are resumed, and which are not. */
#include "tls_keys.h"

/* A full handshake; the session with its ticket. */
static SSL_SESSION *first_session(struct tls_context *context, int version, const struct cert *client)
{
	struct pair p = pair_new(context);
	SSL_SESSION *session;

	client_version(&p, version);
	if (client)
		client_certificate(&p, client);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_false(tls_stream_resumed(p.server));
	pair_greet(&p);
	session = SSL_get1_session(p.client);
	assert_true(SSL_SESSION_is_resumable(session));
	SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or else it is not */
	pair_free(&p);
	return session;
}

/* Come back with it; is it resumed? Takes the session, and replaces it by the one of this connection. */
static bool comes_back(struct tls_context *context, SSL_SESSION **session, const struct cert *client, const char *cn)
{
	struct pair p = pair_new(context);
	bool resumed;

	client_version(&p, SSL_SESSION_get_protocol_version(*session));
	if (client)
		client_certificate(&p, client);
	pair_client(&p);
	assert_int_equal(SSL_set_session(p.client, *session), 1);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	resumed = tls_stream_resumed(p.server);
	assert_int_equal(resumed, SSL_session_reused(p.client));
	if (cn) {
		const char *why;
		char *name = tls_stream_common_name(p.server, &why);

		assert_string_equal(name, cn);
		free(name);
	}
	pair_greet(&p);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(p.client);
	SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	pair_free(&p);
	return resumed;
}

static void test_resumption(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls_context *context = new_context(world_config);
		SSL_SESSION *session = first_session(context, versions[i], NULL);

		assert_true(comes_back(context, &session, NULL, NULL));
		assert_true(comes_back(context, &session, NULL, NULL));
		SSL_SESSION_free(session);
		tls_context_unref(context);
	}
}

/* New certificates, the same tickets; and the client is known by its certificate without showing it. */
static void test_resumption_across_reload(void **state)
{
	struct cert other = make_cert(&(struct cert_spec){.cn = "localhost", .issuer = &world_ca, .serial = 30});
	struct tls_config config = with_clients();

	(void)state;
	write_cert("other.pem", &other, NULL);
	write_key("other.key", &other, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct tls_context *before = new_context(config), *after;
		SSL_SESSION *session = first_session(before, versions[i], &world_client);
		struct tls_config reloaded = config;
		struct pair old = pair_new(before);

		client_certificate(&old, &world_client);
		assert_int_equal(pair_shake(&old), TLS_DONE);
		tls_context_unref(before);
		reloaded.certfile = "other.pem";
		reloaded.keyfile = "other.key";
		after = new_context(reloaded);
		assert_true(comes_back(after, &session, NULL, "sensor"));
		/* Who is connected goes on. */
		pair_greet(&old);
		pair_free(&old);
		SSL_SESSION_free(session);
		tls_context_unref(after);
	}
	free_cert(&other);
}

/* A ticket is no way around what has changed meanwhile. */
static void test_no_resumption(void **state)
{
	struct cert brief = make_cert(&(struct cert_spec){.cn = "brief", .issuer = &world_ca, .serial = 31});
	struct tls_config config = with_clients(), anonymous = with_clients();

	(void)state;
	anonymous.require_certificate = false;
	write_crl("crl.pem", &world_ca, NULL, 1);
	config.crlfile = "crl.pem";
	for (size_t i = 0; i < 2; i++) {
		struct tls_context *context = new_context(config), *revoking, *open = new_context(anonymous);
		SSL_SESSION *session = first_session(context, versions[i], &brief), *other;
		struct pair p;

		assert_true(comes_back(context, &session, NULL, "brief"));
		write_crl("crl.pem", &world_ca, &brief, 1);
		revoking = new_context(config);
		p = pair_new(revoking);
		client_version(&p, versions[i]);
		client_certificate(&p, &brief);
		pair_client(&p);
		SSL_set_session(p.client, session);
		assert_refused(&p, "the client's certificate: certificate revoked");
		pair_free(&p);
		write_crl("crl.pem", &world_ca, NULL, 1);

		/* Nor is one from where nobody asked. */
		other = first_session(open, versions[i], NULL);
		p = pair_new(context);
		client_version(&p, versions[i]);
		pair_client(&p);
		SSL_set_session(p.client, other);
		assert_refused(&p, "the client did not return a certificate");
		pair_free(&p);
		SSL_SESSION_free(other);
		SSL_SESSION_free(session);
		tls_context_unref(open);
		tls_context_unref(revoking);
		tls_context_unref(context);
	}
	free_cert(&brief);
}

/* A certificate that expires takes its tickets along. */
static void test_expiry_ends_resumption(void **state)
{
	struct cert brief = make_cert(&(struct cert_spec){.cn = "brief", .issuer = &world_ca, .serial = 32});
	struct tls_context *context = new_context(with_clients());
	SSL_SESSION *session[2];

	(void)state;
	X509_gmtime_adj(X509_getm_notAfter(brief.x509), 5);
	certs_must(X509_sign(brief.x509, world_ca.key, EVP_sha256()));
	for (size_t i = 0; i < 2; i++) {
		session[i] = first_session(context, versions[i], &brief);
		assert_true(comes_back(context, &session[i], NULL, "brief"));
	}
	sleep(6);
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_new(context);

		client_version(&p, versions[i]);
		client_certificate(&p, &brief);
		pair_client(&p);
		SSL_set_session(p.client, session[i]);
		assert_refused(&p, "the client's certificate: certificate has expired");
		pair_free(&p);
		SSL_SESSION_free(session[i]);
	}
	tls_context_unref(context);
	free_cert(&brief);
}

/* Of the last two keys both open tickets, and older ones none. */
static void test_rotation(void **state)
{
	struct tls_context *context = new_context(world_config);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		SSL_SESSION *session = first_session(context, versions[i], NULL), *old;

		assert_int_equal(tls_tickets_rotate(world_tickets), 0);
		old = SSL_SESSION_dup(session);
		assert_true(comes_back(context, &session, NULL, NULL));
		assert_int_equal(tls_tickets_rotate(world_tickets), 0);
		/* The ticket was replaced when the key was not the newest any more. */
		assert_true(comes_back(context, &session, NULL, NULL));
		assert_false(comes_back(context, &old, NULL, NULL));
		SSL_SESSION_free(session);
		SSL_SESSION_free(old);
	}
	tls_context_unref(context);
}

/* Who came with a key is known by it when it comes back with a ticket; and nobody else is. */
static void test_resumption_with_keys(void **state)
{
	struct tls_config config = with_keys();
	struct tls_context *context = new_context(config), *changed;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pair p = psk_pair(context, versions[i]);
		SSL_SESSION *session;

		assert_int_equal(pair_shake(&p), TLS_DONE);
		pair_greet(&p);
		session = SSL_get1_session(p.client);
		SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		pair_free(&p);

		p = pair_new(context);
		client_version(&p, versions[i]);
		SSL_CTX_set_cipher_list(p.client_context, "PSK");
		SSL_CTX_set_psk_client_callback(p.client_context, psk_client);
		pair_client(&p);
		SSL_set_session(p.client, session);
		assert_int_equal(pair_shake(&p), TLS_DONE);
		assert_true(tls_stream_resumed(p.server));
		assert_identity(&p, "sensor");
		pair_greet(&p);
		pair_free(&p);

		/* Its key was taken away. */
		write_text("keys", "other:ffffffffffffffffffffffffffffffff\n");
		changed = new_context(config);
		p = psk_pair(changed, versions[i]);
		pair_client(&p);
		SSL_set_session(p.client, session);
		assert_refused(&p, "an identity that psk_file does not have");
		pair_free(&p);
		tls_context_unref(changed);
		config = with_keys();
		SSL_SESSION_free(session);
	}
	tls_context_unref(context);
}

/* A client names another's identity, which its cipher does not fit, and comes in by a ticket of its own. */
static void test_identity_of_another(void **state)
{
	struct tls_config config = with_keys();
	struct tls_context *context;
	SSL_SESSION *session;
	struct pair p;
	size_t len;

	(void)state;
	config.certfile = "server.pem";
	config.keyfile = "server.key";
	context = new_context(config);
	p = pair_new(context);
	client_version(&p, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(p.client_context, "TLS_AES_256_GCM_SHA384");
	assert_int_equal(pair_shake(&p), TLS_DONE);
	pair_greet(&p);
	session = SSL_get1_session(p.client);
	SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	pair_free(&p);

	client_hash_cipher = 0x1302;
	p = psk_pair(context, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(p.client_context, "TLS_AES_256_GCM_SHA384");
	pair_client(&p);
	SSL_set_session(p.client, session);
	assert_int_equal(pair_shake(&p), TLS_DONE);
	assert_null(tls_stream_psk_identity(p.server, &len));
	client_hash_cipher = 0x1301;
	pair_free(&p);
	SSL_SESSION_free(session);
	tls_context_unref(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_resumption_across_reload),
		cmocka_unit_test(test_no_resumption),
		cmocka_unit_test(test_expiry_ends_resumption),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_resumption_with_keys),
		cmocka_unit_test(test_identity_of_another),
	};

	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
