// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* TLS with keys of psk_file. */
#include "tls_keys.h"

static void test_keys(void **state)
{
	struct tls_config config = with_keys();

	(void)state;
	for (int certificate = 0; certificate < 2; certificate++) {
		struct tls_context *context;

		config.certfile = certificate ? "server.pem" : NULL;
		config.keyfile = certificate ? "server.key" : NULL;
		context = new_context(config);
		for (size_t i = 0; i < 2; i++) {
			struct pair p = psk_pair(context, versions[i]);

			assert_int_equal(pair_shake(&p), TLS_DONE);
			assert_identity(&p, "sensor");
			assert_false(tls_stream_resumed(p.server));
			assert_null(SSL_get0_peer_certificate(p.client));
			pair_greet(&p);
			pair_free(&p);

			client_key[0] ^= 1;
			p = psk_pair(context, versions[i]);
			assert_refused(&p, "another key than psk_file has for the identity");
			client_key[0] ^= 1;
			pair_free(&p);

			client_identity = "nobody";
			p = psk_pair(context, versions[i]);
			/* In TLS 1.3 the certificate serves who has no key, and then it has no identity. */
			if (certificate && versions[i] == TLS1_3_VERSION) {
				size_t len;

				assert_int_equal(pair_shake(&p), TLS_DONE);
				assert_null(tls_stream_psk_identity(p.server, &len));
			} else {
				assert_refused(&p, "an identity that psk_file does not have");
			}
			/* It cannot tell by the answer of TLS 1.2 what was wrong. */
			if (versions[i] == TLS1_2_VERSION)
				assert_int_equal(p.client_error, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
			client_identity = "sensor";
			pair_free(&p);
		}
		tls_context_unref(context);
	}
}

/* A client that has neither a key nor what it takes to check a certificate. */
static void test_keys_only(void **state)
{
	struct tls_context *context = new_context(with_keys());

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_new(context);

		client_version(&p, versions[i]);
		assert_refused(&p, "the client offers no key, and there is no certificate");
		pair_free(&p);
	}
	tls_context_unref(context);
}

/* With a key no certificate is needed; without one it is. */
static void test_key_or_certificate(void **state)
{
	struct tls_config config = with_keys();
	struct tls_context *context;

	(void)state;
	config.certfile = "server.pem";
	config.keyfile = "server.key";
	config.cafile = "ca.pem";
	config.require_certificate = true;
	context = new_context(config);
	for (size_t i = 0; i < 2; i++) {
		struct pair p = psk_pair(context, versions[i]);

		assert_int_equal(pair_shake(&p), TLS_DONE);
		assert_identity(&p, "sensor");
		pair_free(&p);

		p = pair_new(context);
		client_version(&p, versions[i]);
		assert_refused(&p, "the client did not return a certificate");
		pair_free(&p);
	}
	tls_context_unref(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_keys_only),
		cmocka_unit_test(test_key_or_certificate),
	};

	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
