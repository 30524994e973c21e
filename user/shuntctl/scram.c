// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/scram.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>

#include "auth/scram.h"
#include "shuntctl/ask.h"
#include "shuntctl/prompt.h"
#include "shuntctl/replace.h"

enum {
	PASSWORD_SIZE = SCRAM_PASSWORD_MAX + PROMPT_EXTRA,
};

static int refuse(const char *what, const char *fault)
{
	fprintf(stderr, "shuntctl: %s %s\n", what, fault);
	return EXIT_REFUSED;
}

static int check_name(const char *user)
{
	const char *fault = strlen(user) > SCRAM_NAME_MAX ? "is longer than 255 bytes"
							  : scram_name_fault(mqtt_str(user));

	return fault ? refuse("the user name", fault) : EXIT_DONE;
}

/* The verifier as text, from a password that is asked for. */
static int make_verifier(const char *user, uint32_t iterations, char text[SCRAM_VERIFIER_TEXT_MAX])
{
	struct scram_verifier v = {.iterations = iterations, .salt_len = SCRAM_SALT_LEN};
	char password[PASSWORD_SIZE];
	const char *fault;
	int status;

	status = prompt_password(user, password, sizeof(password));
	if (status != EXIT_DONE)
		goto out;
	fault = scram_password_fault(mqtt_str(password));
	if (fault)
		status = refuse("the password", fault);
	else if (getrandom(v.salt, v.salt_len, 0) != v.salt_len)
		status = refuse("no random numbers:", strerror(errno));
	else if (scram_verifier_derive(&v, mqtt_str(password)))
		status = refuse("out", "of memory");
	else
		scram_verifier_format(&v, text);
out:
	OPENSSL_cleanse(password, sizeof(password));
	return status;
}

static bool begins(const char *line, size_t len, const char *key)
{
	size_t key_len = strlen(key);

	return len >= key_len && !memcmp(line, key, key_len);
}

/* "USER:" begins the user's line. */
static int replace_user(const char *file, const char *user, const char *line)
{
	char key[SCRAM_NAME_MAX + 2];
	int err;

	snprintf(key, sizeof(key), "%s:", user);
	err = replace_line(file, REPLACE_OR_CREATE, begins, key, line);
	if (!err)
		return EXIT_DONE;
	if (err == -ESRCH)
		fprintf(stderr, "shuntctl: there is no user \"%s\" in %s\n", user, file);
	else
		fprintf(stderr, "shuntctl: %s cannot be changed: %s\n", file, strerror(-err));
	return EXIT_REFUSED;
}

int scram_set(const char *file, const char *user, uint32_t iterations)
{
	char verifier[SCRAM_VERIFIER_TEXT_MAX], line[SCRAM_NAME_MAX + 2 + sizeof(verifier)];
	int status = check_name(user);

	if (status == EXIT_DONE)
		status = make_verifier(user, iterations, verifier);
	if (status != EXIT_DONE)
		return status;
	snprintf(line, sizeof(line), "%s:%s", user, verifier);
	return replace_user(file, user, line);
}

int scram_delete(const char *file, const char *user)
{
	int status = check_name(user);

	return status == EXIT_DONE ? replace_user(file, user, NULL) : status;
}
