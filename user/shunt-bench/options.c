// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "shunt-bench/manual.h"
#include "shunt-bench/payload.h"

enum { CLIENTS_MAX = 1000000, TOPICS_MAX = 1000000, PAYLOAD_MAX = 268000000 };

static const struct bench_case cases[] = {
	{"pairs", "N publishers to N subscribers, each pair on a topic of its own", 1, 0, 0, false, 1000},
	{"fan-in", "many publishers, each on a topic of its own, to one subscriber of all", 100, 1, 0, true, 1000},
	{"fan-out", "one publisher to many subscribers of one topic", 1, 50, 1, false, 100},
	{"flood", "one publisher to one subscriber, as fast as the broker takes the messages", 1, 1, 0, false, 0},
};

#define STRING(name) .type = OPTION_STRING, .member = offsetof(struct options, name)
#define COUNT(name, from, to) .type = OPTION_COUNT, .member = offsetof(struct options, name), .min = from, .max = to
#define DECIMAL(name, from, to) .type = OPTION_DECIMAL, .member = offsetof(struct options, name), .min = from, .max = to
#define FLAG(name) .type = OPTION_FLAG, .member = offsetof(struct options, name)

/* In the order of the help. */
static const struct option_info table[] = {
	{"host", STRING(host), .argument = "ADDRESS", .value = "127.0.0.1", .help = "Broker to load, name or address."},
	{"port", COUNT(port, 1, 65535), .argument = "PORT", .value = "1883", .help = "Port of its plain MQTT listener."},
	{"username", STRING(username), .argument = "NAME", .help = "Log in by this name."},
	{"password", STRING(password), .argument = "TEXT", .help = "Log in with this password."},
	{"publishers", COUNT(publishers, 0, PAYLOAD_PUBLISHERS_MAX), .argument = "N", .otherwise = "see the case",
	 .help = "Number of publishers."},
	{"subscribers", COUNT(subscribers, 0, CLIENTS_MAX), .argument = "N", .otherwise = "see the case",
	 .help = "Number of subscribers."},
	{"topics", COUNT(topics, 1, TOPICS_MAX), .argument = "N", .otherwise = "see the case",
	 .help = "Number of topics. They are dealt out in turn to the publishers, and to the subscribers. A publisher "
		 "that has several uses them in turn."},
	{"connections", COUNT(connections, 0, CLIENTS_MAX), .argument = "N", .value = "0",
	 .help = "Further clients that connect and stay idle."},
	{"size", COUNT(size, PAYLOAD_MIN, PAYLOAD_MAX), .argument = "BYTES", .value = "64",
	 .help = "Length of a payload."},
	{"qos", COUNT(qos, 0, 2), .argument = "N", .value = "0", .help = "QoS of the messages and of the subscriptions."},
	{"rate", DECIMAL(rate, 0, 1e9), .argument = "N", .otherwise = "see the case",
	 .help = "Messages to publish per second, by all publishers together, on a fixed schedule: latency counts from the "
		 "time a message was due, however late the broker let it be sent. 0: no schedule, as fast as the broker "
		 "takes them; latency then counts from the sending."},
	{"seconds", DECIMAL(seconds, 0.001, PAYLOAD_SECONDS_MAX / 2), .argument = "N", .value = "10",
	 .help = "How long to publish and measure."},
	{"messages", COUNT(messages, 1, 1e12), .argument = "N",
	 .help = "Stop after this many messages instead of a time."},
	{"warmup", DECIMAL(warmup, 0, 3600), .argument = "SECONDS", .value = "1",
	 .help = "Publish for so long before measuring. Of these messages only order and content are checked."},
	{"drain", DECIMAL(drain, 0.01, 3600), .argument = "SECONDS", .value = "2",
	 .help = "In the end wait until every message has arrived, or none has for so long; ten times as long in all, "
		 "unless --messages is given."},
	{"wait", DECIMAL(wait, 0, 3600), .argument = "SECONDS", .value = "0",
	 .help = "Try the first connection again for so long if the broker does not accept it."},
	{"batch", COUNT(batch, 1, 10000), .argument = "N", .value = "1",
	 .help = "Write up to so many messages that are due by one system call, and gather acknowledgements. 1 is what "
		 "ordinary clients do."},
	{"window", COUNT(window, 1, 65535), .argument = "N", .value = "20",
	 .help = "Messages of QoS 1 and 2 that a publisher may have in flight."},
	{"threads", COUNT(threads, 1, 64), .argument = "N", .value = "1",
	 .help = "Threads that publish; as many others receive."},
	{"keepalive", COUNT(keepalive, 0, 65535), .argument = "SECONDS", .value = "60",
	 .help = "Keep Alive of every connection. 0: off."},
	{"cc", STRING(cc), .argument = "NAME", .otherwise = "the system's",
	 .help = "TCP congestion control of the clients' sockets, such as cubic or bbr."},
	{"nagle", FLAG(nagle), .help = "Do not set TCP_NODELAY on the clients' sockets."},
	{"topic-prefix", STRING(topic_prefix), .argument = "TOPIC", .value = "bench",
	 .help = "Topics are TOPIC/RUN/NUMBER, where RUN is another one each time."},
	{"pid", COUNT(pid, 1, 4194304), .argument = "PID",
	 .help = "Process of the broker, for its CPU time and memory."},
	{"all-cpu", FLAG(all_cpu),
	 .help = "Add up the CPU time of all tasks of the machine, the kernel's workers and the load generator included."},
	{"json", FLAG(json), .help = "Print the result as JSON."},
	{"progress", FLAG(progress), .help = "Show progress on stderr also when it is not a terminal."},
	{"help", .type = OPTION_HELP, .help = "Print this help."},
	{"man", .type = OPTION_MAN, .help = "Print the manual page, for man -l."},
};
enum { NOPTIONS = sizeof(table) / sizeof(table[0]), NCASES = sizeof(cases) / sizeof(cases[0]) };

/* Marks what is the case's to say. */
static const uint64_t COUNT_UNSET = UINT64_MAX;
static const double RATE_UNSET = -1;

static bool complain(const struct option_info *info, const char *value, const char *what)
{
	fprintf(stderr, "shunt-bench: --%s: '%s' %s\n", info->name, value, what);
	return false;
}

static bool set_decimal(double *out, const struct option_info *info, const char *value)
{
	char *end;
	double number;

	errno = 0;
	number = strtod(value, &end);
	if (errno || end == value || *end || !isfinite(number))
		return complain(info, value, "is not a number");
	if (number < info->min || number > info->max)
		return complain(info, value, "is out of range");
	*out = number;
	return true;
}

static bool set_count(uint64_t *out, const struct option_info *info, const char *value)
{
	uint64_t number;
	int err = number_parse(value, (uint64_t)info->max, &number);

	if (err == -EINVAL)
		return complain(info, value, "is not a number");
	if (err || number < (uint64_t)info->min)
		return complain(info, value, "is out of range");
	*out = number;
	return true;
}

static bool set_option(struct options *o, const struct option_info *info, const char *value)
{
	void *member = (char *)o + info->member;

	switch (info->type) {
	case OPTION_STRING:
		*(const char **)member = value;
		return true;
	case OPTION_COUNT:
		return set_count(member, info, value);
	case OPTION_DECIMAL:
		return set_decimal(member, info, value);
	default:
		*(bool *)member = true;
		return true;
	}
}

static void set_defaults(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->publishers = o->subscribers = o->topics = COUNT_UNSET;
	o->rate = RATE_UNSET;
	for (unsigned i = 0; i < NOPTIONS; i++) {
		if (table[i].value)
			set_option(o, &table[i], table[i].value);
	}
}

static bool set_case(struct options *o, const char *name)
{
	for (unsigned i = 0; i < NCASES; i++) {
		if (strcmp(cases[i].name, name) == 0)
			o->load = &cases[i];
	}
	if (!o->load) {
		fprintf(stderr, "shunt-bench: there is no case '%s', see --help\n", name);
		return false;
	}
	if (o->publishers == COUNT_UNSET)
		o->publishers = o->load->publishers;
	if (o->subscribers == COUNT_UNSET)
		o->subscribers = o->load->subscribers ? o->load->subscribers : o->publishers;
	if (o->topics == COUNT_UNSET)
		o->topics = o->load->topics;
	if (o->topics == 0)
		o->topics = o->publishers > o->subscribers ? o->publishers : o->subscribers;
	if (o->rate == RATE_UNSET)
		o->rate = o->load->rate;
	return true;
}

static bool check(const struct options *o)
{
	if (o->messages && !o->publishers) {
		fprintf(stderr, "shunt-bench: --messages needs a publisher\n");
		return false;
	}
	return true;
}

static enum options_result read_arguments(struct options *o, int argc, char **argv)
{
	static const struct manual manual = {table, NOPTIONS, cases, NCASES};
	struct option names[NOPTIONS + 1] = {0};
	int row = 0;

	for (unsigned i = 0; i < NOPTIONS; i++) {
		names[i].name = table[i].name;
		names[i].has_arg = table[i].argument ? required_argument : no_argument;
	}
	for (;;) {
		switch (getopt_long(argc, argv, "h", names, &row)) {
		case -1:
			return OPTIONS_RUN;
		case 0:
			break;
		case 'h':
			manual_print_help(&manual);
			return OPTIONS_DONE;
		default:
			return OPTIONS_BAD;
		}
		if (table[row].type == OPTION_HELP) {
			manual_print_help(&manual);
			return OPTIONS_DONE;
		}
		if (table[row].type == OPTION_MAN) {
			manual_print_page(&manual);
			return OPTIONS_DONE;
		}
		if (!set_option(o, &table[row], optarg))
			return OPTIONS_BAD;
	}
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	enum options_result result;

	set_defaults(o);
	result = read_arguments(o, argc, argv);
	if (result != OPTIONS_RUN)
		return result;
	if (optind != argc - 1) {
		fprintf(stderr, "shunt-bench: name one case, see --help\n");
		return OPTIONS_BAD;
	}
	return set_case(o, argv[optind]) && check(o) ? OPTIONS_RUN : OPTIONS_BAD;
}
