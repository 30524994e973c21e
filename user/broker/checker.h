/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Threads that check passwords, which is made to take long, and tokens: not on a worker, where others would wait for it. A
 * few of them, so that a flood of logins takes some of the processor; and no more memory at a time than the most that a
 * single check may take. They begin in the order they came, so that one that takes much is not overtaken for ever.
 */
#ifndef SHUNT_CHECKER_H
#define SHUNT_CHECKER_H

#include <stdbool.h>

#include "auth/password_file.h"
#include "net/loop.h"

struct token;
struct token_rules;

/* One check. Its maker's before it is submitted and after it was received; `given_up` may be set in between. */
struct check {
	struct inbox_item item; /* `receive` is set by the maker */
	struct check *next;
	struct loop *from;		 /* gets the item back */
	struct password_file *passwords; /* NULL: it is no password, but a token, by */
	struct token_rules *tokens;
	size_t memory;				       /* bytes; the checker's */
	struct mqtt_str username, password, client_id; /* behind the struct, or NULL */
	bool given_up;				       /* atomic: the answer does not matter any more */
	int result;				       /* as of password_file_check() */
	struct token *token;			       /* that is right; the maker's */
	const char *why;			       /* it is not, in words: static */
};

/* Start the threads. 0 or -errno. */
int checker_start(void);
/* Give back what was not checked, and end the threads. Workers may be gone: nothing is received afterwards. */
void checker_stop(void);

/* Any thread. */
void checker_submit(struct check *check);

#endif
