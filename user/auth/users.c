// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "auth/users.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>

#include "base/hash.h"
#include "base/lines.h"
#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "mqtt/utf8.h"

struct user {
	struct table_node node;
	size_t line; /* where it stands, for messages */
	struct mqtt_str name;
	/* The verifier, and the bytes of the name behind it. */
	_Alignas(max_align_t) uint8_t verifier[];
};

struct users {
	const struct users_format *format;
	unsigned refs; /* atomic; all else is written before it is shared */
	struct table by_name;
	struct user **users; /* in the order of the file */
	size_t nusers, capacity;
};

struct users *users_ref(struct users *users)
{
	__atomic_add_fetch(&users->refs, 1, __ATOMIC_RELAXED);
	return users;
}

static void free_user(const struct users_format *format, struct user *u)
{
	OPENSSL_cleanse(u->verifier, format->size);
	free(u);
}

void users_unref(struct users *users)
{
	/* Release what this thread did with it, acquire what the others did, before it goes. */
	if (!users || __atomic_sub_fetch(&users->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < users->nusers; i++)
		free_user(users->format, users->users[i]);
	free(users->users);
	table_free(&users->by_name);
	free(users);
}

size_t users_count(const struct users *users)
{
	return users->nusers;
}

static struct user *find_user(const struct users *users, struct mqtt_str name, uint64_t hash)
{
	for (struct table_node *n = table_first(&users->by_name, hash); n; n = table_next(n)) {
		struct user *u = container_of(n, struct user, node);

		if (mqtt_str_eq(u->name, name))
			return u;
	}
	return NULL;
}

const void *users_find(const struct users *users, struct mqtt_str name)
{
	const struct user *u = find_user(users, name, hash_bytes(name.data, name.len));

	return u ? u->verifier : NULL;
}

const void *users_at(const struct users *users, size_t index)
{
	return users->users[index]->verifier;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

const char *users_name_fault(struct mqtt_str name)
{
	if (name.len == 0)
		return "is empty";
	for (uint32_t i = 0; i < name.len; i++) {
		if (name.data[i] < ' ' || name.data[i] == 0x7f)
			return "has a control character";
	}
	if (!utf8_valid(name.data, name.len))
		return "is not UTF-8 as MQTT allows it";
	if (memchr(name.data, ':', name.len))
		return "has a colon";
	if (name.data[0] == '#')
		return "begins with a #, as comments do";
	if (name.data[0] == ' ' || name.data[name.len - 1] == ' ')
		return "begins or ends with a blank";
	return NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mqtt_str view(const char *begin, const char *end)
{
	return (struct mqtt_str){.data = (const uint8_t *)begin, .len = (uint32_t)(end - begin)};
}

static struct mqtt_str trimmed(const char *begin, const char *end)
{
	while (begin < end && is_blank(*begin))
		begin++;
	while (begin < end && is_blank(end[-1]))
		end--;
	return view(begin, end);
}

enum users_line users_line(const struct users_format *format, const char *line, size_t len, struct mqtt_str *name,
			   struct mqtt_str *verifier)
{
	const char *end = line + len, *colon;

	while (end > line && is_blank(end[-1]))
		end--;
	while (format->lenient && line < end && is_blank(*line))
		line++;
	if (line == end || *line == '#')
		return USERS_LINE_NOTHING;
	colon = memchr(line, ':', (size_t)(end - line));
	if (!colon)
		return USERS_LINE_NO_COLON;
	*name = format->lenient ? trimmed(line, colon) : view(line, colon);
	*verifier = format->lenient ? trimmed(colon + 1, end) : view(colon + 1, end);
	return USERS_LINE_USER;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct reading {
	struct users *users;
	struct lines at;
};

/* Room for one more. 0 or -1. */
static int reserve(struct users *users)
{
	size_t capacity = users->capacity ? 2 * users->capacity : 16;
	struct user **array;

	if (users->nusers < users->capacity)
		return 0;
	array = realloc(users->users, capacity * sizeof(*array));
	if (!array)
		return -1;
	users->users = array;
	users->capacity = capacity;
	return 0;
}

static int add_user(const struct reading *r, struct user *u)
{
	uint64_t hash = hash_bytes(u->name.data, u->name.len);
	const struct user *other = find_user(r->users, u->name, hash);

	if (other)
		return lines_fault(&r->at, "the user \"%.*s\" is in line %zu already", (int)u->name.len,
				   (const char *)u->name.data, other->line);
	if (reserve(r->users) || table_insert(&r->users->by_name, &u->node, hash))
		return lines_fault(&r->at, "out of memory");
	r->users->users[r->users->nusers++] = u;
	return 0;
}

static int read_user(const struct reading *r, struct mqtt_str name, const char *verifier)
{
	const struct users_format *format = r->users->format;
	struct user *u = malloc(sizeof(*u) + format->size + name.len);
	const char *why;
	int err = -1;

	if (!u)
		return lines_fault(&r->at, "out of memory");
	u->line = r->at.line;
	u->name = (struct mqtt_str){.data = memcpy(u->verifier + format->size, name.data, name.len), .len = name.len};
	why = format->parse(verifier, u->verifier);
	if (why) {
		free(u);
		return lines_fault(&r->at, "%s", why);
	}
	if (format->warn)
		format->warn(u->verifier, r->at.path, r->at.line);
	err = add_user(r, u);
	if (err)
		free_user(format, u);
	return err;
}

/* One line of `len` bytes; it is cut where the verifier ends. */
static int read_line(void *arg, char *line, size_t len)
{
	const struct reading *r = arg;
	const struct users_format *format = r->users->format;
	struct mqtt_str name, verifier;
	const char *why;

	if (len > INT_MAX)
		return lines_fault(&r->at, "the line is too long");
	switch (users_line(format, line, len, &name, &verifier)) {
	case USERS_LINE_NOTHING:
		return 0;
	case USERS_LINE_NO_COLON:
		if (!format->lenient)
			return lines_fault(&r->at, "there is no colon behind a user name");
		log_warning("Warning in %s:%zu: there is no colon behind a user name: the line counts for nothing.",
			    r->at.path, r->at.line);
		return 0;
	case USERS_LINE_USER:
		break;
	}
	why = format->name_fault(name);
	if (why)
		return lines_fault(&r->at, "the user name %s", why);
	line[(const char *)verifier.data + verifier.len - line] = '\0';
	return read_user(r, name, (const char *)verifier.data);
}

struct users *users_read(const struct users_format *format, FILE *f, const char *path)
{
	struct reading r = {.users = calloc(1, sizeof(*r.users)), .at.path = path};
	int err;

	if (!r.users) {
		log_error("Error: Unable to read %s: %s.", path, strerror(ENOMEM));
		return NULL;
	}
	r.users->format = format;
	r.users->refs = 1;
	err = lines_read(&r.at, f, read_line, &r);
	if (!err)
		return r.users;
	users_unref(r.users);
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

struct users *users_load(const struct users_format *format, const char *path)
{
	FILE *f = fopen(path, "re");
	struct users *users;

	if (!f) {
		log_error("Error: Unable to read %s: %s.", path, strerror(errno));
		return NULL;
	}
	check_permissions(f, path);
	users = users_read(format, f, path);
	fclose(f);
	return users;
}
