// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * One call fails: loaded into the daemon by LD_PRELOAD, in front of the C library. The environment's SHUNT_INJECT_PAGE is a
 * file that the test shares with us: it counts the calls of each kind, and the test says which of them fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* system/harness/inject.py has the same. */
enum kind {
	MEMORY, /* malloc() and its kin */
	ACCEPT,
	EPOLL, /* epoll_ctl() */
	SEND,  /* to sockets */
	BPF,
	KINDS,
};

struct page {
	uint64_t calls[KINDS]; /* so far; atomic, as all that follows */
	uint64_t fail_at;      /* number of the call that fails; 0: none */
	uint64_t failed;       /* calls that did */
	uint32_t kind;
	uint32_t error; /* errno */
};

static struct page *page;

/* By name: dlsym() is slow, and the pointers have to be there before the first constructor. */
#define REAL(function)                                                             \
	({                                                                         \
		static __typeof__(&function) real;                                 \
		if (!real)                                                         \
			real = (__typeof__(&function))dlsym(RTLD_NEXT, #function); \
		real;                                                              \
	})

static bool fails(enum kind kind)
{
	uint64_t call;

	if (!page)
		return false;
	call = __atomic_add_fetch(&page->calls[kind], 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&page->fail_at, __ATOMIC_ACQUIRE) != call ||
	    __atomic_load_n(&page->kind, __ATOMIC_RELAXED) != kind)
		return false;
	__atomic_add_fetch(&page->failed, 1, __ATOMIC_RELAXED);
	errno = (int)page->error;
	return true;
}

/* Where the C library is. What it allocates for itself does not fail: its getpwnam() does not survive that. */
static uintptr_t library_begin, library_end;

static int find_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	if (!strstr(info->dlpi_name, "/libc.so"))
		return 0;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + part->p_vaddr;

		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		library_begin = begin;
		library_end = begin + part->p_memsz;
	}
	return 1;
}

static bool is_library(const void *caller)
{
	return (uintptr_t)caller >= library_begin && (uintptr_t)caller < library_end;
}

#define CALLER __builtin_return_address(0)

static bool memory_fails(const void *caller)
{
	return !is_library(caller) && fails(MEMORY);
}

__attribute__((constructor)) static void preloaded(void)
{
	const char *path = getenv("SHUNT_INJECT_PAGE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	/* Not in what only starts the daemon. */
	if (fd < 0 || strcmp(program_invocation_short_name, "shuntd") != 0)
		return;
	p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		abort();
	dl_iterate_phdr(find_library, NULL);
	page = p;
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
	return memory_fails(CALLER) ? NULL : REAL(malloc)(size);
}

/* dlsym() itself may want some, to say that something is wrong. */
void *calloc(size_t n, size_t size)
{
	static __typeof__(&calloc) real;
	static bool looking;

	if (!real && looking)
		return NULL;
	if (!real) {
		looking = true;
		real = (__typeof__(&calloc))dlsym(RTLD_NEXT, "calloc");
	}
	return memory_fails(CALLER) ? NULL : real(n, size);
}

void *realloc(void *p, size_t size)
{
	return memory_fails(CALLER) ? NULL : REAL(realloc)(p, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	return memory_fails(CALLER) ? ENOMEM : REAL(posix_memalign)(out, alignment, size);
}

/* These two have their own memory under AddressSanitizer. */
char *strdup(const char *s)
{
	return memory_fails(CALLER) ? NULL : REAL(strdup)(s);
}

char *strndup(const char *s, size_t len)
{
	return memory_fails(CALLER) ? NULL : REAL(strndup)(s, len);
}

/* ---- sockets ------------------------------------------------------------------------------------------------------ */

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return fails(ACCEPT) ? -1 : REAL(accept4)(fd, address, len, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	return operation == EPOLL_CTL_ADD && fails(EPOLL) ? -1 : REAL(epoll_ctl)(epoll, operation, fd, event);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return fails(SEND) ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	return fails(SEND) ? -1 : REAL(send)(fd, data, len, flags);
}

static bool is_socket(int fd)
{
	struct stat st;

	return page && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* To a log, a store or another thread it is another kind of trouble. */
ssize_t write(int fd, const void *data, size_t len)
{
	return is_socket(fd) && fails(SEND) ? -1 : REAL(write)(fd, data, len);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	return is_socket(fd) && fails(SEND) ? -1 : REAL(writev)(fd, parts, n);
}

/* ---- bpf(), which has no function of its own ------------------------------------------------------------------------ */

long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_bpf && fails(BPF))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
