/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef SHUNT_STORE_FOLDER_H
#define SHUNT_STORE_FOLDER_H

#include <sys/types.h>

/* Make the folder of the store, if it is not there, and give it to this user (uid -1: ours) if it is new: empty, and
 * root's. With the rights to do so. 0 or -errno. */
int store_make_folder(const char *folder, uid_t uid, gid_t gid);

#endif
