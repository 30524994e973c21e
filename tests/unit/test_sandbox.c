// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a process may still do with the daemon's filter of system calls: each time one that is new, as it is for good. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/sandbox.h"

enum { PAGE = 4096, NO_SANDBOX = 77 };

/* What became of a process that entered the sandbox and did that: its exit status, or minus the signal that ended it. */
static int outcome(enum sandbox_mode mode, int (*act)(void))
{
	const struct rlimit no_core = {0};
	pid_t pid = fork();
	int status;

	if (!pid) {
		log_set_dest(0, NULL);
		setrlimit(RLIMIT_CORE, &no_core);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		sandbox_enter(mode);
		_exit(strcmp(sandbox_state(), mode == SANDBOX_LOG ? "log" : "on") != 0 ? NO_SANDBOX : act());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int nothing(void)
{
	return 0;
}

/* For tests that are nothing without it, as under a sanitizer. */
static void need_sandbox(void)
{
	if (outcome(SANDBOX_ON, nothing) != NO_SANDBOX)
		return;
	print_message("SKIP: no filter of system calls, as with a sanitizer\n");
	skip();
}

/* ---- what is refused ---------------------------------------------------------------------------------------------- */

/* Each returns what the call does. */
static long new_process(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long new_way_to_new_process(void)
{
	uint64_t arguments[8] = {0};

	return syscall(SYS_clone3, arguments, sizeof(arguments));
}

static long packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long virtual_machines(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static long netfilter(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

static long map(int protection)
{
	return mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long memory_to_write_and_execute(void)
{
	return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static long memory_to_execute(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static long written_memory_to_execute(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? 0 : mprotect(page, PAGE, PROT_READ | PROT_EXEC);
}

static long signal_to_others(void)
{
	return kill(getppid(), 0);
}

static long signal_to_a_thread_of_others(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long another_limit(void)
{
	const struct rlimit none = {0};

	return setrlimit(RLIMIT_CORE, &none);
}

static long file_in_memory(void)
{
	return memfd_create("x", 0);
}

static long program_of_bpf(void)
{
	union bpf_attr attributes = {0};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
}

static long input_for_a_terminal(void)
{
	return ioctl(0, TIOCSTI, "x");
}

static long io_uring(void)
{
	char parameters[120] = {0};

	return syscall(SYS_io_uring_setup, 1, parameters);
}

static long to_be_traced(void)
{
	return prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

static long user(void)
{
	return setuid(getuid());
}

static long (*one)(void);

static int is_refused(void)
{
	errno = 0;
	return one() == -1 && errno == ENOSYS ? 0 : 1;
}

static void test_refused(void **state)
{
	static const struct {
		const char *what;
		long (*call)(void);
	} calls[] = {
#define CALL(name) {#name, name}
		CALL(new_process),
		CALL(new_way_to_new_process),
		CALL(packets),
		CALL(virtual_machines),
		CALL(netfilter),
		CALL(memory_to_write_and_execute),
		CALL(memory_to_execute),
		CALL(written_memory_to_execute),
		CALL(signal_to_others),
		CALL(signal_to_a_thread_of_others),
		CALL(another_limit),
		CALL(file_in_memory),
		CALL(program_of_bpf),
		CALL(input_for_a_terminal),
		CALL(io_uring),
		CALL(to_be_traced),
		CALL(user),
	};

	(void)state;
	need_sandbox();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		one = calls[i].call;
		if (outcome(SANDBOX_ON, is_refused) != 0)
			fail_msg("%s", calls[i].what);
	}
}

/* ---- what ends the process ---------------------------------------------------------------------------------------- */

static long program(void)
{
	return execl("/bin/true", "true", NULL);
}

static long program_by_descriptor(void)
{
	return fexecve(open("/bin/true", O_RDONLY | O_CLOEXEC), (char *[]){"true", NULL}, (char *[]){NULL});
}

static long trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long memory_of_others(void)
{
	return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static long namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static int do_one(void)
{
	one();
	return 0;
}

static void test_fatal(void **state)
{
	static const struct {
		const char *what;
		long (*call)(void);
	} calls[] = {
		CALL(program), CALL(program_by_descriptor), CALL(trace), CALL(memory_of_others), CALL(namespace),
	};

	(void)state;
	need_sandbox();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		one = calls[i].call;
		if (outcome(SANDBOX_ON, do_one) != -SIGSYS)
			fail_msg("%s", calls[i].what);
	}
}

/* ---- what is left ------------------------------------------------------------------------------------------------- */

static void *add_one(void *n)
{
	++*(int *)n;
	pthread_setname_np(pthread_self(), "name");
	return n;
}

static int threads(void)
{
	pthread_t thread;
	int n = 0;

	if (pthread_create(&thread, NULL, add_one, &n) || pthread_join(thread, NULL))
		return 1;
	return n != 1;
}

static int files(void)
{
	char path[] = "/tmp/shunt-test-sandbox.XXXXXX";
	int fd = mkstemp(path);
	bool bad = fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) || ftruncate(fd, 0) || close(fd);

	return unlink(path) || bad;
}

static int names(void)
{
	time_t now = time(NULL);
	struct tm tm;

	return !getpwnam("nobody") || !localtime_r(&now, &tm);
}

static int addresses(void)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo("127.0.0.1", "1883", &hints, &list);

	if (!rc)
		freeaddrinfo(list);
	return rc != 0;
}

static int sockets(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || socket(AF_INET, SOCK_STREAM, 0) < 0 ||
	       socket(AF_INET6, SOCK_DGRAM, 0) < 0 || socket(AF_UNIX, SOCK_DGRAM, 0) < 0;
}

static int late_library(void)
{
	return !dlopen("libgcc_s.so.1", RTLD_NOW) && !dlopen("libm.so.6", RTLD_NOW);
}

static int end_by_abort(void)
{
	abort();
}

static void test_left(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(outcome(SANDBOX_ON, threads), 0);
	assert_int_equal(outcome(SANDBOX_ON, files), 0);
	assert_int_equal(outcome(SANDBOX_ON, names), 0);
	assert_int_equal(outcome(SANDBOX_ON, addresses), 0);
	assert_int_equal(outcome(SANDBOX_ON, sockets), 0);
	assert_int_equal(outcome(SANDBOX_ON, late_library), 0);
	assert_int_equal(outcome(SANDBOX_ON, end_by_abort), -SIGABRT);
}

/* ---- modes -------------------------------------------------------------------------------------------------------- */

static int make_file_in_memory(void)
{
	return memfd_create("x", 0) < 0;
}

static void test_log(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(outcome(SANDBOX_LOG, make_file_in_memory), 0);
}

static void test_off(void **state)
{
	(void)state;
	log_set_dest(0, NULL);
	sandbox_enter(SANDBOX_OFF);
	log_set_dest(LOG_DEST_STDERR, NULL);
	assert_string_equal(sandbox_state(), "off");
	assert_string_equal(sandbox_reason(), "the option seccomp says so");
	assert_int_equal(make_file_in_memory(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_fatal), cmocka_unit_test(test_left),
		cmocka_unit_test(test_log),	cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
