// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Tokens. An input that begins with '!' is a header and a payload in JSON, a line each, which are made a token that is signed
 * right, so that what a token says is read, too, and its rights; any other is a token as it is, and never passes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/hmac.h>

#include "../unit/jwt_encode.h"
#include "auth/acl.h"
#include "auth/jwt.h"
#include "base/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, TOKEN_SIZE = 2 * INPUT_MAX };

#define NOW INT64_C(1000000000000) /* ms */

static const char secret[] = "0123456789abcdef0123456789abcdef";
static struct jwt_keys *keys;

static void must(int good)
{
	if (!good)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = memfd_create("secret", MFD_CLOEXEC);
	char key[64];

	(void)argc, (void)argv;
	log_set_dest(0, NULL);
	must(fd >= 0 && write(fd, secret, strlen(secret)) == (ssize_t)strlen(secret));
	snprintf(key, sizeof(key), "HS256 /proc/self/fd/%d", fd);
	keys = jwt_keys_new();
	must(keys && !jwt_keys_add(keys, key, "here"));
	close(fd);
	return 0;
}

static void sign(char *token, const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t header = end ? (size_t)(end - data) : size, rest = end ? header + 1 : size;
	uint8_t mac[32];

	token[0] = '\0';
	jwt_encode(token, data, header);
	strcat(token, ".");
	jwt_encode(token, data + rest, size - rest);
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)token, strlen(token), mac, NULL);
	strcat(token, ".");
	jwt_encode(token, mac, sizeof(mac));
}

/* There are rights, or a reason why not. */
static void read_rights(const struct jwt_claims *claims)
{
	const char *why = NULL;
	struct acl_rights *rights = claims->acl ? jwt_rights(claims, mqtt_str("id"), &why) : NULL;

	must(!claims->acl || !rights == !!why);
	if (rights)
		(void)acl_may_read_any(rights, mqtt_str("#"));
	acl_rights_unref(rights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct jwt_rules rules = {.leeway = 5};
	struct mqtt_str raw = {data, (uint32_t)size};
	struct jwt_claims claims;
	char token[TOKEN_SIZE];

	if (!size || size > INPUT_MAX)
		return 0;
	if (data[0] != '!') {
		must(jwt_verify(keys, &rules, raw, NOW, &claims) != NULL);
		return 0;
	}
	sign(token, data + 1, size - 1);
	if (jwt_verify(keys, &rules, mqtt_str(token), NOW, &claims)) {
		must(!claims.name && !claims.acl && !claims.all);
		return 0;
	}
	must(claims.name && claims.name[0] && strlen(claims.name) <= JWT_NAME_MAX &&
	     claims.expires_ms > NOW - 5000 - 1);
	must(jwt_keys_have(keys, claims.key) && !jwt_recheck(&claims, &rules));
	read_rights(&claims);
	jwt_claims_clear(&claims);
	return 0;
}
