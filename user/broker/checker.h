/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Threads that check passwords, which is made to take long: not on a worker, where others would wait for it. A few of them,
 * so that a flood of logins takes some of the processor; and no more memory at a time than the most that a single check may
 * take. They begin in the order they came, so that one that takes much is not overtaken for ever.
 */
#ifndef SHUNT_CHECKER_H
#define SHUNT_CHECKER_H

#include <stdbool.h>

#include "auth/password_file.h"
#include "net/loop.h"

/* One check. Its maker's before it is submitted and after it was received; `given_up` may be set in between. */
struct check {
	struct inbox_item item; /* `receive` is set by the maker */
	struct check *next;
	struct loop *from; /* gets the item back */
	struct password_file *passwords;
	size_t memory;			    /* bytes; the checker's */
	struct mqtt_str username, password; /* behind the struct, or NULL */
	bool given_up;			    /* atomic: the answer does not matter any more */
	int result;			    /* of password_file_check() */
};

/* Start the threads. 0 or -errno. */
int checker_start(void);
/* Give back what was not checked, and end the threads. Workers may be gone: nothing is received afterwards. */
void checker_stop(void);

/* Any thread. */
void checker_submit(struct check *check);

#endif
