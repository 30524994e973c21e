// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A call that is not named here is answered by ENOSYS, as by a kernel that does not have it: what a newer C library tries
 * first, it then does in the older way (clone3(), whose flags cannot be looked at here, is one of them on purpose), and a
 * broker that many depend on does not end for a call that was forgotten. It gives nothing away: an attacker gets an error.
 * Those that nothing in the daemon or its libraries ever makes end the process at once, as it is not ours any more then.
 */
#include "base/sandbox.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <seccomp.h>

#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* clang-format off */

/* By name: what an architecture does not have, or libseccomp does not know yet, is passed over. */
static const char *const allowed[] = {
	/* memory, and threads */
	"brk", "munmap", "mremap", "madvise", "futex", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue", "exit",
	"exit_group", "rseq", "set_robust_list", "get_robust_list", "membarrier", "sched_yield", "sched_getaffinity", "getcpu",
	"gettid", "getpid", "getppid", "restart_syscall", "set_tid_address",
	/* time, signals */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
	/* about itself and the machine */
	"getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getrlimit", "getrusage", "times", "sysinfo",
	"uname", "getrandom",
	/* waiting */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6",
	"eventfd2", "pipe2",
	/* sockets, whose families are below */
	"accept", "accept4", "bind", "connect", "listen", "shutdown", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg",
	/* files: the configuration and keys at a reload, the log, the store */
	"open", "openat", "close", "close_range", "read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev",
	"lseek", "dup", "dup2", "dup3", "fcntl", "flock", "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate",
	"fadvise64", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getcwd", "getdents64", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename",
	"renameat", "renameat2", "fchmod", "fchmodat", "fchown", "fchownat", "chmod", "chown", "lchown", "umask", "utimensat",
};

static const char *const fatal[] = {
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "setns", "unshare", "mount", "chroot",
	"pivot_root", "init_module", "finit_module", "kexec_load",
};

/* clang-format on */

static struct {
	const char *state, *reason;
} sandbox = {"off", ""};

/* 0 or -errno, as all of these. */
static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const names[], size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		int call = seccomp_syscall_resolve_name(names[i]);

		if (call != __NR_SCMP_ERROR)
			err = seccomp_rule_add(filter, action, call, 0);
	}
	return err;
}

/* A call for some values of one of its arguments. */
static int allow_values(scmp_filter_ctx filter, int call, unsigned argument, const uint64_t values[], size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
				       SCMP_CMP64(argument, SCMP_CMP_EQ, values[i], 0));
	return err;
}

#define ALLOW_VALUES(filter, call, argument, ...)                                       \
	allow_values(filter, SCMP_SYS(call), argument, (const uint64_t[]){__VA_ARGS__}, \
		     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Memory is written or executed, and what is executed is of a file: of libraries that are loaded late. */
static int allow_memory(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				       SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, PROT_EXEC),
				       SCMP_CMP64(3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

/* Threads, but no processes; signals for itself only, as abort() sends. */
static int allow_threads(scmp_filter_ctx filter)
{
#ifdef __s390__
	const unsigned flags = 1;
#else
	const unsigned flags = 0;
#endif
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				   SCMP_CMP64(flags, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	if (!err)
		err = ALLOW_VALUES(filter, tgkill, 0, (uint64_t)getpid());
	if (!err)
		err = ALLOW_VALUES(filter, kill, 0, (uint64_t)getpid());
	if (!err)
		err = ALLOW_VALUES(filter, prctl, 0, PR_SET_NAME);
	if (!err) /* to ask for a limit, not to set it */
		err = ALLOW_VALUES(filter, prlimit64, 2, 0);
	if (!err) /* the doors are in nobody's way */
		err = ALLOW_VALUES(filter, setpriority, 1, 0);
	return err;
}

/* The rest of what depends on arguments. Maps of the fast path and of the guard are open by now. */
static int allow_kinds(scmp_filter_ctx filter)
{
	int err = ALLOW_VALUES(filter, socket, 0, AF_UNIX, AF_INET, AF_INET6);

	if (!err) /* for the addresses of this host */
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				       SCMP_CMP64(0, SCMP_CMP_EQ, AF_NETLINK, 0),
				       SCMP_CMP64(2, SCMP_CMP_EQ, NETLINK_ROUTE, 0));
	if (!err)
		err = ALLOW_VALUES(filter, socketpair, 0, AF_UNIX);
	if (!err)
		err = ALLOW_VALUES(filter, ioctl, 1, SIOCOUTQ, FIONREAD, TCGETS, FIONBIO);
	if (!err)
		err = ALLOW_VALUES(filter, bpf, 0, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
				   BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_LOOKUP_BATCH,
				   BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_UPDATE_BATCH, BPF_MAP_DELETE_BATCH,
				   BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_TEST_RUN);
	return err;
}

static int fill(scmp_filter_ctx filter, enum sandbox_mode mode)
{
	int err = add_names(filter, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));

	if (!err && mode == SANDBOX_ON)
		err = add_names(filter, SCMP_ACT_KILL_PROCESS, fatal, sizeof(fatal) / sizeof(fatal[0]));
	if (!err)
		err = allow_memory(filter);
	if (!err)
		err = allow_threads(filter);
	return err ? err : allow_kinds(filter);
}

/* Calls of other architectures' ways into the kernel are ended as well. */
static int enter(enum sandbox_mode mode)
{
	scmp_filter_ctx filter = seccomp_init(mode == SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(ENOSYS));
	int err;

	if (!filter)
		return -ENOMEM;
	err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
			       mode == SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Nobody else's code runs in the process: before Linux 5.16 a filter slows it down for that unless told so. */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	/* A tree, not a list. */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = fill(filter, mode);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

void sandbox_enter(enum sandbox_mode mode)
{
	int err = 0;

	if (mode == SANDBOX_OFF)
		sandbox.reason = "the option seccomp says so";
	else if (SANITIZED)
		sandbox.reason = "a sanitizer needs other system calls";
	else if ((err = enter(mode)))
		sandbox.reason = "the kernel does not take the filter";
	else
		sandbox.state = mode == SANDBOX_LOG ? "log" : "on";
	if (err)
		log_warning("Warning: Seccomp off: %s: %s.", sandbox.reason, strerror(-err));
	else if (sandbox.reason[0])
		log_notice("Seccomp off: %s.", sandbox.reason);
	else
		log_notice("Seccomp on: %s.", mode == SANDBOX_LOG ? "the kernel's log tells of other system calls"
								  : "other system calls are refused");
}

const char *sandbox_state(void)
{
	return sandbox.state;
}

const char *sandbox_reason(void)
{
	return sandbox.reason;
}
