/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a power cut leaves of files whose changes are in a journal (disk.h): all that was synced before; of the rest of each
 * file any sectors, in any order, and others torn, zeroed or full of what was there before on the disk; of names only what
 * the last sync of the folder saw, and any of the changes since.
 */
#ifndef SHUNT_TEST_JOURNAL_H
#define SHUNT_TEST_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

struct journal;

/* Read it; NULL if that is not possible. */
struct journal *journal_read(const char *path);
void journal_free(struct journal *j);

/* Entries in it. */
size_t journal_entries(const struct journal *j);
/* Is this entry a sync, of a file or of the folder? */
int journal_syncs(const struct journal *j, size_t entry);

/* Make the files in `folder`, which is empty, that a power cut behind the first `entries` entries may leave; each seed
 * throws other dice. 0 or -errno. */
int journal_cut(const struct journal *j, size_t entries, uint64_t seed, const char *folder);

/* The next of a row of random numbers. */
uint64_t journal_random(uint64_t *state);

#endif
