// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The password file, and the passwords that clients send. The first byte tells what the others are:
 *	f	the file
 *	h	a hash, a NUL, and a password to check against it
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/mqtt_model.h"
#include "auth/password.h"
#include "auth/password_file.h"
#include "base/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return log_set_dest(0, NULL);
}

/* Within the limits, whatever the text is, and cheap enough to be tried thousands of times a second. */
static bool is_cheap(const struct password_hash *h)
{
	must(h->salt_len <= PASSWORD_SALT_MAX && h->hash_len <= PASSWORD_HASH_MAX && h->salt_len && h->hash_len);
	switch (h->kind) {
	case PASSWORD_SHA512:
		return true;
	case PASSWORD_PBKDF2:
		must(h->iterations && h->iterations <= PASSWORD_ITERATIONS_MAX);
		return h->iterations <= 101;
	case PASSWORD_ARGON2ID:
		must(h->iterations && h->iterations <= PASSWORD_ARGON2_PASSES_MAX);
		must(h->lanes && h->lanes <= PASSWORD_ARGON2_LANES_MAX);
		must(h->kib >= 8 * h->lanes && h->kib <= PASSWORD_ARGON2_KIB_MAX);
		must(password_check_memory(h) == (size_t)h->kib * 1024);
		return h->kib * h->iterations <= 128;
	}
	abort();
}

/* What is read can be written, and is read as the same again. */
static void check_text(const struct password_hash *h, char text[PASSWORD_TEXT_MAX])
{
	char again[PASSWORD_TEXT_MAX];
	struct password_hash back;

	must(password_hash_format(h, text) < PASSWORD_TEXT_MAX);
	must(password_looks_hashed(text));
	must(!password_hash_parse(text, &back));
	password_hash_format(&back, again);
	must(!strcmp(text, again));
}

static void fuzz_hash(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t len = nul ? (size_t)(nul - data) : size, password_len = nul ? size - len - 1 : 0;
	uint8_t *password = exact_copy(nul ? nul + 1 : data, password_len);
	const struct mqtt_str given = {.data = password, .len = (uint32_t)password_len};
	char *text = strndup((const char *)data, len), formatted[PASSWORD_TEXT_MAX];
	struct password_hash h, known;

	must(text != NULL);
	if (!password_hash_parse(text, &h)) {
		check_text(&h, formatted);
		must(!strcmp(text, formatted)); /* there is one form only */
		if (is_cheap(&h)) {
			int result = password_check(&h, given);

			must(result == 0 || result == -EACCES);
			must(password_check(&h, given) == result);
			must(password_check_nobody(&h, given) == -EACCES);
		}
	} else {
		password_looks_hashed(text);
	}
	must(!password_hash_make(&known, PASSWORD_SHA512, 0, given));
	must(!password_check(&known, given));
	free(password);
	free(text);
}

static void fuzz_file(const uint8_t *data, size_t size)
{
	FILE *f = size ? fmemopen((void *)data, size, "r") : NULL;
	char text[PASSWORD_TEXT_MAX];
	struct password_file *file;
	struct mqtt_str name, hash;
	bool known, cheap = true;

	password_file_line((const char *)data, size, &name, &hash);
	if (!f)
		return;
	file = password_file_read(f, "passwords");
	fclose(f);
	for (size_t i = 0; file && i < password_file_count(file); i++) {
		cheap &= is_cheap(password_file_at(file, i));
		check_text(password_file_at(file, i), text);
	}
	if (file) {
		must(!password_file_choose(file, mqtt_str(":"), &known) == !password_file_count(file) && !known);
		must(!cheap || password_file_check(file, mqtt_str(":"), mqtt_str("secret")) == -EACCES);
	}
	password_file_unref(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	switch (data[0]) {
	case 'f':
		fuzz_file(data + 1, size - 1);
		break;
	case 'h':
		fuzz_hash(data + 1, size - 1);
		break;
	}
	return 0;
}
