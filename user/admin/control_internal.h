/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Inside of the control socket, for control_*.c only. */
#ifndef SHUNT_CONTROL_INTERNAL_H
#define SHUNT_CONTROL_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/control.h"
#include "net/unix.h"

/* A connection. It is read from while it has no answer, and written to while it has. */
struct control_client {
	int fd; /* -1: this place is free */
	uint64_t deadline_ns;
	char request[CONTROL_REQUEST_MAX];
	size_t request_len;
	char *answer;
	size_t answer_len, answer_sent;
	bool last; /* close it after the answer */
};

struct control {
	char path[CONTROL_PATH_MAX];
	struct net_unix_file file;
	int listen_fd;
	int stop_fd; /* eventfd; -1: no thread was started */
	pthread_t thread;
	control_answer_fn *answer;
	uint64_t accept_after_ns;			    /* out of descriptors: no use before; the thread's */
	struct control_client clients[CONTROL_CLIENTS_MAX]; /* the thread's */
};

#endif
