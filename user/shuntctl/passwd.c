// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/passwd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "auth/password_file.h"
#include "base/list.h"
#include "shuntctl/ask.h"
#include "shuntctl/prompt.h"
#include "shuntctl/replace.h"

enum {
	PASSWORD_MAX = 65535, /* bytes: all that a CONNECT can have */
};

static int refuse(const char *what, const char *fault)
{
	fprintf(stderr, "shuntctl: %s %s\n", what, fault);
	return EXIT_REFUSED;
}

static int check_name(const char *user)
{
	const char *fault = password_name_fault(mqtt_str(user));

	return fault ? refuse("the user name", fault) : EXIT_DONE;
}

/* What is wrong with a password, in words that follow "the password". Clients may send any bytes. */
static const char *password_fault(size_t len)
{
	return len == 0 ? "is empty" : len > PASSWORD_MAX ? "is longer than 65535 bytes" : NULL;
}

static int make_hash(const char *password, struct passwd_hashing how, char text[PASSWORD_TEXT_MAX])
{
	const char *fault = password_fault(strlen(password));
	struct password_hash h;
	int err;

	if (fault)
		return refuse("the password", fault);
	err = password_hash_make(&h, how.kind, how.iterations, mqtt_str(password));
	if (err)
		return refuse("the password cannot be hashed:", strerror(-err));
	password_hash_format(&h, text);
	return EXIT_DONE;
}

static int ask_and_make_hash(const char *user, struct passwd_hashing how, char text[PASSWORD_TEXT_MAX])
{
	char password[PASSWORD_MAX + PROMPT_EXTRA];
	int status = prompt_password(user, password, sizeof(password));

	if (status == EXIT_DONE)
		status = make_hash(password, how, text);
	OPENSSL_cleanse(password, sizeof(password));
	return status;
}

/* Is it the user's line, as the daemon reads it? */
static bool is_users(const char *line, size_t len, const char *user)
{
	struct mqtt_str name, hash;

	return password_file_line(line, len, &name, &hash) && mqtt_str_eq(name, mqtt_str(user));
}

static int cannot_change(const char *file, int err, const char *advice)
{
	fprintf(stderr, "shuntctl: %s cannot be changed: %s%s\n", file, strerror(-err), advice);
	return EXIT_REFUSED;
}

int passwd_set(const char *file, const char *user, const char *password, struct passwd_hashing how, bool create)
{
	char hash[PASSWORD_TEXT_MAX], *line = NULL;
	int status = check_name(user), err;

	if (status == EXIT_DONE)
		status = password ? make_hash(password, how, hash) : ask_and_make_hash(user, how, hash);
	if (status != EXIT_DONE)
		return status;
	if (asprintf(&line, "%s:%s", user, hash) < 0)
		return refuse("out", "of memory");
	err = replace_line(file, create ? REPLACE_AFRESH : REPLACE_THERE, is_users, user, line);
	free(line);
	return err ? cannot_change(file, err, err == -ENOENT && !create ? "; -c makes a new one" : "") : EXIT_DONE;
}

int passwd_delete(const char *file, const char *user)
{
	int status = check_name(user), err;

	if (status != EXIT_DONE)
		return status;
	err = replace_line(file, REPLACE_THERE, is_users, user, NULL);
	if (err == -ESRCH) {
		fprintf(stderr, "shuntctl: there is no user \"%s\" in %s\n", user, file);
		return EXIT_REFUSED;
	}
	return err ? cannot_change(file, err, "") : EXIT_DONE;
}

/* ---- upgrade ----------------------------------------------------------------------------------------------------- */

struct upgrade {
	struct edit edit;
	struct passwd_hashing how;
	const char *file;
	size_t line;
};

/* Say what is wrong with the line, before `why`. Returns the -errno that tells that it was said. */
static int refuse_line(const struct upgrade *u, const char *what, const char *why)
{
	fprintf(stderr, "shuntctl: %s:%zu: %s%s\n", u->file, u->line, what, why);
	return -ECANCELED;
}

/* Write the line with its password hashed, which begins `at`. */
static int write_hashed(struct upgrade *u, const char *line, size_t len, const char *password, size_t at, FILE *out)
{
	char hash[PASSWORD_TEXT_MAX];
	size_t end = at + strlen(password);

	if (make_hash(password, u->how, hash) != EXIT_DONE)
		return refuse_line(u, "the line cannot be hashed", "");
	u->edit.ended = line[len - 1] == '\n';
	if (fwrite(line, 1, at, out) != at || fputs(hash, out) < 0 ||
	    fwrite(line + end, 1, len - end, out) != len - end)
		return -errno;
	return 0;
}

static int upgrade_line(struct edit *edit, const char *line, size_t len, FILE *out)
{
	struct upgrade *u = container_of(edit, struct upgrade, edit);
	struct mqtt_str name, text;
	struct password_hash h;
	const char *why;
	char *password;
	int err;

	u->line++;
	if (strlen(line) != len)
		return refuse_line(u, "there is a NUL byte in the line", "");
	if (!password_file_line(line, len, &name, &text))
		return edit_keep(edit, line, len, out);
	why = password_name_fault(name);
	if (why)
		return refuse_line(u, "the user name ", why);
	why = password_fault(text.len);
	if (why)
		return refuse_line(u, "the password ", why);
	password = strndup((const char *)text.data, text.len);
	if (!password)
		return -ENOMEM;
	why = password_hash_parse(password, &h);
	if (!why)
		err = edit_keep(edit, line, len, out);
	else if (password_looks_hashed(password))
		err = refuse_line(u, "it looks hashed, but ", why); /* else the hash would be the password */
	else
		err = write_hashed(u, line, len, password, (size_t)((const char *)text.data - line), out);
	OPENSSL_cleanse(password, text.len);
	free(password);
	return err;
}

int passwd_upgrade(const char *file, struct passwd_hashing how)
{
	struct upgrade u = {.edit = {.line = upgrade_line}, .how = how, .file = file};
	int err = replace_lines(file, REPLACE_THERE, &u.edit);

	if (err == -ECANCELED)
		return EXIT_REFUSED;
	return err ? cannot_change(file, err, "") : EXIT_DONE;
}
