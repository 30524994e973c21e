/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Option -d: the daemon goes on in the background, once it serves. Main thread, before there are others. */
#ifndef SHUNT_BACKGROUND_H
#define SHUNT_BACKGROUND_H

/* Go on in another process, in a session of its own. The first one waits for background_ready() there and exits with
 * status 0, or with 1 if the other one ends before. 0, or -1 after logging. */
int background_begin(void);

/* Let go of the terminal and of the first process. Does nothing without background_begin(). */
void background_ready(void);

#endif
