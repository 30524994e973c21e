/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* systemd's notify protocol, sd_notify(3), without its library. */
#ifndef SHUNT_NOTIFY_H
#define SHUNT_NOTIFY_H

/* Tell the service manager `state`, as "READY=1" or "STOPPING=1". 0 (also when there is no manager: NOTIFY_SOCKET is
 * not set), or -errno. Any thread, while nobody changes the environment. */
int notify_manager(const char *state);

#endif
