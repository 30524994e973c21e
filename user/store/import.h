/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Take over what mosquitto kept, into a store that no daemon has open. A thread that does nothing else. */
#ifndef SHUNT_STORE_IMPORT_H
#define SHUNT_STORE_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/mosquitto_db.h"

/* What can not be taken over. */
enum import_left {
	LEFT_QOS_0,
	LEFT_ENDED,
	LEFT_CLIENT_ID,
	LEFT_FILTER,
	LEFT_TOPIC,
	LEFT_NO_SESSION,
	LEFT_NO_MESSAGE,
	LEFT_PID,
	LEFT_STATE,
	LEFT_UNKNOWN,
	LEFT_REASONS,
};

/* "waited for a client with QoS 0, ...", to be said behind a number. */
const char *import_left_text(enum import_left reason);

struct import_counts {
	uint64_t sessions, subscriptions;
	uint64_t queued;    /* deliveries that were not sent */
	uint64_t in_flight; /* that were sent, and not acknowledged to the end */
	uint64_t held;	    /* QoS 2 from clients, without PUBREL */
	uint64_t retained;
	uint64_t left[LEFT_REASONS];
};

struct import {
	/* the question */
	const char *path;    /* of the database; it is made if it is not there */
	const uint8_t *data; /* the file */
	size_t len;
	int64_t written; /* seconds since 1970: when it was written, at the latest */
	bool replace;	 /* what is in the database goes */
	/* the answer */
	struct import_counts counts;
	struct mosquitto_fault fault; /* with -EBADMSG */
};

/* Do it, all or nothing. 0; -EBADMSG: the file is not good, and the database was not opened; -ENOTEMPTY: the database is
 * in use for something else; -EWOULDBLOCK: by a daemon; or another -errno. All but -EBADMSG and -ENOTEMPTY were logged. */
int store_import(struct import *im);

#endif
