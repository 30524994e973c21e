// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/log.h"
#include "net/tls_file.h"
#include "net/tls_internal.h"

enum { TEXT_MAX = 256 };

/* Mozilla's Server Side TLS 5.7, "intermediate". */
#define CIPHERS                                                      \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
/* With keys: what there is of the same strength, and what small devices have: RFC 7925 asks them for PSK-AES128-CCM8, and
 * their libraries may have forward secrecy in CBC mode only. */
#define PSK_CIPHERS                                                                        \
	"ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES128-GCM-SHA256:DHE-PSK-AES256-GCM-SHA384:" \
	"DHE-PSK-CHACHA20-POLY1305:ECDHE-PSK-AES128-CBC-SHA256:PSK-AES128-GCM-SHA256:"     \
	"PSK-AES256-GCM-SHA384:PSK-CHACHA20-POLY1305:PSK-AES128-CCM:PSK-AES128-CCM8:PSK-AES128-CBC-SHA256"
/* OpenSSL chooses the cipher before the key, whose hash is SHA-256. */
#define PSK_CIPHERS_TLS13 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
static const char groups[] = "X25519:P-256:P-384";

struct tls_context *tls_context_ref(struct tls_context *context)
{
	__atomic_add_fetch(&context->refs, 1, __ATOMIC_RELAXED);
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!context || __atomic_sub_fetch(&context->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	SSL_CTX_free(context->ssl);
	for (size_t i = 0; i < context->ncertificates; i++) {
		X509_free(context->certificates[i].cert);
		EVP_PKEY_free(context->certificates[i].key);
		sk_X509_pop_free(context->certificates[i].chain, X509_free);
	}
	free(context->certificates);
	tls_psk_unref(context->psk);
	tls_tickets_unref(context->tickets);
	free(context);
}

/* ---- what is wrong with the options alone ----------------------------------------------------------------------- */

static int check_options(const struct tls_config *c)
{
	int err = 0;

	if (c->tls_engine || (c->keyform && strcmp(c->keyform, "pem") != 0)) {
		log_error("Error: Keys of an engine are not supported, only `keyform pem`.");
		err = -1;
	}
	if (c->tls_version && strcmp(c->tls_version, "tlsv1.2") != 0 && strcmp(c->tls_version, "tlsv1.3") != 0) {
		log_error("Error: tls_version %s is not supported, only tlsv1.2 and tlsv1.3.", c->tls_version);
		err = -1;
	}
	if (!c->certfile != !c->keyfile) {
		log_error("Error: %s needs %s.", c->certfile ? "certfile" : "keyfile",
			  c->certfile ? "keyfile" : "certfile");
		err = -1;
	}
	if (!c->certfile && !c->keyfile && !c->psk_hint) {
		log_error("Error: TLS needs certfile and keyfile, or psk_hint and psk_file.");
		err = -1;
	}
	if (c->npairs && !c->certfile) {
		log_error("Error: More certificates need certfile, for clients that ask for no name.");
		err = -1;
	}
	if (c->psk_hint && !c->psk_file) {
		log_error("Error: psk_hint needs psk_file.");
		err = -1;
	}
	if (c->require_certificate && !c->cafile && !c->capath) {
		log_error("Error: require_certificate needs cafile or capath.");
		err = -1;
	}
	if (c->use_identity_as_username && c->use_subject_as_username) {
		log_error("Error: use_identity_as_username and use_subject_as_username exclude each other.");
		err = -1;
	}
	if (c->use_subject_as_username && !c->require_certificate) {
		log_error(
			"Error: use_subject_as_username needs require_certificate: clients are not asked for theirs.");
		err = -1;
	}
	if (c->use_identity_as_username && !c->require_certificate && !c->psk_hint) {
		log_error("Error: use_identity_as_username needs require_certificate or psk_hint.");
		err = -1;
	}
	if (c->alpn && (!*c->alpn || strlen(c->alpn) > TLS_ALPN_MAX)) {
		log_error("Error: The name of a protocol for ALPN has 1 to %d bytes.", TLS_ALPN_MAX);
		err = -1;
	}
	return err;
}

/* ---- certificates ----------------------------------------------------------------------------------------------- */

/* Complete a chain that is not given by what is in cafile and capath, without the CA itself, which clients have. Once and
 * here: OpenSSL would do it in each handshake, at the price of verifying signatures. */
static void build_chain(SSL_CTX *ssl, struct tls_certificate *c)
{
	X509_STORE_CTX *build = X509_STORE_CTX_new();
	X509 *last;

	if (build && X509_STORE_CTX_init(build, SSL_CTX_get_cert_store(ssl), c->cert, NULL) == 1 &&
	    X509_verify_cert(build) == 1) {
		c->chain = X509_STORE_CTX_get1_chain(build);
		X509_free(c->chain ? sk_X509_shift(c->chain) : NULL);
		last = c->chain ? sk_X509_value(c->chain, sk_X509_num(c->chain) - 1) : NULL;
		if (last && X509_self_signed(last, 0) == 1)
			X509_free(sk_X509_pop(c->chain));
	}
	X509_STORE_CTX_free(build);
	ERR_clear_error();
}

static int add_certificate(struct tls_context *context, const char *certfile, const char *keyfile)
{
	struct tls_certificate *c = &context->certificates[context->ncertificates++];
	char text[TEXT_MAX];

	c->cert = tls_file_certificate(certfile, &c->chain);
	c->key = tls_file_key(keyfile);
	if (!c->cert || !c->key)
		return -1;
	if (X509_check_private_key(c->cert, c->key) != 1) {
		ERR_clear_error();
		log_error("Error: The key in keyfile %s does not belong to the certificate in certfile %s.", keyfile,
			  certfile);
		return -1;
	}
	if (!c->chain)
		build_chain(context->ssl, c);
	/* Where there are several a handshake chooses; each is tried here, so that it is not refused then. */
	if (SSL_CTX_use_cert_and_key(context->ssl, c->cert, c->key, c->chain, 1) != 1) {
		log_error("Error: Unable to use certfile %s: %s.", certfile, tls_file_error(text, sizeof(text)));
		return -1;
	}
	return 0;
}

static int add_certificates(struct tls_context *context, const struct tls_config *config)
{
	int err;

	if (!config->certfile)
		return 0;
	context->certificates = calloc(1 + config->npairs, sizeof(*context->certificates));
	if (!context->certificates) {
		log_error("Error: Unable to read certificates: out of memory.");
		return -1;
	}
	err = add_certificate(context, config->certfile, config->keyfile);
	for (size_t i = 0; i < config->npairs; i++)
		err |= add_certificate(context, config->pairs[i].certfile, config->pairs[i].keyfile);
	return err;
}

/* ---- whom to trust ---------------------------------------------------------------------------------------------- */

static bool digest_text(EVP_MD_CTX *digest, const char *name, const void *data, size_t len)
{
	uint64_t n = len;

	return EVP_DigestUpdate(digest, name, strlen(name) + 1) && EVP_DigestUpdate(digest, &n, sizeof(n)) &&
	       (!len || EVP_DigestUpdate(digest, data, len));
}

static bool digest_file(EVP_MD_CTX *digest, const char *name, BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	return digest_text(digest, name, data, (size_t)len);
}

static int fault(const char *option, const char *path, const char *why)
{
	log_error("Error: Unable to use %s %s: %s.", option, path, why);
	ERR_clear_error();
	return -1;
}

static bool at_end(void)
{
	bool end = ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
		   ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

/* Also the names that clients are told, so that they can choose among their certificates. */
static int add_cafile(struct tls_context *context, const char *path, EVP_MD_CTX *digest)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
	BIO *bio = tls_file_read("cafile", path);
	char text[TEXT_MAX];
	int err = 0, n = 0;
	X509 *ca;

	if (!bio)
		return -1;
	if (!digest_file(digest, "cafile", bio))
		err = fault("cafile", path, "out of memory");
	while (!err && (ca = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
		if (X509_STORE_add_cert(store, ca) != 1 || SSL_CTX_add_client_CA(context->ssl, ca) != 1)
			err = fault("cafile", path, tls_file_error(text, sizeof(text)));
		X509_free(ca);
		n++;
	}
	if (!err && !at_end())
		err = fault("cafile", path, tls_file_error(text, sizeof(text)));
	else if (!err && !n)
		err = fault("cafile", path, "there is no certificate in it");
	BIO_free(bio);
	return err;
}

/* OpenSSL reads what is in the folder when it is looked for; its time stands for that. */
static int add_capath(struct tls_context *context, const char *path, EVP_MD_CTX *digest)
{
	STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(context->ssl);
	STACK_OF(X509_NAME) *all = names ? SSL_dup_CA_list(names) : sk_X509_NAME_new_null();
	char text[TEXT_MAX];
	struct stat st;

	errno = 0;
	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		sk_X509_NAME_pop_free(all, X509_NAME_free);
		return fault("capath", path, errno ? strerror(errno) : "it is no folder");
	}
	if (!all || !SSL_add_dir_cert_subjects_to_stack(all, path) ||
	    SSL_CTX_load_verify_dir(context->ssl, path) != 1 ||
	    !digest_text(digest, path, &st.st_mtim, sizeof(st.st_mtim))) {
		sk_X509_NAME_pop_free(all, X509_NAME_free);
		return fault("capath", path, all ? tls_file_error(text, sizeof(text)) : "out of memory");
	}
	SSL_CTX_set_client_CA_list(context->ssl, all);
	return 0;
}

static int add_crlfile(struct tls_context *context, const char *path, EVP_MD_CTX *digest)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context->ssl);
	BIO *bio = tls_file_read("crlfile", path);
	char text[TEXT_MAX];
	int err = 0, n = 0;
	X509_CRL *crl;

	if (!bio)
		return -1;
	if (!digest_file(digest, "crlfile", bio))
		err = fault("crlfile", path, "out of memory");
	while (!err && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

		if (X509_STORE_add_crl(store, crl) != 1)
			err = fault("crlfile", path, tls_file_error(text, sizeof(text)));
		else if (next && X509_cmp_current_time(next) < 0)
			log_warning(
				"Warning: a list in crlfile %s is out of date: no certificate of its CA is accepted.",
				path);
		X509_CRL_free(crl);
		n++;
	}
	if (!err && !at_end())
		err = fault("crlfile", path, tls_file_error(text, sizeof(text)));
	else if (!err && !n)
		err = fault("crlfile", path, "there is no list of revoked certificates in it");
	BIO_free(bio);
	if (!err && X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) != 1)
		err = fault("crlfile", path, "out of memory");
	return err;
}

static int add_psk(struct tls_context *context, const struct tls_config *config, EVP_MD_CTX *digest)
{
	if (!config->psk_hint)
		return 0;
	context->psk = tls_psk_load(config->psk_file);
	if (!context->psk)
		return -1;
	/* An empty hint is none, RFC 4279, section 2. */
	if (*config->psk_hint && SSL_CTX_use_psk_identity_hint(context->ssl, config->psk_hint) != 1) {
		ERR_clear_error();
		log_error("Error: Unable to use psk_hint: it is longer than %d bytes.", PSK_MAX_IDENTITY_LEN);
		return -1;
	}
	return digest_text(digest, "psk_file", tls_psk_digest(context->psk), TLS_TRUST_LEN) ? 0 : -1;
}

/* Everything that clients are let in by, and its digest. The list of revoked certificates comes when the chains of our own
 * have been built: it is not about them. */
static int add_trust(struct tls_context *context, const struct tls_config *config, EVP_MD_CTX *digest)
{
	int err = 0;

	if (config->require_certificate) {
		SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		if (!digest_text(digest, "require_certificate", NULL, 0))
			err = -1;
	}
	if (config->cafile)
		err |= add_cafile(context, config->cafile, digest);
	if (config->capath)
		err |= add_capath(context, config->capath, digest);
	err |= add_certificates(context, config);
	if (config->crlfile)
		err |= add_crlfile(context, config->crlfile, digest);
	return err | add_psk(context, config, digest);
}

/* ---- ciphers ---------------------------------------------------------------------------------------------------- */

static int set_dh(SSL_CTX *ssl, const char *path)
{
	EVP_PKEY *params;
	char text[TEXT_MAX];
	int err = 0;
	BIO *bio;

	if (!path)
		return SSL_CTX_set_dh_auto(ssl, 1) == 1 ? 0 : -1;
	bio = tls_file_read("dhparamfile", path);
	if (!bio)
		return -1;
	params = PEM_read_bio_Parameters(bio, NULL);
	BIO_free(bio);
	if (!params || !EVP_PKEY_is_a(params, "DH")) {
		err = fault("dhparamfile", path, "there are no parameters for Diffie-Hellman in it");
	} else if (SSL_CTX_set0_tmp_dh_pkey(ssl, params) == 1) {
		params = NULL;
	} else {
		err = fault("dhparamfile", path, tls_file_error(text, sizeof(text)));
	}
	EVP_PKEY_free(params);
	return err;
}

static int set_ciphers(SSL_CTX *ssl, const struct tls_config *config)
{
	const char *ciphers = config->ciphers, *ciphers_tls13 = config->ciphers_tls13;
	char text[TEXT_MAX];
	int err = 0;

	if (!ciphers_tls13 && config->psk_hint)
		ciphers_tls13 = PSK_CIPHERS_TLS13;
	if (ciphers || ciphers_tls13)
		SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (!ciphers && !config->psk_hint)
		ciphers = CIPHERS;
	else if (!ciphers)
		ciphers = config->certfile ? CIPHERS ":" PSK_CIPHERS : PSK_CIPHERS;
	if (SSL_CTX_set_cipher_list(ssl, ciphers) != 1)
		err = fault("ciphers", ciphers, tls_file_error(text, sizeof(text)));
	if (ciphers_tls13 && SSL_CTX_set_ciphersuites(ssl, ciphers_tls13) != 1)
		err = fault("ciphers_tls1.3", ciphers_tls13, tls_file_error(text, sizeof(text)));
	return err | set_dh(ssl, config->dhparamfile);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static int set_up(struct tls_context *context, const struct tls_config *config)
{
	const char *alpn = config->alpn ? config->alpn : "mqtt";
	SSL_CTX *ssl = context->ssl;

	context->identity_as_username = config->use_identity_as_username;
	context->subject_as_username = config->use_subject_as_username;
	context->alpn_len = (uint8_t)strlen(alpn);
	memcpy(context->alpn, alpn, context->alpn_len);
	context->tickets = config->tickets ? tls_tickets_ref(config->tickets) : tls_tickets_new();
	if (!context->tickets)
		return -1;
	SSL_CTX_set_app_data(ssl, context);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* Chains are complete, see build_chain(). */
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	/* One recv() for as much as the buffer has room for, instead of two for each record. */
	SSL_CTX_set_read_ahead(ssl, 1);
	return SSL_CTX_set_min_proto_version(ssl, config->tls_version && !strcmp(config->tls_version, "tlsv1.3")
							  ? TLS1_3_VERSION
							  : TLS1_2_VERSION) == 1 &&
			       SSL_CTX_set1_groups_list(ssl, groups) == 1
		       ? 0
		       : -1;
}

struct tls_context *tls_context_new(const struct tls_config *config)
{
	struct tls_context *context = NULL;
	EVP_MD_CTX *digest = NULL;
	int err = check_options(config);

	if (err)
		return NULL;
	ERR_clear_error();
	err = -1;
	context = calloc(1, sizeof(*context));
	digest = EVP_MD_CTX_new();
	if (context) {
		context->refs = 1;
		context->ssl = SSL_CTX_new(TLS_server_method());
	}
	if (!context || !context->ssl || !digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL) ||
	    set_up(context, config)) {
		log_error("Error: Unable to set up TLS: out of memory.");
		goto out;
	}
	err = set_ciphers(context->ssl, config);
	err |= add_trust(context, config, digest);
	if (!err && (!EVP_DigestFinal_ex(digest, context->trust, NULL) || tls_session_init(context) ||
		     tls_handshake_init(context))) {
		log_error("Error: Unable to set up TLS: out of memory.");
		err = -1;
	}
out:
	EVP_MD_CTX_free(digest);
	ERR_clear_error();
	if (!err)
		return context;
	tls_context_unref(context);
	return NULL;
}
