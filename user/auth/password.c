// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/password.h"

#include <argon2.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64.h"
#include "base/number.h"

enum {
	SHA512_LEN = 64,
	/* Mosquitto 2.0 takes no other length, 2.1 takes this one and 64. */
	SALT_LEN = 12,
	/* As mosquitto 2.1 makes them: one of the choices of OWASP's cheat sheet, and the lengths of its own. */
	ARGON2_KIB = 47104,
	ARGON2_PASSES = 1,
	ARGON2_LANES = 1,
	ARGON2_SALT_LEN = 64,
	ARGON2_HASH_LEN = 64,
};

static const struct {
	const char *name;   /* of mosquitto_passwd's */
	const char *prefix; /* of the text */
} kinds[] = {
	[PASSWORD_SHA512] = {"sha512", "$6$"},
	[PASSWORD_PBKDF2] = {"sha512-pbkdf2", "$7$"},
	[PASSWORD_ARGON2ID] = {"argon2id", "$argon2id$"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

bool password_kind(const char *name, enum password_kind *kind)
{
	for (unsigned i = 0; i < KINDS; i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		*kind = (enum password_kind)i;
		return true;
	}
	return false;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* What stands up to the next `end`, or up to the NUL if that is what `end` is; *text goes behind it. False: there is no
 * such end. */
static bool take(const char **text, char end, struct mqtt_str *part)
{
	const char *found = strchr(*text, end);

	if (!found)
		return false;
	*part = (struct mqtt_str){.data = (const uint8_t *)*text, .len = (uint32_t)(found - *text)};
	*text = found + (end != '\0');
	return true;
}

/* A number from 1 to `max`, in its one form. */
static bool read_number(struct mqtt_str part, uint32_t max, uint32_t *out)
{
	char digits[16];
	uint64_t n;

	if (part.len == 0 || part.len >= sizeof(digits) || part.data[0] == '0')
		return false;
	memcpy(digits, part.data, part.len);
	digits[part.len] = '\0';
	if (number_parse(digits, max, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool read_base64(struct mqtt_str part, uint8_t *out, size_t least, size_t max, uint8_t *len)
{
	ssize_t n = base64_decode(out, max, (const char *)part.data, part.len);

	if (n < (ssize_t)least)
		return false;
	*len = (uint8_t)n;
	return true;
}

/* The same without padding. */
static bool read_bare_base64(struct mqtt_str part, uint8_t *out, size_t least, size_t max, uint8_t *len)
{
	char padded[BASE64_LEN(PASSWORD_HASH_MAX) + 4];

	if (part.len > BASE64_LEN(PASSWORD_HASH_MAX) || memchr(part.data, '=', part.len))
		return false;
	memcpy(padded, part.data, part.len);
	while (part.len % 4)
		padded[part.len++] = '=';
	part.data = (const uint8_t *)padded;
	return read_base64(part, out, least, max, len);
}

static const char *parse_sha512(const char *text, struct password_hash *h)
{
	struct mqtt_str iterations, salt, hash = {0};

	if (h->kind == PASSWORD_PBKDF2) {
		if (!take(&text, '$', &iterations) || !take(&text, '$', &salt))
			return "the hash is not of the form $7$ITERATIONS$SALT$HASH";
		if (!read_number(iterations, PASSWORD_ITERATIONS_MAX, &h->iterations))
			return "the number of iterations is not one from 1 to 10000000";
	} else if (!take(&text, '$', &salt)) {
		return "the hash is not of the form $6$SALT$HASH";
	}
	take(&text, '\0', &hash);
	if (!read_base64(salt, h->salt, 1, PASSWORD_SALT_MAX, &h->salt_len))
		return "the salt is not 1 to 64 bytes of base64";
	if (!read_base64(hash, h->hash, SHA512_LEN, SHA512_LEN, &h->hash_len))
		return "the hash of the password is not 64 bytes of base64";
	return NULL;
}

/* "m=": the number behind it. */
static bool read_parameter(struct mqtt_str part, uint8_t name, uint32_t max, uint32_t *out)
{
	if (part.len < 2 || part.data[0] != name || part.data[1] != '=')
		return false;
	part.data += 2;
	part.len -= 2;
	return read_number(part, max, out);
}

static const char *parse_argon2id(const char *text, struct password_hash *h)
{
	struct mqtt_str version, kib, passes, lanes, salt, hash;

	if (!take(&text, '$', &version) || !take(&text, ',', &kib) || !take(&text, ',', &passes) ||
	    !take(&text, '$', &lanes) || !take(&text, '$', &salt))
		return "the hash is not of the form $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH";
	take(&text, '\0', &hash);
	/* There is no Argon2id of an earlier version. */
	if (!mqtt_str_eq(version, mqtt_str("v=19")))
		return "the version of Argon2 is not v=19";
	if (!read_parameter(kib, 'm', PASSWORD_ARGON2_KIB_MAX, &h->kib))
		return "the memory of Argon2 is not m= and 1 to 262144 KiB";
	if (!read_parameter(passes, 't', PASSWORD_ARGON2_PASSES_MAX, &h->iterations))
		return "the passes of Argon2 are not t= and 1 to 16";
	if (!read_parameter(lanes, 'p', PASSWORD_ARGON2_LANES_MAX, &h->lanes))
		return "the lanes of Argon2 are not p= and 1 to 16";
	if (h->kib < 2 * ARGON2_SYNC_POINTS * h->lanes)
		return "the memory of Argon2 is less than 8 KiB for each lane";
	if (!read_bare_base64(salt, h->salt, PASSWORD_ARGON2_SALT_MIN, PASSWORD_SALT_MAX, &h->salt_len))
		return "the salt is not 8 to 64 bytes of base64 without padding";
	if (!read_bare_base64(hash, h->hash, PASSWORD_ARGON2_HASH_MIN, PASSWORD_HASH_MAX, &h->hash_len))
		return "the hash of the password is not 16 to 64 bytes of base64 without padding";
	return NULL;
}

const char *password_hash_parse(const char *text, struct password_hash *h)
{
	struct password_hash new = {0};
	const char *why;
	unsigned kind = 0;

	while (kind < KINDS && strncmp(text, kinds[kind].prefix, strlen(kinds[kind].prefix)) != 0)
		kind++;
	if (kind == KINDS)
		return "what follows the user name does not begin with $6$, $7$ or $argon2id$: it is no hash of a "
		       "password";
	new.kind = (enum password_kind)kind;
	text += strlen(kinds[kind].prefix);
	why = kind == PASSWORD_ARGON2ID ? parse_argon2id(text, &new) : parse_sha512(text, &new);
	if (!why)
		*h = new;
	return why;
}

static void cut_padding(char *base64)
{
	base64[strcspn(base64, "=")] = '\0';
}

size_t password_hash_format(const struct password_hash *h, char text[PASSWORD_TEXT_MAX])
{
	char salt[BASE64_LEN(PASSWORD_SALT_MAX) + 1], hash[BASE64_LEN(PASSWORD_HASH_MAX) + 1];
	const char *prefix = kinds[h->kind].prefix;

	base64_encode(salt, h->salt, h->salt_len);
	base64_encode(hash, h->hash, h->hash_len);
	switch (h->kind) {
	case PASSWORD_SHA512:
		return (size_t)snprintf(text, PASSWORD_TEXT_MAX, "%s%s$%s", prefix, salt, hash);
	case PASSWORD_PBKDF2:
		return (size_t)snprintf(text, PASSWORD_TEXT_MAX, "%s%u$%s$%s", prefix, h->iterations, salt, hash);
	case PASSWORD_ARGON2ID:
		break;
	}
	cut_padding(salt);
	cut_padding(hash);
	return (size_t)snprintf(text, PASSWORD_TEXT_MAX, "%sv=19$m=%u,t=%u,p=%u$%s$%s", prefix, h->kib, h->iterations,
				h->lanes, salt, hash);
}

bool password_looks_hashed(const char *text)
{
	const char *p = text + 1;

	if (!strncmp(text, "SCRAM-SHA-256$", 14))
		return true;
	/* As crypt(3) and its likes have it: the name of a method between two dollars. */
	if (*text != '$')
		return false;
	while (isalnum((unsigned char)*p) || *p == '-')
		p++;
	return p > text + 1 && *p == '$';
}

/* ---- hashing ----------------------------------------------------------------------------------------------------- */

static int sha512(const struct password_hash *h, struct mqtt_str password, uint8_t out[PASSWORD_HASH_MAX])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) &&
		    EVP_DigestUpdate(context, password.data, password.len) &&
		    EVP_DigestUpdate(context, h->salt, h->salt_len) && EVP_DigestFinal_ex(context, out, NULL);

	EVP_MD_CTX_free(context);
	return done ? 0 : -ENOMEM;
}

static int pbkdf2(const struct password_hash *h, struct mqtt_str password, uint8_t out[PASSWORD_HASH_MAX])
{
	/* NULL would be a password of its own to OpenSSL, with its length asked for. */
	const char *data = password.len ? (const char *)password.data : "";

	return PKCS5_PBKDF2_HMAC(data, (int)password.len, h->salt, h->salt_len, (int)h->iterations, EVP_sha512(),
				 h->hash_len, out)
		       ? 0
		       : -ENOMEM;
}

/* malloc() gives so much back to the system as soon as it is freed. */
static int allocate(uint8_t **memory, size_t size)
{
	*memory = malloc(size);
	return *memory ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void release(uint8_t *memory, size_t size)
{
	(void)size;
	free(memory);
}

static int argon2id(const struct password_hash *h, struct mqtt_str password, uint8_t out[PASSWORD_HASH_MAX])
{
	argon2_context context = {
		.out = out,
		.outlen = h->hash_len,
		/* It reads them only: without the flags that would clear them. */
		.pwd = (uint8_t *)password.data,
		.pwdlen = password.len,
		.salt = (uint8_t *)h->salt,
		.saltlen = h->salt_len,
		.t_cost = h->iterations,
		.m_cost = h->kib,
		.lanes = h->lanes,
		.threads = 1, /* it starts no others, and the result is the same */
		.version = ARGON2_VERSION_13,
		.allocate_cbk = allocate,
		.free_cbk = release,
		.flags = ARGON2_DEFAULT_FLAGS,
	};

	return argon2id_ctx(&context) == ARGON2_OK ? 0 : -ENOMEM;
}

static int compute(const struct password_hash *h, struct mqtt_str password, uint8_t out[PASSWORD_HASH_MAX])
{
	switch (h->kind) {
	case PASSWORD_SHA512:
		return sha512(h, password, out);
	case PASSWORD_PBKDF2:
		return pbkdf2(h, password, out);
	case PASSWORD_ARGON2ID:
		break;
	}
	return argon2id(h, password, out);
}

int password_hash_make(struct password_hash *h, enum password_kind kind, uint32_t iterations, struct mqtt_str password)
{
	struct password_hash new = {.kind = kind, .salt_len = SALT_LEN, .hash_len = SHA512_LEN};
	int err;

	if (kind == PASSWORD_PBKDF2)
		new.iterations = iterations;
	if (kind == PASSWORD_ARGON2ID) {
		new.kib = ARGON2_KIB;
		new.iterations = ARGON2_PASSES;
		new.lanes = ARGON2_LANES;
		new.salt_len = ARGON2_SALT_LEN;
		new.hash_len = ARGON2_HASH_LEN;
	}
	if (getrandom(new.salt, new.salt_len, 0) != new.salt_len)
		return -errno;
	err = compute(&new, password, new.hash);
	if (!err)
		*h = new;
	OPENSSL_cleanse(&new, sizeof(new));
	return err;
}

int password_check(const struct password_hash *h, struct mqtt_str password)
{
	uint8_t hash[PASSWORD_HASH_MAX];
	int err = compute(h, password, hash);

	if (!err && CRYPTO_memcmp(hash, h->hash, h->hash_len) != 0)
		err = -EACCES;
	OPENSSL_cleanse(hash, sizeof(hash));
	return err;
}

int password_check_nobody(const struct password_hash *like, struct mqtt_str password)
{
	int err = password_check(like, password);

	return err ? err : -EACCES;
}

size_t password_check_memory(const struct password_hash *h)
{
	return h->kind == PASSWORD_ARGON2ID ? (size_t)h->kib * 1024 : 0;
}
