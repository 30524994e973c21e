// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The power fails: what a store was said in random steps is taken down as writes to the disk (faults/disk.c), and each
 * state that these may have left there (faults/journal.c) has to open and to be what it was after one of the steps, with
 * `durability sync` none before the last one that was reported done.
 *
 * SHUNT_POWERCUT_STATES states of each kind are tried, other ones with another SHUNT_POWERCUT_SEED.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../faults/disk.h"
#include "../faults/journal.h"
#include "../faults/steps.h"

enum {
	STATES = 50,
	STEPS = 200,
};

/* What was taken down of one. */
struct recording {
	struct run run;
	uint64_t ticket[STEPS + 1];  /* of each step */
	uint64_t done_at[STEPS + 1]; /* entries that were in the journal when it was reported done */
	unsigned step, done;
	struct journal *journal;
	char *after[STEPS + 1]; /* what the store has after each step, as text */
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

/* ---- recording ---------------------------------------------------------------------------------------------------- */

static void noted(struct store_client *c)
{
	struct recording *rec = (struct recording *)((char *)c - offsetof(struct recording, run.client));

	while (rec->done < rec->step && store_done(c, rec->ticket[rec->done + 1]))
		rec->done_at[++rec->done] = disk_entries();
}

/* Close it and open it again. What was not reported done is so with the next step that is. */
static void restart(struct recording *rec)
{
	if (rec->run.config.durability != STORE_NEVER && run_dice(&rec->run, 2))
		run_wait(&rec->run, store_ticket(&rec->run.client));
	store_close(rec->run.store);
	loop_turn(&rec->run.loop, true, &rec->run);
	memset(rec->ticket, 0, sizeof(rec->ticket));
	run_start(&rec->run, noted);
}

static void take_down(struct recording *rec, enum store_durability durability, uint64_t seed)
{
	struct run *r = &rec->run;
	struct disk_control *disk;
	uint64_t random = seed; /* what happens between the steps is not to change the steps */
	char page[128], journal[160];

	run_begin(r, "recorded", durability, seed);
	snprintf(page, sizeof(page), "%s/disk", steps_base());
	snprintf(journal, sizeof(journal), "%s.journal", page);
	disk = disk_begin(r->folder, page);
	assert_non_null(disk);
	disk->record = 1;
	run_start(r, noted);
	while (rec->step < STEPS) {
		struct run before;

		run_step(r, rec->step + 1);
		rec->ticket[++rec->step] = store_ticket(&r->client);
		before = *r;
		r->random = journal_random(&random);
		/* With STORE_NEVER a commit comes each second, and at the end. */
		if (durability != STORE_NEVER && run_dice(r, 3) == 0)
			run_wait(r, store_ticket(&r->client) - run_dice(r, 2));
		if (run_dice(r, durability == STORE_NEVER ? 5 : 60) == 0)
			restart(rec);
		r->random = before.random;
	}
	run_wait(r, store_ticket(&r->client));
	run_end(r);
	disk->record = 0;
	rec->journal = journal_read(journal);
	assert_non_null(rec->journal);
	assert_int_equal(journal_entries(rec->journal), disk_entries());
	assert_int_equal(rec->done, STEPS);
}

/* The same steps, each for itself and without trouble: what is there after each. */
static void foresee(struct recording *rec, uint64_t seed)
{
	struct run *r = calloc(1, sizeof(*r));

	run_begin(r, "foreseen", STORE_SYNC, seed);
	run_start(r, run_no_notice);
	for (unsigned step = 0; step <= STEPS; step++) {
		if (step)
			run_step(r, step);
		run_wait(r, store_ticket(&r->client));
		rec->after[step] = run_contents(r);
	}
	run_end(r);
	free(r);
}

static void forget(struct recording *rec)
{
	for (unsigned i = 0; i <= STEPS; i++)
		free(rec->after[i]);
	journal_free(rec->journal);
	free(rec);
}

/* ---- states ------------------------------------------------------------------------------------------------------- */

static int any_session(void *arg, const struct store_op *session, uint64_t away_ms, const struct store_op *will,
		       uint32_t deliveries, uint64_t bytes)
{
	(void)arg, (void)session, (void)away_ms, (void)will, (void)deliveries, (void)bytes;
	return 0;
}

static int any_subscription(void *arg, uint16_t ns, struct store_bytes client, const struct store_op *subscription)
{
	(void)arg, (void)ns, (void)client, (void)subscription;
	return 0;
}

static int any_retained(void *arg, const struct store_op *op)
{
	(void)arg, (void)op;
	return 0;
}

static int any_ban(void *arg, const struct store_op *op)
{
	(void)arg, (void)op;
	return 0;
}

static bool was_set_aside(const struct run *r)
{
	char command[192];

	snprintf(command, sizeof(command), "ls %s/*.damaged-* >/dev/null 2>&1", r->folder);
	return system(command) == 0;
}

/* Open what is there as a daemon does. */
static void open_store(struct run *r)
{
	static const struct store_reader reader = {any_session, any_subscription, any_retained, any_ban};
	int rc;

	assert_int_equal(store_open(&r->store, &r->config), 0);
	rc = store_load(r->store, &reader, NULL);
	if (rc == -EBADMSG) { /* then it is set aside */
		store_close(r->store);
		assert_int_equal(store_open(&r->store, &r->config), 0);
		assert_true(was_set_aside(r));
		rc = store_load(r->store, &reader, NULL);
	}
	assert_int_equal(rc, 0);
}

/* What it has. It goes on from there. */
static char *use(struct run *r)
{
	char *before = run_contents(r), *after;

	r->client = (struct store_client){.store = r->store, .loop = &r->loop, .notice = run_no_notice, .index = 1};
	assert_int_equal(store_start(r->store), 0);
	run_step(r, STEPS + 1);
	run_end(r);
	after = run_contents(r);
	assert_int_equal(run_step_of(after), STEPS + 1);
	free(after);
	return before;
}

static void check_state(const struct recording *rec, size_t entries, uint64_t seed)
{
	struct run *r = calloc(1, sizeof(*r));
	unsigned least = 0, step;
	char *found;

	run_begin(r, "cut", rec->run.config.durability, seed);
	assert_int_equal(journal_cut(rec->journal, entries, seed, r->folder), 0);
	open_store(r);
	found = use(r);
	step = run_step_of(found);
	while (least < STEPS && rec->done_at[least + 1] <= entries && rec->run.config.durability == STORE_SYNC)
		least++;
	if (was_set_aside(r) || step < least || step > STEPS || strcmp(found, rec->after[step]) != 0)
		fail_msg(
			"power cut behind entry %zu, seed %llu: %s, step %u, and %u was done\n%s\n---- but had been\n%s",
			entries, (unsigned long long)seed, was_set_aside(r) ? "set aside" : "opened", step, least,
			found, step <= STEPS ? rec->after[step] : "");
	free(found);
	run_remove(r);
	free(r);
}

static size_t count_syncs(const struct journal *j)
{
	size_t n = 0;

	for (size_t i = 0; i < journal_entries(j); i++)
		n += (size_t)journal_syncs(j, i);
	return n;
}

/* Entries up to a sync, with it or without it. */
static size_t next_to_sync(const struct journal *j, size_t which, bool with)
{
	size_t n = 0;

	for (; n < journal_entries(j) && (!journal_syncs(j, n) || which); n++)
		which -= (size_t)journal_syncs(j, n);
	return n + with;
}

static struct recording *record(enum store_durability durability, uint64_t seed)
{
	struct recording *rec = calloc(1, sizeof(*rec));

	assert_non_null(rec);
	take_down(rec, durability, seed);
	foresee(rec, seed);
	return rec;
}

/* Half of the states are next to syncs, spread over all of them; the others anywhere. */
static void cut_everywhere(enum store_durability durability)
{
	uint64_t states = number_from("SHUNT_POWERCUT_STATES", STATES), seed = number_from("SHUNT_POWERCUT_SEED", 1);
	struct recording *rec = record(durability, seed);
	uint64_t random = seed, syncs = count_syncs(rec->journal), stride = 2 * syncs > states ? 2 * syncs / states : 1;

	for (uint64_t i = 0; i < states && syncs; i++) {
		uint64_t cut = journal_random(&random), dice = journal_random(&random);

		if (i & 1)
			check_state(rec, cut % (journal_entries(rec->journal) + 1), dice);
		else
			check_state(rec, next_to_sync(rec->journal, i / 2 * stride % syncs, cut & 1), dice);
	}
	assert_true(syncs > 0);
	forget(rec);
}

static void test_sync(void **state)
{
	(void)state;
	cut_everywhere(STORE_SYNC);
}

static void test_batch(void **state)
{
	(void)state;
	cut_everywhere(STORE_BATCHES);
}

static void test_off(void **state)
{
	(void)state;
	cut_everywhere(STORE_NEVER);
}

/* ---- disks that lie ----------------------------------------------------------------------------------------------- */

/* Ruin what was synced, too: in one of the ways that have been seen. */
static void ruin(struct run *r, unsigned how)
{
	char path[160];
	uint8_t bytes[16384];
	struct stat st = {0};
	int fd;

	snprintf(path, sizeof(path), "%s%s", r->path, how & 1 ? "-wal" : "");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	memset(bytes, how & 2 ? 0xa5 : 0, sizeof(bytes));
	switch (how / 4) {
	case 0: /* all of it is lost, but the size */
		for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(bytes))
			assert_true(pwrite(fd, bytes, sizeof(bytes), at) > 0);
		break;
	case 1:
		assert_int_equal(ftruncate(fd, st.st_size * run_dice(r, 100) / 100), 0);
		break;
	case 2: /* some pages */
		assert_true(pwrite(fd, bytes, 4096, st.st_size ? (off_t)run_dice(r, (unsigned)st.st_size) & ~4095 : 0) >
			    0);
		break;
	default:
		assert_int_equal(unlink(path), 0);
	}
	close(fd);
}

/* Nothing is promised then, but that the store opens, that what is no database any more is set aside, and that it can be
 * used: mosquitto's issue 2639 is a file full of zeros, at which it did not start. */
static void test_lies(void **state)
{
	uint64_t states = number_from("SHUNT_POWERCUT_STATES", STATES), seed = number_from("SHUNT_POWERCUT_SEED", 1);
	struct recording *rec = record(STORE_SYNC, seed);
	uint64_t random = seed;
	unsigned set_aside = 0;

	(void)state;
	for (unsigned how = 0; how < states; how++) {
		struct run *r = calloc(1, sizeof(*r));
		size_t entries;

		run_begin(r, "lied", STORE_SYNC, journal_random(&random));
		/* Half of them after it was closed in order, when the pages are not looked through. */
		entries = how & 16 ? journal_entries(rec->journal)
				   : 1 + run_dice(r, (unsigned)journal_entries(rec->journal));
		assert_int_equal(journal_cut(rec->journal, entries, r->random, r->folder), 0);
		ruin(r, how % 16);
		open_store(r);
		if (run_intact(r))
			free(use(r));
		else /* a page that nothing has needed yet; test_store has what follows */
			run_end(r);
		set_aside += was_set_aside(r);
		run_remove(r);
		free(r);
	}
	assert_in_range(set_aside, 1, states - 1); /* the dice throw all cases */
	forget(rec);
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, steps_set_up, steps_tear_down);
}
