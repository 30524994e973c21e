// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/result.h"

#include <math.h>
#include <string.h>

enum kind {
	KIND_COUNT,	 /* uint64_t */
	KIND_NUMBER,	 /* double; NAN: not measured */
	KIND_PERCENTILE, /* microseconds of a histogram of nanoseconds, at `percent` */
};

/* Both forms of the output: in JSON an object for each group, in text a line. */
static const struct field {
	const char *group, *name;
	enum kind kind;
	size_t member;
	double percent;
	int decimals;
} fields[] = {
#define COUNT(name) KIND_COUNT, offsetof(struct result, name), 0, 0
#define NUMBER(name, decimals) KIND_NUMBER, offsetof(struct result, name), 0, decimals
#define PERCENTILE(name, percent) KIND_PERCENTILE, offsetof(struct result, name), percent, 1
	{"messages", "sent", COUNT(sent)},
	{"messages", "unsent", COUNT(unsent)},
	{"messages", "delivered", COUNT(delivered)},
	{"messages", "delivered_with_warmup", COUNT(delivered_with_warmup)},
	{"messages", "lost", COUNT(lost)},
	{"messages", "lost_percent", NUMBER(lost_percent, 3)},
	{"messages", "duplicated", COUNT(duplicated)},
	{"messages", "reordered", COUNT(reordered)},
	{"messages", "corrupt", COUNT(corrupt)},
	{"rate", "seconds", NUMBER(seconds, 3)},
	{"rate", "sent_per_second", NUMBER(sent_per_second, 0)},
	{"rate", "delivered_per_second", NUMBER(delivered_per_second, 0)},
	{"latency_us", "p50", PERCENTILE(latency, 50)},
	{"latency_us", "p90", PERCENTILE(latency, 90)},
	{"latency_us", "p99", PERCENTILE(latency, 99)},
	{"latency_us", "p99.9", PERCENTILE(latency, 99.9)},
	{"latency_us", "max", PERCENTILE(latency, 100)},
	{"sent_late_us", "p50", PERCENTILE(lag, 50)},
	{"sent_late_us", "p99", PERCENTILE(lag, 99)},
	{"sent_late_us", "max", PERCENTILE(lag, 100)},
	{"cpu_us_per_message", "broker", NUMBER(broker.us_per_message, 2)},
	{"cpu_us_per_message", "generator", NUMBER(generator.us_per_message, 2)},
	{"cpu_us_per_message", "machine", NUMBER(machine.us_per_message, 2)},
	{"cpu_us_per_message", "involved", NUMBER(involved.us_per_message, 2)},
	{"cpu_cores", "broker", NUMBER(broker.cores, 3)},
	{"cpu_cores", "generator", NUMBER(generator.cores, 3)},
	{"cpu_cores", "machine", NUMBER(machine.cores, 3)},
	{"cpu_cores", "other_programs", NUMBER(others.cores, 3)},
	{"broker_resident_bytes", "before", NUMBER(resident_before, 0)},
	{"broker_resident_bytes", "connected", NUMBER(resident_connected, 0)},
	{"broker_resident_bytes", "after", NUMBER(resident_after, 0)},
	{"connections", "blocked", COUNT(blocked)},
	{"connections", "closed_by_broker", COUNT(closed)},
	{"connections", "malformed", COUNT(malformed)},
#undef COUNT
#undef NUMBER
#undef PERCENTILE
};
enum { NFIELDS = sizeof(fields) / sizeof(fields[0]) };

static uint64_t total(const uint64_t errors[ERRNO_LIMIT])
{
	uint64_t sum = 0;

	for (int i = 0; i < ERRNO_LIMIT; i++)
		sum += errors[i];
	return sum;
}

bool result_broken(const struct result *r)
{
	return r->closed || r->malformed || total(r->send_errors) || total(r->receive_errors);
}

bool result_damaged(const struct result *r)
{
	return r->duplicated || r->reordered || r->corrupt || r->malformed;
}

/* The number as text; false when it was not measured. */
static bool format(const struct result *r, const struct field *f, char *text, size_t size)
{
	const void *member = (const char *)r + f->member;

	if (f->kind == KIND_COUNT) {
		snprintf(text, size, "%llu", (unsigned long long)*(const uint64_t *)member);
	} else if (f->kind == KIND_NUMBER) {
		if (isnan(*(const double *)member))
			return false;
		snprintf(text, size, "%.*f", f->decimals, *(const double *)member);
	} else {
		const struct histogram *h = member;

		if (h->count == 0)
			return false;
		snprintf(text, size, "%.*f", f->decimals, (double)histogram_percentile(h, f->percent) / 1000);
	}
	return true;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static void print_errors(FILE *out, const char *what, const uint64_t errors[ERRNO_LIMIT])
{
	for (int i = 0; i < ERRNO_LIMIT; i++) {
		if (errors[i])
			fprintf(out, "%-22s %s %llu\n", what, strerrorname_np(i), (unsigned long long)errors[i]);
	}
}

void result_print_text(const struct result *r, const struct plan *plan, FILE *out)
{
	const struct options *o = plan->options;
	const char *group = "";
	char text[64];

	fprintf(out, "%s: %u publishers, %u subscribers, %u topics, %llu bytes, QoS %llu, ", o->load->name,
		plan->publishers, plan->subscribers, plan->topics, (unsigned long long)o->size,
		(unsigned long long)o->qos);
	if (o->rate > 0)
		fprintf(out, "%.15g messages/s", o->rate);
	else
		fprintf(out, "as fast as possible");
	for (unsigned i = 0; i < NFIELDS; i++) {
		if (!format(r, &fields[i], text, sizeof(text)))
			continue;
		if (strcmp(group, fields[i].group) != 0)
			fprintf(out, "\n%-22s", fields[i].group);
		group = fields[i].group;
		fprintf(out, " %s %s ", fields[i].name, text);
	}
	fputc('\n', out);
	print_errors(out, "send_errors", r->send_errors);
	print_errors(out, "receive_errors", r->receive_errors);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void print_json_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			fprintf(out, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

static void print_json_errors(FILE *out, const char *name, const uint64_t errors[ERRNO_LIMIT])
{
	const char *separator = "";

	fprintf(out, ",\n  \"%s\": {", name);
	for (int i = 0; i < ERRNO_LIMIT; i++) {
		if (!errors[i])
			continue;
		fprintf(out, "%s\"%s\": %llu", separator, strerrorname_np(i), (unsigned long long)errors[i]);
		separator = ", ";
	}
	fputc('}', out);
}

static void print_json_load(FILE *out, const struct plan *plan)
{
	const struct options *o = plan->options;

	fprintf(out, "  \"load\": {\"case\": \"%s\", \"host\": ", o->load->name);
	print_json_string(out, o->host);
	fprintf(out, ", \"port\": %llu, \"publishers\": %u, \"subscribers\": %u, \"topics\": %u",
		(unsigned long long)o->port, plan->publishers, plan->subscribers, plan->topics);
	fprintf(out, ", \"connections\": %llu, \"size\": %llu, \"qos\": %llu", (unsigned long long)o->connections,
		(unsigned long long)o->size, (unsigned long long)o->qos);
	fprintf(out, ", \"rate\": %.15g, \"warmup\": %.15g", o->rate, o->warmup);
	fprintf(out, ", \"batch\": %llu, \"window\": %llu, \"threads\": %llu", (unsigned long long)o->batch,
		(unsigned long long)o->window, (unsigned long long)o->threads);
	fprintf(out, ", \"nodelay\": %s, \"cc\": ", o->nagle ? "false" : "true");
	if (o->cc)
		print_json_string(out, o->cc);
	else
		fputs("null", out);
	fputc('}', out);
}

void result_print_json(const struct result *r, const struct plan *plan, FILE *out)
{
	const char *group = NULL;
	char text[64];

	fputs("{\n", out);
	print_json_load(out, plan);
	for (unsigned i = 0; i < NFIELDS; i++) {
		if (!group || strcmp(group, fields[i].group) != 0)
			fprintf(out, "%s,\n  \"%s\": {", group ? "}" : "", fields[i].group);
		else
			fputs(", ", out);
		group = fields[i].group;
		fprintf(out, "\"%s\": %s", fields[i].name, format(r, &fields[i], text, sizeof(text)) ? text : "null");
	}
	fputc('}', out);
	print_json_errors(out, "send_errors", r->send_errors);
	print_json_errors(out, "receive_errors", r->receive_errors);
	fputs("\n}\n", out);
}
