/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* shuntctl passwd: users in a password file (auth/password_file.h). No daemon is asked. Each returns a status of shuntctl,
 * after saying on stderr what is wrong; then the file is as it was. */
#ifndef SHUNT_SHUNTCTL_PASSWD_H
#define SHUNT_SHUNTCTL_PASSWD_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/password.h"

struct passwd_hashing {
	enum password_kind kind;
	uint32_t iterations; /* of PASSWORD_PBKDF2 */
};

/* Write the user's line in place of the one that is there. The password is asked for when it is NULL. `create`: the file
 * may be missing, and if it is there what is in it goes. */
int passwd_set(const char *file, const char *user, const char *password, struct passwd_hashing how, bool create);

/* Take the user's line away. */
int passwd_delete(const char *file, const char *user);

/* Hash the passwords that are not. */
int passwd_upgrade(const char *file, struct passwd_hashing how);

#endif
