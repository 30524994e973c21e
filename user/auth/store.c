// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A struct auth_store is a struct users, and goes by a name of its own so that no file of another kind is taken for it. */
#include "auth/store.h"

#include "auth/scram.h"
#include "auth/users.h"
#include "base/log.h"

static const char *parse(const char *text, void *verifier)
{
	return scram_verifier_parse(text, verifier);
}

static void warn(const void *verifier, const char *path, size_t line)
{
	const struct scram_verifier *v = verifier;

	if (v->iterations < SCRAM_ITERATIONS_MIN)
		log_warning("Warning in %s:%zu: %u iterations are few: SCRAM-SHA-256 should have %d at least.", path,
			    line, v->iterations, SCRAM_ITERATIONS_MIN);
}

static const struct users_format format = {
	.size = sizeof(struct scram_verifier),
	.name_fault = scram_name_fault,
	.parse = parse,
	.warn = warn,
};

struct auth_store *auth_store_load(const char *path)
{
	return (struct auth_store *)users_load(&format, path);
}

struct auth_store *auth_store_read(FILE *f, const char *path)
{
	return (struct auth_store *)users_read(&format, f, path);
}

struct auth_store *auth_store_ref(struct auth_store *store)
{
	return (struct auth_store *)users_ref((struct users *)store);
}

void auth_store_unref(struct auth_store *store)
{
	users_unref((struct users *)store);
}

size_t auth_store_count(const struct auth_store *store)
{
	return users_count((const struct users *)store);
}

const struct scram_verifier *auth_store_find(const struct auth_store *store, struct mqtt_str username)
{
	return users_find((const struct users *)store, username);
}

const struct scram_verifier *auth_store_at(const struct auth_store *store, size_t index)
{
	return users_at((const struct users *)store, index);
}
