/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A client with a key, for tests. */
#ifndef SHUNT_TESTS_TLS_KEYS_H
#define SHUNT_TESTS_TLS_KEYS_H

#include "tls_world.h"

static const char *client_identity = "sensor";
static uint8_t client_key[16] = "0123456789abcdef";
static uint16_t client_hash_cipher = 0x1301;

static inline unsigned psk_client(SSL *ssl, const char *hint, char *identity, unsigned max_identity, unsigned char *key,
				  unsigned max_key)
{
	(void)ssl;
	if (hint)
		assert_string_equal(hint, "who");
	snprintf(identity, max_identity, "%s", client_identity);
	assert_true(max_key >= sizeof(client_key));
	memcpy(key, client_key, sizeof(client_key));
	return sizeof(client_key);
}

static inline int psk_client_13(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *len, SSL_SESSION **out)
{
	const unsigned char cipher[] = {(unsigned char)(client_hash_cipher >> 8), (unsigned char)client_hash_cipher};
	SSL_SESSION *session = SSL_SESSION_new();

	assert_true(session && SSL_SESSION_set1_master_key(session, client_key, sizeof(client_key)) &&
		    SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, cipher)) &&
		    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION));
	*out = NULL;
	*id = (const unsigned char *)client_identity;
	*len = strlen(client_identity);
	if (md && SSL_CIPHER_get_handshake_digest(SSL_SESSION_get0_cipher(session)) != md)
		SSL_SESSION_free(session);
	else
		*out = session;
	return 1;
}

static inline struct pair psk_pair(struct tls_context *context, int version)
{
	struct pair p = pair_new(context);

	client_version(&p, version);
	if (version == TLS1_2_VERSION) {
		SSL_CTX_set_psk_client_callback(p.client_context, psk_client);
		SSL_CTX_set_cipher_list(p.client_context, "PSK");
	} else {
		SSL_CTX_set_psk_use_session_callback(p.client_context, psk_client_13);
	}
	return p;
}

static inline struct tls_config with_keys(void)
{
	write_text("keys", "sensor:30313233343536373839616263646566\nother:ffffffffffffffffffffffffffffffff\n");
	return (struct tls_config){.psk_hint = "who", .psk_file = "keys", .use_identity_as_username = true};
}

static inline void assert_identity(const struct pair *p, const char *want)
{
	const char *identity, *why;
	char *name;
	size_t len;

	identity = tls_stream_psk_identity(p->server, &len);
	assert_non_null(identity);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(identity, want, len);
	name = tls_stream_username(p->server, &why);
	assert_string_equal(name, want);
	free(name);
}

#endif
