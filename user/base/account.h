/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which user the daemon is when it was started as root. Main thread (getpwnam(3) is underneath). */
#ifndef SHUNT_ACCOUNT_H
#define SHUNT_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

/* The user to go on as. */
struct account {
	bool change; /* false: as we are; then uid and gid are -1 */
	char name[64];
	uid_t uid;
	gid_t gid;
};

/* Find out: `user` is the option, NULL its default. 0, or -1 after logging that there is no such user. */
int account_choose(struct account *a, const char *user);

#endif
