/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef SHUNT_DURABILITY_H
#define SHUNT_DURABILITY_H

/* When is a change on disk? Option durability. */
enum store_durability {
	STORE_SYNC,    /* before store_done() says so */
	STORE_BATCHES, /* after batch_ms at the latest */
	STORE_NEVER,   /* when the kernel likes */
};

#endif
