/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Certificates, keys and lists of revoked ones for tests, made when they are needed and written as PEM. A failure ends the
 * program. */
#ifndef SHUNT_TESTS_TLS_CERTS_H
#define SHUNT_TESTS_TLS_CERTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

struct cert_spec {
	const char *cn;		   /* NULL: none */
	size_t cn_len;		   /* 0: up to its NUL */
	int cn_type;		   /* 0: MBSTRING_UTF8 */
	const char *organization;  /* NULL: none */
	const char *san;	   /* "DNS:a.example,DNS:*.b.example"; NULL: none */
	const struct cert *issuer; /* NULL: itself */
	bool ca;
	bool rsa;	/* a key of 2048 bits; else P-256 */
	int from, days; /* of its validity, from today; 0 days: 30 */
	long serial;
};

static inline void certs_must(bool good)
{
	if (!good)
		abort();
}

static inline void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	certs_must(extension && X509_add_ext(x509, extension, -1));
	X509_EXTENSION_free(extension);
}

static inline struct cert make_cert(const struct cert_spec *spec)
{
	struct cert c = {.x509 = X509_new(), .key = spec->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
	const struct cert *issuer = spec->issuer ? spec->issuer : &c;
	X509_NAME *name = X509_get_subject_name(c.x509);

	certs_must(c.x509 && c.key);
	certs_must(X509_set_version(c.x509, X509_VERSION_3) && X509_set_pubkey(c.x509, c.key) &&
		   ASN1_INTEGER_set(X509_get_serialNumber(c.x509), spec->serial ? spec->serial : 1) &&
		   X509_gmtime_adj(X509_getm_notBefore(c.x509), 86400L * spec->from - 60) &&
		   X509_gmtime_adj(X509_getm_notAfter(c.x509), 86400L * (spec->from + (spec->days ? spec->days : 30))));
	if (spec->organization)
		certs_must(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const uint8_t *)spec->organization, -1,
						      -1, 0));
	if (spec->cn)
		certs_must(X509_NAME_add_entry_by_txt(name, "CN", spec->cn_type ? spec->cn_type : MBSTRING_UTF8,
						      (const uint8_t *)spec->cn,
						      spec->cn_len ? (int)spec->cn_len : (int)strlen(spec->cn), -1, 0));
	certs_must(X509_set_issuer_name(c.x509, X509_get_subject_name(issuer->x509)));
	if (spec->ca) {
		add_extension(c.x509, issuer->x509, NID_basic_constraints, "critical,CA:TRUE");
		add_extension(c.x509, issuer->x509, NID_key_usage, "critical,keyCertSign,cRLSign");
	}
	if (spec->san)
		add_extension(c.x509, issuer->x509, NID_subject_alt_name, spec->san);
	certs_must(X509_sign(c.x509, issuer->key, EVP_sha256()));
	return c;
}

static inline void free_cert(struct cert *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

/* `next`: one that stands behind it; NULL: none. */
static inline void write_cert(const char *path, const struct cert *c, const struct cert *next)
{
	FILE *f = fopen(path, "we");

	certs_must(f && PEM_write_X509(f, c->x509) && (!next || PEM_write_X509(f, next->x509)) && !fclose(f));
}

/* `passphrase`: NULL: none. */
static inline void write_key(const char *path, const struct cert *c, const char *passphrase)
{
	FILE *f = fopen(path, "we");

	certs_must(f &&
		   PEM_write_PrivateKey(f, c->key, passphrase ? EVP_aes_128_cbc() : NULL, (const uint8_t *)passphrase,
					passphrase ? (int)strlen(passphrase) : 0, NULL, NULL) &&
		   !fclose(f));
}

/* The list of `ca`, good for so many days, with one certificate, or none. */
static inline void write_crl(const char *path, const struct cert *ca, const struct cert *revoked, int days)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, days < 0 ? 86400L * (days - 1) : -60),
		  *until = X509_gmtime_adj(NULL, 86400L * days);
	X509_REVOKED *entry = revoked ? X509_REVOKED_new() : NULL;
	FILE *f = fopen(path, "we");

	certs_must(crl && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
		   X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x509)) &&
		   X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, until));
	if (revoked)
		certs_must(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509)) &&
			   X509_REVOKED_set_revocationDate(entry, from) && X509_CRL_add0_revoked(crl, entry));
	certs_must(X509_CRL_sign(crl, ca->key, EVP_sha256()) && f && PEM_write_X509_CRL(f, crl) && !fclose(f));
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	X509_CRL_free(crl);
}

#endif
