// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/clients.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shunt-bench/handshake.h"

enum {
	RETRY_NS = 20 * 1000 * 1000, /* between attempts to connect */
	CLIENT_ID_MAX = 23,	     /* what every broker must allow [MQTT-3.1.3-5] */
};

int clients_init(struct clients *c, struct run *run)
{
	unsigned threads = (unsigned)run->plan->options->threads;
	int err = 0;

	*c = (struct clients){.run = run};
	c->senders = calloc(threads, sizeof(*c->senders));
	c->receivers = calloc(threads, sizeof(*c->receivers));
	c->ids = calloc(2 * (size_t)threads, sizeof(*c->ids));
	if (!c->senders || !c->receivers || !c->ids)
		return -ENOMEM;
	/* Both, so that the freeing of both is right. */
	while (!err && c->threads < threads) {
		int receiver_err = receiver_init(&c->receivers[c->threads], run, c->threads, threads);

		err = sender_init(&c->senders[c->threads], run, c->threads, threads);
		if (!err)
			err = receiver_err;
		c->threads++;
	}
	return err;
}

void clients_free(struct clients *c)
{
	for (unsigned i = 0; i < c->threads; i++) {
		sender_free(&c->senders[i]);
		receiver_free(&c->receivers[i]);
	}
	free(c->senders);
	free(c->receivers);
	free(c->ids);
	*c = (struct clients){0};
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "shunt-bench: %s: %s\n", what, why);
	return -1;
}

struct connecting {
	const struct options *options;
	const struct addrinfo *addresses;
	const volatile int *interrupted;
	unsigned tag;
	uint64_t retry_until_ns;
};

static int try_addresses(const struct connecting *to, struct conn *c, struct io *io, const char *client_id, bool clean)
{
	int err = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = to->addresses; a; a = a->ai_next) {
		err = handshake_connect(c, io, a, to->options, client_id, clean);
		if (!err || err == -EACCES)
			break;
	}
	return err;
}

static int connect_client(struct connecting *to, struct conn *c, struct io *io, char kind, unsigned number)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	char id[CLIENT_ID_MAX + 1], what[64];
	bool clean = kind != 's' || !to->options->persistent;
	int err;

	snprintf(id, sizeof(id), "bench-%04x-%c%u", to->tag, kind, number);
	for (;;) {
		err = try_addresses(to, c, io, id, clean);
		if (!err || err == -EACCES || *to->interrupted || clock_ns() >= to->retry_until_ns)
			break;
		nanosleep(&pause, NULL);
	}
	to->retry_until_ns = 0; /* only the first is tried again */
	if (!err && *to->interrupted)
		err = -EINTR;
	snprintf(what, sizeof(what), "connecting client %s", id);
	return err ? fail(what, strerror(-err)) : 0;
}

static int subscribe(const struct plan *plan, struct subscriber *s)
{
	struct mqtt_str filters[HANDSHAKE_FILTERS];
	char all[PLAN_NAME_MAX + 16], what[64];
	size_t n = 0;
	int err = 0;

	if (plan->options->load->wildcard) {
		snprintf(all, sizeof(all), "%s%s/%04x/#", plan->options->load->shared ? "$share/bench/" : "",
			 plan->options->topic_prefix, plan->tag);
		filters[n++] = mqtt_str(all);
	}
	for (unsigned t = 0; !err && !plan->options->load->wildcard && t < plan->topics; t++) {
		if (!plan_hears(plan, s->id, t))
			continue;
		filters[n++] = plan_topic_name(plan, t);
		if (n == HANDSHAKE_FILTERS) {
			err = handshake_subscribe(&s->conn, plan->options, filters, n);
			n = 0;
		}
	}
	if (!err && n)
		err = handshake_subscribe(&s->conn, plan->options, filters, n);
	snprintf(what, sizeof(what), "subscribing with client %u", s->id);
	return err ? fail(what, strerror(-err)) : 0;
}

static int connect_all(struct clients *c, struct connecting *to)
{
	const struct options *o = to->options;

	for (unsigned i = 0; i < o->subscribers; i++) {
		struct receiver *r = &c->receivers[i % c->threads];
		struct subscriber *s = &r->subscribers[i / c->threads];

		if (connect_client(to, &s->conn, &r->io, 's', i) || subscribe(c->run->plan, s))
			return -1;
	}
	for (unsigned i = 0; i < o->publishers; i++) {
		struct sender *s = &c->senders[i % c->threads];

		if (connect_client(to, &s->publishers[i / c->threads].conn, &s->io, 'p', i))
			return -1;
	}
	for (unsigned i = 0; i < o->connections; i++) {
		struct receiver *r = &c->receivers[i % c->threads];

		if (connect_client(to, &r->idle[i / c->threads], &r->io, 'i', i))
			return -1;
	}
	return 0;
}

int clients_connect(struct clients *c, const volatile int *interrupted)
{
	const struct options *o = c->run->plan->options;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *addresses;
	struct connecting to = {
		.options = o,
		.interrupted = interrupted,
		.tag = c->run->plan->tag,
		.retry_until_ns = clock_ns() + (uint64_t)(o->wait * 1e9),
	};
	char port[8];
	int err;

	snprintf(port, sizeof(port), "%u", (unsigned)o->port);
	err = getaddrinfo(o->host, port, &hints, &addresses);
	if (err)
		return fail(o->host, gai_strerror(err));
	to.addresses = addresses;
	err = connect_all(c, &to);
	freeaddrinfo(addresses);
	return err;
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

int clients_start(struct clients *c)
{
	int err = 0;

	for (unsigned i = 0; !err && i < 2 * c->threads; i++) {
		if (i < c->threads)
			err = pthread_create(&c->ids[i], NULL, receiver_thread, &c->receivers[i]);
		else
			err = pthread_create(&c->ids[i], NULL, sender_thread, &c->senders[i - c->threads]);
		c->running += !err;
	}
	return -err;
}

void clients_stop(struct clients *c)
{
	flag_raise(&c->run->stop);
	while (c->running)
		pthread_join(c->ids[--c->running], NULL);
}

/* ---- sums ------------------------------------------------------------------------------------------------------- */

bool clients_finished(const struct clients *c)
{
	for (unsigned i = 0; i < c->threads; i++) {
		if (!flag_get(&c->senders[i].finished))
			return false;
	}
	return true;
}

uint64_t clients_sent(const struct clients *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->threads; i++)
		sum += counter_get(&c->senders[i].out.sent);
	return sum;
}

uint64_t clients_received(const struct clients *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->threads; i++)
		sum += counter_get(&c->receivers[i].received);
	return sum;
}

uint64_t clients_expected(const struct clients *c, bool measured)
{
	const struct plan *plan = c->run->plan;
	uint64_t sum = 0;

	/* One of those who share gets each; to all of them together it comes once. */
	for (unsigned i = 0; i < (plan->options->load->shared ? 1 : plan->subscribers); i++) {
		const struct subscriber *s = &c->receivers[i % c->threads].subscribers[i / c->threads];

		for (size_t k = 0; k < s->heard; k++) {
			unsigned id = s->arrivals[k].publisher;
			const struct publisher *p = &c->senders[id % c->threads].publishers[id / c->threads];

			sum += plan_expected(plan, s->id, id, measured ? publisher_first_measured(p) : 0, p->sent);
		}
	}
	return sum;
}
