// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "base/account.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static bool find_user(struct account *a, const char *name)
{
	const struct passwd *p = getpwnam(name);

	if (!p)
		return false;
	snprintf(a->name, sizeof(a->name), "%s", p->pw_name);
	a->uid = p->pw_uid;
	a->gid = p->pw_gid;
	a->change = true;
	return true;
}

int account_choose(struct account *a, const char *user)
{
	*a = (struct account){.uid = (uid_t)-1, .gid = (gid_t)-1};
	if (geteuid() != 0)
		return 0;
	if (user && !find_user(a, user)) {
		log_error("Error: There is no user \"%s\". Create it, or name another one by user.", user);
		return -1;
	}
	if (!user && !find_user(a, "shunt")) {
		if (!find_user(a, "nobody")) {
			log_error(
				"Error: There is neither a user \"shunt\" nor \"nobody\". Create one, or name another one by user.");
			return -1;
		}
		log_notice("There is no user \"shunt\", going on as \"nobody\".");
	}
	if (a->uid == 0) /* asked for */
		*a = (struct account){.uid = (uid_t)-1, .gid = (gid_t)-1};
	return 0;
}
