// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* What a session does not get: counted by reason, and said in the log, of a client that is behind once when it begins
 * and once when it is over. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "broker/session.h"

/* Why, behind "Outgoing messages are being dropped for client ID [ADDRESS]: ". NULL: that is not said. */
static const char *const clauses[DROP_REASONS] = {
	[DROP_QOS0_OUTPUT_FULL] = "it does not take its output",
	[DROP_QUEUE_FULL] = "its queue is full",
	[DROP_NO_MEMORY] = "out of memory",
};

static const char *address(const struct session *s)
{
	return s->sink && s->sink->peer ? s->sink->peer : "not connected";
}

static void count(struct session *s, enum drop_reason reason)
{
	__atomic_fetch_add(&s->dropped[reason], 1, __ATOMIC_RELAXED);
	COUNTER_ADD(dropped[reason], 1);
}

static void begins(struct session *s, enum drop_reason reason, const char *where)
{
	if (clauses[reason] && !__atomic_exchange_n(&s->dropping, true, __ATOMIC_RELAXED))
		log_notice("Outgoing messages are being dropped for client %s [%s]: %s.", s->name, where,
			   clauses[reason]);
}

void session_drop(struct session *s, enum drop_reason reason)
{
	count(s, reason);
	begins(s, reason, address(s));
	if (reason != DROP_TOO_LARGE || s->said_too_large)
		return;
	s->said_too_large = true;
	log_notice("Messages above the Maximum Packet Size of client %s [%s] are not sent to it.", s->name, address(s));
}

void session_drop_elsewhere(struct session *s, enum drop_reason reason)
{
	count(s, reason);
	begins(s, reason, "on disk");
}

/* "12 queue_full, 3 expired": since the last time. Returns the sum. */
static uint64_t since(struct session *s, char *text, size_t size)
{
	uint64_t sum = 0;
	size_t at = 0;

	*text = '\0';
	for (unsigned i = 0; i < DROP_REASONS; i++) {
		uint64_t now = __atomic_load_n(&s->dropped[i], __ATOMIC_RELAXED), n = now - s->dropped_said[i];

		s->dropped_said[i] = now;
		if (n && at < size)
			at += (size_t)snprintf(text + at, size - at, "%s%llu %s", at ? ", " : "", (unsigned long long)n,
					       drop_names[i]);
		sum += n;
	}
	return sum;
}

void session_drops_end(struct session *s)
{
	char text[32 * DROP_REASONS];
	uint64_t n;

	if (!__atomic_exchange_n(&s->dropping, false, __ATOMIC_RELAXED))
		return;
	n = since(s, text, sizeof(text));
	log_notice("No more messages are being dropped for client %s [%s]: there were %llu (%s).", s->name, address(s),
		   (unsigned long long)n, text);
}

uint64_t session_dropped(const struct session *s, enum drop_reason reason)
{
	return __atomic_load_n(&s->dropped[reason], __ATOMIC_RELAXED);
}
