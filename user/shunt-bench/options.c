// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "shunt-bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/document.h"
#include "base/number.h"
#include "base/version.h"
#include "shunt-bench/payload.h"

enum {
	CLIENTS_MAX = 1000000,
	TOPICS_MAX = 1000000,
	PAYLOAD_MAX = 268000000,
	SECONDS_MAX = PAYLOAD_SECONDS_MAX / 2,
};

static const struct bench_case cases[] = {
	{.name = "pairs",
	 .help = "N publishers to N subscribers, each pair on a topic of its own.",
	 .publishers = 1,
	 .rate = 1000},
	{.name = "fan-in",
	 .help = "Many publishers, each on a topic of its own, to one subscriber of all.",
	 .publishers = 100,
	 .subscribers = 1,
	 .wildcard = true,
	 .rate = 1000},
	{.name = "fan-out",
	 .help = "One publisher to many subscribers of one topic.",
	 .publishers = 1,
	 .subscribers = 50,
	 .topics = 1,
	 .rate = 100},
	{.name = "shared",
	 .help = "Many publishers to the members of one shared subscription: each message goes to one of them.",
	 .publishers = 100,
	 .subscribers = 10,
	 .wildcard = true,
	 .shared = true,
	 .rate = 1000},
	{.name = "flood",
	 .help = "One publisher to one subscriber, as fast as the broker takes the messages.",
	 .publishers = 1,
	 .subscribers = 1},
	{.name = "storm",
	 .help = "Many clients that connect at once and stay connected: nothing is published.",
	 .topics = 1,
	 .connections = 10000},
};

enum option_type {
	OPTION_STRING,	/* const char * */
	OPTION_COUNT,	/* uint64_t from min to max */
	OPTION_DECIMAL, /* double from min to max */
	OPTION_FLAG,	/* bool, no argument */
	OPTION_HELP,
	OPTION_MAN,
	OPTION_VERSION,
};

#define NAME(letter_, name_, argument_) .cli.letter = letter_, .cli.name = name_, .cli.argument = argument_
#define STRING(to) .type = OPTION_STRING, .member = offsetof(struct options, to)
#define COUNT(to, from, up_to) .type = OPTION_COUNT, .member = offsetof(struct options, to), .min = from, .max = up_to
#define DECIMAL(to, from, up_to) \
	.type = OPTION_DECIMAL, .member = offsetof(struct options, to), .min = from, .max = up_to
#define FLAG(to) .type = OPTION_FLAG, .member = offsetof(struct options, to)
#define HELP(text) .cli.help = text
/* The same where there is a default: it stands in the first sentence, which --help shows. */
#define DEFAULT(default_, sentence, more) .value = default_, .cli.help = sentence " (" default_ ")." more

/* In the order of the help. */
static const struct option_info {
	struct cli_option cli;
	enum option_type type;
	size_t member;	   /* offset in struct options */
	double min, max;   /* of numbers */
	const char *value; /* default, as the user would write it; or NULL */
} table[] = {
	{NAME('h', "host", "ADDRESS"), STRING(host), DEFAULT("127.0.0.1", "Broker to load, by name or address", "")},
	{NAME('p', "port", "PORT"), COUNT(port, 1, 65535), DEFAULT("1883", "Port of its plain MQTT listener", "")},
	{NAME('u', "username", "NAME"), STRING(username), HELP("Log in by this name.")},
	{NAME('P', "password", "TEXT"), STRING(password), HELP("Log in with this password.")},
	{NAME(0, "publishers", "N"), COUNT(publishers, 0, PAYLOAD_PUBLISHERS_MAX), HELP("Number of publishers.")},
	{NAME(0, "subscribers", "N"), COUNT(subscribers, 0, CLIENTS_MAX), HELP("Number of subscribers.")},
	{NAME(0, "topics", "N"), COUNT(topics, 1, TOPICS_MAX),
	 HELP("Number of topics. They are dealt out in turn to the publishers, and to the subscribers. A publisher that has "
	      "several uses them in turn. Each has one unless this says otherwise.")},
	{NAME(0, "connections", "N"), COUNT(connections, 0, CLIENTS_MAX),
	 DEFAULT("0", "Further clients that connect and stay idle", " In the case `storm` all clients: 10000.")},
	{NAME(0, "concurrency", "N"), COUNT(concurrency, 1, CLIENTS_MAX),
	 DEFAULT("100", "Clients of a storm that are on their way in at once", "")},
	{NAME(0, "tls", "FILE"), STRING(tls),
	 HELP("The clients of a storm connect by TLS, with the certificates of CAs in FILE.")},
	{NAME(0, "resume", NULL), FLAG(resume),
	 HELP("All clients of a storm connect twice; the second time, which counts, they resume their TLS sessions.")},
	{NAME(0, "persistent", NULL), FLAG(persistent),
	 HELP("Let the sessions of subscribers outlive their connections: with QoS 1 and 2, a broker that keeps them on disk has "
	      "much to write. They stay there when shunt-bench ends.")},
	{NAME(0, "size", "BYTES"), COUNT(size, PAYLOAD_MIN, PAYLOAD_MAX), DEFAULT("64", "Length of a payload", "")},
	{NAME(0, "qos", "N"), COUNT(qos, 0, 2), DEFAULT("0", "QoS of the messages and of the subscriptions", "")},
	{NAME(0, "rate", "N"), DECIMAL(rate, 0, 1e9),
	 HELP("Messages to publish per second, by all publishers together. They follow a fixed schedule: latency counts from "
	      "the time a message was due, however late the broker let it be sent. With 0 there is no schedule, publishers "
	      "send as fast as the broker takes the messages, and latency counts from the sending.")},
	{NAME(0, "seconds", "N"), DECIMAL(seconds, 0.001, SECONDS_MAX),
	 DEFAULT("10", "How long to publish and measure", "")},
	{NAME(0, "messages", "N"), COUNT(messages, 1, 1e12), HELP("Stop after so many messages instead of a time.")},
	{NAME(0, "warmup", "SECONDS"), DECIMAL(warmup, 0, 3600),
	 DEFAULT("1", "Publish for so long before measuring",
		 " Of these messages only order and content are checked.")},
	{NAME(0, "drain", "SECONDS"), DECIMAL(drain, 0.01, 3600),
	 DEFAULT("2", "In the end wait until all has arrived, or nothing has for so long",
		 " Ten times as long is waited in all, unless `--messages` is given.")},
	{NAME(0, "wait", "SECONDS"), DECIMAL(wait, 0, 3600),
	 DEFAULT("0", "Try the first connection again for so long if the broker does not accept it", "")},
	{NAME(0, "batch", "N"), COUNT(batch, 1, 10000),
	 DEFAULT("1", "Write up to so many messages that are due by one system call",
		 " Acknowledgements are gathered too. 1 is what ordinary clients do.")},
	{NAME(0, "window", "N"), COUNT(window, 1, 65535),
	 DEFAULT("20", "Messages of QoS 1 and 2 that a publisher may have in flight", "")},
	{NAME(0, "threads", "N"), COUNT(threads, 1, 64),
	 DEFAULT("1", "Threads that publish; as many others receive", "")},
	{NAME(0, "keepalive", "SECONDS"), COUNT(keepalive, 0, 65535),
	 DEFAULT("60", "Keep Alive of every connection, 0 for none", "")},
	{NAME(0, "mqtt", "VERSION"), COUNT(mqtt, 4, 5),
	 DEFAULT("4", "Version of MQTT that all clients speak: 4 is 3.1.1, 5 is 5.0", "")},
	{NAME(0, "cc", "NAME"), STRING(cc),
	 HELP("TCP congestion control of the clients' sockets, such as `cubic` or `bbr`. The default is the system's.")},
	{NAME(0, "nagle", NULL), FLAG(nagle), HELP("Do not set TCP_NODELAY on the clients' sockets.")},
	{NAME(0, "topic-prefix", "TOPIC"), STRING(topic_prefix),
	 DEFAULT("bench", "What all topics begin with",
		 " A number that differs in each run follows, and that of the topic.")},
	{NAME(0, "pid", "PID"), COUNT(pid, 1, 4194304),
	 HELP("Process of the broker: report its CPU time and memory. It must be on this machine.")},
	{NAME(0, "all-cpu", NULL), FLAG(all_cpu),
	 HELP("Report the CPU time of all tasks of this machine, kernel threads included.")},
	{NAME(0, "json", NULL), FLAG(json), HELP("Print the result as JSON.")},
	{NAME(0, "progress", NULL), FLAG(progress), HELP("Show progress on stderr also when it is not a terminal.")},
	{NAME('V', "version", NULL), .type = OPTION_VERSION, HELP("Print the version.")},
	{NAME(0, "help", NULL), .type = OPTION_HELP, HELP("Print this help.")},
	{NAME(0, "man", NULL), .type = OPTION_MAN, HELP("Print the manual page, for `man -l -`.")},
};
enum { NOPTIONS = sizeof(table) / sizeof(table[0]), NCASES = sizeof(cases) / sizeof(cases[0]) };

static const char description[] =
	"Connects publishers and subscribers to a broker of MQTT 3.1.1 or 5.0, publishes on a schedule and measures how long the "
	"messages take and what the broker loses, duplicates, reorders or changes. Every message carries its publisher, a "
	"sequence number, the time it was due and a pattern that is compared byte by byte.\n"
	"\n"
	"Each publisher writes a message by a system call of its own, with TCP_NODELAY, as ordinary clients do. When its "
	"socket is full it waits; the schedule does not, so that a broker which stalls cannot hide the wait. How late "
	"messages were sent is reported: it is also the mark of a load generator that is the bottleneck itself.\n"
	"\n"
	"CPU time per message is that of the measured time, over the messages delivered in it: of the broker with `--pid`, of "
	"the whole machine with `--all-cpu`. With both, `involved` is the machine's without that of programs which are neither "
	"the broker nor shunt-bench: what the messages cost, the kernel's own threads included.";

static const struct {
	const char *status, *meaning;
} statuses[] = {
	{"0", "The run was completed. Lost messages are reported, but no failure."},
	{"1", "Messages were changed, duplicated or reordered."},
	{"2", "Wrong usage."},
	{"3", "The run was not possible, or connections broke."},
};
enum { NSTATUSES = sizeof(statuses) / sizeof(statuses[0]) };

/* Marks what is the case's to say. */
static const uint64_t COUNT_UNSET = UINT64_MAX;
static const double RATE_UNSET = -1;

static bool complain(const struct option_info *info, const char *value, const char *what)
{
	fprintf(stderr, "shunt-bench: --%s: '%s' %s\n", info->cli.name, value, what);
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

/* The case, and what it says where the options did not. False: there is none of this name. */
static bool set_case(struct options *o, const char *name)
{
	for (unsigned i = 0; i < NCASES; i++) {
		if (strcmp(cases[i].name, name) == 0)
			o->load = &cases[i];
	}
	if (!o->load)
		return false;
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
	if (!o->connections)
		o->connections = o->load->connections;
	return true;
}

/* ---- command line ------------------------------------------------------------------------------------------------ */

static void print_case(const struct bench_case *c)
{
	char load[160], subscribers[16] = "as many";

	if (c->connections) {
		snprintf(load, sizeof(load), "Connections %llu.", (unsigned long long)c->connections);
		man_item(stdout, c->name, NULL, load);
		return;
	}
	if (c->subscribers)
		snprintf(subscribers, sizeof(subscribers), "%u", c->subscribers);
	if (c->rate > 0)
		snprintf(load, sizeof(load), "Publishers %u, subscribers %s, rate %g.", c->publishers, subscribers,
			 c->rate);
	else
		snprintf(load, sizeof(load), "Publishers %u, subscribers %s, no schedule.", c->publishers, subscribers);
	man_item(stdout, c->name, NULL, load);
}

static void print_man(const struct cli *cli)
{
	cli_man(stdout, cli);
	man_section(stdout, "Defaults of the cases");
	for (unsigned i = 0; i < NCASES; i++)
		print_case(&cases[i]);
	man_section(stdout, "Exit status");
	for (unsigned i = 0; i < NSTATUSES; i++)
		man_item(stdout, statuses[i].status, NULL, statuses[i].meaning);
}

/* The command line as base/cli.h wants it: `options` and `commands` are filled from the tables. */
static struct cli describe(struct cli_option options[NOPTIONS], struct cli_command commands[NCASES])
{
	static const char *const synopsis[] = {"[OPTION]... CASE", NULL};

	for (unsigned i = 0; i < NOPTIONS; i++)
		options[i] = table[i].cli;
	for (unsigned i = 0; i < NCASES; i++)
		commands[i] = (struct cli_command){.name = cases[i].name, .help = cases[i].help};
	return (struct cli){
		.tool = "shunt-bench",
		.section = "1",
		.summary = "load generator for MQTT brokers",
		.synopsis = synopsis,
		.description = description,
		.options = options,
		.noptions = NOPTIONS,
		.commands = commands,
		.ncommands = NCASES,
	};
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	struct cli_option options[NOPTIONS];
	struct cli_command commands[NCASES];
	struct cli cli = describe(options, commands);
	const char *argument;
	int row;

	set_defaults(o);
	while ((row = cli_next(&cli, argc, argv, &argument)) >= 0) {
		switch (table[row].type) {
		case OPTION_HELP:
			cli_help(stdout, &cli);
			return OPTIONS_DONE;
		case OPTION_MAN:
			print_man(&cli);
			return OPTIONS_DONE;
		case OPTION_VERSION:
			printf("shunt-bench %s\n", SHUNT_VERSION);
			return OPTIONS_DONE;
		default:
			if (!set_option(o, &table[row], argument))
				return OPTIONS_BAD;
		}
	}
	if (row == CLI_WRONG)
		return OPTIONS_BAD;
	if (optind != argc - 1) {
		cli_usage_error(&cli, "name one case");
		return OPTIONS_BAD;
	}
	if (!set_case(o, argv[optind])) {
		cli_usage_error(&cli, "there is no case '%s'", argv[optind]);
		return OPTIONS_BAD;
	}
	if (!o->load->connections && (o->tls || o->resume)) {
		cli_usage_error(&cli, "--tls and --resume are for the case storm");
		return OPTIONS_BAD;
	}
	if (o->messages && !o->publishers) {
		cli_usage_error(&cli, "--messages needs a publisher");
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}
