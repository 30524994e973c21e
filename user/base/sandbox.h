/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the daemon may still ask of the kernel once it serves clients: a filter of system calls, seccomp(2), beside giving up
 * all capabilities. Who takes the process over by its memory can start no program, look into no other process, and open no
 * other kinds of sockets by it. */
#ifndef SHUNT_SANDBOX_H
#define SHUNT_SANDBOX_H

enum sandbox_mode {
	SANDBOX_OFF,
	SANDBOX_ON,
	SANDBOX_LOG, /* the kernel's log tells of calls that SANDBOX_ON would refuse; nothing is */
};

/* Let the process make no other calls, for good: the threads that there are, and those to come. Logs one line: that it is so,
 * or why it is not; then it goes on without. After PR_SET_NO_NEW_PRIVS. Main thread, once. */
void sandbox_enter(enum sandbox_mode mode);

/* "on", "log" or "off". Any thread, after that. */
const char *sandbox_state(void);
/* Why it is off; empty when it is not. */
const char *sandbox_reason(void);

#endif
