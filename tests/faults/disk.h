/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A disk in trouble, for the files of one folder: every call that changes them passes here, is counted, and may be noted in
 * a journal, fail, be slow, or be the last one of the process. disk.c is linked into a test, or loaded into the daemon by
 * LD_PRELOAD; in both cases whoever tests steers it by a page that they share.
 */
#ifndef SHUNT_TEST_DISK_H
#define SHUNT_TEST_DISK_H

#include <stdint.h>

/* What is done to the files, as far as a power cut can undo it. */
enum disk_kind {
	DISK_CREATE, /* name: file */
	DISK_WRITE,  /* file: data at offset */
	DISK_SIZE,   /* file: its size is offset */
	DISK_SYNC,   /* file */
	DISK_UNLINK, /* name */
	DISK_RENAME, /* name to the name in the data */
	DISK_SYNC_FOLDER,
};

/* An entry of the journal; `len` bytes of data follow. */
struct disk_entry {
	uint32_t kind; /* enum disk_kind */
	uint32_t len;
	uint64_t file; /* a number of no other file of the run */
	uint64_t offset;
	char name[64]; /* in the folder, without a path */
};

/* Which calls die_at counts. */
enum disk_count {
	DISK_COUNT_ALL,
	DISK_COUNT_SYNCS,
};

/* The page: written by the test, but for the members that count. system/harness/disk.py has the same. */
struct disk_control {
	uint64_t calls;	      /* that change files, so far; atomic, as all that follows */
	uint64_t syncs;	      /* those of them that are fsync() or fdatasync() */
	uint64_t failed;      /* those of them that failed because of what follows */
	uint64_t die_at;      /* the number of the call that is the last one; 0: none */
	uint32_t die_of;      /* enum disk_count */
	uint32_t die_late;    /* 1: the last call is carried out, 0: not */
	uint32_t write_error; /* errno of calls that write, 0: none */
	uint32_t sync_error;
	uint32_t open_error; /* of those that make or open a file for writing */
	uint32_t sync_ms;    /* what each sync takes longer, as long as this is so */
	uint64_t slow;	     /* syncs that wait now */
	uint32_t record;     /* 1: keep a journal */
};

/* Take care of the files in `folder`, which is there. The control page is the beginning of the file `page`, which is made
 * unless it is there; the journal is the file PAGE.journal. Without LD_PRELOAD it is called by the test, with it the
 * environment's SHUNT_DISK_FOLDER and SHUNT_DISK_PAGE say the same. NULL when that is not possible. */
struct disk_control *disk_begin(const char *folder, const char *page);

/* Entries that are in the journal. */
uint64_t disk_entries(void);

#endif
