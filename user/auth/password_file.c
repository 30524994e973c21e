// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A struct password_file is a struct users, and goes by a name of its own so that no file of another kind is taken for
 * it. */
#include "auth/password_file.h"

#include <errno.h>

#include "auth/password.h"
#include "auth/users.h"
#include "base/hash.h"

static const char *parse(const char *text, void *hash)
{
	return password_hash_parse(text, hash);
}

static const struct users_format format = {
	.size = sizeof(struct password_hash),
	.lenient = true,
	.name_fault = password_name_fault,
	.parse = parse,
};

struct password_file *password_file_load(const char *path)
{
	return (struct password_file *)users_load(&format, path);
}

struct password_file *password_file_read(FILE *f, const char *path)
{
	return (struct password_file *)users_read(&format, f, path);
}

struct password_file *password_file_ref(struct password_file *file)
{
	return (struct password_file *)users_ref((struct users *)file);
}

void password_file_unref(struct password_file *file)
{
	users_unref((struct users *)file);
}

size_t password_file_count(const struct password_file *file)
{
	return users_count((const struct users *)file);
}

const struct password_hash *password_file_find(const struct password_file *file, struct mqtt_str username)
{
	return users_find((const struct users *)file, username);
}

const struct password_hash *password_file_at(const struct password_file *file, size_t index)
{
	return users_at((const struct users *)file, index);
}

const struct password_hash *password_file_choose(const struct password_file *file, struct mqtt_str username,
						 bool *known)
{
	const struct password_hash *h = password_file_find(file, username);
	size_t count = password_file_count(file);

	*known = h != NULL;
	if (h || !count)
		return h;
	/* Nobody outside knows the key of this hash, nor who it leads to. */
	return password_file_at(file, hash_bytes(username.data, username.len) % count);
}

int password_file_check(const struct password_file *file, struct mqtt_str username, struct mqtt_str password)
{
	bool known;
	const struct password_hash *h = password_file_choose(file, username, &known);

	if (!h)
		return -EACCES;
	return known ? password_check(h, password) : password_check_nobody(h, password);
}

size_t password_file_check_memory(const struct password_file *file, struct mqtt_str username)
{
	bool known;
	const struct password_hash *h = password_file_choose(file, username, &known);

	return h ? password_check_memory(h) : 0;
}

bool password_file_line(const char *line, size_t len, struct mqtt_str *name, struct mqtt_str *hash)
{
	return users_line(&format, line, len, name, hash) == USERS_LINE_USER;
}

const char *password_name_fault(struct mqtt_str name)
{
	return name.len > PASSWORD_NAME_MAX ? "is longer than 65535 bytes" : users_name_fault(name);
}
