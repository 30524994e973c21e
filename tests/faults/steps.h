/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A store and who uses it: random steps, each of which is one unit, and what the store has after them. For cmocka's tests. */
#ifndef SHUNT_TEST_STEPS_H
#define SHUNT_TEST_STEPS_H

#include "store/store.h"

enum {
	SESSIONS = 5,
	ROWS = 40, /* deliveries, and messages held, at once */
};

struct row {
	uint64_t session, id;
	uint16_t pid;
	enum store_state state;
};

/* The store, and what its user knows. */
struct run {
	char folder[96], path[128];
	struct store_config config;
	struct store *store;
	struct loop loop;
	struct store_client client;
	uint64_t random;
	uint64_t sessions[SESSIONS];
	struct row rows[ROWS];
	unsigned nrows, named;
	uint16_t pid;
};

/* Everything is in this folder, in memory where possible: the real syncs of what is not taken down cost nothing there. */
int steps_set_up(void **state);
int steps_tear_down(void **state);
const char *steps_base(void);

/* A run in an empty folder of this name. */
void run_begin(struct run *r, const char *name, enum store_durability durability, uint64_t seed);
/* Open its store and start it. */
void run_start(struct run *r, void (*notice)(struct store_client *));
/* Close it. */
void run_end(struct run *r);
/* Remove the folder. */
void run_remove(struct run *r);
/* Wait until so many batches are done. */
void run_wait(struct run *r, uint64_t ticket);
void run_no_notice(struct store_client *c);

/* 0 to sides - 1. */
unsigned run_dice(struct run *r, unsigned sides);

/* Say what this step is, by the dice, to the store. */
void run_step(struct run *r, unsigned step);

/* Are all pages of the store's file what they should be? */
bool run_intact(const struct run *r);
/* What the store has, as text to be freed. Fails when it does not agree with itself. */
char *run_contents(const struct run *r);
/* The step after which it had that. */
unsigned run_step_of(const char *contents);

#endif
