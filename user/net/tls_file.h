/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Files of certificates and keys, and what is wrong with them in words. No state of its own; any thread. All functions
 * log what they find, with the name of the file; those that return a value return NULL then. */
#ifndef SHUNT_TLS_FILE_H
#define SHUNT_TLS_FILE_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

/* A file in memory, to be BIO_free()d. `option` names it in messages: "keyfile". */
BIO *tls_file_read(const char *option, const char *path);

/* Warn when everybody can read or change an open file that holds a secret. */
void tls_file_check_secret(int fd, const char *path);

/* The certificate and those that stand behind it, of PEM. Warns of one that is not valid now. The caller frees both;
 * *chain is NULL when it stands alone. */
X509 *tls_file_certificate(const char *path, STACK_OF(X509) * *chain);

/* The private key, of PEM without a passphrase. */
EVP_PKEY *tls_file_key(const char *path);

/* The first error of OpenSSL's queue in words, "no such file"; the queue is empty then. The text is OpenSSL's or in
 * `buf` of `size`. */
const char *tls_file_error(char *buf, size_t size);

#endif
