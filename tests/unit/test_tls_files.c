// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What is wrong with the options and files of TLS, in the words of the log; and the file of keys. */
#include "logged.h"
#include "net/tls_psk.h"
#include "tls_world.h"

static void assert_fails(const struct tls_config *config, const char *log)
{
	assert_null(tls_context_new(config));
	assert_logged(log);
}

/* It is good, with these warnings. */
static void assert_works(const struct tls_config *config, const char *log)
{
	struct tls_context *context = tls_context_new(config);

	assert_logged(log);
	assert_non_null(context);
	tls_context_unref(context);
}

static void test_options(void **state)
{
	static const struct {
		struct tls_config config;
		const char *log;
	} rows[] = {
		{{0}, "Error: TLS needs certfile and keyfile, or psk_hint and psk_file.\n"},
		{{.certfile = "server.pem"}, "Error: certfile needs keyfile.\n"},
		{{.keyfile = "server.key"}, "Error: keyfile needs certfile.\n"},
		{{.psk_hint = "x"}, "Error: psk_hint needs psk_file.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .keyform = "engine"},
		 "Error: Keys of an engine are not supported, only `keyform pem`.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .tls_engine = "pkcs11"},
		 "Error: Keys of an engine are not supported, only `keyform pem`.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .tls_version = "tlsv1.1"},
		 "Error: tls_version tlsv1.1 is not supported, only tlsv1.2 and tlsv1.3.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .require_certificate = true},
		 "Error: require_certificate needs cafile or capath.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .use_identity_as_username = true},
		 "Error: use_identity_as_username needs require_certificate or psk_hint.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .use_subject_as_username = true},
		 "Error: use_subject_as_username needs require_certificate: clients are not asked for theirs.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .alpn = ""},
		 "Error: The name of a protocol for ALPN has 1 to 255 bytes.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .ciphers = "SECRET"},
		 "Error: Unable to use ciphers SECRET: no cipher match.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .ciphers_tls13 = "TLS_SECRET"},
		 "Error: Unable to use ciphers_tls1.3 TLS_SECRET: no cipher match.\n"},
		{{.certfile = "missing", .keyfile = "missing.key", .cafile = "ca", .crlfile = "."},
		 "Error: Unable to read cafile ca: No such file or directory.\n"
		 "Error: Unable to read certfile missing: No such file or directory.\n"
		 "Error: Unable to read keyfile missing.key: No such file or directory.\n"
		 "Error: Unable to read crlfile .: Is a directory.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .capath = "none"},
		 "Error: Unable to use capath none: No such file or directory.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .capath = "ca.pem"},
		 "Error: Unable to use capath ca.pem: it is no folder.\n"},
		{{.certfile = "server.pem", .keyfile = "client.key"},
		 "Error: The key in keyfile client.key does not belong to the certificate in certfile server.pem.\n"},
		{{.certfile = "server.key", .keyfile = "server.pem"},
		 "Error: Unable to read certfile server.key: there is no certificate in it.\n"
		 "Error: Unable to read keyfile server.pem: there is no private key in it.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .cafile = "server.key"},
		 "Error: Unable to use cafile server.key: there is no certificate in it.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .crlfile = "ca.pem"},
		 "Error: Unable to use crlfile ca.pem: there is no list of revoked certificates in it.\n"},
		{{.certfile = "server.pem", .keyfile = "server.key", .dhparamfile = "ca.pem"},
		 "Error: Unable to use dhparamfile ca.pem: there are no parameters for Diffie-Hellman in it.\n"},
		{{.psk_hint = "x", .psk_file = "none"}, "Error: Unable to read none: No such file or directory.\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_fails(&rows[i].config, rows[i].log);
	assert_works(&world_config, "");
}

/* PEM that is cut, or has nonsense within. */
static void test_damaged(void **state)
{
	struct tls_config config = world_config;
	static char text[4096];
	FILE *f = fopen("server.pem", "re");
	size_t len;

	(void)state;
	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	config.certfile = config.cafile = "damaged.pem";
	text[len / 2] = '\0';
	write_text("damaged.pem", text);
	assert_fails(&config, "Error: Unable to use cafile damaged.pem: bad end line.\n"
			      "Error: Unable to read certfile damaged.pem: bad end line.\n");
	/* The second certificate of two. */
	write_cert("damaged.pem", &world_server, NULL);
	f = fopen("damaged.pem", "ae");
	assert_true(f && fputs(text, f) > 0 && !fclose(f));
	assert_fails(&config, "Error: Unable to use cafile damaged.pem: bad end line.\n"
			      "Error: Unable to read certfile damaged.pem: certificate 2: bad end line.\n");
}

static void test_secrets(void **state)
{
	struct tls_config config = world_config;

	(void)state;
	write_key("secret.key", &world_server, "passphrase");
	config.keyfile = "secret.key";
	assert_fails(&config,
		     "Error: The key in keyfile secret.key is encrypted, and nobody is there to type its passphrase: "
		     "`openssl pkey -in secret.key -out NEW` writes one without.\n");
	write_key("secret.key", &world_server, NULL);
	assert_int_equal(chmod("secret.key", 0644), 0);
	assert_works(&config, "Warning: everybody can read secret.key: chmod o= secret.key.\n");
	assert_int_equal(chmod("secret.key", 0606), 0);
	assert_works(&config, "Warning: everybody can write to secret.key: chmod o= secret.key.\n");
	assert_int_equal(chmod("secret.key", 0640), 0);
	assert_works(&config, "");
}

static void test_dates(void **state)
{
	struct tls_config config = {.certfile = "dated.pem", .keyfile = "dated.key", .crlfile = "old-crl.pem"};
	struct cert old = make_cert(&(struct cert_spec){.cn = "x", .from = -20, .days = 10}),
		    early = make_cert(&(struct cert_spec){.cn = "x", .from = 10});

	(void)state;
	write_crl("old-crl.pem", &world_ca, NULL, -1);
	write_cert("dated.pem", &old, NULL);
	write_key("dated.key", &old, NULL);
	assert_works(&config,
		     "Warning: the certificate in dated.pem has expired: clients will refuse it.\n"
		     "Warning: a list in crlfile old-crl.pem is out of date: no certificate of its CA is accepted.\n");
	config.crlfile = NULL;
	write_cert("dated.pem", &early, NULL);
	write_key("dated.key", &early, NULL);
	assert_works(&config, "Warning: the certificate in dated.pem is not valid yet: clients will refuse it.\n");
	free_cert(&old);
	free_cert(&early);
}

static void test_dh(void **state)
{
	struct tls_config config = world_config;
	EVP_PKEY_CTX *generator = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	EVP_PKEY *params = NULL;
	BIO *f = BIO_new_file("dh.pem", "w");
	char group[] = "ffdhe2048";
	const OSSL_PARAM named[] = {OSSL_PARAM_construct_utf8_string("group", group, 0), OSSL_PARAM_construct_end()};
	struct cert rsa = make_cert(&(struct cert_spec){.cn = "localhost", .rsa = true});
	struct tls_context *context;
	struct pair p;

	(void)state;
	assert_true(generator && EVP_PKEY_paramgen_init(generator) == 1 &&
		    EVP_PKEY_CTX_set_params(generator, named) == 1 && EVP_PKEY_paramgen(generator, &params) == 1);
	assert_true(f && PEM_write_bio_Parameters(f, params) == 1 && BIO_free(f) == 1);
	write_cert("rsa.pem", &rsa, NULL);
	write_key("rsa.key", &rsa, NULL);
	config.certfile = "rsa.pem";
	config.keyfile = "rsa.key";
	for (int given = 0; given < 2; given++) {
		config.dhparamfile = given ? "dh.pem" : NULL;
		context = new_context(config);
		assert_logged("");
		p = pair_new(context);
		client_version(&p, TLS1_2_VERSION);
		SSL_CTX_set_cipher_list(p.client_context, "DHE-RSA-AES128-GCM-SHA256");
		assert_int_equal(pair_shake(&p), TLS_DONE);
		pair_free(&p);
		tls_context_unref(context);
	}
	EVP_PKEY_free(params);
	EVP_PKEY_CTX_free(generator);
	free_cert(&rsa);
}

/* ---- psk_file ---------------------------------------------------------------------------------------------------- */

#define KEY "00112233445566778899aabbccddeeff"

static void test_keys(void **state)
{
	static const char text[] = "# keys\n\nfirst:" KEY "\r\n \t second one \t: 00112233445566778899AABBCCDDEEFF00 \n"
				   "d\303\274:" KEY "\nshort:00ff";
	static const uint8_t key[] = {0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
				      0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0};
	struct tls_psk *psk, *same, *other;
	uint8_t got[TLS_PSK_KEY_MAX], made[TLS_PSK_KEY_MAX];
	bool known;

	(void)state;
	write_text("keys", text);
	psk = tls_psk_load("keys");
	assert_logged(
		"Warning in keys:6: the key has 2 bytes; it should have 16 at least, of a random number generator.\n");
	assert_non_null(psk);
	assert_int_equal(tls_psk_count(psk), 4);
	assert_int_equal(tls_psk_find(psk, "first", 5, got), 16);
	assert_memory_equal(got, key, 16);
	assert_int_equal(tls_psk_find(psk, "second one", 10, got), 17);
	assert_memory_equal(got, key, 17);
	assert_int_equal(tls_psk_find(psk, "d\303\274", 3, got), 16);
	assert_int_equal(tls_psk_find(psk, "short", 5, got), 2);
	assert_int_equal(tls_psk_find(psk, "", 0, got), 0);
	assert_int_equal(tls_psk_find(psk, "firs", 4, got), 0);
	assert_int_equal(tls_psk_find(psk, "first", 6, got), 0);

	assert_int_equal(tls_psk_find_or_make(psk, "first", 5, got, &known), 16);
	assert_true(known);
	assert_memory_equal(got, key, 16);
	assert_int_equal(tls_psk_find_or_make(psk, "nobody", 6, got, &known), 32);
	assert_false(known);
	assert_int_equal(tls_psk_find_or_make(psk, "nobody", 6, made, &known), 32);
	assert_memory_equal(got, made, 32);
	assert_int_equal(tls_psk_find_or_make(psk, "nobody2", 7, made, &known), 32);
	assert_memory_not_equal(got, made, 32);

	same = tls_psk_load("keys");
	write_text("keys", "first:" KEY "\n");
	other = tls_psk_load("keys");
	assert_memory_equal(tls_psk_digest(psk), tls_psk_digest(same), 32);
	assert_memory_not_equal(tls_psk_digest(psk), tls_psk_digest(other), 32);
	tls_psk_unref(tls_psk_ref(psk));
	tls_psk_unref(psk);
	tls_psk_unref(same);
	tls_psk_unref(other);
	tls_psk_unref(NULL);
}

static void test_faults_of_keys(void **state)
{
	char text[2048], long_identity[300], long_key[200];

	(void)state;
	memset(long_identity, 'i', sizeof(long_identity));
	memset(long_key, 'a', sizeof(long_key));
	snprintf(
		text, sizeof(text),
		"no colon\n:%s\nempty:\nodd:123\nhex:0123x5\n%.256s:%s\nlong:%.130s\nbad\377:%s\nok:%s\nok:%s\ncolon:a:b\n",
		KEY, long_identity, KEY, long_key, KEY, KEY, KEY);
	write_text("keys", text);
	assert_int_equal(chmod("keys", 0644), 0);
	assert_null(tls_psk_load("keys"));
	assert_logged("Warning: everybody can read keys: chmod o= keys.\n"
		      "Error in keys:1: there is no colon behind an identity.\n"
		      "Error in keys:2: there is no identity before the colon.\n"
		      "Error in keys:3: there is no key behind the colon.\n"
		      "Error in keys:4: the key has an odd number of digits.\n"
		      "Error in keys:5: the key has characters that are no hexadecimal digits.\n"
		      "Error in keys:6: the identity is longer than 255 bytes.\n"
		      "Error in keys:7: the key is longer than 64 bytes.\n"
		      "Error in keys:8: the identity is no UTF-8, or has control characters.\n"
		      "Error in keys:10: the identity \"ok\" is in line 9 already.\n"
		      "Error in keys:11: the key has characters that are no hexadecimal digits.\n");
	assert_int_equal(chmod("keys", 0600), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_options, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_damaged, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_secrets, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_dates, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_dh, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_keys, logged_begin, logged_end),
		cmocka_unit_test_setup_teardown(test_faults_of_keys, logged_begin, logged_end),
	};

	world_make();
	return world_end(cmocka_run_group_tests(tests, NULL, NULL));
}
