// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "net/tls_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/log.h"

enum {
	FILE_SIZE_MAX = 16 << 20, /* the largest CRLs that are in use have 10 MB or so */
	TEXT_MAX = 256,
};

const char *tls_file_error(char *buf, size_t size)
{
	unsigned long error = ERR_get_error();
	const char *reason = ERR_reason_error_string(error);

	if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
		snprintf(buf, size, "out of memory");
	else if (ERR_SYSTEM_ERROR(error))
		snprintf(buf, size, "%s", strerror(ERR_GET_REASON(error)));
	else if (reason)
		snprintf(buf, size, "%s", reason);
	else
		snprintf(buf, size, "error %lx of OpenSSL", error);
	ERR_clear_error();
	return buf;
}

void tls_file_check_secret(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & (S_IROTH | S_IWOTH)))
		return;
	log_warning("Warning: everybody can %s %s: chmod o= %s.", st.st_mode & S_IWOTH ? "write to" : "read", path,
		    path);
}

static BIO *read_all(int fd)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char part[4096];
	ssize_t n;

	while (bio && (n = read(fd, part, sizeof(part))) != 0) {
		if (n > 0 && BIO_pending(bio) + n <= FILE_SIZE_MAX && BIO_write(bio, part, (int)n) == n)
			continue;
		if (n >= 0)
			errno = BIO_pending(bio) + n > FILE_SIZE_MAX ? EFBIG : ENOMEM;
		BIO_free(bio);
		bio = NULL;
	}
	OPENSSL_cleanse(part, sizeof(part));
	return bio;
}

/* `secret`: warn when others may read it. */
static BIO *open_file(const char *option, const char *path, bool secret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	BIO *bio = NULL;

	errno = fd < 0 ? errno : ENOMEM;
	if (fd >= 0) {
		if (secret)
			tls_file_check_secret(fd, path);
		errno = ENOMEM;
		bio = read_all(fd);
	}
	if (!bio)
		log_error("Error: Unable to read %s %s: %s.", option, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	ERR_clear_error();
	return bio;
}

BIO *tls_file_read(const char *option, const char *path)
{
	return open_file(option, path, false);
}

/* Is the last error only that there is nothing more in the file? */
static bool at_end(void)
{
	return ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
	       ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static void check_dates(const char *path, const X509 *cert)
{
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		log_warning("Warning: the certificate in %s has expired: clients will refuse it.", path);
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		log_warning("Warning: the certificate in %s is not valid yet: clients will refuse it.", path);
}

X509 *tls_file_certificate(const char *path, STACK_OF(X509) * *chain)
{
	BIO *bio = open_file("certfile", path, false);
	X509 *cert = NULL, *more;
	char text[TEXT_MAX];

	*chain = NULL;
	if (!bio)
		return NULL;
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (!cert) {
		log_error("Error: Unable to read certfile %s: %s.", path,
			  at_end() ? "there is no certificate in it" : tls_file_error(text, sizeof(text)));
		goto fail;
	}
	while ((more = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if ((*chain || (*chain = sk_X509_new_null())) && sk_X509_push(*chain, more))
			continue;
		X509_free(more);
		log_error("Error: Unable to read certfile %s: out of memory.", path);
		goto fail;
	}
	if (!at_end()) {
		log_error("Error: Unable to read certfile %s: certificate %d: %s.", path,
			  2 + (*chain ? sk_X509_num(*chain) : 0), tls_file_error(text, sizeof(text)));
		goto fail;
	}
	check_dates(path, cert);
	BIO_free(bio);
	ERR_clear_error();
	return cert;
fail:
	ERR_clear_error();
	BIO_free(bio);
	X509_free(cert);
	sk_X509_pop_free(*chain, X509_free);
	*chain = NULL;
	return NULL;
}

/* There is nobody to ask for a passphrase. */
static int no_passphrase(char *buf, int size, int writing, void *wanted)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)wanted = true;
	return -1;
}

EVP_PKEY *tls_file_key(const char *path)
{
	BIO *bio = open_file("keyfile", path, true);
	bool encrypted = false;
	char text[TEXT_MAX];
	EVP_PKEY *key;

	if (!bio)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	if (!key && encrypted)
		log_error("Error: The key in keyfile %s is encrypted, and nobody is there to type its passphrase: "
			  "`openssl pkey -in %s -out NEW` writes one without.",
			  path, path);
	else if (!key)
		log_error("Error: Unable to read keyfile %s: %s.", path,
			  at_end() || ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_UNSUPPORTED
				  ? "there is no private key in it"
				  : tls_file_error(text, sizeof(text)));
	ERR_clear_error();
	BIO_free(bio);
	return key;
}
