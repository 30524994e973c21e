// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The exchange of SCRAM-SHA-256 (RFC 5802, RFC 7677): who gets in, and that nobody else does. */
#include "auth/method.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "scram_client.h"

#define USER "user:" RFC_VERIFIER "\n"
static const char one_user[] = USER;

static struct auth_store *store;
static struct auth_exchange *e;
static char reply[CLIENT_TEXT_MAX];

static void begin_with(const char *users)
{
	store = store_of(users);
	assert_non_null(store);
	e = auth_begin(auth_method_find(mqtt_str("SCRAM-SHA-256")), store);
	assert_non_null(e);
	/* The exchange has a reference of its own. */
	auth_store_unref(store);
}

/* An exchange with the user and the nonce of the RFC. */
static void begin(void)
{
	begin_with(one_user);
	scram_set_nonce(e, RFC_SERVER_NONCE);
}

static void finish(void)
{
	auth_end(e);
	e = NULL;
}

static void assert_username(const char *want)
{
	struct mqtt_str name = auth_username(e);

	assert_int_equal(name.len, strlen(want));
	assert_memory_equal(name.data ? name.data : (const uint8_t *)"", want, name.len);
}

/* The message is refused, the client gets nothing and is nobody, and that is the end. */
static void assert_denied_bytes(const void *message, size_t len, const char *why)
{
	struct mqtt_str answer;

	assert_int_equal(step_bytes(e, message, len, &answer), AUTH_DENIED);
	assert_int_equal(answer.len, 0);
	assert_username("");
	assert_string_equal(auth_why(e), why);
	assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_DENIED);
	assert_int_equal(step_text(e, RFC_CLIENT_FINAL, reply), AUTH_DENIED);
}

static void assert_denied(const char *message, const char *why)
{
	assert_denied_bytes(message, strlen(message), why);
}

/* A whole exchange of a client with the store `users`, with random nonces. Returns the last result. */
static enum auth_result converse(const char *users, struct scram_client *c)
{
	enum auth_result result;

	begin_with(users);
	client_first(c, "fyko+d2lbbFgONRv9qkxdawL");
	result = step_text(e, c->first, reply);
	if (result != AUTH_CONTINUE)
		return result;
	client_final(c, reply);
	return step_text(e, c->final, reply);
}

static struct scram_client client(void)
{
	return (struct scram_client){
		.gs2_header = "n,,", .name = "user", .extensions = "", .final_options = "", .password = "pencil"};
}

/* ---- those who get in ------------------------------------------------------------------------------------------- */

/* The example of section 3. */
static void test_rfc_7677(void **state)
{
	(void)state;
	begin();
	assert_username("");
	assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
	assert_string_equal(reply, RFC_SERVER_FIRST);
	assert_username("");
	assert_true(mqtt_str_eq(auth_claimed_username(e), mqtt_str("user")));
	assert_int_equal(step_text(e, RFC_CLIENT_FINAL, reply), AUTH_SUCCESS);
	assert_string_equal(reply, RFC_SERVER_FINAL);
	assert_username("user");
	assert_denied(RFC_CLIENT_FINAL, "a message came after the last one");
	finish();
}

static void test_client(void **state)
{
	struct scram_client c = client();

	(void)state;
	assert_int_equal(converse(one_user, &c), AUTH_SUCCESS);
	assert_string_equal(reply, c.server_final);
	assert_username("user");
	finish();
}

/* Without channel binding there are two flags, and an authorization identity that is the user's own. */
static void test_gs2_headers(void **state)
{
	static const char *const headers[] = {"n,,", "y,,", "n,a=user,", "y,a=user,"};
	struct scram_client c = client();

	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		c.gs2_header = headers[i];
		assert_int_equal(converse(one_user, &c), AUTH_SUCCESS);
		assert_string_equal(reply, c.server_final);
		finish();
	}
}

/* Commas and equals signs in names are escaped; characters beyond ASCII are what they are. */
static void test_names(void **state)
{
	static const struct {
		const char *header, *escaped, *name;
	} names[] = {
		{"n,,", "a=2Cb", "a,b"},
		{"n,a=a=2Cb,", "a=2Cb", "a,b"},
		{"n,,", "=3D", "="},
		{"n,,", "=2C=3D2C=2C", ",=2C,"},
		{"n,,", "two words", "two words"},
		{"n,,", "J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80", "J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80"},
	};
	struct scram_client c = client();
	char users[512];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		client_print(users, sizeof(users), "%s:%s\n", names[i].name, RFC_VERIFIER);
		c.gs2_header = names[i].header;
		c.name = names[i].escaped;
		assert_int_equal(converse(users, &c), AUTH_SUCCESS);
		assert_username(names[i].name);
		finish();
	}
}

/* Optional extensions are ignored, and are signed with the rest. */
static void test_extensions(void **state)
{
	struct scram_client c = client();

	(void)state;
	c.extensions = ",x=1,Y==,z=\xe2\x82\xac";
	c.final_options = ",q=1,z=p=2";
	assert_int_equal(converse(one_user, &c), AUTH_SUCCESS);
	assert_string_equal(reply, c.server_final);
	finish();
}

static void test_longest_name(void **state)
{
	char name[SCRAM_NAME_MAX + 2], escaped[3 * SCRAM_NAME_MAX + 3 + 1] = "", header[sizeof(escaped) + 8];
	char users[1024];
	struct scram_client c = client();

	(void)state;
	memset(name, '=', sizeof(name));
	name[SCRAM_NAME_MAX] = '\0';
	for (int i = 0; i < SCRAM_NAME_MAX; i++)
		memcpy(escaped + 3 * i, "=3D", 4);
	client_print(users, sizeof(users), "%s:%s\n", name, RFC_VERIFIER);
	client_print(header, sizeof(header), "n,a=%s,", escaped);
	c.gs2_header = header;
	c.name = escaped;
	assert_int_equal(converse(users, &c), AUTH_SUCCESS);
	assert_username(name);
	finish();

	memcpy(escaped + 3 * SCRAM_NAME_MAX, "=3D", 4);
	c.gs2_header = "n,,";
	assert_int_equal(converse(users, &c), AUTH_DENIED);
	assert_string_equal(auth_why(e), "the user name is too long");
	finish();
}

static void test_longest_message(void **state)
{
	char message[SCRAM_MESSAGE_MAX + 2];

	(void)state;
	memset(message, 'r', sizeof(message));
	memcpy(message, RFC_CLIENT_FIRST, strlen(RFC_CLIENT_FIRST));
	message[SCRAM_MESSAGE_MAX] = '\0';
	begin();
	assert_int_equal(step_text(e, message, reply), AUTH_CONTINUE);
	memcpy(message, "c=", 2);
	message[SCRAM_MESSAGE_MAX] = 'r';
	message[SCRAM_MESSAGE_MAX + 1] = '\0';
	assert_denied(message, "the message is too long");
	finish();
	memcpy(message, "n,", 2);
	begin();
	assert_denied(message, "the message is too long");
	finish();
}

/* ---- nonces ----------------------------------------------------------------------------------------------------- */

/* Each exchange has a nonce of its own, which begins with the client's. */
static void test_fresh_nonces(void **state)
{
	char nonces[64][CLIENT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(nonces); i++) {
		begin_with(one_user);
		assert_int_equal(step_text(e, "n,,n=user,r=abc", nonces[i]), AUTH_CONTINUE);
		assert_memory_equal(nonces[i], "r=abc", 5);
		*strchr(nonces[i], ',') = '\0';
		assert_int_equal(strlen(nonces[i]), 5 + 24);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(nonces[i], nonces[k]);
		finish();
	}
}

/* The proof of an old exchange is worth nothing in a new one, however the nonce in it is written. */
static void test_replay(void **state)
{
	static const char wrong[] = "the nonce is not that of this exchange";
	char final[CLIENT_TEXT_MAX];

	(void)state;
	begin_with(one_user);
	assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
	assert_denied(RFC_CLIENT_FINAL, wrong);
	finish();

	begin_with(one_user);
	assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
	*strchr(reply, ',') = '\0';
	client_print(final, sizeof(final), "c=biws,%s%s", reply, strrchr(RFC_CLIENT_FINAL, ','));
	assert_denied(final, "the password is wrong");
	finish();
}

static void test_tampered_nonces(void **state)
{
	static const char proof[] = ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
	static const char *const nonces[] = {
		"rOprNGfwEbeRWgbNEkqO",				       /* the client's part alone */
		RFC_SERVER_NONCE,				       /* the server's */
		"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k",   /* shorter */
		"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k00", /* longer */
		"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k1",
		"sOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		"x",
	};
	char final[CLIENT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(nonces); i++) {
		client_print(final, sizeof(final), "c=biws,r=%s%s", nonces[i], proof);
		begin();
		assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
		assert_denied(final, "the nonce is not that of this exchange");
		finish();
	}
}

/* ---- those who stay out ----------------------------------------------------------------------------------------- */

static void test_wrong_password(void **state)
{
	static const char *const passwords[] = {"pencil ", "Pencil", "penci", "", "user"};
	struct scram_client c = client();

	(void)state;
	for (size_t i = 0; i < COUNT(passwords); i++) {
		c.password = passwords[i];
		assert_int_equal(converse(one_user, &c), AUTH_DENIED);
		assert_string_equal(auth_why(e), "the password is wrong");
		assert_string_equal(reply, "");
		assert_username("");
		assert_true(mqtt_str_eq(auth_claimed_username(e), mqtt_str("user")));
		finish();
	}
}

/* The password of one user does not do for another. */
static void test_other_user(void **state)
{
	static const char users[] = USER "other:SCRAM-SHA-256$4096:AAAA$"
					 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
					 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	struct scram_client c = client();

	(void)state;
	c.name = "other";
	assert_int_equal(converse(users, &c), AUTH_DENIED);
	finish();
	c.name = "user";
	assert_int_equal(converse(users, &c), AUTH_SUCCESS);
	finish();
}

/* Salt and iterations for a name: what follows the nonce. */
static void parameters_of(const char *users, const char *name, char out[CLIENT_TEXT_MAX])
{
	char first[CLIENT_TEXT_MAX];

	begin_with(users);
	client_print(first, sizeof(first), "n,,n=%s,r=abc", name);
	assert_int_equal(step_text(e, first, reply), AUTH_CONTINUE);
	memmove(out, strchr(reply, ','), strlen(strchr(reply, ',')) + 1);
	finish();
}

/* A name that nobody has gets what a user would get, the same each time and other than another name; whatever the client
 * makes of it is denied. */
static void test_unknown_user(void **state)
{
	char known[CLIENT_TEXT_MAX], first[CLIENT_TEXT_MAX], again[CLIENT_TEXT_MAX], other[CLIENT_TEXT_MAX];
	struct scram_client c = client();

	(void)state;
	parameters_of(one_user, "user", known);
	parameters_of(one_user, "nobody", first);
	parameters_of(one_user, "nobody", again);
	parameters_of(one_user, "nobodz", other);
	assert_string_equal(first, again);
	assert_string_not_equal(first, other);
	assert_string_not_equal(first, known);
	assert_int_equal(strlen(first), strlen(known));
	assert_string_equal(strstr(first, ",i="), strstr(known, ",i="));

	c.name = "nobody";
	assert_int_equal(converse(one_user, &c), AUTH_DENIED);
	assert_string_equal(auth_why(e), "there is no such user");
	assert_string_equal(reply, "");
	assert_username("");
	assert_true(mqtt_str_eq(auth_claimed_username(e), mqtt_str("nobody")));
	finish();
}

/* Where users differ in iterations and length of salt, names that nobody has differ in the same way. */
static void test_unknown_users_among_different_ones(void **state)
{
	static const char users[] = USER "long:SCRAM-SHA-256$5000:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$"
					 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
					 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	char parameters[CLIENT_TEXT_MAX], name[16];
	int like_user = 0, like_long = 0;

	(void)state;
	for (int i = 0; i < 64; i++) {
		client_print(name, sizeof(name), "nobody%d", i);
		parameters_of(users, name, parameters);
		if (strstr(parameters, ",i=4096")) {
			assert_int_equal(strlen(parameters), strlen(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
			like_user++;
		} else {
			assert_non_null(strstr(parameters, ",i=5000"));
			assert_int_equal(strlen(parameters), strlen(",s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,i=5000"));
			like_long++;
		}
	}
	/* By chance all alike: once in 2^63 runs. */
	assert_int_not_equal(like_user, 0);
	assert_int_not_equal(like_long, 0);
}

static void test_no_users(void **state)
{
	char parameters[CLIENT_TEXT_MAX];

	(void)state;
	parameters_of("# nobody yet\n", "user", parameters);
	assert_non_null(strstr(parameters, "==,i=100000"));
}

/* The flag that asks for channel binding, and a client-final-message that claims another flag than the first one. */
static void test_channel_binding(void **state)
{
	static const struct {
		const char *header, *binding;
	} swapped[] = {
		{"n,,", "eSws"}, {"y,,", "biws"},     {"n,a=user,", "biws"}, {"n,,", "bixhPXVzZXIs"},
		{"n,,", "biw="}, {"n,,", "biwsLA=="}, {"n,,", "biwt"},
	};
	struct scram_client c = client();
	char final[CLIENT_TEXT_MAX];

	(void)state;
	begin();
	assert_denied("p=tls-unique,,n=user,r=abc", "it asks for channel binding");
	finish();
	for (size_t i = 0; i < COUNT(swapped); i++) {
		begin_with(one_user);
		c.gs2_header = swapped[i].header;
		client_first(&c, "abc");
		assert_int_equal(step_text(e, c.first, reply), AUTH_CONTINUE);
		client_final(&c, reply);
		client_print(final, sizeof(final), "c=%s%s", swapped[i].binding, strchr(c.final, ','));
		assert_denied(final, "the channel binding is not that of the first message");
		finish();
	}
}

/* ---- messages that are none ------------------------------------------------------------------------------------- */

static const char malformed[] = "the message is malformed";

static void test_refused_first_messages(void **state)
{
	static const char bad_name[] = "no user can have such a name";
	static const struct {
		const char *message, *why;
	} messages[] = {
		/* the flag */
		{"", malformed},
		{"n", malformed},
		{"x,,n=user,r=abc", malformed},
		{"N,,n=user,r=abc", malformed},
		{"n=user,r=abc", malformed},
		{",,n=user,r=abc", malformed},
		{"ny,n=user,r=abc", malformed},
		{"p=", "it asks for channel binding"},
		{"p=x,a=user,n=user,r=abc", "it asks for channel binding"},
		/* the authorization identity */
		{"n,n=user,r=abc", malformed},
		{"n,a=,n=user,r=abc", malformed},
		{"n,user,n=user,r=abc", malformed},
		{"n,b=user,n=user,r=abc", malformed},
		{"n,a=user", malformed},
		{"n,a=admin,n=user,r=abc", "it asks for the rights of another user"},
		{"n,a=user=2C,n=user,r=abc", "it asks for the rights of another user"},
		{"n,a=use,n=user,r=abc", "it asks for the rights of another user"},
		/* extensions */
		{"n,,m=x,n=user,r=abc", "it asks for an extension that there is not"},
		{"n,,m=", "it asks for an extension that there is not"},
		{"n,,n=user,r=abc,m=x", malformed},
		{"n,,x=1,n=user,r=abc", malformed},
		{"n,,n=user,x=1,r=abc", malformed},
		{"n,,n=user,r=abc,x=", malformed},
		{"n,,n=user,r=abc,x", malformed},
		{"n,,n=user,r=abc,=1", malformed},
		{"n,,n=user,r=abc,1=1", malformed},
		{"n,,n=user,r=abc,xy=1", malformed},
		{"n,,n=user,r=abc,n=admin", malformed},
		{"n,,n=user,r=abc,r=def", malformed},
		{"n,,n=user,r=abc,p=def", malformed},
		{"n,,n=user,r=abc,", malformed},
		{"n,,n=user,r=abc,,x=1", malformed},
		/* the name */
		{"n,,r=abc", malformed},
		{"n,,n=,r=abc", malformed},
		{"n,,u=user,r=abc", malformed},
		{"n,,n=user", malformed},
		{"n,,n=us=er,r=abc", malformed},
		{"n,,n=user=,r=abc", malformed},
		{"n,,n=user=2,r=abc", malformed},
		{"n,,n=user=2c,r=abc", malformed},
		{"n,,n=user=3d,r=abc", malformed},
		{"n,,n=user=20,r=abc", malformed},
		{"n,,n=\xff,r=abc", malformed},
		{"n,,n=\xc0\xaf,r=abc", malformed},
		{"n,,n=\xed\xa0\x80,r=abc", malformed},
		{"n,,n=us\ter,r=abc", malformed},
		{"n,,n=user\x7f,r=abc", malformed},
		{"n,,n=user\xc2\x85,r=abc", malformed},
		{"n,,n=us:er,r=abc", bad_name},
		{"n,,n= user,r=abc", bad_name},
		/* the nonce */
		{"n,,n=user,r=", malformed},
		{"n,,n=user,r", malformed},
		{"n,,n=user,s=abc", malformed},
		{"n,,n=user,r=a b", malformed},
		{"n,,n=user,r=a\x7f", malformed},
		{"n,,n=user,r=\xc3\xbc", malformed},
		{"n,,n=user,r=abc\n", malformed},
		/* out of turn */
		{RFC_CLIENT_FINAL, malformed},
		{RFC_SERVER_FIRST, malformed},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		begin();
		assert_denied(messages[i].message, messages[i].why);
		finish();
	}
	begin();
	assert_denied_bytes("n,,n=us\0er,r=abc", 16, malformed);
	finish();
	begin();
	assert_denied_bytes(NULL, 0, malformed);
	finish();
}

static void test_refused_final_messages(void **state)
{
	/* N stands for the right nonce, P for the right proof. */
	static const char *const messages[] = {
		"",
		"c=biws",
		"c=biws,r=N",
		"c=biws,r=N,",
		"c=biws,r=N,p",
		"c=biws,r=N,p=",
		"c=biws,r=N,p=P,",
		"c=biws,r=N,p=P,x=1",
		"c=biws,r=N,p=P,p=P",
		"c=biws,r=N,m=x,p=P",
		"c=biws,r=N,r=N,p=P",
		"c=biws,r=N,c=biws,p=P",
		"c=biws,r=N,x=,p=P",
		"c=biws,r=N,,p=P",
		"c=biws,r=N,P=P",
		"r=N,c=biws,p=P",
		"r=N,p=P",
		"c=biws,p=P",
		"c=,r=N,p=P",
		"c=biws,r=,p=P",
		",c=biws,r=N,p=P",
		"p=P",
		"e=other-error",
		"c=biws,r=N,p=PP",
		"c=biws,r=N,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndQ==", /* 31 bytes */
		"c=biws,r=N,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQA", /* 33 bytes */
		"c=biws,r=N,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ",  /* no padding */
		"c=biws,r=N,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=", /* a bit too many */
		"c=biws,r=N,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndV==",
		"c=biws,r=N,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgs=mmiz7AndVQ=",
		"c=biws,r=N,p=dHzbZapWIk4jUhN-Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=N,p= HzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=N,p=\xff",
		"c=\xc3,r=N,p=P",
		"n,,n=user,r=abc",
	};
	char text[CLIENT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		text[0] = '\0';
		for (const char *m = messages[i]; *m; m++) {
			bool value = m > messages[i] && m[-1] == '=';
			size_t len = strlen(text);

			if (*m == 'N' && value)
				strcpy(text + len, "rOprNGfwEbeRWgbNEkqO" RFC_SERVER_NONCE);
			else if (*m == 'P' && (value || m[-1] == 'P'))
				strcpy(text + len, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
			else
				client_print(text + len, 2, "%c", *m);
		}
		begin();
		assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
		assert_denied(text, malformed);
		finish();
	}
}

/* Cut off at each byte: what is left of the first message is one if there is a nonce; of the last, never. */
static void test_truncated(void **state)
{
	struct mqtt_str answer;

	(void)state;
	for (size_t len = 0; len < strlen(RFC_CLIENT_FIRST); len++) {
		begin();
		if (len > strlen("n,,n=user,r=")) {
			assert_int_equal(step_bytes(e, RFC_CLIENT_FIRST, len, &answer), AUTH_CONTINUE);
			assert_denied(RFC_CLIENT_FINAL, "the nonce is not that of this exchange");
		} else {
			assert_denied_bytes(RFC_CLIENT_FIRST, len, malformed);
		}
		finish();
	}
	for (size_t len = 0; len < strlen(RFC_CLIENT_FINAL); len++) {
		begin();
		assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
		assert_denied_bytes(RFC_CLIENT_FINAL, len, malformed);
		finish();
	}
}

/* No bit of either message can be changed on the way without notice. */
static void test_each_bit(void **state)
{
	static const char *const messages[] = {RFC_CLIENT_FIRST, RFC_CLIENT_FINAL};
	char changed[2][CLIENT_TEXT_MAX];
	struct mqtt_str answer;
	size_t lens[2] = {strlen(messages[0]), strlen(messages[1])};

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		for (size_t bit = 0; bit < 8 * lens[m]; bit++) {
			strcpy(changed[0], messages[0]);
			strcpy(changed[1], messages[1]);
			changed[m][bit / 8] = (char)(changed[m][bit / 8] ^ 1 << bit % 8);
			begin();
			if (step_bytes(e, changed[0], lens[0], &answer) == AUTH_CONTINUE || m == 1)
				assert_int_equal(step_bytes(e, changed[1], lens[1], &answer), AUTH_DENIED);
			assert_username("");
			finish();
		}
	}
}

static void test_end_at_any_stage(void **state)
{
	(void)state;
	auth_end(NULL);
	begin();
	assert_string_equal(auth_why(e), "it is not finished");
	finish();
	begin();
	assert_int_equal(step_text(e, RFC_CLIENT_FIRST, reply), AUTH_CONTINUE);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_7677),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_gs2_headers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_longest_message),
		cmocka_unit_test(test_fresh_nonces),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_tampered_nonces),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_other_user),
		cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_unknown_users_among_different_ones),
		cmocka_unit_test(test_no_users),
		cmocka_unit_test(test_channel_binding),
		cmocka_unit_test(test_refused_first_messages),
		cmocka_unit_test(test_refused_final_messages),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_end_at_any_stage),
	};

	hash_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
