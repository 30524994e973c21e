// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/list.h"

/* What fits into a path with the name of the new file behind it. */
struct place {
	char path[PATH_MAX];	 /* of the file, without symbolic links */
	char new_path[PATH_MAX]; /* of the one that takes its place */
	int folder;		 /* open and locked; -1 none */
};

/* The path without symbolic links, of a file that need not be there yet. */
static int resolve(const char *path, char out[PATH_MAX])
{
	struct stat st;

	if (realpath(path, out)) {
		if (stat(out, &st))
			return -errno;
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		return S_ISREG(st.st_mode) ? 0 : -EINVAL;
	}
	if (errno != ENOENT)
		return -errno;
	/* A link to nothing, which the file would take the place of. */
	if (!lstat(path, &st))
		return -ENOENT;
	return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Find the file and lock its folder: a lock on the file itself would go with the file. */
static int find_place(const char *path, struct place *p)
{
	char folder[PATH_MAX];
	int err = resolve(path, p->path);

	if (err)
		return err;
	if (snprintf(p->new_path, sizeof(p->new_path), "%s.XXXXXX", p->path) >= (int)sizeof(p->new_path))
		return -ENAMETOOLONG;
	memcpy(folder, p->path, strlen(p->path) + 1);
	p->folder = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->folder < 0 || flock(p->folder, LOCK_EX) ? -errno : 0;
}

/* Write the lines as the edit has them. */
static int copy(FILE *in, FILE *out, struct edit *edit)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int err = 0;

	edit->ended = true;
	while (in && !err && (errno = 0, len = getline(&line, &size, in)) >= 0)
		err = edit->line(edit, line, (size_t)len, out);
	if (in && !err && !feof(in))
		err = errno ? -errno : -EIO;
	if (line)
		OPENSSL_cleanse(line, size);
	free(line);
	return err || !edit->end ? err : edit->end(edit, out);
}

int edit_keep(struct edit *edit, const char *line, size_t len, FILE *out)
{
	edit->ended = line[len - 1] == '\n';
	return fwrite(line, 1, len, out) == len ? 0 : -errno;
}

/* Owner and permissions of the old file, if there is one; a new one has mkstemp's 0600. */
static int take_over(FILE *in, FILE *out)
{
	struct stat st, own;

	if (!in)
		return 0;
	if (fstat(fileno(in), &st) || fstat(fileno(out), &own))
		return -errno;
	if ((st.st_uid != own.st_uid || st.st_gid != own.st_gid) && fchown(fileno(out), st.st_uid, st.st_gid))
		return -errno;
	return fchmod(fileno(out), st.st_mode & (S_IRWXU | S_IRWXG)) ? -errno : 0;
}

/* Write the new file and let it take the place of the old one. */
static int replace(struct place *p, FILE *in, bool afresh, struct edit *edit)
{
	int fd = mkostemp(p->new_path, O_CLOEXEC), err;
	FILE *out;

	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		err = -errno;
		close(fd);
		goto out;
	}
	err = take_over(in, out);
	if (!err)
		err = copy(afresh ? NULL : in, out, edit);
	if (!err && (fflush(out) || fsync(fd)))
		err = -errno;
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(p->new_path, p->path))
		err = -errno;
out:
	if (err)
		unlink(p->new_path);
	else if (fsync(p->folder))
		err = -errno;
	return err;
}

int replace_lines(const char *path, enum replace_mode mode, struct edit *edit)
{
	struct place p = {.folder = -1};
	int err = find_place(path, &p);
	FILE *in = NULL;

	if (!err) {
		in = fopen(p.path, "re");
		if (in || (errno == ENOENT && mode != REPLACE_THERE))
			err = replace(&p, in, mode == REPLACE_AFRESH, edit);
		else
			err = -errno;
	}
	if (in)
		fclose(in);
	if (p.folder >= 0)
		close(p.folder); /* and the lock with it */
	return err;
}

/* ---- one line ---------------------------------------------------------------------------------------------------- */

struct one_line {
	struct edit edit;
	bool (*is)(const char *line, size_t len, const char *key);
	const char *key, *line;
	bool found;
};

static int write_line(struct edit *edit, const char *line, FILE *out)
{
	edit->ended = true;
	return fputs(line, out) < 0 || fputc('\n', out) < 0 ? -errno : 0;
}

static int edit_one(struct edit *edit, const char *line, size_t len, FILE *out)
{
	struct one_line *one = container_of(edit, struct one_line, edit);
	bool first = !one->found;

	if (!one->is(line, len, one->key))
		return edit_keep(edit, line, len, out);
	one->found = true;
	return one->line && first ? write_line(edit, one->line, out) : 0;
}

static int end_one(struct edit *edit, FILE *out)
{
	const struct one_line *one = container_of(edit, struct one_line, edit);

	if (one->found)
		return 0;
	if (!one->line)
		return -ESRCH;
	if (!edit->ended && fputc('\n', out) < 0)
		return -errno;
	return write_line(edit, one->line, out);
}

int replace_line(const char *path, enum replace_mode mode, bool (*is)(const char *line, size_t len, const char *key),
		 const char *key, const char *line)
{
	struct one_line one = {.edit = {.line = edit_one, .end = end_one}, .is = is, .key = key, .line = line};

	return replace_lines(path, mode, &one.edit);
}
