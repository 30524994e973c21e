/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the daemon does with the rights it was started with. Main thread, before there are others. */
#ifndef SHUNT_PRIVILEGES_H
#define SHUNT_PRIVILEGES_H

#include "base/account.h"

/* Become that user, with its groups, and give up every capability, for good; root that is to stay root keeps
 * CAP_DAC_OVERRIDE. The capabilities are the calling thread's, so there must be no other. 0, or -1 after logging; then
 * the process must not go on. */
int account_become(const struct account *a);

/* Let the process open as many files as it may. */
void raise_file_limit(void);

/* Mount the BPF file system where it belongs, if that is above `pin_path`, it is missing and we may. */
void mount_bpffs(const char *pin_path);

#endif
