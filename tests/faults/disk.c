// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The calls of the C library by which files are changed, in front of those of the C library. */
#include "disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	FDS = 65536, /* descriptors above are nobody's */
	FOLDER = 1,  /* what a descriptor of the folder is in `files` */
	SLICE_MS = 5,
};

static char folder[PATH_MAX];
static size_t folder_len;
static struct disk_control *control;
static int journal = -1;

/* Everything that changes files is under it, so that the journal has the order in which it was done. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t files[FDS];    /* by descriptor: number of the file, FOLDER, or 0: nothing of ours; atomic */
static uint64_t last = FOLDER; /* number given */
static uint64_t entries;       /* atomic */

/* A file that has a name; it keeps its number as long as somebody may open it. */
static struct named {
	char name[sizeof(((struct disk_entry *)0)->name)];
	uint64_t file;
} names[256];

/* ---- the real ones ------------------------------------------------------------------------------------------------ */

/* By name: dlsym() is slow, and the pointers would have to be there before the first constructor. */
#define REAL(function)                                                             \
	({                                                                         \
		static __typeof__(&function) real;                                 \
		if (!real)                                                         \
			real = (__typeof__(&function))dlsym(RTLD_NEXT, #function); \
		real;                                                              \
	})

/* ---- names -------------------------------------------------------------------------------------------------------- */

/* The name in our folder, or NULL. What SQLite keeps in shared memory, and the lock, are nothing that has to last. */
static const char *ours(const char *path)
{
	const char *name = path + folder_len + 1;
	size_t len;

	if (!control || strncmp(path, folder, folder_len) != 0 || path[folder_len] != '/')
		return NULL;
	len = strlen(name);
	if (len >= sizeof(names[0].name) || (len > 4 && strcmp(name + len - 4, "-shm") == 0) ||
	    (len > 5 && strcmp(name + len - 5, ".lock") == 0))
		return NULL;
	return name;
}

static struct named *find(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

/* The file of this name; *made: it has got its number now. */
static uint64_t number_of(const char *name, bool *made)
{
	struct named *n = find(name);

	*made = !n;
	if (n)
		return n->file;
	n = find("");
	if (!n)
		abort();
	snprintf(n->name, sizeof(n->name), "%s", name);
	return n->file = ++last;
}

/* ---- the journal -------------------------------------------------------------------------------------------------- */

static void put(const void *data, size_t len)
{
	for (const char *at = data; len;) {
		ssize_t n = REAL(write)(journal, at, len);

		if (n <= 0)
			abort();
		at += n;
		len -= (size_t)n;
	}
}

static void note(enum disk_kind kind, uint64_t file, const char *name, uint64_t offset, const void *data, size_t len)
{
	struct disk_entry e = {.kind = kind, .len = (uint32_t)len, .file = file, .offset = offset};

	if (!__atomic_load_n(&control->record, __ATOMIC_RELAXED))
		return;
	snprintf(e.name, sizeof(e.name), "%s", name);
	put(&e, sizeof(e));
	put(data, len);
	__atomic_add_fetch(&entries, 1, __ATOMIC_SEQ_CST);
}

uint64_t disk_entries(void)
{
	return __atomic_load_n(&entries, __ATOMIC_SEQ_CST);
}

/* ---- trouble ------------------------------------------------------------------------------------------------------ */

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Before a call, with the lock. 0, or the error that it is to return; *late: it is the last one. */
static int begin_call(const uint32_t *error, bool sync, bool *late)
{
	uint64_t call = __atomic_add_fetch(&control->calls, 1, __ATOMIC_RELAXED);
	uint64_t syncs = __atomic_add_fetch(&control->syncs, sync, __ATOMIC_RELAXED);
	uint64_t at = __atomic_load_n(&control->die_at, __ATOMIC_RELAXED);
	uint32_t err = __atomic_load_n(error, __ATOMIC_RELAXED);

	*late = false;
	/* Not only the call of that number: it may have passed while it was being set. */
	if (at && (control->die_of == DISK_COUNT_SYNCS ? sync && syncs >= at : call >= at)) {
		*late = control->die_late;
		if (!*late)
			die();
	}
	if (err)
		__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
	return (int)err;
}

/* After the call: unlock, with its result. */
static long end_call(bool late, long rc)
{
	int err = errno;

	if (late)
		die();
	pthread_mutex_unlock(&lock);
	errno = err;
	return rc;
}

static long refused(int err)
{
	errno = err;
	return -1;
}

/* A slow disk, until it is told to be fast again. */
static void dawdle(void)
{
	uint32_t left = __atomic_load_n(&control->sync_ms, __ATOMIC_RELAXED);

	__atomic_add_fetch(&control->slow, 1, __ATOMIC_RELAXED);
	for (; left && __atomic_load_n(&control->sync_ms, __ATOMIC_RELAXED); left -= left < SLICE_MS ? left : SLICE_MS)
		usleep(SLICE_MS * 1000);
	__atomic_sub_fetch(&control->slow, 1, __ATOMIC_RELAXED);
}

/* ---- the calls ---------------------------------------------------------------------------------------------------- */

static uint64_t file_of(int fd)
{
	return fd >= 0 && fd < FDS ? __atomic_load_n(&files[fd], __ATOMIC_RELAXED) : 0;
}

static void belongs(int fd, uint64_t file)
{
	if (fd >= 0 && fd < FDS)
		__atomic_store_n(&files[fd], file, __ATOMIC_RELAXED);
}

static int open_ours(const char *name, const char *path, int flags, mode_t mode)
{
	bool late, made;
	uint64_t file;
	int err, fd;

	if ((flags & O_ACCMODE) == O_RDONLY)
		return REAL(open64)(path, flags, mode);
	pthread_mutex_lock(&lock);
	err = begin_call(&control->open_error, false, &late);
	fd = err ? (int)refused(err) : REAL(open64)(path, flags, mode);
	if (fd >= 0) {
		file = number_of(name, &made);
		belongs(fd, file);
		if (made)
			note(DISK_CREATE, file, name, 0, NULL, 0);
	}
	return (int)end_call(late, fd);
}

static int do_open(const char *path, int flags, mode_t mode)
{
	const char *name = ours(path);
	int fd;

	if (name)
		return open_ours(name, path, flags, mode);
	fd = REAL(open64)(path, flags, mode);
	if (control)
		belongs(fd, strcmp(path, folder) == 0 ? FOLDER : 0);
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return do_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return do_open(path, flags, mode);
}

int close(int fd)
{
	if (file_of(fd))
		belongs(fd, 0);
	return REAL(close)(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	uint64_t file = file_of(fd);
	bool late;
	ssize_t n;
	int err;

	if (!file)
		return REAL(pwrite64)(fd, data, len, offset);
	pthread_mutex_lock(&lock);
	err = begin_call(&control->write_error, false, &late);
	n = err ? refused(err) : REAL(pwrite64)(fd, data, len, offset);
	if (n > 0)
		note(DISK_WRITE, file, "", (uint64_t)offset, data, (size_t)n);
	return end_call(late, n);
}

int ftruncate64(int fd, off64_t size)
{
	uint64_t file = file_of(fd);
	bool late;
	int rc, err;

	if (!file)
		return REAL(ftruncate64)(fd, size);
	pthread_mutex_lock(&lock);
	err = begin_call(&control->write_error, false, &late);
	rc = err ? (int)refused(err) : REAL(ftruncate64)(fd, size);
	if (rc == 0)
		note(DISK_SIZE, file, "", (uint64_t)size, NULL, 0);
	return (int)end_call(late, rc);
}

static int do_sync(int fd, int (*real)(int))
{
	uint64_t file = file_of(fd);
	bool late;
	int rc, err;

	if (!file)
		return real(fd);
	if (__atomic_load_n(&control->sync_ms, __ATOMIC_RELAXED))
		dawdle();
	pthread_mutex_lock(&lock);
	err = begin_call(&control->sync_error, true, &late);
	/* What it would do is not needed, because the machine goes on: only the journal says what is on the disk. */
	rc = err ? (int)refused(err) : 0;
	if (rc == 0)
		note(file == FOLDER ? DISK_SYNC_FOLDER : DISK_SYNC, file, "", 0, NULL, 0);
	return (int)end_call(late, rc);
}

int fsync(int fd)
{
	return do_sync(fd, REAL(fsync));
}

int fdatasync(int fd)
{
	return do_sync(fd, REAL(fdatasync));
}

int unlink(const char *path)
{
	const char *name = ours(path);
	struct named *n;
	bool late;
	int rc, err;

	if (!name)
		return REAL(unlink)(path);
	pthread_mutex_lock(&lock);
	err = begin_call(&control->open_error, false, &late);
	rc = err ? (int)refused(err) : REAL(unlink)(path);
	n = rc == 0 ? find(name) : NULL;
	if (n) {
		note(DISK_UNLINK, n->file, name, 0, NULL, 0);
		n->name[0] = 0;
	}
	return (int)end_call(late, rc);
}

int rename(const char *path, const char *to)
{
	const char *name = ours(path), *new_name = ours(to);
	struct named *n;
	bool late;
	int rc, err;

	if (!name || !new_name)
		return REAL(rename)(path, to);
	pthread_mutex_lock(&lock);
	err = begin_call(&control->open_error, false, &late);
	rc = err ? (int)refused(err) : REAL(rename)(path, to);
	n = rc == 0 ? find(name) : NULL;
	if (n) {
		note(DISK_RENAME, n->file, name, 0, new_name, strlen(new_name) + 1);
		snprintf(n->name, sizeof(n->name), "%s", new_name);
	}
	return (int)end_call(late, rc);
}

/* ---- the beginning ------------------------------------------------------------------------------------------------ */

struct disk_control *disk_begin(const char *of, const char *page)
{
	char path[PATH_MAX];
	struct disk_control *c;
	int fd = REAL(open64)(page, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	snprintf(path, sizeof(path), "%s.journal", page);
	journal = REAL(open64)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || journal < 0 || REAL(ftruncate64)(fd, sizeof(*c)))
		return NULL;
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REAL(close)(fd);
	if (c == MAP_FAILED)
		return NULL;
	folder_len = (size_t)snprintf(folder, sizeof(folder), "%s", of);
	last = FOLDER;
	memset(names, 0, sizeof(names));
	__atomic_store_n(&entries, 0, __ATOMIC_SEQ_CST);
	control = c;
	return c;
}

__attribute__((constructor)) static void preloaded(void)
{
	const char *of = getenv("SHUNT_DISK_FOLDER"), *page = getenv("SHUNT_DISK_PAGE");

	/* What it starts is none of ours: the environment stays, but the page is the daemon's. */
	if (of && page && !disk_begin(of, page))
		abort();
}
