// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Tokens: those of the standard, those that are signed here with keys of every kind, and what must not pass for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "auth/acl.h"
#include "auth/jwt.h"
#include "base/base64.h"
#include "jwt_encode.h"
#include "logged.h"

enum { TEXT = 8192 };

#define NOW INT64_C(1000000000000) /* ms */

#define SECRET "0123456789abcdef0123456789abcdef"
#define HS256 "{\"alg\":\"HS256\"}"
#define GOOD "{\"sub\":\"ann\",\"exp\":1000000100}"

static char dir[] = "/tmp/shunt-test-jwt.XXXXXX";
static struct jwt_keys *keys;
static EVP_PKEY *rsa, *ec;
static struct jwt_claims claims;

/* ---- making them ------------------------------------------------------------------------------------------------ */

static void write_file(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void write_public(const char *name, EVP_PKEY *key)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_int_equal(PEM_write_PUBKEY(f, key), 1);
	assert_int_equal(fclose(f), 0);
}

static void sign_secret(char *token)
{
	uint8_t mac[32];

	HMAC(EVP_sha256(), SECRET, strlen(SECRET), (const uint8_t *)token, strlen(token), mac, NULL);
	strcat(token, ".");
	jwt_encode(token, mac, sizeof(mac));
}

/* The two numbers of an ECDSA signature as JWT wants them. */
static size_t flatten(uint8_t *signature, size_t len)
{
	const uint8_t *der = signature;
	ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &der, (long)len);

	assert_non_null(numbers);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + 32, 32), 32);
	ECDSA_SIG_free(numbers);
	return 64;
}

static void sign_public(char *token, EVP_PKEY *key)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t signature[1024];
	size_t len = sizeof(signature);

	assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(c, signature, &len, (const uint8_t *)token, strlen(token)), 1);
	EVP_MD_CTX_free(c);
	if (key == ec)
		len = flatten(signature, len);
	strcat(token, ".");
	jwt_encode(token, signature, len);
}

/* A token; key NULL: with the secret. */
static const char *make(const char *header, const char *payload, EVP_PKEY *key)
{
	static char token[TEXT];

	token[0] = '\0';
	jwt_encode(token, header, strlen(header));
	strcat(token, ".");
	jwt_encode(token, payload, strlen(payload));
	if (key)
		sign_public(token, key);
	else
		sign_secret(token);
	return token;
}

static const char *verify_by(const struct jwt_rules *rules, const char *token)
{
	jwt_claims_clear(&claims);
	return jwt_verify(keys, rules, mqtt_str(token), NOW, &claims);
}

static const char *verify(const char *token)
{
	return verify_by(&(struct jwt_rules){0}, token);
}

static void assert_refused(const char *token, const char *why)
{
	const char *got = verify(token);

	assert_non_null(got);
	assert_string_equal(got, why);
	assert_null(claims.name);
	assert_null(claims.acl);
	assert_null(claims.all);
}

/* A payload that is right but for this is refused. */
static void assert_payload(const char *payload, const char *why)
{
	assert_refused(make(HS256, payload, NULL), why);
}

static int begin(void **state)
{
	keys = jwt_keys_new();
	return keys ? logged_begin(state) : -1;
}

static int end(void **state)
{
	jwt_claims_clear(&claims);
	jwt_keys_unref(keys);
	return logged_end(state);
}

static void add(const char *text)
{
	assert_int_equal(jwt_keys_add(keys, text, "test.conf:1"), 0);
}

/* ---- those that are right ---------------------------------------------------------------------------------------- */

/* RFC 7515, appendix A.1. */
static void test_of_the_standard(void **state)
{
	static const char key[] =
		"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
	static const char token[] =
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
		"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
		"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	uint8_t bytes[64];

	(void)state;
	assert_int_equal(base64_decode(bytes, sizeof(bytes), key, strlen(key)), 64);
	write_file("rfc", bytes, sizeof(bytes));
	add("HS256 rfc");
	assert_null(verify_by(&(struct jwt_rules){.name_claim = "iss"}, token));
	assert_string_equal(claims.name, "joe");
	assert_int_equal(claims.expires_ms, 1300819380000);
	assert_refused(token, "it does not name a user");
}

static void test_every_kind(void **state)
{
	(void)state;
	add("HS256 secret");
	add("RS256 rsa.pem");
	add("ES256 ec.pem");
	assert_null(verify(make(HS256, GOOD, NULL)));
	assert_null(verify(make("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", GOOD, rsa)));
	for (int i = 0; i < 20; i++) /* its numbers are shorter now and then */
		assert_null(verify(make("{\"alg\":\"ES256\"}", GOOD, ec)));
	assert_string_equal(claims.name, "ann");
	assert_null(claims.acl);
	assert_null(verify(make(HS256, "{\"acl\":[\"a/#\"],\"exp\":1000000000.5,\"sub\":\"ann\"}", NULL)));
	assert_string_equal(claims.acl, "[\"a/#\"]");
}

static void test_names_of_keys(void **state)
{
	(void)state;
	write_file("other", SECRET "x", strlen(SECRET) + 1);
	add("HS256 other");
	add("HS256 secret first");
	assert_null(verify(make("{\"alg\":\"HS256\",\"kid\":\"first\"}", GOOD, NULL)));
	assert_refused(make(HS256, GOOD, NULL), "its signature is by none of the keys");
	assert_refused(make("{\"alg\":\"HS256\",\"kid\":\"second\"}", GOOD, NULL),
		       "its signature is by none of the keys");
	assert_refused(make("{\"alg\":\"HS256\",\"kid\":1}", GOOD, NULL), "its Key ID is no text");
}

static void test_parties(void **state)
{
	const struct jwt_rules both = {.issuer = "idp", .audience = "broker"};

	(void)state;
	add("HS256 secret");
	assert_null(
		verify_by(&both, make(HS256, "{\"sub\":\"a\",\"exp\":2e9,\"iss\":\"idp\",\"aud\":\"broker\"}", NULL)));
	assert_null(verify_by(
		&both, make(HS256, "{\"sub\":\"a\",\"exp\":2e9,\"iss\":\"idp\",\"aud\":[\"x\",\"broker\"]}", NULL)));
	assert_string_equal(verify_by(&both, make(HS256, "{\"sub\":\"a\",\"exp\":2e9,\"iss\":\"idp\"}", NULL)),
			    "it is for another audience");
	assert_string_equal(verify_by(&both, make(HS256, "{\"sub\":\"a\",\"exp\":2e9,\"aud\":\"broker\"}", NULL)),
			    "it is by another issuer");
	assert_string_equal(
		verify_by(&both, make(HS256, "{\"sub\":\"a\",\"exp\":2e9,\"iss\":\"idp\",\"aud\":[\"brok\"]}", NULL)),
		"it is for another audience");
}

static void test_times(void **state)
{
	const struct jwt_rules patient = {.leeway = 10};
	const char *late = "{\"sub\":\"a\",\"exp\":999999995}",
		   *early = "{\"sub\":\"a\",\"exp\":2e9,\"nbf\":1000000005}";

	(void)state;
	add("HS256 secret");
	assert_payload(late, "it has expired");
	assert_payload("{\"sub\":\"a\",\"exp\":1000000000}", "it has expired");
	assert_payload(early, "it does not count yet");
	assert_payload("{\"sub\":\"a\",\"exp\":2e9,\"iat\":1000000005}", "it does not count yet");
	assert_null(verify_by(&patient, make(HS256, late, NULL)));
	assert_null(verify_by(&patient, make(HS256, early, NULL)));
	assert_payload("{\"sub\":\"a\"}", "it does not say when it ends");
	assert_payload("{\"sub\":\"a\",\"exp\":\"2000000000\"}", "a time in it is no number");
	assert_payload("{\"sub\":\"a\",\"exp\":1e999}", "a time in it is no number");
	assert_payload("{\"sub\":\"a\",\"exp\":1,\"exp\":2e9}", "it has a time twice");
}

/* ---- what is none ------------------------------------------------------------------------------------------------- */

static void test_claims_that_are_wrong(void **state)
{
	static const char no_object[] = "what it says is no JSON object", no_name[] = "it does not name a user";

	(void)state;
	add("HS256 secret");
	assert_payload("{\"exp\":2e9}", no_name);
	assert_payload("{\"exp\":2e9,\"sub\":\"\"}", no_name);
	assert_payload("{\"exp\":2e9,\"sub\":7}", no_name);
	assert_payload("{\"exp\":2e9,\"sub\":\"a\",\"sub\":\"b\"}", no_name);
	assert_payload("{\"exp\":2e9,\"sub\":\"a\\u0001\"}", no_name);
	assert_payload("{\"exp\":2e9,\"sub\":\"admin\\u0000x\"}", no_object);
	assert_payload("{\"exp\":2e9,\"sub\":\"a\",\"acl\":1,\"acl\":2}", "it has rights twice");
	assert_payload("[\"exp\"]", no_object);
	assert_payload("{\"exp\":2e9,\"sub\":\"a\"}x", no_object);
	assert_payload("{\"exp\":2e9,\"sub\":\"a\"", no_object);
	assert_payload("", no_object);
}

/* A public key is no secret, and no signature is none. */
static void test_algorithms(void **state)
{
	static const char unknown[] = "its algorithm is not one of those there are";
	static const char by_none[] = "its signature is by none of the keys";
	char token[TEXT];

	(void)state;
	add("RS256 rsa.pem");
	assert_refused(make("{\"alg\":\"none\"}", GOOD, NULL), unknown);
	assert_refused(make("{\"alg\":\"hs256\"}", GOOD, NULL), unknown);
	assert_refused(make("{\"alg\":\"HS512\"}", GOOD, NULL), unknown);
	assert_refused(make("{\"alg\":[\"HS256\"]}", GOOD, NULL), unknown);
	assert_refused(make("{}", GOOD, NULL), unknown);
	assert_refused(make(HS256, GOOD, NULL), by_none);
	assert_refused(make("{\"alg\":\"ES256\"}", GOOD, ec), by_none);
	assert_refused(make("{\"alg\":\"RS256\",\"crit\":[\"b64\"]}", GOOD, rsa), "its header asks for an extension");
	assert_refused(make("{\"alg\":\"RS256\",\"alg\":\"none\"}", GOOD, rsa), "its header has something twice");
	strcpy(token, make("{\"alg\":\"RS256\"}", GOOD, rsa));
	strrchr(token, '.')[1] = '\0';
	assert_refused(token, by_none);
}

/* Every change of a character makes it another token, or none. */
static void test_changed(void **state)
{
	char token[TEXT];

	(void)state;
	add("HS256 secret");
	strcpy(token, make(HS256, GOOD, NULL));
	for (size_t i = 0; token[i]; i++) {
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		assert_non_null(verify(token));
		token[i] = was;
	}
	for (size_t i = 0; i < strlen(token); i++)
		assert_non_null(jwt_verify(keys, &(struct jwt_rules){0},
					   (struct mqtt_str){(uint8_t *)token, (uint32_t)i}, NOW, &claims));
	strcat(token, "=");
	assert_refused(token, "its signature is not base64url");
	assert_refused("", "it is no token");
	assert_refused("a.b", "it is no token");
	assert_refused("a.b.c.d", "it is no token");
	assert_refused("..", "its header is no JSON object");
	memset(token, 'a', sizeof(token));
	assert_string_equal(jwt_verify(keys, &(struct jwt_rules){0}, (struct mqtt_str){(uint8_t *)token, JWT_MAX + 1},
				       NOW, &claims),
			    "it is too long");
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static void test_keys_that_are_wrong(void **state)
{
	static const struct {
		const char *text, *logged;
	} bad[] = {
		{"HS256", "\"HS256\" is not ALGORITHM FILE [KID]."},
		{"HS256 secret a b", "\"HS256 secret a b\" is not ALGORITHM FILE [KID]."},
		{"none secret", "\"none\" is not HS256, RS256 or ES256."},
		{"HS256 nowhere", "nowhere: No such file or directory."},
		{"HS256 short", "short: a secret of less than 32 bytes can be guessed."},
		{"HS256 rsa.pem", "rsa.pem: it is a key in PEM, not a secret."},
		{"RS256 secret", "secret: there is no public key and no certificate in it."},
		{"RS256 ec.pem", "ec.pem: it is no RSA key."},
		{"RS256 weak.pem", "weak.pem: it has less than 2048 bits."},
		{"ES256 rsa.pem", "rsa.pem: it is no key of the curve P-256."},
		{"ES256 p384.pem", "p384.pem: it is no key of the curve P-256."},
	};
	EVP_PKEY *weak = EVP_RSA_gen(1024), *p384 = EVP_EC_gen("P-384");
	char line[TEXT];

	(void)state;
	write_file("short", SECRET, strlen(SECRET) - 1);
	write_public("weak.pem", weak);
	write_public("p384.pem", p384);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(p384);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(jwt_keys_add(keys, bad[i].text, "test.conf:7"), -1);
		snprintf(line, sizeof(line), "Error in test.conf:7: %s\n", bad[i].logged);
		assert_logged(line);
	}
}

/* A key is the same in whatever file, and another one with another name, or for another algorithm. */
static void test_known_again(void **state)
{
	static const char *const others[] = {"HS256 other", "HS256 secret named", "RS256 rsa.pem"};
	struct jwt_keys *other = jwt_keys_new(), *again = jwt_keys_new();

	(void)state;
	assert_non_null(other);
	assert_non_null(again);
	write_file("other", SECRET "x", strlen(SECRET) + 1);
	write_file("again", SECRET, strlen(SECRET));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(jwt_keys_add(other, others[i], ""), 0);
	assert_int_equal(jwt_keys_add(again, "RS256 rsa.pem", ""), 0);
	assert_int_equal(jwt_keys_add(again, "HS256 again", ""), 0);
	add("HS256 secret");
	assert_null(verify(make(HS256, GOOD, NULL)));
	assert_true(jwt_keys_have(keys, claims.key));
	assert_true(jwt_keys_have(again, claims.key));
	assert_false(jwt_keys_have(other, claims.key));
	add("RS256 rsa.pem");
	assert_null(verify(make("{\"alg\":\"RS256\"}", GOOD, rsa)));
	assert_true(jwt_keys_have(again, claims.key));
	assert_true(jwt_keys_have(other, claims.key));
	jwt_keys_unref(jwt_keys_ref(other));
	jwt_keys_unref(other);
	jwt_keys_unref(again);
}

/* ---- later -------------------------------------------------------------------------------------------------------- */

/* By other rules than those that it was verified by. */
static void test_recheck(void **state)
{
	static const struct {
		struct jwt_rules rules;
		const char *why;
	} cases[] = {
		{{0}, NULL},
		{{.issuer = "us", .audience = "b", .name_claim = "nick"}, NULL},
		{{.issuer = "them"}, "it is by another issuer"},
		{{.audience = "c"}, "it is for another audience"},
		{{.name_claim = "other"}, "it is for another user"},
		{{.name_claim = "none"}, "it is for another user"},
	};

	(void)state;
	add("HS256 secret");
	assert_null(
		verify(make(HS256,
			    "{\"sub\":\"ann\",\"nick\":\"ann\",\"other\":\"bob\",\"iss\":\"us\",\"aud\":[\"a\",\"b\"],"
			    "\"exp\":1000000001}",
			    NULL)));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = jwt_recheck(&claims, &cases[i].rules);

		assert_int_equal(!why, !cases[i].why);
		if (why)
			assert_string_equal(why, cases[i].why);
	}
}

static void test_looks(void **state)
{
	static const char *const passwords[] = {"", "e", "ey", "ey.", "eyx", "ey.x", "ey.x.y.z", "x.y.z", "EY.x.y"};

	(void)state;
	assert_true(jwt_looks_like(mqtt_str(make(HS256, GOOD, NULL))));
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++)
		assert_false(jwt_looks_like(mqtt_str(passwords[i])));
}

/* ---- rights ------------------------------------------------------------------------------------------------------- */

/* Those of a token with this claim, for the client "id". */
static struct acl_rights *rights_of(const char *acl, const char **why)
{
	char payload[TEXT];

	snprintf(payload, sizeof(payload), "{\"sub\":\"ann\",\"exp\":1000000100,\"acl\":%s}", acl);
	assert_null(verify(make(HS256, payload, NULL)));
	assert_non_null(claims.acl);
	return jwt_rights(&claims, mqtt_str("id"), why);
}

static void test_rights(void **state)
{
	static const struct {
		const char *acl, *topic;
		bool publish, subscribe;
	} cases[] = {
		{"{}", "a", false, false},
		{"{\"publish\":[]}", "a", false, false},
		{"{\"publish\":[\"a\"]}", "a", true, false},
		{"{\"subscribe\":[\"#\"]}", "a", false, true},
		{"{\"subscribe\":[\"#\"]}", "$SYS/x", false, false},
		{"{\"subscribe\":[\"b\",\"+/c\"],\"publish\":[\"a/#\"]}", "a/c", true, true},
		{"{\"publish\":[\"%u/%c/#\"]}", "ann/id/x", true, false},
		{"{\"publish\":[\"%u/%c/#\"]}", "ann/other/x", false, false},
	};

	(void)state;
	add("HS256 secret");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = "unset";
		struct acl_rights *rights = rights_of(cases[i].acl, &why);

		assert_non_null(rights);
		assert_null(why);
		assert_int_equal(acl_may(rights, ACL_WRITE, mqtt_str(cases[i].topic)), cases[i].publish);
		assert_int_equal(acl_may(rights, ACL_READ, mqtt_str(cases[i].topic)), cases[i].subscribe);
		acl_rights_unref(rights);
	}
}

/* What is not understood gives no rights at all. */
static void test_rights_that_are_wrong(void **state)
{
	static const char no_filter[] = "its rights have something that is no topic filter for this client";
	static const struct {
		const char *acl, *why;
	} bad[] = {
		{"null", "its rights are no JSON object"},
		{"[\"a\"]", "its rights are no JSON object"},
		{"\"#\"", "its rights are no JSON object"},
		{"{\"publish\":\"#\"}", "its rights have something that is no array"},
		{"{\"publish\":{\"x\":\"#\"}}", "its rights have something that is no array"},
		{"{\"publish\":[\"a\",1]}", "its rights have something that is no text"},
		{"{\"publish\":[],\"publish\":[\"#\"]}", "its rights have something twice"},
		{"{\"deny\":[\"a\"]}", "its rights have something other than publish and subscribe"},
		{"{\"Publish\":[\"a\"]}", "its rights have something other than publish and subscribe"},
		{"{\"publish\":[\"\"]}", no_filter},
		{"{\"publish\":[\"a#\"]}", no_filter},
		{"{\"subscribe\":[\"a\",\"#/a\"]}", no_filter},
	};
	const char *why;

	(void)state;
	add("HS256 secret");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(rights_of(bad[i].acl, &why));
		assert_string_equal(why, bad[i].why);
	}
	assert_null(verify(make(HS256, "{\"sub\":\"a/#\",\"exp\":1000000100,\"acl\":{\"publish\":[\"%u\"]}}", NULL)));
	assert_null(jwt_rights(&claims, mqtt_str("id"), &why));
	assert_string_equal(why, no_filter);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_of_the_standard),
		TEST(test_every_kind),
		TEST(test_names_of_keys),
		TEST(test_parties),
		TEST(test_times),
		TEST(test_claims_that_are_wrong),
		TEST(test_algorithms),
		TEST(test_changed),
		TEST(test_keys_that_are_wrong),
		TEST(test_known_again),
		TEST(test_recheck),
		TEST(test_looks),
		TEST(test_rights),
		TEST(test_rights_that_are_wrong),
	};
	static const char *const files[] = {"log",   "secret", "rsa.pem", "ec.pem",   "rfc",
					    "other", "again",  "short",	  "weak.pem", "p384.pem"};
	int failed;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	write_file("secret", SECRET "\r\n", strlen(SECRET) + 2);
	write_public("rsa.pem", rsa);
	write_public("ec.pem", ec);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	return chdir("/") || rmdir(dir) ? 1 : failed;
}
