// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_tid(const void *a, const void *b)
{
	pid_t x = ((const struct task *)a)->tid, y = ((const struct task *)b)->tid;

	return (x > y) - (x < y);
}

static int add(struct tasks *t, const struct task *task)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 256;
		struct task *grown = realloc(t->v, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->v = grown;
		t->cap = cap;
	}
	t->v[t->n++] = *task;
	return 0;
}

/* A task that is gone when its turn comes is left out. */
static int read_task(struct tasks *t, int dir, const char *pid, const char *tid)
{
	struct task task = {.pid = (pid_t)strtol(pid, NULL, 10), .tid = (pid_t)strtol(tid, NULL, 10)};
	char path[64], text[96];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.16s/schedstat", tid);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	task.cpu_ns = strtoull(text, NULL, 10);
	return add(t, &task);
}

static int read_process(struct tasks *t, const char *pid)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%.16s/task", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			err = read_task(t, dirfd(dir), pid, entry->d_name);
	}
	closedir(dir);
	return err;
}

static int read_machine(struct tasks *t)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			err = read_process(t, entry->d_name);
	}
	closedir(dir);
	return err;
}

int tasks_read(struct tasks *t, pid_t pid)
{
	char name[16];
	int err;

	t->n = 0;
	snprintf(name, sizeof(name), "%d", (int)pid);
	err = pid ? read_process(t, name) : read_machine(t);
	if (err)
		return err;
	if (t->n == 0)
		return -ESRCH;
	qsort(t->v, t->n, sizeof(*t->v), by_tid);
	return 0;
}

void tasks_free(struct tasks *t)
{
	free(t->v);
	*t = (struct tasks){0};
}

/* Only the kernel's threads have no command line. (/proc/PID/exe would tell too, but not to everybody.) */
static bool is_kernel_thread(pid_t pid)
{
	char path[64], byte;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, &byte, 1);
	close(fd);
	return n == 0;
}

struct tasks_spent tasks_spent(const struct tasks *before, const struct tasks *after, pid_t one, pid_t two)
{
	struct tasks_spent spent = {0};

	for (size_t i = 0; i < after->n; i++) {
		const struct task *task = &after->v[i], *earlier = NULL;
		uint64_t ns = task->cpu_ns;

		if (before->n)
			earlier = bsearch(task, before->v, before->n, sizeof(*task), by_tid);
		if (earlier && earlier->cpu_ns <= ns) /* else the number was given to a new task */
			ns -= earlier->cpu_ns;
		spent.all_ns += ns;
		if (ns && task->pid != one && task->pid != two && !is_kernel_thread(task->pid))
			spent.others_ns += ns;
	}
	return spent;
}

uint64_t process_resident(pid_t pid)
{
	char path[64], line[128];
	uint64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "VmRSS:", 6) == 0) {
			kib = strtoull(line + 6, NULL, 10);
			break;
		}
	}
	fclose(f);
	return kib * 1024;
}
