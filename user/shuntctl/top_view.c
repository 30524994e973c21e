// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shuntctl/top_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shuntctl/answer.h"
#include "shuntctl/ask.h"
#include "shuntctl/rates.h"
#include "shuntctl/text_table.h"

int top_look(const char *socket, FILE *complaints, struct top_look *out)
{
	int status;

	memset(out, 0, sizeof(*out));
	status = answer_get(socket, "{\"command\":\"stats\"}", complaints, &out->stats);
	if (status == EXIT_DONE)
		status = answer_get(socket, "{\"command\":\"clients\"}", complaints, &out->clients);
	if (status == EXIT_DONE)
		status = answer_get(socket, "{\"command\":\"flows\"}", complaints, &out->flows);
	if (status != EXIT_DONE)
		top_look_free(out);
	return status;
}

void top_look_free(struct top_look *look)
{
	cJSON_Delete(look->stats);
	cJSON_Delete(look->clients);
	cJSON_Delete(look->flows);
	memset(look, 0, sizeof(*look));
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

struct client_row {
	const char *id, *space, *road;
	uint64_t in, out, of_kernel, queued, dropped;
	double in_rate, out_rate, dropped_rate;
	double by; /* what is sorted by */
};

static struct client_row client_row(const cJSON *c)
{
	uint64_t in = answer_number(c, "fastpath.messages_in"), out = answer_number(c, "fastpath.messages_out");

	return (struct client_row){
		.id = answer_string(c, "id"),
		.space = answer_string(c, "namespace"),
		.road = answer_true(c, "connected") ? answer_string(c, "fastpath.road") : "away",
		.in = answer_number(c, "messages_in") + in,
		.out = answer_number(c, "messages_out") + out,
		.of_kernel = in + out,
		.queued = answer_number(c, "queued"),
		.dropped = answer_sum(answer_find(c, "dropped")),
	};
}

static int by_id(const void *a, const void *b)
{
	const struct client_row *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order ? order : strcmp(x->space, y->space);
}

static int by_value(const void *a, const void *b)
{
	const struct client_row *x = a, *y = b;

	if (x->by != y->by)
		return x->by < y->by ? 1 : -1;
	return by_id(a, b);
}

/* Sorted by identifier; NULL without memory. */
static struct client_row *read_clients(const cJSON *answer, size_t *n)
{
	const cJSON *clients = answer_find(answer, "clients"), *c;
	struct client_row *rows = calloc((size_t)cJSON_GetArraySize(clients) + 1, sizeof(*rows));

	*n = 0;
	if (!rows)
		return NULL;
	cJSON_ArrayForEach(c, clients) rows[(*n)++] = client_row(c);
	qsort(rows, *n, sizeof(*rows), by_id);
	return rows;
}

/* How much it grew; a client that came back counts from 0 again. */
static double growth(uint64_t before, uint64_t now, double seconds)
{
	return (double)(now >= before ? now - before : now) / seconds;
}

static double sort_value(const struct client_row *c, enum top_key key)
{
	switch (key) {
	case TOP_IN:
		return c->in_rate;
	case TOP_OUT:
		return c->out_rate;
	case TOP_QUEUED:
		return (double)c->queued;
	case TOP_DROPPED:
		return c->dropped_rate > 0 ? 1e18 + c->dropped_rate : (double)c->dropped;
	case TOP_NAME:
		return 0;
	default:
		return c->in_rate + c->out_rate;
	}
}

static struct client_row *clients_sorted(const struct top_look *before, const struct top_look *now, double seconds,
					 enum top_key key, size_t *n)
{
	size_t nold = 0, o = 0;
	struct client_row *old = read_clients(before->clients, &nold), *rows = read_clients(now->clients, n);

	for (size_t i = 0; old && rows && i < *n; i++) {
		struct client_row zero = {0}, *c = &rows[i], *was = &zero;

		while (o < nold && by_id(&old[o], c) < 0)
			o++;
		if (o < nold && !by_id(&old[o], c))
			was = &old[o];
		if (before->clients) {
			c->in_rate = growth(was->in, c->in, seconds);
			c->out_rate = growth(was->out, c->out, seconds);
			c->dropped_rate = growth(was->dropped, c->dropped, seconds);
		}
		c->by = sort_value(c, key);
	}
	if (rows)
		qsort(rows, *n, sizeof(*rows), by_value);
	if (!old) {
		free(rows);
		rows = NULL;
	}
	free(old);
	return rows;
}

/* The numbers first: names may be longer than the screen is wide. */
static int show_clients(FILE *f, const struct client_row *rows, size_t n)
{
	static const struct text_column columns[] = {
		{"in/s", true},	     {"out/s", true},	{"in", true},	  {"out", true},   {"of kernel", true},
		{"dropped/s", true}, {"dropped", true}, {"queued", true}, {"road", false}, {"client", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};

	for (size_t i = 0; i < n; i++) {
		const struct client_row *c = &rows[i];

		text_cell(&t, "%.0f", c->in_rate);
		text_cell(&t, "%.0f", c->out_rate);
		text_cell(&t, "%" PRIu64, c->in);
		text_cell(&t, "%" PRIu64, c->out);
		text_cell(&t, "%" PRIu64, c->of_kernel);
		text_cell(&t, "%.0f", c->dropped_rate);
		text_cell(&t, "%" PRIu64, c->dropped);
		text_cell(&t, "%" PRIu64, c->queued);
		text_cell(&t, "%s", c->road);
		text_cell(&t, "%s%s%s", IN_NAMESPACE(c->space), c->id);
	}
	return text_table_print(&t, f);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static int by_topic(const void *a, const void *b)
{
	return strcmp(((const struct flow_row *)a)->topic, ((const struct flow_row *)b)->topic);
}

static int show_topics(FILE *f, const struct flow_row *rows, size_t n)
{
	static const struct text_column columns[] = {
		{"rate/s", true}, {"messages", true}, {"road", false}, {"topic", false}, {"receiver", false},
	};
	struct text_table t = {.columns = columns, .ncolumns = sizeof(columns) / sizeof(columns[0])};

	for (size_t i = 0; i < n; i++) {
		const struct flow_row *r = &rows[i];

		text_cell(&t, "%.0f", r->rate);
		text_cell(&t, "%" PRIu64, r->messages);
		text_cell(&t, "%s", r->road);
		text_cell(&t, "%s", r->topic);
		if (r->receivers > 1)
			text_cell(&t, "%s%s%s and %" PRIu64 " more", IN_NAMESPACE(r->space), r->receiver,
				  r->receivers - 1);
		else
			text_cell(&t, "%s%s%s", IN_NAMESPACE(r->space), r->receiver);
	}
	return text_table_print(&t, f);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

enum { HEAD_LINES = 4, FIXED_LINES = HEAD_LINES + 4 }; /* and an empty line and the titles of each table */

/* By how much a number of the statistics grew in a second. */
static double rate_of(const struct top_look *before, const struct top_look *now, const char *path, double seconds)
{
	if (!before->stats)
		return 0;
	return growth(answer_number(before->stats, path), answer_number(now->stats, path), seconds);
}

static void show_head(FILE *f, const struct top_look *before, const struct top_look *now, double seconds,
		      uint64_t queued)
{
	double in = rate_of(before, now, "publish.received", seconds);
	double local = rate_of(before, now, "fastpath.local.taken", seconds);
	double remote = rate_of(before, now, "fastpath.remote.taken", seconds);
	double daemon = in - local - remote;
	char up[DURATION_MAX];

	format_duration(up, answer_number(now->stats, "uptime"));
	fprintf(f, "shuntd %s, up %s, %" PRIu64 " clients connected, %" PRIu64 " flows, fast path %s\n",
		answer_string(now->stats, "version"), up, answer_number(now->stats, "clients.connected"),
		answer_number(now->stats, "fastpath.flows"), answer_string(now->stats, "fastpath.state"));
	fprintf(f, "messages/s  %.0f in: %.0f local, %.0f remote, %.0f daemon; %.0f out\n", in, local, remote,
		daemon > 0 ? daemon : 0, rate_of(before, now, "publish.sent", seconds));
	fprintf(f, "dropped/s   %.0f, %" PRIu64 " in all\n", rate_of(before, now, "dropped.total", seconds),
		answer_number(now->stats, "dropped.total"));
	fprintf(f, "queued      %" PRIu64 " messages in sessions, %" PRIu64 " bytes for sockets\n", queued,
		answer_number(now->stats, "waiting.bytes"));
}

static size_t at_most(size_t n, size_t limit)
{
	return n < limit ? n : limit;
}

int top_view(FILE *f, const struct top_look *before, const struct top_look *now, enum top_key key, size_t limit,
	     size_t lines)
{
	double seconds = before->flows ? answer_seconds(before->flows, now->flows) : 1;
	size_t ntopics = 0, nclients = 0, room = SIZE_MAX, topics_room;
	struct client_row *clients = clients_sorted(before, now, seconds, key, &nclients);
	struct flow_row *topics = NULL;
	int err = !clients || flow_rows(before->flows, now->flows, &topics, &ntopics) ? -1 : 0;
	uint64_t queued = 0;

	if (err)
		goto out;
	qsort(topics, ntopics, sizeof(*topics), key == TOP_NAME ? by_topic : flow_row_order);
	for (size_t i = 0; i < nclients; i++)
		queued += clients[i].queued;
	if (lines)
		room = lines > FIXED_LINES ? lines - FIXED_LINES : 0;
	ntopics = at_most(ntopics, limit);
	nclients = at_most(nclients, limit);
	/* Half of the room for each, unless one of them needs less. */
	topics_room = nclients < room - room / 2 ? room - nclients : room / 2;
	ntopics = at_most(ntopics, topics_room);
	nclients = at_most(nclients, room - ntopics);

	show_head(f, before, now, seconds, queued);
	fputc('\n', f);
	err = show_topics(f, topics, ntopics);
	fputc('\n', f);
	err |= show_clients(f, clients, nclients);
out:
	free(topics);
	free(clients);
	return err;
}
