// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

enum { FILES_MAX = 1024, NAMES_MAX = 64 };

struct journal {
	uint8_t *data;
	size_t len, n;
	const struct disk_entry **entry;
};

/* A file, as it is on the disk for sure, and what has changed since. */
struct file {
	uint8_t *data;
	size_t size, cap;
	const struct disk_entry **pending;
	size_t npending;
};

struct name {
	char name[sizeof(((struct disk_entry *)0)->name)];
	uint64_t file; /* 0: unused */
};

/* What becomes of a sector that was not synced. */
enum fate { FATE_NEW, FATE_OLD, FATE_ZERO, FATE_GARBAGE };

/* The folder, on its way through the journal. */
struct disk {
	struct file files[FILES_MAX];
	struct name names[NAMES_MAX];
	const struct disk_entry **pending; /* of names */
	size_t npending;
	uint64_t random;
	unsigned keep; /* of 256 changes */
	size_t sector;
};

uint64_t journal_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ---- the journal -------------------------------------------------------------------------------------------------- */

static const uint8_t *data_of(const struct disk_entry *e)
{
	return (const uint8_t *)(e + 1);
}

static int read_all(struct journal *j, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	j->data = malloc((size_t)st.st_size + 1);
	if (!j->data)
		return -ENOMEM;
	while (j->len < (size_t)st.st_size) {
		ssize_t n = read(fd, j->data + j->len, (size_t)st.st_size - j->len);

		if (n <= 0)
			return -EIO;
		j->len += (size_t)n;
	}
	return 0;
}

/* Find the entries. One that is not complete, because its process was killed, ends it. Data has any length, so that
 * entries are copied to where a structure may be. */
static int index_all(struct journal *j)
{
	struct disk_entry e;

	for (size_t at = 0; at + sizeof(e) <= j->len; at += sizeof(e) + e.len) {
		struct disk_entry *copy;

		memcpy(&e, j->data + at, sizeof(e));
		if (e.file >= FILES_MAX || at + sizeof(e) + e.len > j->len)
			break;
		if ((j->n & (j->n - 1)) == 0) {
			void *more = realloc(j->entry, (j->n ? 2 * j->n : 1) * sizeof(*j->entry));

			if (!more)
				return -ENOMEM;
			j->entry = more;
		}
		copy = malloc(sizeof(e) + e.len);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, j->data + at, sizeof(e) + e.len);
		j->entry[j->n++] = copy;
	}
	return 0;
}

struct journal *journal_read(const char *path)
{
	struct journal *j = calloc(1, sizeof(*j));
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (j && (fd < 0 || read_all(j, fd) || index_all(j))) {
		journal_free(j);
		j = NULL;
	}
	if (fd >= 0)
		close(fd);
	return j;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++)
		free((void *)j->entry[i]);
	free(j->entry);
	free(j->data);
	free(j);
}

size_t journal_entries(const struct journal *j)
{
	return j->n;
}

int journal_syncs(const struct journal *j, size_t entry)
{
	return j->entry[entry]->kind == DISK_SYNC || j->entry[entry]->kind == DISK_SYNC_FOLDER;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static int resize(struct file *f, size_t size)
{
	if (size > f->cap) {
		size_t cap = size + size / 2 + 4096;
		uint8_t *data = realloc(f->data, cap);

		if (!data)
			return -ENOMEM;
		f->data = data;
		f->cap = cap;
	}
	if (size > f->size)
		memset(f->data + f->size, 0, size - f->size);
	f->size = size;
	return 0;
}

static int apply(struct file *f, const struct disk_entry *e)
{
	if (e->kind == DISK_SIZE)
		return resize(f, e->offset);
	if (e->offset + e->len > f->size && resize(f, e->offset + e->len))
		return -ENOMEM;
	memcpy(f->data + e->offset, data_of(e), e->len);
	return 0;
}

static int sync_file(struct file *f)
{
	int rc = 0;

	for (size_t i = 0; i < f->npending && !rc; i++)
		rc = apply(f, f->pending[i]);
	f->npending = 0;
	return rc;
}

static bool survives(struct disk *d)
{
	return (journal_random(&d->random) & 0xff) < d->keep;
}

static enum fate throw_dice(struct disk *d)
{
	static const enum fate lost[] = {FATE_OLD, FATE_OLD, FATE_ZERO, FATE_GARBAGE};

	return survives(d) ? FATE_NEW : lost[journal_random(&d->random) & 3];
}

/* A part of a write that is within one sector. Bytes of the sector that were not written stay what they were. */
static int cut_sector(struct disk *d, struct file *f, const struct disk_entry *e, size_t from, size_t len)
{
	enum fate fate = throw_dice(d);
	size_t at = e->offset + from;

	if (fate == FATE_OLD)
		return 0;
	if (at + len > f->size && resize(f, at + len))
		return -ENOMEM;
	if (fate == FATE_NEW)
		memcpy(f->data + at, data_of(e) + from, len);
	else if (fate == FATE_ZERO)
		memset(f->data + at, 0, len);
	for (size_t i = 0; i < len && fate == FATE_GARBAGE; i++)
		f->data[at + i] = (uint8_t)journal_random(&d->random);
	return 0;
}

static int cut_write(struct disk *d, struct file *f, const struct disk_entry *e)
{
	int rc = 0;

	for (size_t from = 0; from < e->len && !rc;) {
		size_t left = d->sector - (e->offset + from) % d->sector;
		size_t len = left < e->len - from ? left : e->len - from;

		rc = cut_sector(d, f, e, from, len);
		from += len;
	}
	return rc;
}

static int cut_file(struct disk *d, struct file *f)
{
	size_t end = 0;
	int rc = 0;

	for (size_t i = 0; i < f->npending && !rc; i++) {
		const struct disk_entry *e = f->pending[i];

		if (e->kind == DISK_WRITE) {
			rc = cut_write(d, f, e);
			end = e->offset + e->len > end ? e->offset + e->len : end;
		} else if (survives(d)) {
			rc = apply(f, e);
		}
	}
	f->npending = 0;
	/* The size was written, and the data was not. */
	if (!rc && end > f->size && survives(d))
		rc = resize(f, end);
	return rc;
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static struct name *find(struct disk *d, const char *name)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (d->names[i].file && strcmp(d->names[i].name, name) == 0)
			return &d->names[i];
	return NULL;
}

static void set_name(struct disk *d, const char *name, uint64_t file)
{
	struct name *n = find(d, name);

	for (size_t i = 0; i < NAMES_MAX && !n; i++)
		if (!d->names[i].file)
			n = &d->names[i];
	if (!n)
		abort();
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->file = file;
}

static void apply_name(struct disk *d, const struct disk_entry *e)
{
	struct name *n = find(d, e->name);

	if (e->kind == DISK_CREATE) {
		set_name(d, e->name, e->file);
	} else if (n && n->file == e->file) { /* it is known by this name */
		n->file = 0;
		if (e->kind == DISK_RENAME)
			set_name(d, (const char *)data_of(e), e->file);
	}
}

static void cut_names(struct disk *d)
{
	for (size_t i = 0; i < d->npending; i++)
		if (survives(d))
			apply_name(d, d->pending[i]);
}

static void sync_names(struct disk *d)
{
	for (size_t i = 0; i < d->npending; i++)
		apply_name(d, d->pending[i]);
	d->npending = 0;
}

/* ---- the cut ------------------------------------------------------------------------------------------------------ */

static int wait_for_sync(const struct disk_entry ***list, size_t *n, const struct disk_entry *e)
{
	if ((*n & (*n - 1)) == 0) {
		void *more = realloc(*list, (*n ? 2 * *n : 1) * sizeof(**list));

		if (!more)
			return -ENOMEM;
		*list = more;
	}
	(*list)[(*n)++] = e;
	return 0;
}

static int go_on(struct disk *d, const struct disk_entry *e)
{
	struct file *f = &d->files[e->file];

	switch (e->kind) {
	case DISK_WRITE:
	case DISK_SIZE:
		return wait_for_sync(&f->pending, &f->npending, e);
	case DISK_SYNC:
		return sync_file(f);
	case DISK_SYNC_FOLDER:
		sync_names(d);
		return 0;
	default:
		return wait_for_sync(&d->pending, &d->npending, e);
	}
}

static int write_file(const struct file *f, const char *folder, const char *name)
{
	char path[PATH_MAX];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < f->size && !rc;) {
		ssize_t n = write(fd, f->data + at, f->size - at);

		if (n <= 0)
			rc = -EIO;
		else
			at += (size_t)n;
	}
	close(fd);
	return rc;
}

static void disk_free(struct disk *d)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		free(d->files[i].data);
		free(d->files[i].pending);
	}
	free(d->pending);
	free(d);
}

int journal_cut(const struct journal *j, size_t entries, uint64_t seed, const char *folder)
{
	static const unsigned keeps[] = {0, 256, 25, 128, 128, 230};
	struct disk *d = calloc(1, sizeof(*d));
	int rc = 0;

	if (!d)
		return -ENOMEM;
	d->random = seed;
	d->keep = keeps[journal_random(&d->random) % (sizeof(keeps) / sizeof(keeps[0]))];
	d->sector = journal_random(&d->random) & 1 ? 512 : 4096;
	for (size_t i = 0; i < entries && i < j->n && !rc; i++)
		rc = go_on(d, j->entry[i]);
	cut_names(d);
	for (size_t i = 0; i < FILES_MAX && !rc; i++)
		rc = cut_file(d, &d->files[i]);
	for (size_t i = 0; i < NAMES_MAX && !rc; i++)
		if (d->names[i].file)
			rc = write_file(&d->files[d->names[i].file], folder, d->names[i].name);
	disk_free(d);
	return rc;
}
