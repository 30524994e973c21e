// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/arrivals.h"

#include <string.h>

static uint64_t *word_of(struct arrivals *a, uint64_t sequence)
{
	return &a->window[sequence % ARRIVALS_WINDOW / 64];
}

static uint64_t bit_of(uint64_t sequence)
{
	return 1ULL << sequence % 64;
}

/* Move the window so that it ends with `sequence`; what was skipped has not been received. */
static void advance(struct arrivals *a, uint64_t sequence)
{
	if (sequence - a->next >= ARRIVALS_WINDOW) {
		memset(a->window, 0, sizeof(a->window));
	} else {
		for (uint64_t skipped = a->next; skipped < sequence; skipped++)
			*word_of(a, skipped) &= ~bit_of(skipped);
	}
	a->next = sequence + 1;
}

enum arrival arrivals_note(struct arrivals *a, uint64_t sequence)
{
	enum arrival result = ARRIVAL_LATE;

	if (sequence >= a->next) {
		advance(a, sequence);
		result = ARRIVAL_NEW;
	} else if (a->next - sequence > ARRIVALS_WINDOW) {
		return ARRIVAL_LATE;
	} else if (*word_of(a, sequence) & bit_of(sequence)) {
		return ARRIVAL_COPY;
	}
	*word_of(a, sequence) |= bit_of(sequence);
	return result;
}
