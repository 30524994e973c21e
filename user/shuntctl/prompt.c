// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "shuntctl/ask.h"

static int refuse(const char *what, const char *fault)
{
	fprintf(stderr, "shuntctl: %s %s\n", what, fault);
	return EXIT_REFUSED;
}

/* OpenSSL's dialogue also puts the terminal right when it is interrupted. */
static int ask_terminal(const char *user, char *password, size_t size)
{
	char prompt[300];

	snprintf(prompt, sizeof(prompt), "Password for %.255s: ", user);
	if (EVP_read_pw_string_min(password, 0, (int)size - 1, prompt, 1))
		return refuse("the password", "was not given twice");
	return EXIT_DONE;
}

static int read_stdin(char *password, size_t size)
{
	size_t len = fread(password, 1, size - 1, stdin);

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

int prompt_password(const char *user, char *password, size_t size)
{
	return isatty(STDIN_FILENO) ? ask_terminal(user, password, size) : read_stdin(password, size);
}
