// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/scram.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/scram.h"
#include "shuntctl/ask.h"
#include "shuntctl/replace.h"

enum {
	PASSWORD_SIZE = SCRAM_PASSWORD_MAX + 4, /* one too many, CR LF, and a NUL */
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

/* From a terminal: twice, without echo. OpenSSL's dialogue also puts the terminal right when it is interrupted. */
static int ask_password(const char *user, char password[PASSWORD_SIZE])
{
	char prompt[SCRAM_NAME_MAX + 32];

	snprintf(prompt, sizeof(prompt), "Password for %s: ", user);
	if (EVP_read_pw_string_min(password, 0, PASSWORD_SIZE - 1, prompt, 1))
		return refuse("the password", "was not given twice");
	return EXIT_DONE;
}

/* From anything else: the one line that comes. */
static int read_password(char password[PASSWORD_SIZE])
{
	size_t len = fread(password, 1, PASSWORD_SIZE - 1, stdin);

	if (ferror(stdin))
		return refuse("stdin:", strerror(errno));
	if (len && password[len - 1] == '\n')
		len--;
	if (len && password[len - 1] == '\r')
		len--;
	password[len] = '\0';
	if (strlen(password) != len)
		return refuse("the password", "has a NUL byte");
	if (strchr(password, '\n'))
		return refuse("the password", "is more than one line");
	return EXIT_DONE;
}

/* The verifier as text, from a password that is asked for. */
static int make_verifier(const char *user, uint32_t iterations, char text[SCRAM_VERIFIER_TEXT_MAX])
{
	struct scram_verifier v = {.iterations = iterations, .salt_len = SCRAM_SALT_LEN};
	char password[PASSWORD_SIZE];
	const char *fault;
	int status;

	status = isatty(STDIN_FILENO) ? ask_password(user, password) : read_password(password);
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

/* "USER:" begins the user's line. */
static int replace_user(const char *file, const char *user, const char *line)
{
	char key[SCRAM_NAME_MAX + 2];
	int err;

	snprintf(key, sizeof(key), "%s:", user);
	err = replace_line(file, key, line);
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
