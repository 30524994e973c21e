// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/store.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "auth/scram.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/table.h"

struct user {
	struct table_node node;
	struct scram_verifier verifier;
	size_t line; /* where it stands, for messages */
	uint32_t name_len;
	uint8_t name[];
};

struct auth_store {
	unsigned refs; /* atomic; all else is written before it is shared */
	struct table by_name;
	struct user **users; /* in the order of the file */
	size_t nusers, capacity;
};

struct auth_store *auth_store_ref(struct auth_store *store)
{
	__atomic_add_fetch(&store->refs, 1, __ATOMIC_RELAXED);
	return store;
}

void auth_store_unref(struct auth_store *store)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!store || __atomic_sub_fetch(&store->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < store->nusers; i++) {
		OPENSSL_cleanse(&store->users[i]->verifier, sizeof(store->users[i]->verifier));
		free(store->users[i]);
	}
	free(store->users);
	table_free(&store->by_name);
	free(store);
}

size_t auth_store_count(const struct auth_store *store)
{
	return store->nusers;
}

static struct user *find_user(const struct auth_store *store, struct mqtt_str name, uint64_t hash)
{
	for (struct table_node *n = table_first(&store->by_name, hash); n; n = table_next(n)) {
		struct user *u = container_of(n, struct user, node);

		if (mqtt_str_eq((struct mqtt_str){.data = u->name, .len = u->name_len}, name))
			return u;
	}
	return NULL;
}

const struct scram_verifier *auth_store_find(const struct auth_store *store, struct mqtt_str username)
{
	const struct user *u = find_user(store, username, hash_bytes(username.data, username.len));

	return u ? &u->verifier : NULL;
}

const struct scram_verifier *auth_store_at(const struct auth_store *store, size_t index)
{
	return &store->users[index]->verifier;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
	struct auth_store *store;
	const char *path;
	size_t line;
};

static int fault(const struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Log what is wrong with the line. Returns -1. */
static int fault(const struct reading *r, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_error("Error in %s:%zu: %s.", r->path, r->line, text);
	return -1;
}

/* Room for one more. 0 or -1. */
static int reserve(struct auth_store *store)
{
	size_t capacity = store->capacity ? 2 * store->capacity : 16;
	struct user **users;

	if (store->nusers < store->capacity)
		return 0;
	users = realloc(store->users, capacity * sizeof(*users));
	if (!users)
		return -1;
	store->users = users;
	store->capacity = capacity;
	return 0;
}

static int add_user(const struct reading *r, struct mqtt_str name, const struct scram_verifier *verifier)
{
	uint64_t hash = hash_bytes(name.data, name.len);
	struct user *u = find_user(r->store, name, hash);

	if (u)
		return fault(r, "the user \"%.*s\" is in line %zu already", (int)name.len, (const char *)name.data,
			     u->line);
	u = malloc(sizeof(*u) + name.len);
	if (!u || reserve(r->store) || table_insert(&r->store->by_name, &u->node, hash)) {
		free(u);
		return fault(r, "out of memory");
	}
	u->verifier = *verifier;
	u->line = r->line;
	u->name_len = name.len;
	memcpy(u->name, name.data, name.len);
	r->store->users[r->store->nusers++] = u;
	return 0;
}

/* One line of `len` bytes, which is cut into pieces. */
static int read_line(const struct reading *r, char *line, size_t len)
{
	struct scram_verifier verifier;
	struct mqtt_str name;
	const char *why;
	char *colon;
	int err;

	if (strlen(line) != len)
		return fault(r, "there is a NUL byte in the line");
	while (len && strchr(" \t\r\n", line[len - 1]))
		line[--len] = '\0';
	if (!len || line[0] == '#')
		return 0;
	colon = strchr(line, ':');
	if (!colon)
		return fault(r, "there is no colon behind a user name");
	*colon = '\0';
	if (colon - line > SCRAM_NAME_MAX)
		return fault(r, "the user name is longer than %d bytes", SCRAM_NAME_MAX);
	name = mqtt_str(line);
	why = scram_name_fault(name);
	if (why)
		return fault(r, "the user name %s", why);
	why = scram_verifier_parse(colon + 1, &verifier);
	if (why)
		return fault(r, "%s", why);
	if (verifier.iterations < SCRAM_ITERATIONS_MIN)
		log_warning("Warning in %s:%zu: %u iterations are few: SCRAM-SHA-256 should have %d at least.", r->path,
			    r->line, verifier.iterations, SCRAM_ITERATIONS_MIN);
	err = add_user(r, name, &verifier);
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return err;
}

struct auth_store *auth_store_read(FILE *f, const char *path)
{
	struct reading r = {.store = calloc(1, sizeof(*r.store)), .path = path};
	size_t size = 0;
	char *line = NULL;
	ssize_t len;
	int err = 0;

	if (!r.store) {
		log_error("Error: Unable to read %s: %s.", path, strerror(ENOMEM));
		return NULL;
	}
	r.store->refs = 1;
	while ((errno = 0, len = getline(&line, &size, f)) >= 0) {
		r.line++;
		err |= read_line(&r, line, (size_t)len);
	}
	/* Beside errors of the stream, getline() may have found no memory. */
	if (ferror(f) || !feof(f)) {
		log_error("Error: Unable to read %s: %s.", path, strerror(errno));
		err = -1;
	}
	OPENSSL_cleanse(line, size);
	free(line);
	if (!err)
		return r.store;
	auth_store_unref(r.store);
	return NULL;
}

/* Say so when more people can read or change the file than its owner and a group. */
static void check_permissions(FILE *f, const char *path)
{
	struct stat st;

	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || !(st.st_mode & (S_IROTH | S_IWOTH)))
		return;
	log_warning("Warning: everybody can %s %s: chmod o= %s.",
		    st.st_mode & S_IWOTH ? "write to" : "read, and guess passwords by,", path, path);
}

struct auth_store *auth_store_load(const char *path)
{
	FILE *f = fopen(path, "re");
	struct auth_store *store;

	if (!f) {
		log_error("Error: Unable to read %s: %s.", path, strerror(errno));
		return NULL;
	}
	check_permissions(f, path);
	store = auth_store_read(f, path);
	fclose(f);
	return store;
}
